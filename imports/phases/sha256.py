"""SHA-256: each image of an unfinished item is read once, unless its hash is known."""

from __future__ import annotations

from dataclasses import dataclass, field

from imports.errors import ImageProblemError, UnreadImageError
from imports.files.patience import patiently
from imports.source.image_content import read_image
from imports.work_item import Image, ImageFile

BATCH_SIZE = 32
"""Images that a worker hashes at once."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """What became of some images.

    Those with `problems` are no images, and their items do without; of the `unread` another try
    may tell.
    """

    images: list[Image] = field(default_factory=list)
    problems: list[tuple[ImageFile, str]] = field(default_factory=list)
    unread: list[tuple[ImageFile, str]] = field(default_factory=list)


def hash_batch(files: list[ImageFile]) -> Hashed:
    """Reads the images; one that cannot be used, or not be read, stops none of the others."""
    hashed = Hashed()
    for file in files:
        try:
            hashed.images.append(patiently(read_image, file))
        except UnreadImageError as error:
            hashed.unread.append((file, str(error)))
        except ImageProblemError as error:
            hashed.problems.append((file, str(error)))
    return hashed
