"""Damage of an image that its structure shows; nothing is decoded.

Only certain damage is a flaw. Bytes after the end of an image, unknown chunks, and sizes in a
header that viewers ignore, are not flaws.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

MOST_PIXELS = 100_000_000
MOST_PIXELS_PER_BYTE = 2_000
"""An image that exceeds both limits is a decompression bomb.

A blank page has about 1,000 pixels per byte as a PNG, and fewer as a JPEG.
"""

_TAIL = 64 * 1024
_MOST_STEPS = 100_000
"""The most parts of a file that are checked; a file with more parts counts as undamaged."""

_CUT_OFF = "it is cut off"
_BROKEN = "its header is broken"
_NO_PICTURE = "it contains no image"


@dataclass(frozen=True, slots=True)
class Content:
    """The content of an open file of a known size; `head` has its first bytes."""

    head: bytes
    size: int
    descriptor: int

    def at(self, offset: int, length: int) -> bytes:
        """The bytes at an offset; fewer if the file ends before.

        Raises:
            OSError: if they cannot be read.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        if offset + length <= len(self.head):
            return self.head[offset : offset + length]
        return os.pread(self.descriptor, length, offset)

    def tail(self) -> bytes:
        """The last bytes of the file; the end of the image must be in them."""
        return self.at(max(0, self.size - _TAIL), _TAIL)

    def has_after(self, offset: int, wanted: bytes) -> bool:
        """Whether the file has the bytes `wanted` anywhere after an offset."""
        while piece := self.at(offset, 1024 * 1024):
            if wanted in piece:
                return True
            if offset + len(piece) >= self.size:
                return False
            offset += len(piece) - len(wanted) + 1
        return False


def flaw_in(content: Content, extension: str, width: int | None, height: int | None) -> str | None:
    """The flaw of an image in the format with this extension; None if it has none.

    Raises:
        OSError: if it cannot be read.
    """
    check = _CHECKS.get(extension)
    flaw = None if check is None else check(content)
    if flaw is not None:
        return flaw
    pixels = (width or 0) * (height or 0)
    if pixels > max(MOST_PIXELS, MOST_PIXELS_PER_BYTE * content.size):
        return f"it claims {width:,} × {height:,} pixels in {content.size:,} bytes"
    return None


def _png(content: Content) -> str | None:
    start = content.at(8, 17)
    if len(start) < 17:
        return _CUT_OFF
    if start[:8] != b"\0\0\0\x0dIHDR" or not all(struct.unpack(">LL", start[8:16])):
        return _BROKEN
    if b"IDAT" in content.head and content.tail().find(b"IEND\xaeB`\x82") >= 0:
        return None
    found = False
    offset = 8
    for _ in range(_MOST_STEPS):
        chunk = content.at(offset, 8)
        if len(chunk) < 8:
            return _CUT_OFF
        length, kind = struct.unpack(">L4s", chunk)
        if kind == b"IEND":
            return None if found else _NO_PICTURE
        found = found or kind == b"IDAT"
        offset += 12 + length
    return None


def _jpeg(content: Content) -> str | None:
    offset = 2
    has_frame = False
    for _ in range(_MOST_STEPS):
        marker = content.at(offset, 4)
        if marker[:2] == b"\xff\xd9":
            return _NO_PICTURE
        if len(marker) < 4:
            return _CUT_OFF
        if marker[0] != 0xFF:
            return _BROKEN
        kind = marker[1]
        if kind == 0xDA:
            break
        has_frame = has_frame or (0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC))
        if kind == 0xFF:
            offset += 1  # a marker may begin with any number of these
        else:
            offset += 2 if 0xD0 <= kind <= 0xD8 or kind == 1 else 2 + _big(marker[2:])
    else:
        return None
    if not has_frame:
        return _BROKEN
    end = b"\xff\xd9"
    # The whole file is read only if much follows the end, such as a film that phones add.
    if end in content.at(max(offset, content.size - _TAIL), _TAIL):
        return None
    return None if content.has_after(offset, end) else _CUT_OFF


def _gif(content: Content) -> str | None:
    start = content.at(0, 13)
    if len(start) < 13:
        return _CUT_OFF
    offset = 13 + _palette(start[10])
    found = in_blocks = False
    for _ in range(_MOST_STEPS):
        part = content.at(offset, 10)
        kind = part[:1]
        if not kind:
            # Some files lack the byte that marks the end, and can be shown.
            return None if found and not in_blocks else _CUT_OFF
        if in_blocks:
            offset += 1 + kind[0]
            in_blocks = kind[0] > 0
        elif kind == b"!":
            offset += 2
            in_blocks = True
        elif kind == b",":
            if len(part) < 10:
                return _CUT_OFF
            found = in_blocks = True
            if content.at(content.size - 2, 2) == b"\0;":
                return None
            offset += 11 + _palette(part[9])
        elif kind == b";":
            return None if found else _NO_PICTURE
        else:
            # Unknown bytes after an image do not matter; before one, this is not a GIF.
            return None if found else "only its first bytes are those of a GIF"
    return None


