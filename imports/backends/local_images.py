"""Images into a local folder, for a PostgreSQL without an image store."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from imports.errors import BackendError, BackendUnavailableError, ImageProblemError, ImporterError
from imports.files.patience import patiently
from imports.files.private_file import FOLDER, make_folder
from imports.files.regular_file import opener
from imports.files.whole_file import DRAFT, replacing, sync_folder
from imports.items.images import Image
from imports.source.image_file import open_unchanged, read_pieces
from imports.workers.process_id import is_running

_CHUNK_BYTES = 1024 * 1024

_DISK_ERRORS = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EAGAIN),
        *(errno.ENOENT, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ETIMEDOUT, errno.EBUSY),
    )
)
"""Errors of a full, broken or missing disk: after its repair, a new run can resume."""

_IMAGE_ERRORS = (errno.EFBIG, errno.EISDIR, errno.EMFILE, errno.ENFILE)
"""Errors that concern one image, or that are gone a moment later."""


class LocalImages:
    """A folder with images: `imagecache` with the tree `sha256/ab/cd/<hash>.<ext>`, or a bucket."""

    storage_type = "local"
    put_at_once = 16

    def __init__(self, folder: Path) -> None:
        """Stores images below `folder`, which need not exist yet."""
        self._folder = folder

    def prepare(self) -> str | None:
        """Creates the folder if it is missing; there is no warning."""
        try:
            make_folder(self._folder)
        except OSError as error:
            raise self._unusable(self._folder, error) from error
        return None

    def is_public(self) -> bool | None:
        """Whether everybody can read the images; None if the folder is missing."""
        return False if self._folder.is_dir() else None

    def put(self, image: Image) -> bool:
        """Copies an image; False if it was stored before.

        When it returns, the name of the file is on disk, too.
        """
        return self._stored(self._put, image, f"{self._folder}/{image.storage_path}")

    def put_at(self, path: str, image: Image, *, over: bool) -> bool:
        """Copies an image to a path; False if that has content already and `over` is false."""
        put = partial(self._write, over=over)
        return self._stored(put, image, f"{self._folder}/{path}")

    def _stored(self, put: Callable[[Image, str], bool], image: Image, place: str) -> bool:
        try:
            return patiently(put, image, place)
        except OSError as error:
            # Reading the image raises other errors: this one comes from the folder.
            if error.errno in _IMAGE_ERRORS:
                raise ImageProblemError(
                    f"image {image.file.path} cannot be stored at {place}: {error.strerror}"
                ) from error
            raise self._unusable(place, error) from error

    def _put(self, image: Image, place: str) -> bool:
        return _size(place) != image.file.signature.size and self._write(image, place, over=True)

    def _write(self, image: Image, place: str, *, over: bool) -> bool:
        # Without path objects: they are slower than copying a small image.
        folder, _, name = place.rpartition("/")
        if not _make_folder(folder):
            _remove_leftovers(folder, name)
        try:
            with open_unchanged(image.file) as source, replacing(place, over=over) as copy:
                copy.writelines(read_pieces(source, image.file, _CHUNK_BYTES))
        except FileExistsError:
            if over:
                raise
            return False
        patiently(sync_folder, folder)
        return True

    def copy(self, path: str, to: str) -> None:
        """Copies an object to another path, atomically; replaces what is there."""
        place = self._folder / to
        try:
            if not _make_folder(str(place.parent)):
                _remove_leftovers(str(place.parent), place.name)
            with open(self._folder / path, "rb", opener=opener) as source, replacing(place) as copy:
                shutil.copyfileobj(source, copy, _CHUNK_BYTES)
            patiently(sync_folder, place.parent)
        except OSError as error:
            raise self._unusable(place, error) from error

    def size(self, storage_path: str) -> int | None:
        """The size of an object in bytes; None if it does not exist."""
        place = f"{self._folder}/{storage_path}"
        try:
            return _size(place)
        except OSError as error:
            raise self._unusable(place, error) from error

    def names(self, folder: str, beginning: str) -> None:
        """Always None: a check of each image is as fast."""

    def sha256(self, storage_path: str) -> str:
        """The hash of an object; reads its stored content."""
        try:
            with open(self._folder / storage_path, "rb", opener=opener) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ImageProblemError(
                f"{self._folder / storage_path} cannot be read: {error.strerror}"
            ) from error

    def remove(self, storage_path: str) -> None:
        """Removes an object if it exists."""
        try:
            (self._folder / storage_path).unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(self._folder / storage_path, error) from error

    def close(self) -> None:
        """Does nothing: there are no connections."""

    def _unusable(self, place: str | Path, error: OSError) -> ImporterError:
        """Our error for an error of the folder; it ends the run."""
        if error.errno in _DISK_ERRORS:
            return BackendUnavailableError(
                f"{place} cannot be written: {error.strerror}. Free space on the disk of the image"
                f" folder {self._folder}, or repair that disk; then run again.",
                divisible=False,
            )
        return BackendError(
            f"The image folder {self._folder} cannot be used: {place}: {error.strerror}. Give this"
            " user the rights to read and write all of it, and move away any file that is in the"
            " place of a folder; then run again."
        )


def _size(place: str) -> int | None:
    try:
        return os.stat(place).st_size
    except FileNotFoundError:
        return None


def _make_folder(folder: str) -> bool:
    """Creates a folder if it is missing; returns whether it was."""
    try:
        os.mkdir(folder, FOLDER)  # noqa: PTH102
    except FileExistsError:
        return False
    except FileNotFoundError:
        make_folder(Path(folder))
    return True


def _remove_leftovers(folder: str, name: str) -> None:
    """Removes incomplete copies of an image that killed runs left; those of running ones stay."""
    for draft in os.listdir(folder):  # noqa: PTH208
        if not (draft.startswith(f".{name}.") and draft.endswith(DRAFT)):
            continue
        pid = draft.removeprefix(f".{name}.").split(".")[0]
        if pid.isdecimal() and not is_running(int(pid)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{folder}/{draft}")  # noqa: PTH108
