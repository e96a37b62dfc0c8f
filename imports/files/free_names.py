"""Giving a file a name that is free, so that it never overwrites another file."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path

LONGEST_NAME = 255

_NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
)
"""Errors of `link` on a file system without hard links, or for another user's file."""

_NO_SUCH_RENAME = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM})
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


def names(wanted: Path) -> Iterator[Path]:
    """Yields the name, then `name.1.json`, `name.2.json` and so on, none longer than allowed."""
    yield wanted
    for number in count(1):
        yield with_end(wanted, f".{number}{wanted.suffix}")


def with_end(path: Path, end: str) -> Path:
    """The path with `end` after its stem; the stem is cut if the name would be too long."""
    stem = path.stem
    while len(os.fsencode(stem + end)) > LONGEST_NAME:
        stem = stem[:-1]
    return path.with_name(stem + end)


def name_exclusively(file: Path, name: Path) -> None:
    """Gives the file the name `name`, in one atomic step; the old name may be gone afterwards.

    Raises:
        FileExistsError: if the name is taken.
    """
    try:
        # Not `rename`, which overwrites.
        os.link(file, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if not _rename_exclusively(file, name):
            _rename_under_lock(file, name)


def move_exclusively(file: Path, name: Path) -> None:
    """Renames a file if the name is free: in one step where the system has such a call.

    Raises:
        FileExistsError: if the name is taken.
    """
    if not _rename_exclusively(file, name):
        name_exclusively(file, name)
        file.unlink(missing_ok=True)


def _rename_exclusively(file: Path, name: Path) -> bool:
    """Renames a file if the name is free; False if the system has no such call."""
    rename = _renameat2()
    if rename is None:
        return False
    code = rename(os.fsencode(file), os.fsencode(name))
    if not code:
        return True
    if code in _NO_SUCH_RENAME:
        return False
    raise OSError(code, os.strerror(code), str(file), None, str(name))


@cache
def _renameat2() -> Callable[[bytes, bytes], int] | None:
    """The system's call, which returns the number of its error; None if there is none.

    Looking it up takes longer than calling it.
    """
    # On demand: few runs need it.
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return None

    def call(old: bytes, new: bytes) -> int:
        failed = rename(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE)
        return ctypes.get_errno() if failed else 0

    return call


def _rename_under_lock(file: Path, name: Path) -> None:
    """Renames a file if the name is free. Only the importer itself respects this lock."""
    # On demand: most file systems support one of the calls above.
    from filelock import FileLock

    with FileLock(name.parent / ".moving.lock"):
        if os.path.lexists(name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(name))
        file.rename(name)


def put_back(aside: Path, home: Path) -> Path:
    """Gives a file its name back, or the next free name; returns the new path.

    Raises:
        OSError: if that fails; the file then stays where it was.
    """
    for name in names(home):
        try:
            name_exclusively(aside, name)
        except FileExistsError:
            if not _is_one_file(aside, name):
                continue
            # A process put it back and was killed before it removed the other name.
        aside.unlink(missing_ok=True)
        return name
    raise AssertionError("`names` never ends")


def _is_one_file(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except FileNotFoundError:
        return False
