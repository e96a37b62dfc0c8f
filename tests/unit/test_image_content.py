from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.errors import ImageProblemError
from imports.items.images import Image, ImageFile
from imports.items.source import Signature
from imports.source.image_content import (
    AVIF,
    BMP,
    GIF,
    HEIC,
    HEIF,
    JPEG,
    PDF,
    PNG,
    TIFF,
    WEBP,
    ImageFormat,
    image_format,
    read_image,
)
from imports.source.tree import signature_of
from tests.support.pictures import bmp, heif, pdf, tiff, webp
from tests.support.source import gif, jpeg, png

SIZED: dict[str, Callable[[int, int], bytes]] = {
    "png": lambda width, height: png(1, width, height),
    "jpg": jpeg,
    "gif": gif,
    "webp": webp,
    "bmp": bmp,
    "tif": tiff,
    "heic": lambda width, height: heif(size=(width, height)),
    "avif": lambda width, height: heif(b"avif", size=(width, height)),
}
TYPES = {"jpg": "jpeg", "tif": "tiff"}
HEADERS = [make(3, 2) for make in SIZED.values()]


def read(path: Path, content: bytes) -> Image:
    path.write_bytes(content)
    return read_image(ImageFile(str(path), signature_of(path.stat())))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (png(), PNG),
        (jpeg(), JPEG),
        (gif(), GIF),
        (b"GIF87a\1\0\1\0", GIF),
        (webp(), WEBP),
        (bmp(), BMP),
        (tiff(), TIFF),
        (tiff(order=">"), TIFF),
        (tiff(big=True), TIFF),
        (tiff(order=">", big=True), TIFF),
        (heif(), HEIC),
        (heif(b"heix"), HEIC),
        (heif(b"hevc", b"msf1"), HEIC),
        (heif(b"mif1", b"miafheic"), HEIC),
        (heif(b"mif1", b"miafavif"), AVIF),
        (heif(b"mif1", b"miaf"), HEIF),
        (heif(b"avis", b"mif1"), AVIF),
        (heif(b"isom", b"iso2avc1"), None),
        (heif(b"qt  ", b"heic"), None),
        (pdf(), PDF),
        (b"II*\1\0\0\0\0", None),
        (b"II+\0\x10\0\0\0", None),
        (b"%!PS-Adobe-3.0 EPSF-3.0", None),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b"\x89PNG\n", None),
        (b"", None),
        (b"{}", None),
    ],
)
def test_the_format_is_told_by_the_first_bytes(head: bytes, expected: ImageFormat | None) -> None:
    assert image_format(head[:256]) is expected


@pytest.mark.parametrize(
    "content",
    [b"BM", b"BMW 320i, 2019, one owner, new brakes", b"BM" + bytes(60), b"BM" + b"\xff" * 60],
)
def test_a_bmp_needs_more_than_its_first_two_letters(content: bytes) -> None:
    assert image_format(content) is None


@pytest.mark.parametrize("name", ["picture", "picture.txt", "picture.svg"])
@pytest.mark.parametrize("extension", SIZED)
def test_the_extension_comes_from_the_content_not_from_the_name(
    tmp_path: Path, extension: str, name: str
) -> None:
    content = SIZED[extension](3, 2)
    image = read(tmp_path / name, content)
    assert image.extension == extension
    assert image.content_type == f"image/{TYPES.get(extension, extension)}"
    assert image.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("extension", SIZED)
def test_the_size_in_pixels_is_read(tmp_path: Path, extension: str) -> None:
    image = read(tmp_path / "a", SIZED[extension](640, 480))
    assert (image.width, image.height) == (640, 480)
    assert image.flaw is None


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_size_of_a_tiff_is_read_wherever_its_directory_is(
    tmp_path: Path, order: str, big: bool
) -> None:
    image = read(tmp_path / "a", tiff(2000, 1000, order, big=big))
    assert (image.width, image.height, image.flaw) == (2000, 1000, None)


def test_a_pdf_has_no_size_in_pixels(tmp_path: Path) -> None:
    image = read(tmp_path / "a.png", pdf())
    assert (image.extension, image.content_type) == ("pdf", "application/pdf")
    assert (image.width, image.height, image.flaw) == (None, None, None)


def test_an_image_is_stored_under_its_hash(tmp_path: Path) -> None:
    image = read(tmp_path / "a.jpeg", png())
    digest = hashlib.sha256(png()).hexdigest()
    assert image.storage_path == f"sha256/{digest[:2]}/{digest[2:4]}/{digest}.png"


def test_a_large_image_is_hashed_to_its_end(tmp_path: Path) -> None:
    content = png() + os.urandom(3 * 1024 * 1024)
    assert read(tmp_path / "a.png", content).sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "content",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b'<?xml version="1.0"?><svg/>',
        b"<!doctype html><html></html>",
        b"root:x:0:0:root:/root:/bin/bash\n",
        b"",
        b"\n%PDF-1.7",
        b" " + png(),
    ],
)
def test_what_is_no_image_is_refused_whatever_it_is_called(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ImageProblemError, match=r"a\.png is not a PNG, JPEG, GIF, WebP, BMP"):
        read(tmp_path / "a.png", content)


def test_an_image_that_changed_meanwhile_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    with pytest.raises(ImageProblemError, match="changed during the run"):
        read_image(ImageFile(str(path), Signature(len(png()), 1)))


def test_an_image_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ImageProblemError, match="cannot be read: No such file"):
        read_image(ImageFile(str(tmp_path / "gone.png"), Signature(1, 1)))


@pytest.mark.parametrize("head", HEADERS, ids=SIZED)
def test_a_torn_image_is_kept_or_a_problem_but_never_a_crash(tmp_path: Path, head: bytes) -> None:
    for length in range(len(head)):
        try:
            image = read(tmp_path / "a", head[:length])
        except ImageProblemError:
            assert image_format(head[:length]) is None
        else:
            assert image.sha256 == hashlib.sha256(head[:length]).hexdigest()


@given(st.sampled_from(HEADERS), st.integers(4, 40), st.binary(max_size=60))
def test_no_broken_header_is_a_crash(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, at: int, noise: bytes
) -> None:
    content = head[:at] + noise
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    try:
        image = read(path, content)
    except ImageProblemError:
        assert image_format(content) is None
    else:
        for pixels in (image.width, image.height):
            # They go into columns of type integer.
            assert pixels is None or 0 < pixels < 2**31


@given(st.binary(max_size=64))
def test_any_bytes_have_a_format_or_none(content: bytes) -> None:
    assert image_format(content) in (
        None,
        *(PNG, JPEG, GIF, WEBP, BMP),
        *(TIFF, HEIC, HEIF, AVIF, PDF),
    )
