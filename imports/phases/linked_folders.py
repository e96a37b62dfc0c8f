"""Folders to which links lead: which of them are listed, so that none is listed twice."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from imports.files.regular_file import LEADS_OUT
from imports.source.tree import ListingProblem, printable

if TYPE_CHECKING:
    from imports.work_item import Source

_AROUND = "is a link to a folder around one that is listed: to follow it would lead in a circle"
_CONSUMED = (
    "is a link to a folder: files are deleted or moved away only where they lie in the source"
    " itself; import that folder by a command of its own"
)


class LinkedFolders:
    """Decides about links to folders, by the real places of these. It remembers those alone.

    What lies in the source, or in a linked folder that is listed, is listed there: a link to it
    is passed over. So no link leads in a circle.
    """

    def __init__(self, source: Source) -> None:
        """Knows of the source itself."""
        self._source = source
        self._listed: set[str] = set()
        self._around: set[str] = set()
        self._add(source.folder)

    def to_follow(self, links: Iterable[str]) -> tuple[list[str], list[ListingProblem]]:
        """The prefixes of the folders to list for links, by their paths, and why others are not.

        Of links to the same folder the first one by its path is followed; of links to a folder
        and to one in it, that to the outer one.
        """
        prefixes: list[str] = []
        problems: list[ListingProblem] = []
        places = sorted((os.path.realpath(self._source.absolute(path)), path) for path in links)
        for place, path in places:
            if place in self._listed or not self._listed.isdisjoint(_folders_around(place)):
                continue
            reason = self._reason_against(place)
            if reason is None:
                self._add(place)
                prefixes.append(f"{path}/")
            else:
                problems.append(ListingProblem(printable(path), reason))
        return prefixes, problems

    def _reason_against(self, place: str) -> str | None:
        if not self._source.follows_links:
            return _CONSUMED
        if not self._source.may_read(place):
            return f"is a link that {LEADS_OUT}"
        return _AROUND if place in self._around else None

    def _add(self, place: str) -> None:
        self._listed.add(place)
        self._around.update(_folders_around(place))


def _folders_around(place: str) -> Iterator[str]:
    while (folder := os.path.dirname(place)) != place:
        yield folder
        place = folder
