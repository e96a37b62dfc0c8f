"""Whether a process still runs, by its id, which a file or its name tells."""

from __future__ import annotations

import os
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether a process has this id, whoever owns it, and is not dead."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        pass
    return not is_zombie(pid)


def is_zombie(pid: int) -> bool:
    """Whether a process is dead and still in the process table: its parent does not bury it.

    In a container whose first process is no init, killed processes stay there.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):  # gone, or a system without /proc
        return False
