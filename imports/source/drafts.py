"""Hidden files that get their final name when they are on disk."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

from imports.workers.process_id import is_running


def part_of(path: Path, folder: Path) -> Path:
    """The path of a hidden file in a folder, unique to this process. Deletes those of dead ones."""
    digest = blake2b(os.fsencode(path.absolute()), digest_size=16).hexdigest()
    for left in folder.glob(f".{digest}.*.part"):
        owner = left.name.split(".")[2]
        if owner.isdecimal() and (int(owner) == os.getpid() or not is_running(int(owner))):
            left.unlink(missing_ok=True)
    return folder / f".{digest}.{os.getpid()}.part"
