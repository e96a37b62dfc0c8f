"""Images, and the places where they are stored."""

from __future__ import annotations

from typing import NamedTuple

from imports.items.source import Signature


class ImageFile(NamedTuple):
    """An image on disk, by its real, absolute path."""

    path: str
    signature: Signature


class Image(NamedTuple):
    """An image that was read. Its extension and type come from its content.

    `flaw` describes its damage, if it has any; it is stored anyway.
    """

    file: ImageFile
    sha256: str
    extension: str
    content_type: str
    width: int | None
    height: int | None
    flaw: str | None = None

    @property
    def storage_path(self) -> str:
        """Its path in every store: `sha256/ab/cd/<hash>.<ext>`."""
        return storage_path(self.sha256, self.extension)


class Placement(NamedTuple):
    """A place of its own for an image: a bucket, and a path in it. As a text, `bucket/path`."""

    bucket: str
    path: str

    def __str__(self) -> str:
        """The text for the ledger and for messages."""
        return f"{self.bucket}/{self.path}"


class PlacedImage(NamedTuple):
    """An image, and the place where it is stored instead of under its hash."""

    image: Image
    place: Placement


def storage_path(sha256: str, extension: str) -> str:
    """The path of an image in every store: `sha256/ab/cd/<hash>.<ext>`."""
    return f"sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}.{extension}"


def flaw_warning(path: str, flaw: str) -> str:
    """The warning for a work item whose image has a flaw."""
    return f"image {path} is stored as it is, but {flaw}"
