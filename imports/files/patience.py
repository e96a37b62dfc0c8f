"""Retrying while this process has too many open files."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from imports.errors import ImageProblemError

P = ParamSpec("P")
R = TypeVar("R")

WAITS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.0, 1.0)
"""Seconds between two tries; our other threads close their files meanwhile."""

_TOO_MANY = (errno.EMFILE, errno.ENFILE)


def patiently(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls a function, and retries while too many files are open. It must close its own files.

    Raises:
        OSError, ImageProblemError: from the function; after the last retry also if too many files
            are open.
    """
    for wait in WAITS:
        try:
            return function(*args, **kwargs)
        except (OSError, ImageProblemError) as error:
            if not _too_many_open(error):
                raise
        time.sleep(wait)
    return function(*args, **kwargs)


def _too_many_open(error: BaseException) -> bool:
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno in _TOO_MANY
