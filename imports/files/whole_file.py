"""Replacing a file as a whole: a reader sees the old or the new content, also after a crash."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from imports.files.free_names import move_exclusively
from imports.files.private_file import FILE
from imports.files.regular_file import open_new

_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS})
"""Errors of file systems that cannot sync a folder."""


DRAFT = ".part"
"""What the names of drafts end with."""


@contextlib.contextmanager
def replacing(
    path: str | Path, *, over: bool = True, draft: str | None = None
) -> Iterator[BinaryIO]:
    """Yields a draft; at the end it is synced to disk and replaces the file.

    On an exception the file stays unchanged and the draft is deleted. `draft` is the path of the
    draft; the default is a new name that ends with `DRAFT`.

    Raises:
        FileExistsError: without `over`, if there is a file.
        OSError: if it cannot be written.
    """
    # Not with path objects: they take longer than copying a small image.
    folder, name = os.path.split(path)
    draft = draft or os.path.join(folder, f".{name}.{os.getpid()}.{uuid4().hex}{DRAFT}")
    descriptor = open_new(draft, FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if over:
            os.replace(draft, path)  # noqa: PTH105
        else:
            # Not two names for a moment: a kill would leave the draft beside a file that is stored.
            move_exclusively(Path(draft), Path(path))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)  # noqa: PTH108
        raise


def remove_drafts(path: Path) -> None:
    """Deletes the drafts that killed runs left of a file. The caller holds the lock."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*{DRAFT}"):
        draft.unlink(missing_ok=True)


def sync_folder(folder: str | Path) -> None:
    """Syncs the names in a folder to disk, if the system supports that.

    Raises:
        OSError: if it fails, or too many files are open.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
