"""Finding the image that a JSON file names, on a machine that may not be the one that made it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imports.source_tree import is_utf8, signature_of
from imports.work_item import ImageFile

_SEPARATORS = re.compile(r"[\\/]+")
_DAY = re.compile(r"\d{4}[-_.]?\d{2}[-_.]?\d{2}")
_MOST_PARTS = 8


@dataclass(frozen=True, slots=True)
class ImageFinder:
    """Where images are looked for (`bases`), and from where they may be read (`roots`).

    All are real, absolute paths.
    """

    bases: tuple[str, ...]
    roots: tuple[str, ...]

    def find(self, reference: str, item: str) -> tuple[ImageFile | None, str | None]:
        """The image that `reference` means in the JSON file `item`, and a warning if there is none.

        The reference is tried as it stands, then by its last parts below each base and each
        folder between the source and the file, the most parts first. One that names a day is
        only answered with a file of that day.
        """
        outside = None
        for candidate in _candidates(reference, item, self.bases):
            image = _regular_file(candidate)
            if image is None:
                continue
            if self.may_read(image.path):
                return image, None
            outside = image.path
        if outside is not None:
            return None, (
                f"image {reference!r} is outside of the folders that images are read from;"
                " name its folder with --image-root if it is meant"
            )
        return None, f"image {reference!r} was not found"

    def beside(self, path: str) -> ImageFile | None:
        """The image at exactly this path, if there is one that may be read."""
        image = _regular_file(path)
        return image if image is not None and self.may_read(image.path) else None

    def may_read(self, real_path: str) -> bool:
        """Whether a real path lies below one of the roots."""
        return any(real_path.startswith(root) for root in self.roots)


def image_finder(source: Path, image_roots: tuple[Path, ...]) -> ImageFinder:
    """The finder for a source: its own folder and the one that holds it, and the given roots.

    The root of the file system is never one that a source implies.
    """
    folder = Path(os.path.realpath(source))
    top = Path(folder.anchor)
    implied = (folder,) if folder.parent == top else (folder, folder.parent)
    given = [os.path.realpath(root) for root in image_roots]
    roots = [str(place) for place in implied if place != top] + given
    return ImageFinder(
        bases=(*map(str, implied), *given),
        roots=tuple(os.path.join(root, "") for root in roots),
    )


def _candidates(reference: str, item: str, bases: tuple[str, ...]) -> Iterator[str]:
    yield os.path.abspath(reference)
    parts = [part for part in _SEPARATORS.split(reference) if part and part != "."]
    if not parts or ".." in parts:
        return
    home = os.path.dirname(item)
    if len(parts) == 1:
        for base in (home, *bases):
            yield os.path.join(base, parts[0])
        return
    day = _last_day(parts)
    tails = [parts[-count:] for count in range(min(len(parts), _MOST_PARTS), 1, -1)]
    places = [*bases, *_between(home, bases[0])]
    found = [os.path.join(base, *tail) for tail in tails for base in places]
    if os.path.basename(home) == parts[-2] or home in bases:
        found.append(os.path.join(home, parts[-1]))
    for path in found:
        if day is None or _last_day(path.split(os.sep)) == day:
            yield path


def _last_day(parts: list[str]) -> str | None:
    """The folder that a path names its day with: the last one that looks like a day."""
    return next((part for part in reversed(parts[:-1]) if _DAY.fullmatch(part)), None)


def _between(folder: str, source: str) -> list[str]:
    """The folders above `folder` and below the source: trees of several days lie in one of them."""
    places = []
    while (folder := os.path.dirname(folder)).startswith(os.path.join(source, "")):
        places.append(folder)
    return places


def _regular_file(path: str) -> ImageFile | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        # Not there, not allowed, or not even a path: all the same, there is no such image.
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    real = os.path.realpath(path)
    # The ledger could not remember another name.
    return ImageFile(real, signature_of(status)) if is_utf8(real) else None
