"""What an error about one of our files means: a wrong place, or a matter of the machine."""

from __future__ import annotations

import errno
import resource

from imports.errors import DiskError, ImporterError, LimitError, UsageError

_OPEN_FILES = frozenset((errno.EMFILE, errno.ENFILE))

_SPACE = "Free space on that disk, then run again: the same command resumes."
_DISK = "See to that disk, then run again: the same command resumes."

_OF_THE_DISK = {
    errno.ENOSPC: f"The disk is full. {_SPACE}",
    errno.EDQUOT: f"This user may take no more of the disk (quota). {_SPACE}",
    errno.EFBIG: "A file may not become so large here (ulimit -f). Raise that, then run again: the"
    " same command resumes.",
    errno.EROFS: "Nothing can be written there, as to a disk that has failed. Make it writable, or"
    " name another place; the same command resumes.",
    **dict.fromkeys((errno.EIO, errno.ENODEV, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY), _DISK),
}
"""What a disk says that is full, broken or away, whichever place the user has named, and what to
do. All else is about the place: it is not there, is another sort of file, is not ours."""


def about_file(
    what: str, error: OSError, advice: str = "", *, written_before: bool = False
) -> ImporterError:
    """The error to raise where a file of ours cannot be used.

    `what` says which file, and what cannot be done with it; `advice` is for a wrong place.

    It is a UsageError, or a DiskError or LimitError where the machine is the matter. A place that
    is read-only was named wrongly, unless this run has `written_before` to it.
    """
    if error.errno != errno.EROFS or written_before:
        known = of_the_machine(error, what)
        if known is not None:
            return known
    return UsageError(f"{what}: {error.strerror}. {advice}".rstrip())


def of_the_machine(error: OSError, what: str | None = None) -> ImporterError | None:
    """The error where the machine is the matter; None where it is the place, or what is there."""
    if error.errno in _OPEN_FILES:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return LimitError.of_open_files(most)
    advice = _OF_THE_DISK.get(error.errno or 0)
    if advice is None:
        return None
    what = what or f"{error.filename or 'A file'} cannot be used"
    return DiskError(f"{what}: {error.strerror}. {advice}")
