"""Whether a process still runs, by its id, which a file or its name tells."""

from __future__ import annotations

import os


def is_alive(pid: int) -> bool:
    """Whether a process has this id, whoever owns it."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True
