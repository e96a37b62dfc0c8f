"""Finding the image that a JSON file names, on a machine that may not be the one that made it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from imports.source.days import day_in
from imports.source.folder_names import FolderNames, composed
from imports.source.tree import is_utf8, signature_of
from imports.work_item import ImageFile

_SEPARATORS = re.compile(r"[\\/]+")
_MOST_PARTS = 8
_LONGEST = 4096
"""The longest path that a system opens; a longer reference is none."""


@dataclass(frozen=True, slots=True)
class ImageFinder:
    """Where images are looked for (`bases`), and from where they may be read (`roots`).

    All are real, absolute paths.
    """

    bases: tuple[str, ...]
    roots: tuple[str, ...]

    def find(self, reference: str, item: str) -> tuple[ImageFile | None, str | None]:
        """The image that `reference` means in the JSON file `item`, and a warning if there is none.

        The reference is tried as it stands, a relative one from the folder of the file on, then by
        its last parts below each base and each folder between the source and the file, the most
        parts first. After that it is tried without its percent escapes, and last of all by names
        that differ in normal form, or in case. One that names a day is only answered with a file
        of that day.
        """
        if len(reference) > _LONGEST:
            return None, f"image {reference[:100]!r}… was not found: this is too long for a path"
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
                f"image {reference!r} is outside of the folders that images are read from;"
                " name its folder with --image-root if it is meant"
            )
        alike = self._alike(tried)
        if len(alike) == 1:
            return alike[0], None
        problem = f": {_ambiguous(alike)}" if alike else ""
        return None, f"image {reference!r} was not found{problem}"

    def beside(self, path: str, reference: str = "") -> ImageFile | None:
        """The image at exactly this path, if there is one that may be read.

        None, too, if `reference`, which it stands in for, names another day than the path.
        """
        image = _regular_file(path)
        if image is None or not self.may_read(image.path):
            return None
        return image if not reference or _may_stand_in(path, reference) else None

    def _alike(self, candidates: list[_Candidate]) -> list[ImageFile]:
        """The images at the first place that has any under another spelling of its name.

        A place that has one in the same case goes before all others.
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


class _Candidate(NamedTuple):
    """A path that a reference may mean; `reference` are its parts if the path has only some."""

    path: str
    reference: tuple[str, ...] = ()

    @property
    def is_of_its_day(self) -> bool:
        """Whether the path has the day that its reference names, if it names one."""
        if not self.reference:
            return True
        day = day_in("/".join(self.reference[:-1]))
        return day is None or day.is_same(day_in(os.path.dirname(self.path), whole=day.whole))


def _spellings(reference: str) -> list[str]:
    """A reference as it stands, and without what makes it a URL."""
    spellings = [reference]
    if "%" in reference or reference[:5].lower() == "file:":
        # On demand: hardly any reference is a URL.
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
    places = [*bases, *_between(home, bases[0])]
    for count in range(min(len(parts), _MOST_PARTS), 1, -1):
        tail = parts[-count:]
        for base in places:
            yield _Candidate(os.path.join(base, *tail), whole)
    if os.path.basename(home) == parts[-2] or home in bases:
        yield _Candidate(os.path.join(home, parts[-1]), whole)


def _may_stand_in(path: str, reference: str) -> bool:
    """Whether a picture at a path is not of another day than the one that a reference names.

    Days of folders are compared, and of the files' names; where one has its day in the folder and
    the other in the name, these.
    """
    folder, name = os.path.split(path)
    *parts, own = [part for part in _SEPARATORS.split(_spellings(reference)[-1]) if part] or [""]
    mine = day_in(folder), day_in(name, whole=True)
    named = day_in("/".join(parts)), day_in(own, whole=True)
    pairs = [*zip(mine, named, strict=True), (mine[0] or mine[1], named[0] or named[1])]
    return all(one is None or other is None or one.is_same(other) for one, other in pairs)


def _ambiguous(alike: list[ImageFile]) -> str:
    names = ", ".join(image.path for image in alike[:3])
    return (
        "several files have names that differ only in case or in the Unicode form of letters"
        f" ({names}); rename them"
    )


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
