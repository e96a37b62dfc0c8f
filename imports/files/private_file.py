"""Files and folders that only their owner can read, whatever the umask is."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from imports.files.regular_file import open_itself

FILE = 0o600
FOLDER = 0o700


def private(path: str, flags: int) -> int:
    """An opener for `open(…, opener=private)`: only the owner can read a new file.

    Raises:
        OSError: if the file cannot be opened, is a link, or is not a regular file.
    """
    return open_itself(path, flags, FILE)


def read_own(path: Path) -> bytes:
    """The content of a file that belongs to this user.

    Raises:
        OSError: if it cannot be read, is a link, not a regular file, or another user's.
    """
    with open(path, "rb", opener=private) as file:
        if os.fstat(file.fileno()).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to another user", str(path))
        return file.read()


def make_folder(path: Path, mode: int = FOLDER) -> None:
    """Creates a folder that only its owner can enter, and missing parents; existing ones stay.

    Raises:
        OSError: if it cannot be created.
    """
    # Not with `parents`, which gives the mode to the last one only.
    for folder in reversed((path, *path.parents)):
        if folder.is_dir():
            continue
        try:
            folder.mkdir(mode)
        except FileExistsError:
            if not folder.is_dir():
                raise
        else:
            # The umask may have removed bits from the mode.
            folder.chmod(mode)


def tighten(file: int | Path) -> None:
    """Restricts a file or folder of ours to its owner if everybody can read it.

    Earlier versions created such files. If only its group can read it, somebody intended that, and
    it stays. So does a link, a missing file, and one that belongs to another user.
    """
    with contextlib.suppress(OSError):
        status = os.fstat(file) if isinstance(file, int) else file.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode) or status.st_uid != os.geteuid():
            return
        if mode & stat.S_IRWXO:
            os.chmod(file, mode & stat.S_IRWXU)  # noqa: PTH101
