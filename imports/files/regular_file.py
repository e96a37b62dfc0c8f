"""Opening only regular files, in folders where other programs may have put anything.

Opening a pipe would block, a device may do anything, and a link may lead anywhere. So opening never
blocks, the type is checked before reading, and a link is followed only if its target may be read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

_HARMLESS = (
    getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)
_READ = os.O_RDONLY | _HARMLESS
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _HARMLESS
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)

MayRead = Callable[[str], bool]
"""Says whether the file with this real path may be read."""

LEADS_OUT = (
    "leads out of the folders that may be read; if it is meant, name its folder with --image-root"
)
_NOT_REGULAR = "is not a regular file"

OpenedFile = tuple[int, os.stat_result]
"""A descriptor, which the caller closes, and the status of the file."""


def open_regular(path: str, *, folder: int | None = None) -> OpenedFile:
    """Opens a regular file for reading; the path is relative to the open `folder`, if given.

    Raises:
        OSError: if it cannot be opened, is a link, or is not a regular file.
    """
    return _open(path, _READ, folder)


def opener(path: str, flags: int) -> int:
    """Opens a regular file that the user named; links are followed. For `open(…, opener=opener)`.

    Raises:
        OSError: if it cannot be opened, or is not a regular file.
    """
    return _open(os.path.realpath(path), flags | _HARMLESS, None)[0]


def open_itself(path: str, flags: int, mode: int) -> int:
    """Opens a regular file with these flags, or creates it with this mode; follows no link.

    Raises:
        OSError: if it cannot be opened, is a link, or is not a regular file.
    """
    return _open(path, flags | _HARMLESS, None, mode)[0]


def read_named(path: str | os.PathLike[str]) -> bytes:
    """The content of a regular file that the user named; links are followed.

    Raises:
        OSError: if it cannot be read, or is not a regular file.
    """
    with open(path, "rb", opener=opener) as file:
        return file.read()


def open_real(path: str) -> OpenedFile:
    """Opens a regular file by its real path, which contains no link.

    Raises:
        OSError: if it cannot be opened, is not a regular file, or a link has replaced its folder.
    """
    descriptor, status = open_regular(path)
    if _is_at(descriptor, path, _nowhere_else):
        return descriptor, status
    os.close(descriptor)
    raise OSError(errno.ESTALE, "its folder was replaced by a link", path)


def open_new(path: str, mode: int, *, folder: int | None = None) -> int:
    """Creates a file and opens it for writing; `folder` as for `open_regular`.

    Raises:
        FileExistsError: if the name is taken.
        OSError: if it cannot be created.
    """
    return os.open(path, _NEW, mode, dir_fd=folder)


def open_folder(path: str, may_read: MayRead) -> int:
    """Opens a folder. If its path contains a link, its real place must be readable.

    Raises:
        OSError: if it cannot be opened, or may not be read.
    """
    descriptor = os.open(path, _FOLDER)
    if _is_at(descriptor, path, may_read):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EXDEV, LEADS_OUT, path)


class LatestFolder:
    """Opens files of a source, and keeps their folder open for the next file of the same folder.

    Use it only briefly: if a folder is replaced meanwhile, the old one would be read. Threads may
    share it; it cannot be pickled.
    """

    __slots__ = ("_latest", "_may_read", "_place")

    def __init__(self, may_read: MayRead) -> None:
        """Opens nothing yet."""
        self._may_read = may_read
        self._latest: _Folder | None = None
        self._place = ""

    def open(self, path: str) -> OpenedFile:
        """Opens a regular file for reading; a link only if its target may be read.

        Raises:
            OSError: if it cannot be opened, is not a regular file, or may not be read.
        """
        place, _, name = path.rpartition(os.sep)
        folder = self._latest
        try:
            if folder is not None and folder.path == place:
                return _open(name, _READ, folder.descriptor)
            if self._place != place:
                # It may be the only file in its folder.
                self._place = place
                return self._open_alone(path)
            # The previous folder is closed when no thread uses it any more.
            folder = self._latest = _Folder(place, open_folder(place, self._may_read))
            return _open(name, _READ, folder.descriptor)
        except OSError as error:
            # The error for a link that must not be followed.
            if error.errno != errno.ELOOP:
                raise
        finally:
            # Otherwise the traceback of an error would keep the folder open.
            del folder
        real = os.path.realpath(path)
        if not self._may_read(real):
            raise OSError(errno.EXDEV, LEADS_OUT, path)
        return open_real(real)

    def _open_alone(self, path: str) -> OpenedFile:
        descriptor, status = _open(path, _READ, None)
        if _is_at(descriptor, path, self._may_read):
            return descriptor, status
        os.close(descriptor)
        raise OSError(errno.EXDEV, LEADS_OUT, path)


class _Folder:
    __slots__ = ("descriptor", "path")

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


def _open(path: str, flags: int, folder: int | None, mode: int = 0o666) -> OpenedFile:
    try:
        descriptor = os.open(path, flags, mode, dir_fd=folder)
    except OSError as error:
        # The error for a socket, and for a pipe without a reader.
        if error.errno == errno.ENXIO:
            raise OSError(errno.EINVAL, _NOT_REGULAR, path) from error
        raise
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status
    os.close(descriptor)
    raise OSError(errno.EINVAL, _NOT_REGULAR, path)


def _is_at(descriptor: int, path: str, may_read: MayRead) -> bool:
    """Whether the open file is really at its path, or at another place that may be read."""
    try:
        place = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - a path takes longer
    except OSError:
        # Not every system has /proc.
        place = ""
    if place == path or (place and may_read(place)):
        return True
    # A file system that ignores case may return another spelling.
    real = os.path.realpath(path)
    try:
        is_same = os.path.samestat(os.stat(real), os.fstat(descriptor))
    except OSError:
        return False
    return is_same and (real == path or may_read(real))


def _nowhere_else(place: str) -> bool:
    return False
