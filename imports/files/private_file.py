"""Files and folders for their owner alone, whatever the umask is."""

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
    """Opens a file as `open(…, opener=private)` asks for: a new one is its owner's alone.

    Raises:
        OSError: if it cannot be opened, or is a link or no regular file.
    """
    return open_itself(path, flags, FILE)


def read_own(path: Path) -> bytes:
    """What is in a file that this user wrote.

    Raises:
        OSError: if it cannot be read, or is a link, no regular file, or somebody else's.
    """
    with open(path, "rb", opener=private) as file:
        if os.fstat(file.fileno()).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it is somebody else's", str(path))
        return file.read()


def make_folder(path: Path, mode: int = FOLDER) -> None:
    """Makes a folder for its owner alone, and the missing ones around it; one that is there stays.

    Raises:
        OSError: if it cannot be made.
    """
    # Not with `parents`, which gives the mode to the last one alone.
    for folder in reversed((path, *path.parents)):
        if folder.is_dir():
            continue
        try:
            folder.mkdir(mode)
        except FileExistsError:
            if not folder.is_dir():
                raise
        else:
            # The umask may have taken from it.
            folder.chmod(mode)


def tighten(file: int | Path) -> None:
    """Takes a file or folder of ours that all may read from them: an earlier version left it so.

    One that its group alone may read has been opened to it on purpose, and stays so. What belongs
    to somebody else, is a link, or is not there, stays as it is.
    """
    with contextlib.suppress(OSError):
        status = os.fstat(file) if isinstance(file, int) else file.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode) or status.st_uid != os.geteuid():
            return
        if mode & stat.S_IRWXO:
            os.chmod(file, mode & stat.S_IRWXU)  # noqa: PTH101
