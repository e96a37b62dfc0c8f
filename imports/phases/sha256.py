"""SHA-256: each image of an unfinished item is read once, unless its hash is known."""

from __future__ import annotations

from dataclasses import dataclass, field

from imports.errors import ImageProblemError
from imports.image_content import read_image
from imports.work_item import Image, ImageFile

BATCH_SIZE = 32
"""Images that a worker hashes at once."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """What became of some images."""

    images: list[Image] = field(default_factory=list)
    problems: list[tuple[ImageFile, str]] = field(default_factory=list)


def hash_batch(files: list[ImageFile]) -> Hashed:
    """Reads the images; one that cannot be used becomes a problem."""
    hashed = Hashed()
    for file in files:
        try:
            hashed.images.append(read_image(file))
        except ImageProblemError as error:
            hashed.problems.append((file, str(error)))
    return hashed
