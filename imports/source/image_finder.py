"""Finding the image that a JSON file names, even if another machine wrote the path."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from imports.items.images import ImageFile
from imports.source.days import day_in
from imports.source.folder_names import FolderNames, composed
from imports.source.tree import is_utf8, signature_of

_SEPARATORS = re.compile(r"[\\/]+")
_MOST_PARTS = 8
_LONGEST = 4096
"""The longest path that a system can open."""


@dataclass(frozen=True, slots=True)
class ImageFinder:
    """Looks for images below `bases`; they may be read below `roots`.

    All are real, absolute paths.
    """

    bases: tuple[str, ...]
    roots: tuple[str, ...]

    def find(self, reference: str, item: str) -> tuple[ImageFile | None, str | None]:
        """The image that `reference` means in the JSON file `item`, or None and a warning.

        Tries, in this order: the reference unchanged (a relative one from the folder of the file);
        its last parts, the most parts first, below each base and each folder between the source
        and the file; the same without percent escapes; names that differ only in normal form or
        case. If the reference names a day, only a file of that day is returned.
        """
        if len(reference) > _LONGEST:
            return None, f"image {reference[:100]!r}… was not found: it is too long for a path"
        outside = None
        tried: list[_Candidate] = []
        for spelling in _spellings(reference):
            for candidate in _candidates(spelling, item, self.bases):
                tried.append(candidate)
                image = _regular_file(candidate.path)
                if image is None or not candidate.is_of_its_day:
                    continue
                if self.may_read(image.path):
                    return image, None
                outside = image.path
        if outside is not None:
            return None, (
                f"image {reference!r} is outside the folders that images may be read from;"
                " if it is correct, name its folder with --image-root"
            )
        alike = self._similar(tried)
        if len(alike) == 1:
            return alike[0], None
        problem = f": {_ambiguous(alike)}" if alike else ""
        return None, f"image {reference!r} was not found{problem}"

    def beside(self, path: str, reference: str = "") -> ImageFile | None:
        """The image at exactly this path, if it may be read, else None.

        Also None if `reference`, the image that is replaced by this one, names another day.
        """
        image = _regular_file(path)
        if image is None or not self.may_read(image.path):
            return None
        return image if not reference or _may_replace(path, reference) else None

    def _similar(self, candidates: list[_Candidate]) -> list[ImageFile]:
        """The images at the first candidate whose name exists in another spelling.

        A candidate with an image in the same case takes precedence over all others.
        """
        folders = FolderNames()
        first: list[ImageFile] = []
        for candidate in candidates:
            path = candidate.path
            root = next((root for root in self.roots if path.startswith(root)), None)
            if root is None:
                continue
            found = folders.paths_alike(root, path[len(root) :].split(os.sep))
            if not found or not candidate.is_of_its_day:
                continue
            same_case = [each for each in found if composed(each) == composed(path)]
            if same_images := self._images(same_case):
                return same_images
            first = first or self._images(found)
        return first

    def _images(self, paths: list[str]) -> list[ImageFile]:
        """The images at these paths that may be read, each once."""
        images = [image for path in paths if (image := _regular_file(path)) is not None]
        return [*{image.path: image for image in images if self.may_read(image.path)}.values()]

    def may_read(self, real_path: str) -> bool:
        """Whether a real path is below one of the roots."""
        return any(real_path.startswith(root) for root in self.roots)


def image_finder(source: Path, image_roots: tuple[Path, ...]) -> ImageFinder:
    """The finder for a source: its folder, the parent of this folder, and the given roots.

    The root of the file system is used only if it is given.
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


class _Candidate(NamedTuple):
    """A path that a reference may mean; `reference` has all its parts if the path has only some."""

    path: str
    reference: tuple[str, ...] = ()

    @property
    def is_of_its_day(self) -> bool:
        """Whether the path has the day of its reference, if the reference names one."""
        if not self.reference:
            return True
        day = day_in("/".join(self.reference[:-1]))
        if day is None:
            return True
        return day.is_same(day_in(os.path.dirname(self.path), full_year=day.full_year))


def _spellings(reference: str) -> list[str]:
    """The reference unchanged, and without `file:` and percent escapes."""
    spellings = [reference]
    if "%" in reference or reference[:5].lower() == "file:":
        # On demand: few references are URLs.
        from urllib.parse import unquote

        path = re.sub(r"(?i)^file:(//(localhost)?(?=/))?", "", reference)
        spellings += [each for each in dict.fromkeys((path, unquote(path))) if each != reference]
    return spellings


def _candidates(reference: str, item: str, bases: tuple[str, ...]) -> Iterator[_Candidate]:
    parts = [part for part in _SEPARATORS.split(reference) if part and part != "."]
    home = os.path.dirname(item)
    if parts and not reference.startswith(("/", "\\")):
        yield _Candidate(os.path.normpath(os.path.join(home, *parts)))
    yield _Candidate(os.path.abspath(reference))
    if not parts or ".." in parts:
        return
    if len(parts) == 1:
        for base in (home, *bases):
            yield _Candidate(os.path.join(base, parts[0]))
        return
    whole = tuple(parts)
    places = [*bases, *_folders_between(home, bases[0])]
    for count in range(min(len(parts), _MOST_PARTS), 1, -1):
        tail = parts[-count:]
        for base in places:
            yield _Candidate(os.path.join(base, *tail), whole)
    if os.path.basename(home) == parts[-2] or home in bases:
        yield _Candidate(os.path.join(home, parts[-1]), whole)


def _may_replace(path: str, reference: str) -> bool:
    """Whether the image at a path may replace a reference: they must not name different days.

    The days of the folders are compared, and the days of the file names. If one has its day in the
    folder and the other in the name, these are compared.
    """
    folder, name = os.path.split(path)
    *parts, own = [part for part in _SEPARATORS.split(_spellings(reference)[-1]) if part] or [""]
    mine = day_in(folder), day_in(name, full_year=True)
    named = day_in("/".join(parts)), day_in(own, full_year=True)
    pairs = [*zip(mine, named, strict=True), (mine[0] or mine[1], named[0] or named[1])]
    return all(one is None or other is None or one.is_same(other) for one, other in pairs)


def _ambiguous(alike: list[ImageFile]) -> str:
    names = ", ".join(image.path for image in alike[:3])
    return (
        "several files have names that differ only in case or in the Unicode form of letters"
        f" ({names}); rename them"
    )


def _folders_between(folder: str, source: str) -> list[str]:
    """The folders above `folder` and below the source: one of them may have a tree for each day."""
    places = []
    while (folder := os.path.dirname(folder)).startswith(os.path.join(source, "")):
        places.append(folder)
    return places


def _regular_file(path: str) -> ImageFile | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        # Missing, forbidden, or not a valid path: in each case there is no image.
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    real = os.path.realpath(path)
    # The ledger cannot store a name that is not UTF-8.
    return ImageFile(real, signature_of(status)) if is_utf8(real) else None
