"""Whether a process is alive, by the id in a file or in its name."""

from __future__ import annotations

import os


def is_alive(pid: int) -> bool:
    """Whether a process has this id, of any user."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True
