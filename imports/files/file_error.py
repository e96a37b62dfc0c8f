"""Errors about our own files: is the path wrong (usage), or has the machine a problem?"""

from __future__ import annotations

import errno
import resource

from imports.errors import DiskError, ImporterError, LimitError, UsageError

_OPEN_FILES = frozenset((errno.EMFILE, errno.ENFILE))

_SPACE = "Free space on that disk, then run again: the same command resumes."
_DISK = "Check that disk, then run again: the same command resumes."

_OF_THE_DISK = {
    errno.ENOSPC: f"The disk is full. {_SPACE}",
    errno.EDQUOT: f"The disk quota of this user is used up. {_SPACE}",
    errno.EFBIG: "The file would exceed the size limit (ulimit -f). Raise the limit, then run"
    " again: the same command resumes.",
    errno.EROFS: "The disk is read-only, perhaps because it has failed. Make it writable, or name"
    " another place; the same command resumes.",
    **dict.fromkeys((errno.EIO, errno.ENODEV, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY), _DISK),
}
"""What to do if a disk is full, broken or gone. All other errors concern the path that the user
named: it does not exist, has the wrong type, or belongs to somebody else."""


def about_file(
    what: str, error: OSError, advice: str = "", *, written_before: bool = False
) -> ImporterError:
    """The error to raise if one of our files cannot be used.

    `what` names the file and what failed. `advice` is appended if the path is wrong.

    Returns a DiskError or LimitError if the machine is the cause, else a UsageError. A read-only
    place is wrong usage, unless this run has `written_before` to it.
    """
    if error.errno != errno.EROFS or written_before:
        known = of_the_machine(error, what)
        if known is not None:
            return known
    return UsageError(f"{what}: {error.strerror}. {advice}".rstrip())


def of_the_machine(error: OSError, what: str | None = None) -> ImporterError | None:
    """The error if the machine is the cause; None if the path is."""
    if error.errno in _OPEN_FILES:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return LimitError.of_open_files(most)
    advice = _OF_THE_DISK.get(error.errno or 0)
    if advice is None:
        return None
    what = what or f"{error.filename or 'A file'} cannot be used"
    return DiskError(f"{what}: {error.strerror}. {advice}")
