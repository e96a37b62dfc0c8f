"""Whether a process is alive, by the id in a file or in its name."""

from __future__ import annotations

import os
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether a process of any user has this id, and is not a zombie."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        pass
    return not is_zombie(pid)


def is_zombie(pid: int) -> bool:
    """Whether a process has ended, and its parent has not waited for it.

    In a container whose first process is not an init, killed processes remain as zombies.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):  # gone, or a system without /proc
        return False
