"""Images into a local folder, beside a PostgreSQL that has no store of its own."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from imports.errors import (
    BackendError,
    BackendUnavailableError,
    ImageProblemError,
    ImporterError,
)
from imports.files.patience import patiently
from imports.files.private_file import FOLDER, make_folder
from imports.files.regular_file import opener
from imports.files.whole_file import DRAFT, replacing, sync_folder
from imports.source.image_file import open_unchanged, read_pieces
from imports.work_item import Image
from imports.workers.process_id import is_running

_CHUNK_BYTES = 1024 * 1024

_MAY_PASS = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EAGAIN),
        *(errno.ENOENT, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ETIMEDOUT, errno.EBUSY),
    )
)
"""What a disk says that is full, broken or away: whoever sees to it, nothing else need change."""

_OF_THE_IMAGE = (errno.EFBIG, errno.EISDIR, errno.EMFILE, errno.ENFILE)
"""What comes of this image, or of this moment."""


class LocalImages:
    """A folder with images: `imagecache` with the tree `sha256/ab/cd/<hash>.<ext>`, or a bucket."""

    storage_type = "local"
    put_at_once = 16

    def __init__(self, folder: Path) -> None:
        """Works below `folder`, which need not be there yet."""
        self._folder = folder

    def prepare(self) -> str | None:
        """Makes the folder, if it is absent; there is nothing to know about it."""
        try:
            make_folder(self._folder)
        except OSError as error:
            raise self._unusable(self._folder, error) from error
        return None

    def put(self, image: Image) -> bool:
        """Copies an image; False if it was there already.

        Its name is on disk, too, when that is answered.
        """
        return self._stored(self._put, image, f"{self._folder}/{image.storage_path}")

    def put_at(self, path: str, image: Image, *, over: bool) -> bool:
        """Copies an image to a path, `over` what is there; else False if something is there."""
        put = partial(self._write, over=over)
        return self._stored(put, image, f"{self._folder}/{path}")

    def _stored(self, put: Callable[[Image, str], bool], image: Image, place: str) -> bool:
        try:
            return patiently(put, image, place)
        except OSError as error:
            # The image has been read by then, or its problem was told: it is the folder.
            if error.errno in _OF_THE_IMAGE:
                raise ImageProblemError(
                    f"image {image.file.path} cannot be stored at {place}: {error.strerror}"
                ) from error
            raise self._unusable(place, error) from error

    def _put(self, image: Image, place: str) -> bool:
        return _size(place) != image.file.signature.size and self._write(image, place, over=True)

    def _write(self, image: Image, place: str, *, over: bool) -> bool:
        # Not with path objects: they take longer than copying a small image.
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
        """Copies what is stored at a path to another one, over what is there, in one step."""
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
        """The size in bytes of what is stored there, None if nothing is."""
        place = f"{self._folder}/{storage_path}"
        try:
            return _size(place)
        except OSError as error:
            raise self._unusable(place, error) from error

    def is_empty(self, folder: str) -> bool:
        """Nobody knows: to look for each image takes no longer."""
        return False

    def sha256(self, storage_path: str) -> str:
        """The hash of what is stored there, read anew."""
        try:
            with open(self._folder / storage_path, "rb", opener=opener) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ImageProblemError(
                f"{self._folder / storage_path} cannot be read: {error.strerror}"
            ) from error

    def remove(self, storage_path: str) -> None:
        """Removes what is stored there, if anything is."""
        try:
            (self._folder / storage_path).unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(self._folder / storage_path, error) from error

    def close(self) -> None:
        """Nothing is held open."""

    def _unusable(self, place: str | Path, error: OSError) -> ImporterError:
        """What ends the run where the folder itself is the matter."""
        if error.errno in _MAY_PASS:
            return BackendUnavailableError(
                f"{place} cannot be written: {error.strerror}. Make room on the disk of"
                f" {self._folder}, the folder for images, or see to that disk; then run again.",
                divisible=False,
            )
        return BackendError(
            f"The folder for images {self._folder} cannot be used: {place}: {error.strerror}. See"
            " to it that this user may read and write all of it, and that no file lies where a"
            " folder should be; then run again."
        )


def _size(place: str) -> int | None:
    try:
        return os.stat(place).st_size
    except FileNotFoundError:
        return None


def _make_folder(folder: str) -> bool:
    """Makes a folder that may be absent; whether it was."""
    try:
        os.mkdir(folder, FOLDER)  # noqa: PTH102
    except FileExistsError:
        return False
    except FileNotFoundError:
        make_folder(Path(folder))
    return True


def _remove_leftovers(folder: str, name: str) -> None:
    """Removes what a killed run left of this image; what a living one writes stays."""
    for part in os.listdir(folder):  # noqa: PTH208
        if not (part.startswith(f".{name}.") and part.endswith(DRAFT)):
            continue
        pid = part.removeprefix(f".{name}.").split(".")[0]
        if pid.isdecimal() and not is_running(int(pid)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{folder}/{part}")  # noqa: PTH108
