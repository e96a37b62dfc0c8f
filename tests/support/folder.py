"""Folders for tests that write much, in memory where the system has room there; what is in one."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 1024**3


def new_folder(prefix: str) -> Path:
    """A folder of one's own. Work states and ledgers are synced: a disk would slow tests by half.

    It is not below pytest's, which are closed to the account that an embedded server runs under:
    such a server's database would go elsewhere, and stay there.
    """
    in_memory = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if in_memory else None))
    folder.chmod(0o711)
    return folder


def files_below(folder: Path) -> list[str]:
    """The paths of all files in a folder; a run may remove folders of its own meanwhile."""
    # Not `rglob`, which fails where a folder goes away under it.
    return sorted(
        Path(place, name).relative_to(folder).as_posix()
        for place, _, names in os.walk(folder)
        for name in names
        if Path(place, name).is_file()
    )
