"""Reading an image once: its hash, format, size in pixels and flaw."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

from imports.errors import ImageProblemError
from imports.items.images import Image, ImageFile
from imports.source.image_file import check_unchanged, open_unchanged, read_pieces, unreadable
from imports.source.image_flaws import Content, flaw_in, tiff_tags

_CHUNK_BYTES = 1024 * 1024
_MOST_PIXELS = 2**31 - 1
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """A supported format; extension and type do not depend on the file's name."""

    extension: str
    content_type: str


PNG = ImageFormat("png", "image/png")
JPEG = ImageFormat("jpg", "image/jpeg")
GIF = ImageFormat("gif", "image/gif")
WEBP = ImageFormat("webp", "image/webp")
BMP = ImageFormat("bmp", "image/bmp")
TIFF = ImageFormat("tif", "image/tiff")
HEIC = ImageFormat("heic", "image/heic")
HEIF = ImageFormat("heif", "image/heif")
AVIF = ImageFormat("avif", "image/avif")
PDF = ImageFormat("pdf", "application/pdf")

_TIFF_BEGINS = (b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0")
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"mif1", b"mif2", b"msf1"})


def image_format(head: bytes) -> ImageFormat | None:
    """The format of an image by its first bytes (256 are enough); None if it is not supported.

    Formats that may contain scripts, such as SVG, are not supported on purpose.
    """
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return BMP
    if head.startswith(_TIFF_BEGINS):
        return TIFF
    if head[4:8] == b"ftyp":
        return _heif_format(head)
    if head.startswith(b"%PDF-"):
        return PDF
    return None


def _heif_format(head: bytes) -> ImageFormat | None:
    """The format by the brands of a file: the major brand, then the compatible ones."""
    own = head[8:12]
    brands = {own}
    if own in _HEIF_BRANDS:
        end = min(int.from_bytes(head[:4], "big"), 256)
        brands |= {head[place : place + 4] for place in range(16, end, 4)}
    if brands & _AVIF_BRANDS:
        return AVIF
    if brands & _HEIC_BRANDS:
        return HEIC
    return HEIF if own in _HEIF_BRANDS else None


def read_image(file: ImageFile) -> Image:
    """Reads an image once; returns its hash, format, size and flaw.

    Raises:
        UnreadImageError: if it changed meanwhile, or cannot be read now.
        ImageProblemError: if it is not an image.
    """
    try:
        with open_unchanged(file) as stream:
            # The buffer is not larger than the file: allocating it takes as long as reading.
            head = stream.read(min(file.signature.size, _CHUNK_BYTES))
            found = image_format(head)
            if found is None:
                check_unchanged(file, stream)
                raise ImageProblemError(
                    f"image {file.path} is not a PNG, JPEG, GIF, WebP, BMP, TIFF, HEIC, AVIF or PDF"
                )
            digest = hashlib.sha256(head)
            for chunk in read_pieces(stream, file, _CHUNK_BYTES, len(head)):
                digest.update(chunk)
            content = Content(head, file.signature.size, stream.fileno())
            width, height = _pixels(content, found)
            flaw = flaw_in(content, found.extension, width, height)
    except OSError as error:
        raise unreadable(file, error) from error
    sha256 = digest.hexdigest()
    return Image(file, sha256, found.extension, found.content_type, width, height, flaw)


def _pixels(content: Content, image_format: ImageFormat) -> tuple[int | None, int | None]:
    if image_format is TIFF:
        width, height = _tiff_pixels(content)
    else:
        # On demand: importing it is slow, and most runs hash nothing.
        import imagesize

        try:
            width, height = imagesize.get(io.BytesIO(content.head))
        except (ValueError, OSError, IndexError, OverflowError):
            # A broken header is no reason to refuse the image.
            return None, None
    if not (0 < width <= _MOST_PIXELS and 0 < height <= _MOST_PIXELS):
        return None, None
    return int(width), int(height)


def _tiff_pixels(content: Content) -> tuple[int, int]:
    # The directory may be anywhere and have any size: imagesize would read all of it.
    tags = tiff_tags(content) or {}
    width, height, turned = (
        tags[tag].last(content) or 0 if tag in tags else 0 for tag in (256, 257, 274)
    )
    return (height, width) if 5 <= turned <= 8 else (width, height)