def _palette(flags: int) -> int:
    """The size of a GIF's table of colours."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(content: Content) -> str | None:
    length = int.from_bytes(content.at(4, 4), "little")
    # Some programs do not count the padding byte, and some do not write it.
    if content.size + 1 < 8 + length:
        return _CUT_OFF
    offset = 12
    for _ in range(_MOST_STEPS):
        chunk = content.at(offset, 8)
        if len(chunk) < 8:
            return _NO_PICTURE
        if chunk[:4] in (b"VP8 ", b"VP8L", b"ANMF"):
            return None
        size = int.from_bytes(chunk[4:], "little")
        offset += 8 + size + size % 2
    return None


def _bmp(content: Content) -> str | None:
    header = content.at(0, 54)
    if header[14:15] == b"\x0c":
        if len(header) < 26:
            return _CUT_OFF
        width, height, _, bits = struct.unpack("<HHHH", header[18:26])
        compression = 0
    else:
        if len(header) < 54:
            return _CUT_OFF
        width, height, _, bits, compression = struct.unpack("<llHHL", header[18:34])
    if width <= 0 or height == 0:
        return _BROKEN
    start = int.from_bytes(header[10:14], "little")
    row = (width * bits + 31) // 32 * 4
    # The last row may lack its padding.
    uncompressed = compression in (0, 3, 6)
    needed = (
        start + row * (abs(height) - 1) + (width * bits + 7) // 8 if uncompressed else start + 1
    )
    return _CUT_OFF if content.size < needed else None


def _tiff(content: Content) -> str | None:
    tags = tiff_tags(content)
    if tags is None:
        return _CUT_OFF
    if not (256 in tags and 257 in tags):
        return _NO_PICTURE
    for places, lengths in ((273, 279), (324, 325)):
        if places in tags and lengths in tags:
            place, length = tags[places].last(content), tags[lengths].last(content)
            if place is None or length is None or place + length > content.size:
                return _CUT_OFF
            return None
    # 330: the images are in other directories, as cameras write them; 513: in an inner JPEG.
    return None if 273 in tags or 330 in tags or 513 in tags else _NO_PICTURE


@dataclass(frozen=True, slots=True)
class TiffTag:
    """The values of a tag in the first directory of a TIFF: their offset, count and format."""

    offset: int
    count: int
    form: str

    def last(self, content: Content) -> int | None:
        """The last of the values; None if the file ends before it."""
        size = struct.calcsize(self.form)
        value = content.at(self.offset + (self.count - 1) * size, size)
        return int(struct.unpack(self.form, value)[0]) if len(value) == size else None


_TIFF_FORMS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}


def tiff_tags(content: Content) -> dict[int, TiffTag] | None:
    """The tags of the first directory with whole numbers as values; None if it is missing."""
    order = "<" if content.head[:1] == b"I" else ">"
    big = content.head[2:4] in (b"+\0", b"\0+")
    # The offset of the directory, the format of its count, and the format of an entry, which ends
    # with an offset.
    start, counted, entry = (8, "Q", "HHQQ") if big else (4, "H", "HHLL")
    word = struct.calcsize(order + entry[-1])
    place = content.at(start, word)
    if len(place) < word:
        return None
    offset = struct.unpack(order + entry[-1], place)[0]
    number = content.at(offset, struct.calcsize(order + counted))
    if len(number) < struct.calcsize(order + counted):
        return None
    count = struct.unpack(order + counted, number)[0]
    size = struct.calcsize(order + entry)
    first = offset + len(number)
    # There are about a hundred different tags.
    entries = content.at(first, min(count, 4096) * size)
    if len(entries) < min(count, 4096) * size:
        return None
    tags = {}
    for index, (tag, kind, values, value) in enumerate(struct.iter_unpack(order + entry, entries)):
        if kind in _TIFF_FORMS and values:
            form = order + _TIFF_FORMS[kind]
            inside = struct.calcsize(form) * values <= word
            where = first + (index + 1) * size - word if inside else value
            tags[tag] = TiffTag(where, values, form)
    return tags


def _heif(content: Content) -> str | None:
    found: set[bytes] = set()
    for kind, end in _boxes(content):
        if end > content.size and not {b"meta", b"mdat"} <= found:
            return _CUT_OFF
        found.add(kind)
    if not found & {b"meta", b"moov"}:
        return _NO_PICTURE
    return None if b"mdat" in found or b"idat" in content.head else _CUT_OFF


def _boxes(content: Content) -> Iterator[tuple[bytes, int]]:
    """Yields the boxes of a file: the type of each, and the offset of its end."""
    offset = 0
    for _ in range(_MOST_STEPS):
        header = content.at(offset, 16)
        if len(header) < 8:
            return
        length, kind = struct.unpack(">L4s", header[:8])
        if length == 0:
            length = content.size - offset
        elif length == 1 and len(header) == 16:
            length = _big(header[8:])
        if length < 8:
            return
        offset += length
        yield kind, offset


def _pdf(content: Content) -> str | None:
    return None if b"%%EOF" in content.tail() else _CUT_OFF


def _big(number: bytes) -> int:
    return int.from_bytes(number, "big")


_CHECKS = {
    "png": _png,
    "jpg": _jpeg,
    "gif": _gif,
    "webp": _webp,
    "bmp": _bmp,
    "tif": _tiff,
    "heic": _heif,
    "heif": _heif,
    "avif": _heif,
    "pdf": _pdf,
}
