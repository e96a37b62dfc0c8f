"""Images into a local folder, beside a PostgreSQL that has no store of its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path
from uuid import uuid4

from imports.errors import BackendError, ImageProblemError
from imports.image_file import open_unchanged
from imports.patience import patiently
from imports.private_file import FOLDER, make_folder, private
from imports.process_id import is_alive
from imports.regular_file import opener
from imports.whole_file import sync_folder
from imports.work_item import Image

_CHUNK_BYTES = 1024 * 1024
_PART = ".part"


class LocalImages:
    """A folder with the tree `sha256/ab/cd/<hash>.<ext>`."""

    storage_type = "local"
    put_at_once = 16

    def __init__(self, folder: Path) -> None:
        """Works below `folder`, which need not be there yet."""
        self._folder = folder

    def prepare(self) -> None:
        """Makes the folder, if it is absent."""
        try:
            make_folder(self._folder)
        except OSError as error:
            raise BackendError(
                f"The folder for images {self._folder} cannot be made: {error.strerror}."
            ) from error

    def put(self, image: Image) -> bool:
        """Copies an image; False if it was there already.

        It is written beside its place, brought to disk, and renamed into it.
        """
        return patiently(self._put, image)

    def _put(self, image: Image) -> bool:
        # Not with path objects, here and below: they take longer than copying a small image.
        place = f"{self._folder}/{image.storage_path}"
        folder, _, name = place.rpartition("/")
        size = image.file.signature.size
        if self.size(image.storage_path) == size:
            return False
        part = f"{folder}/.{name}.{os.getpid()}.{uuid4().hex}{_PART}"
        try:
            if not _make_folder(folder):
                _remove_leftovers(folder, name)
            with open_unchanged(image.file) as source, open(part, "xb", opener=private) as copy:
                shutil.copyfileobj(source, copy, min(size, _CHUNK_BYTES))
                copy.flush()
                os.fsync(copy.fileno())
            os.replace(part, place)  # noqa: PTH105
            patiently(sync_folder, folder)
        except ImageProblemError:
            _remove(part)
            raise
        except OSError as error:
            _remove(part)
            raise ImageProblemError(
                f"image {image.file.path} cannot be stored at {place}: {error.strerror}"
            ) from error
        return True

    def size(self, storage_path: str) -> int | None:
        """The size in bytes of what is stored there, None if nothing is."""
        try:
            return os.stat(f"{self._folder}/{storage_path}").st_size
        except FileNotFoundError:
            return None

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
        (self._folder / storage_path).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is held open."""


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
        if not (part.startswith(f".{name}.") and part.endswith(_PART)):
            continue
        pid = part.removeprefix(f".{name}.").split(".")[0]
        if pid.isdecimal() and not is_alive(int(pid)):
            _remove(f"{folder}/{part}")


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108
