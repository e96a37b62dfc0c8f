"""The headers of pictures that `source` does not make, enough to tell format and size."""

from __future__ import annotations

import struct


def webp(width: int = 3, height: int = 2) -> bytes:
    """A WebP with an extended header, whose sizes are one less than the picture's."""
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<L", 10) + b"\0\0\0\0" + sizes
    return b"RIFF" + struct.pack("<L", len(body)) + body


def bmp(width: int = 3, height: int = 2) -> bytes:
    """A BMP with Windows' header of 40 bytes."""
    info = struct.pack("<LllHHLLllLL", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<LHHL", 54, 0, 0, 54) + info
