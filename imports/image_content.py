"""What an image is by its content: hash, format and size in pixels, in one reading."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass

from imports.errors import ImageProblemError, UnreadImageError
from imports.source_tree import signature_of
from imports.work_item import Image, ImageFile

_CHUNK_BYTES = 1024 * 1024
_MOST_PIXELS = 2**31 - 1
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """A format that is taken; the extension and type do not depend on the file's name."""

    extension: str
    content_type: str


PNG = ImageFormat("png", "image/png")
JPEG = ImageFormat("jpg", "image/jpeg")
GIF = ImageFormat("gif", "image/gif")
WEBP = ImageFormat("webp", "image/webp")
BMP = ImageFormat("bmp", "image/bmp")


def image_format(head: bytes) -> ImageFormat | None:
    """The format of an image by its first bytes (32 are enough), None if it is none of ours.

    Formats that can carry scripts, SVG above all, are left out on purpose.
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
    return None


def read_image(file: ImageFile) -> Image:
    """Reads an image once, and tells what it is.

    Raises:
        UnreadImageError: if it changed meanwhile, or cannot be read just now.
        ImageProblemError: if it is no image.
    """
    try:
        with open(file.path, "rb", buffering=0) as stream:
            # No larger a buffer than the file needs: making one takes as long as reading.
            left = file.signature.size
            head = stream.read(min(left, _CHUNK_BYTES))
            found = image_format(head)
            if found is None and signature_of(os.fstat(stream.fileno())) == file.signature:
                raise ImageProblemError(f"image {file.path} is not a PNG, JPEG, GIF, WebP or BMP")
            digest = hashlib.sha256(head)
            left -= len(head)
            while left and (chunk := stream.read(min(left, _CHUNK_BYTES))):
                digest.update(chunk)
                left -= len(chunk)
            unchanged = not left and signature_of(os.fstat(stream.fileno())) == file.signature
    except OSError as error:
        raise UnreadImageError(f"image {file.path} cannot be read: {error.strerror}") from error
    if found is None or not unchanged:
        raise UnreadImageError(
            f"image {file.path} changed while the run was under way; run again to import it"
        )
    width, height = _pixels(head)
    return Image(file, digest.hexdigest(), found.extension, found.content_type, width, height)


def _pixels(head: bytes) -> tuple[int | None, int | None]:
    # It takes long to import, and most runs hash nothing.
    import imagesize

    try:
        width, height = imagesize.get(io.BytesIO(head))
    except (ValueError, OSError, IndexError, OverflowError):
        # A broken header is no reason to lose the picture.
        return None, None
    if not (0 < width <= _MOST_PIXELS and 0 < height <= _MOST_PIXELS):
        return None, None
    return int(width), int(height)
