"""Names of files that operating systems, file servers and the importer create: no data."""

from __future__ import annotations

import re

_SYSTEM_NAME = re.compile(
    # macOS: resource forks on foreign disks, files of the Finder, Spotlight, the bin.
    r"\._|(?:\.DS_Store|\.AppleDouble|\.AppleDB|\.AppleDesktop|__MACOSX|Icon\r|\.localized"
    r"|\.fseventsd|\.DocumentRevisions-V100|\.Spotlight-V100|\.TemporaryItems|\.Trashes"
    # Windows
    r"|(?:eh)?Thumbs\.db(?:-shm|-wal)?|desktop\.ini|\$RECYCLE\.BIN|System Volume Information"
    # Linux: the bin of a disk, files that fsck found, files that NFS keeps until they are closed.
    r"|\.Trash-\d+|lost\+found|\.nfs[0-9a-f]{8,}"
    # Synology, QNAP
    r"|@eaDir|#recycle|#snapshot|@Recycle|@Recently-Snapshot"
    # Created by our runs in their project folder: images, a database.
    r"|\.importer)\Z",
    re.IGNORECASE,
)
_FIRST = frozenset("._$#@IiTtEeDdSsLl")
"""Their first characters: a check that is faster than the pattern, for each name in a source."""


def is_system_name(name: str) -> bool:
    """Whether an operating system, a file server or the importer creates files of this name."""
    return name[:1] in _FIRST and _SYSTEM_NAME.match(name) is not None
