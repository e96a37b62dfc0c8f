"""EXIF data of JPEG images: whether programs turn the image to show it."""

from __future__ import annotations

import struct

from imports.source.image_flaws import Content, tiff_tags

HEAD_BYTES = 64 * 1024
"""The EXIF data of a JPEG is within this many bytes from its start."""

_ORIENTATION = 0x0112
_TURNED = range(2, 9)
_EXIF = b"Exif\0\0"
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9


def is_turned(head: bytes) -> bool:
    """Whether programs turn or mirror a JPEG to show it; `head` are its first bytes.

    False if it has no EXIF orientation, or that cannot be read.
    """
    exif = _exif(head)
    if not exif.startswith((b"II*\0", b"MM\0*")):
        return False
    content = Content(exif, len(exif), -1)  # all of it is in `head`
    tag = (tiff_tags(content) or {}).get(_ORIENTATION)
    orientation = None if tag is None else tag.last(content)
    return orientation in _TURNED


def _exif(head: bytes) -> bytes:
    """The EXIF data of a JPEG, in the format TIFF; empty if it has none."""
    place = 2
    while head[place : place + 1] == b"\xff" and len(head) >= place + 4:
        marker, size = struct.unpack_from(">BH", head, place + 1)
        if marker in (_SCAN, _END):
            break
        content = head[place + 4 : place + 2 + size]
        if marker == _APP1 and content.startswith(_EXIF):
            return content.removeprefix(_EXIF)
        place += 2 + size
    return b""
