"""Small pictures in formats that `source` does not make."""

from __future__ import annotations

import struct


def webp(width: int = 3, height: int = 2) -> bytes:
    """A WebP with an extended header, whose sizes are one less than the picture's."""
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    picture = b"/\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0"
    body = b"WEBPVP8X" + struct.pack("<L", 10) + b"\0\0\0\0" + sizes
    body += b"VP8L" + struct.pack("<L", len(picture)) + picture
    return b"RIFF" + struct.pack("<L", len(body)) + body


def bmp(width: int = 3, height: int = 2) -> bytes:
    """A BMP with Windows' header of 40 bytes, all black."""
    pixels = (width * 24 + 31) // 32 * 4 * height
    info = struct.pack("<LllHHLLllLL", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<LHHL", 54 + pixels, 0, 0, 54) + info + bytes(pixels)


def tiff(width: int = 3, height: int = 2, order: str = "<", *, big: bool = False) -> bytes:
    """A TIFF of one grey strip, with its directory at the end, as most programs write it."""
    word, count, entry = ("Q", "Q", "HHQ") if big else ("L", "H", "HHL")
    begin = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42)
    if big:
        begin += struct.pack(f"{order}HH", 8, 0)
    first = len(begin) + struct.calcsize(f"{order}{word}")
    pixels = bytes(width * height)
    tags = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, first), (278, height))
    tags += ((279, len(pixels)),)
    entries = b"".join(
        struct.pack(f"{order}{entry}{word}", tag, 16 if big else 4, 1, value) for tag, value in tags
    )
    directory = struct.pack(f"{order}{count}", len(tags)) + entries
    directory += struct.pack(f"{order}{word}", 0)
    return begin + struct.pack(f"{order}{word}", first + len(pixels)) + pixels + directory


def heif(
    brand: bytes = b"heic", compatible: bytes = b"mif1", size: tuple[int, int] = (3, 2)
) -> bytes:
    """What tells format and size of a HEIC or AVIF, and something for its picture."""
    extents = _box(b"ispe", bytes(4) + struct.pack(">LL", *size))
    shared = _box(b"iprp", _box(b"ipco", extents) + _box(b"ipma", bytes(4) + _ASSOCIATION))
    primary = _box(b"pitm", bytes(4) + b"\0\x01")
    meta = _box(b"meta", bytes(4) + primary + shared)
    begin = _box(b"ftyp", brand + bytes(4) + compatible)
    return begin + meta + _box(b"mdat", b"picture")


_ASSOCIATION = b"\0\0\0\x01" + b"\0\x01\x01\x81"


def pdf() -> bytes:
    """A PDF of one empty page, with no table of what is where: viewers make one."""
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF\n"
    )


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", 8 + len(body)) + kind + body


def turned(jpeg: bytes, orientation: int, order: str = "<") -> bytes:
    """A JPEG that its EXIF data turn."""
    begin = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}LHHHLHHL", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + begin + directory
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
