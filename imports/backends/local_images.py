"""Images into a local folder, beside a PostgreSQL that has no store of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from uuid import uuid4

from imports.backends.image_file import open_unchanged
from imports.errors import BackendError, ImageProblemError
from imports.work_item import Image

_PART = ".part"


class LocalImages:
    """A folder with the tree `sha256/ab/cd/<hash>.<ext>`."""

    storage_type = "local"

    def __init__(self, folder: Path) -> None:
        """Works below `folder`, which need not be there yet."""
        self._folder = folder

    def prepare(self) -> None:
        """Makes the folder, if it is absent."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackendError(
                f"The folder for images {self._folder} cannot be made: {error.strerror}."
            ) from error

    def put(self, image: Image) -> bool:
        """Copies an image; False if it was there already.

        It is written beside its place, brought to disk, and renamed into it.
        """
        place = self._folder / image.storage_path
        if self.size(image.storage_path) == image.file.signature.size:
            return False
        part = place.with_name(f".{place.name}.{os.getpid()}.{uuid4().hex}{_PART}")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(place)
            with open_unchanged(image.file) as source, part.open("xb") as copy:
                shutil.copyfileobj(source, copy, 1024 * 1024)
                copy.flush()
                os.fsync(copy.fileno())
            part.replace(place)
            _sync_folder(place.parent)
        except ImageProblemError:
            part.unlink(missing_ok=True)
            raise
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ImageProblemError(
                f"image {image.file.path} cannot be stored at {place}: {error.strerror}"
            ) from error
        return True

    def size(self, storage_path: str) -> int | None:
        """The size in bytes of what is stored there, None if nothing is."""
        try:
            return (self._folder / storage_path).stat().st_size
        except FileNotFoundError:
            return None

    def sha256(self, storage_path: str) -> str:
        """The hash of what is stored there, read anew."""
        try:
            with (self._folder / storage_path).open("rb") as file:
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


def _remove_leftovers(place: Path) -> None:
    """Removes what a killed run left of this image; what a living one writes stays."""
    # On demand: only a killed run leaves anything, and only images are stored.
    import psutil

    for part in place.parent.glob(f".{place.name}.*{_PART}"):
        pid = part.name.removeprefix(f".{place.name}.").split(".")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
