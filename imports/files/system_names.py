"""What systems, file servers and the importer leave in folders: no data, in any kind of source."""

from __future__ import annotations

import re

_SYSTEM_NAME = re.compile(
    # macOS: the other half of a file on foreign disks, the Finder's notes, Spotlight, the bin.
    r"\._|(?:\.DS_Store|\.AppleDouble|\.AppleDB|\.AppleDesktop|__MACOSX|Icon\r|\.localized"
    r"|\.fseventsd|\.DocumentRevisions-V100|\.Spotlight-V100|\.TemporaryItems|\.Trashes"
    # Windows
    r"|(?:eh)?Thumbs\.db(?:-shm|-wal)?|desktop\.ini|\$RECYCLE\.BIN|System Volume Information"
    # Linux: the bin of a disk, what fsck found, files that NFS keeps until they are closed.
    r"|\.Trash-\d+|lost\+found|\.nfs[0-9a-f]{8,}"
    # Synology, QNAP
    r"|@eaDir|#recycle|#snapshot|@Recycle|@Recently-Snapshot"
    # What a run of ours leaves that was started in that folder: images, a database.
    r"|\.importer)\Z",
    re.IGNORECASE,
)
_FIRST = frozenset("._$#@IiTtEeDdSsLl")
"""What they begin with. This is faster than the pattern, and is asked of each name in a source."""


def is_system_name(name: str) -> bool:
    """Whether a file or folder of this name is one that a system, or a run of ours, left there."""
    return name[:1] in _FIRST and _SYSTEM_NAME.match(name) is not None
