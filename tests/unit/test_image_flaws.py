from __future__ import annotations

import os
import struct
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.items.images import ImageFile
from imports.source.image_content import image_format, read_image
from imports.source.tree import signature_of
from tests.support.pictures import bmp, heif, pdf, tiff, webp
from tests.support.source import gif, jpeg, png

GOOD = {
    "png": png(),
    "jpg": jpeg(),
    "gif": gif(),
    "webp": webp(),
    "bmp": bmp(),
    "tif": tiff(),
    "tif-big": tiff(order=">", big=True),
    "heic": heif(),
    "avif": heif(b"avif"),
    "pdf": pdf(),
}
CUT_OFF = "it is cut off"
BROKEN = "its header is broken"
NO_PICTURE = "it contains no image"
FRAME = b"\xff\xc0\0\x0b\x08\0\x04\0\x05\x01\x01\x11\0"
SCAN = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"


def flaw(content: bytes) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(content)
        return read_image(ImageFile(str(path), signature_of(path.stat()))).flaw


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def png_of(*chunks: tuple[bytes, bytes], width: int = 3, height: int = 2) -> bytes:
    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in ((b"IHDR", header), *chunks))


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", 2 + len(body)) + body


def gif_of(*parts: bytes, frames: int = 1, end: bytes = b";") -> bytes:
    frame = b"," + bytes(4) + b"\1\0\1\0\0" + b"\x02\x02D\x01\0"
    return b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b"".join(parts) + frame * frames + end


@pytest.mark.parametrize("name", GOOD)
def test_a_good_picture_has_no_flaw(name: str) -> None:
    assert flaw(GOOD[name]) is None


@pytest.mark.parametrize("behind", [b"\0", b"\n\n", b"x" * 5_000], ids=len)
@pytest.mark.parametrize("name", GOOD)
def test_bytes_behind_a_picture_are_no_flaw(name: str, behind: bytes) -> None:
    assert flaw(GOOD[name] + behind) is None


@pytest.mark.parametrize("name", ["png", "jpg", "gif", "webp", "bmp", "tif", "heic", "avif"])
def test_a_film_behind_a_picture_is_no_flaw(name: str) -> None:
    assert flaw(GOOD[name] + b"\0\0\0\x18ftypmp42" + os.urandom(3_000_000)) is None


@pytest.mark.parametrize("name", GOOD)
def test_a_picture_that_is_cut_off_has_a_flaw(name: str) -> None:
    whole = GOOD[name]
    # Of the last bytes some can be missed: where the next picture of a TIFF would be.
    for length in range(len(whole) // 3, len(whole) - 8):
        if image_format(whole[:length]) is not None:
            assert flaw(whole[:length]) is not None, length


@pytest.mark.parametrize(
    ("name", "length"), [("png", 8), ("png", 33), ("jpg", 3), ("gif", 6), ("webp", 12), ("tif", 8)]
)
def test_a_header_alone_is_a_flaw(name: str, length: int) -> None:
    assert flaw(GOOD[name][:length]) == CUT_OFF


def test_a_large_picture_is_looked_at_to_its_end() -> None:
    data = os.urandom(3_000_000).replace(b"\xff", b"\xfe")
    pictures = {
        "png": png_of((b"IDAT", data), (b"IEND", b"")),
        "jpg": b"\xff\xd8" + FRAME + SCAN + data + b"\xff\xd9",
        "gif": gif_of(b"!\xfe" + (b"\xff" + bytes(255)) * 9_000 + b"\0"),
    }
    for name, whole in pictures.items():
        assert flaw(whole) is None, name
        assert flaw(whole + bytes(200_000)) is None, name
        assert flaw(whole[:-20]) == CUT_OFF, name


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png_of((b"IDAT", b"")), CUT_OFF),
        (png_of((b"tEXt", b"a"), (b"IEND", b"")), NO_PICTURE),
        (png_of((b"IDAT", b""), (b"IEND", b""), width=0), BROKEN),
        (b"\x89PNG\r\n\x1a\n" + b"<script>alert(1)</script>" * 3, BROKEN),
        # Chunks of all sizes, and an animation.
        (png_of((b"iCCP", bytes(70_000)), *[(b"IDAT", b"x")] * 500, (b"IEND", b"")), None),
        (png_of((b"acTL", bytes(8)), (b"IDAT", b"x"), (b"fdAT", b"x"), (b"IEND", b"")), None),
    ],
)
def test_flaws_of_a_png(content: bytes, expected: str | None) -> None:
    assert flaw(content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xd8" + FRAME + SCAN + b"\x12\x34", CUT_OFF),
        (b"\xff\xd8" + FRAME + b"\xff\xd9", NO_PICTURE),
        (b"\xff\xd8" + SCAN + b"\x12\xff\xd9", BROKEN),
        (b"\xff\xd8\xff\xe0\0\x10JFIF<html><body>not a picture</body></html>", BROKEN),
        # The end of the small picture in a header is not the end of the picture.
        (b"\xff\xd8" + segment(0xE1, b"Exif" + jpeg()) + FRAME + SCAN + b"\x12", CUT_OFF),
        (b"\xff\xd8" + segment(0xE1, b"Exif" + jpeg()) + FRAME + SCAN + b"\x12\xff\xd9", None),
        # Progressive, with several scans; bytes that fill up; a height that comes later.
        (b"\xff\xd8" + FRAME.replace(b"\xc0", b"\xc2") + (SCAN + b"\x12") * 9 + b"\xff\xd9", None),
        (b"\xff\xd8\xff\xff\xff" + FRAME + SCAN + b"\x12\xff\xff\xff\xd9", None),
        (b"\xff\xd8" + FRAME.replace(b"\0\x04\0", b"\0\0\0") + SCAN + b"\x12\xff\xd9", None),
        # Headers of more than is read at first.
        (b"\xff\xd8" + segment(0xE1, bytes(65_000)) * 20 + FRAME + SCAN + b"\x12\xff\xd9", None),
        (b"\xff\xd8" + segment(0xE1, bytes(65_000)) * 20 + FRAME + SCAN + b"\x12", CUT_OFF),
    ],
)
def test_flaws_of_a_jpeg(content: bytes, expected: str | None) -> None:
    assert flaw(content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"GIF89a<script>alert(1)</script>", "only its first bytes are those of a GIF"),
        (gif_of(frames=0), NO_PICTURE),
        (gif_of(b"!\xfe\x05hello\0", frames=0), NO_PICTURE),
        (gif_of(frames=0, end=b""), CUT_OFF),
        (gif_of(end=b"")[:-3], CUT_OFF),
        # Without its last byte, with several frames, with a comment, as old as can be.
        (gif_of(end=b""), None),
        (gif_of(b"!\xff\x0bNETSCAPE2.0\x03\1\0\0\0", frames=30), None),
        (gif_of(frames=30, end=b"; and more"), None),
        (gif_of().replace(b"GIF89a", b"GIF87a"), None),
    ],
)
def test_flaws_of_a_gif(content: bytes, expected: str | None) -> None:
    assert flaw(content) == expected


