"""Giving a file a name that nothing has: never does it take the place of another one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

LONGEST_NAME = 255

_NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
)
"""What `link` says on a file system without hard links, or about a file of somebody else."""

_NO_SUCH_RENAME = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM})
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


def names(wanted: Path) -> Iterator[Path]:
    """The name itself, then `name.1.json`, `name.2.json` and so on, none longer than allowed."""
    yield wanted
    for number in count(1):
        yield with_end(wanted, f".{number}{wanted.suffix}")


def with_end(path: Path, end: str) -> Path:
    """The path with another end after its stem, which is cut where the name is too long."""
    stem = path.stem
    while len(os.fsencode(stem + end)) > LONGEST_NAME:
        stem = stem[:-1]
    return path.with_name(stem + end)


def name_exclusively(file: Path, name: Path) -> None:
    """Lets `name` be a name of the file, in one step; the old name may be gone then.

    Raises:
        FileExistsError: if something has the name.
    """
    try:
        # Not `rename`, which overwrites.
        os.link(file, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if not _rename_exclusively(file, name):
            _rename_under_lock(file, name)


def _rename_exclusively(file: Path, name: Path) -> bool:
    """Renames a file if nothing has the name; False where the system has no such call."""
    # On demand: only where there are no hard links.
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    old, new = os.fsencode(file), os.fsencode(name)
    if not rename(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE):
        return True
    code = ctypes.get_errno()
    if code in _NO_SUCH_RENAME:
        return False
    raise OSError(code, os.strerror(code), str(file), None, str(name))


def _rename_under_lock(file: Path, name: Path) -> None:
    """Renames a file if nothing has the name; of others, only the importer heeds the lock."""
    # On demand: few file systems have neither of the calls above.
    from filelock import FileLock

    with FileLock(name.parent / ".moving.lock"):
        if os.path.lexists(name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(name))
        file.rename(name)


def put_back(aside: Path, home: Path) -> Path:
    """Gives a file its name back, or the next free one where that is taken; the name it has now.

    Raises:
        OSError: if that cannot be done; the file then is where it was.
    """
    for name in names(home):
        try:
            name_exclusively(aside, name)
        except FileExistsError:
            if not _is_one_file(aside, name):
                continue
            # Whoever put it back before was killed half way.
        aside.unlink(missing_ok=True)
        return name
    raise AssertionError("there is no last name")


def _is_one_file(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except FileNotFoundError:
        return False
