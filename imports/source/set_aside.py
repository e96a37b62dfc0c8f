"""Setting files aside, so that no program can replace one between its check and its deletion.

A file is renamed into a hidden folder beside it. The process that created the folder holds a lock
on it, which ends with the process. If a folder is not locked, its process was killed, and the next
run puts its files back.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self
from uuid import uuid4

from imports.files.free_names import put_back

BEGINNING = ".resilient-importer-aside."
"""The names of these folders begin with this; machine, process id and a unique part follow."""


class BroughtHome(NamedTuple):
    """A file that was put back: its original path, and its path now."""

    home: Path
    place: Path


class AsideFolders:
    """The hidden folders of one job: one in each folder that it takes files from."""

    def __init__(self) -> None:
        """Creates none yet."""
        self._held: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Self:
        """The folders are created on demand."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Removes the empty ones, and unlocks all."""
        while self._held:
            _, (private, lock) = self._held.popitem()
            try:
                _remove_empty(Path(private))
            finally:
                os.close(lock)

    def take(self, path: Path) -> Path:
        """Sets a file aside; returns its path there.

        Raises:
            FileNotFoundError: if the file does not exist.
            OSError: if it cannot be renamed.
        """
        # Strings, not paths, for speed: there may be millions of files.
        folder, name = os.path.split(path)
        if folder not in self._held:
            private_folder, lock = _make(path.parent)
            self._held[folder] = str(private_folder), lock
        private, lock = self._held[folder]
        aside = f"{private}{os.sep}{name}"
        try:
            os.rename(path, aside)  # noqa: PTH104
        except FileNotFoundError:
            if os.path.isdir(private) or not os.path.lexists(path):  # noqa: PTH112
                raise
            # Somebody has deleted the hidden folder.
            os.close(lock)
            del self._held[folder]
            return self.take(path)
        return Path(aside)


def bring_home(private: Path, finish: Callable[[Path, Path], bool]) -> list[BroughtHome]:
    """Puts back the files that a killed process had set aside; returns them. Removes the folder.

    First calls `finish` with the path of a file and its original path: it may complete the deletion
    or move, and then returns True. The folder of a living process is not touched.

    Raises:
        OSError: if a file cannot be put back; it then stays where it is.
    """
    lock = _lock(private)
    if lock is None:
        return []
    try:
        found = []
        for aside in sorted(private.iterdir()):
            home = private.parent / aside.name
            if not finish(aside, home):
                found.append(BroughtHome(home, put_back(aside, home)))
        _remove_empty(private)
        return found
    finally:
        os.close(lock)


def aside_folders_in(folder: Path) -> list[Path]:
    """The hidden folders of all processes in a folder; none if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return [
                folder / entry.name
                for entry in entries
                if entry.name.startswith(BEGINNING) and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []


def is_aside_folder(prefix: str) -> bool:
    """Whether a prefix (`a/b/`) is that of a folder with files that were set aside."""
    return prefix.removesuffix("/").rpartition("/")[2].startswith(BEGINNING)


def _make(parent: Path) -> tuple[Path, int]:
    machine = re.sub(r"[^A-Za-z0-9-]", "", os.uname().nodename)[:40]
    while True:
        private = parent / f"{BEGINNING}{machine}.{os.getpid()}.{uuid4().hex}"
        private.mkdir()
        # Every user who may write to the source may put back the files left here.
        private.chmod(stat.S_IMODE(parent.stat().st_mode))
        lock = _lock(private)
        if lock is not None:
            return private, lock
        # Another run has just removed it as the folder of a killed process.


def _lock(private: Path) -> int | None:
    """A descriptor with a lock on a folder; None if another process has it, or it is gone."""
    try:
        descriptor = os.open(private, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), private.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS):
            # No locks here: so nobody knows which process is alive. If a file is put back too
            # early, it is only checked once more.
            return descriptor
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _remove_empty(private: Path) -> None:
    with contextlib.suppress(OSError):
        private.rmdir()
