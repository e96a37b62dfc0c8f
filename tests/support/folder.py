"""Folders for tests that write much, in memory if possible; and their files."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 1024**3


def new_folder(prefix: str) -> Path:
    """A new folder, if possible in memory: syncing work states and ledgers on a disk is slow.

    It is not below pytest's folders, since the account of an embedded server cannot read those:
    its database would be created elsewhere, and stay there.
    """
    in_memory = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if in_memory else None))
    folder.chmod(0o711)
    return folder


def files_below(folder: Path) -> list[str]:
    """The paths of all files in a folder. A run may remove its own folders meanwhile."""
    # Not `rglob`: it fails if a folder is removed meanwhile.
    return sorted(
        Path(place, name).relative_to(folder).as_posix()
        for place, _, names in os.walk(folder)
        for name in names
        if Path(place, name).is_file()
    )