def test_flaws_of_other_formats() -> None:
    assert flaw(webp().replace(b"VP8L", b"EXIF")) == NO_PICTURE
    header = webp()[8:30]
    assert flaw(b"RIFF" + struct.pack("<L", len(header)) + header) == NO_PICTURE
    # As one program writes it: the byte that makes it even is counted, and not there.
    assert flaw(webp()[:4] + struct.pack("<L", len(webp()) - 7) + webp()[8:]) is None
    assert flaw(bmp()[:54]) == CUT_OFF
    assert flaw(b"II*\0\x08\0\0\0" + bytes(32)) == NO_PICTURE
    assert flaw(b"II*\0\xff\xff\xff\xff" + bytes(32)) == CUT_OFF
    assert flaw(heif()[:20]) == NO_PICTURE
    assert flaw(b"%PDF-1.7\n" + b"x" * 99) == CUT_OFF


def test_more_pixels_than_a_file_can_hold_are_a_flaw() -> None:
    bomb = png_of(
        (b"IDAT", zlib.compress(bytes(10**7), 9)), (b"IEND", b""), width=60_000, height=60_000
    )
    assert len(bomb) < 100_000
    assert flaw(bomb) == f"it claims 60,000 × 60,000 pixels in {len(bomb):,} bytes"
    # A large blank page, a byte a pixel, is packed to so many bytes and no fewer.
    page = png_of((b"IDAT", bytes(136_000)), (b"IEND", b""), width=10_000, height=14_000)
    assert flaw(page) is None


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8" + b"\xff" * 2_000_000,
        b"\xff\xd8" + segment(0xE1, b"") * 500_000,
        b"GIF89a\1\0\1\0\0\0\0" + b"!\xf9\0" * 700_000,
        b"GIF89a\1\0\1\0\0\0\0!\xf9" + b"\1x" * 1_000_000,
        png_of()[:33] + chunk(b"tEXt", b"") * 200_000,
        b"RIFF\0\0\0\0WEBP" + b"JUNK\0\0\0\0" * 300_000,
        b"\0\0\0\x0cftypheic" + b"\0\0\0\x08free" * 300_000,
        b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * 2_000_000,
        b"MM\0*\0\0\0\x08" + b"\xff" * 2_000_000,
    ],
    ids=["fill", "segments", "extensions", "blocks", "chunks", "riff", "boxes", "tiff-big", "tiff"],
)
def test_a_file_of_endless_parts_is_given_up(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    real = os.pread

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        nonlocal looks
        looks += 1
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    flaw(content)
    assert looks <= 110_000


@given(st.sampled_from(sorted(GOOD)), st.integers(4, 120), st.binary(max_size=60), st.booleans())
def test_no_broken_structure_is_a_crash(name: str, at: int, noise: bytes, rest: bool) -> None:
    whole = GOOD[name]
    content = whole[:at] + noise + (whole[at + len(noise) :] if rest else b"")
    if image_format(content) is not None:
        found = flaw(content)
        assert found is None or found
