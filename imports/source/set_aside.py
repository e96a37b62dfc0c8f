"""Setting files aside: nobody can replace one between a look at it and what is done with it.

A file is renamed into a hidden folder beside it, and the process that made this folder holds it
locked. The lock ends with the process: if nobody holds such a folder, a killed process has left
what is in it, and the next run brings it home.
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
"""What the names of these folders begin with; then come the machine, the process, and a unique
part."""


class BroughtHome(NamedTuple):
    """A file that was set aside: where it had been, and where it is now."""

    home: Path
    place: Path


class AsideFolders:
    """The hidden folders of a piece of work: one in each folder that it takes files from."""

    def __init__(self) -> None:
        """Makes none yet."""
        self._held: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Self:
        """The folders are made when they are needed."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Removes them, and lets go of one in which something is left."""
        while self._held:
            _, (private, lock) = self._held.popitem()
            try:
                _remove_empty(Path(private))
            finally:
                os.close(lock)

    def take(self, path: Path) -> Path:
        """Sets aside what has this path; where it is now.

        Raises:
            FileNotFoundError: if nothing has it.
            OSError: if it cannot be renamed.
        """
        # Texts, not paths: there may be millions of files.
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
            # Somebody has tidied up.
            os.close(lock)
            del self._held[folder]
            return self.take(path)
        return Path(aside)


def bring_home(private: Path, finish: Callable[[Path, Path], bool]) -> list[BroughtHome]:
    """Puts back what a killed process had set aside, and removes its folder; what was put back.

    `finish` is asked first, with the path of a file and the one that it had: it may bring the
    file to its end, and answers whether it did. What a living process holds is not touched.

    Raises:
        OSError: if something cannot be put back; it then stays where it is.
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
    """The hidden folders of any process in a folder; none if that cannot be listed."""
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
    """Whether the prefix of a folder (`a/b/`) is that of one in which files are set aside."""
    return prefix.removesuffix("/").rpartition("/")[2].startswith(BEGINNING)


def _make(parent: Path) -> tuple[Path, int]:
    machine = re.sub(r"[^A-Za-z0-9-]", "", os.uname().nodename)[:40]
    while True:
        private = parent / f"{BEGINNING}{machine}.{os.getpid()}.{uuid4().hex}"
        private.mkdir()
        # Whoever may work in the source may bring home what is left here.
        private.chmod(stat.S_IMODE(parent.stat().st_mode))
        lock = _lock(private)
        if lock is not None:
            return private, lock
        # Another run took it for one that was left.


def _lock(private: Path) -> int | None:
    """A descriptor that holds a folder; None if somebody else does, or it is gone."""
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
            # No locks here: then nobody can tell who lives, and what is put back too early is
            # only looked at once more.
            return descriptor
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _remove_empty(private: Path) -> None:
    with contextlib.suppress(OSError):
        private.rmdir()
