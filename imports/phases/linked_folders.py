"""Linked folders: decides which of them are listed, so that none is listed twice."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from imports.files.regular_file import LEADS_OUT
from imports.source.tree import ListingProblem, printable

if TYPE_CHECKING:
    from imports.items.source import Source

_CYCLE = "is a link to a parent of a listed folder, and is not followed: that would never end"
_CONSUMED = (
    "is a link to a folder, and is not followed: files are deleted or moved only in the source"
    " itself. Import that folder with a separate command"
)


class LinkedFolders:
    """Decides which links to folders are followed, by the real paths of the folders.

    A link into the source, or into a linked folder that is listed, is skipped: the folder is listed
    there. So there are no cycles. Only the real paths are kept in memory.
    """

    def __init__(self, source: Source) -> None:
        """Begins with the source itself."""
        self._source = source
        self._listed: set[str] = set()
        self._parents: set[str] = set()
        self._add(source.folder)

    def to_follow(self, links: Iterable[str]) -> tuple[list[str], list[ListingProblem]]:
        """The prefixes of the folders to list for links, and the problems of the other links.

        If several links lead to one folder, the first path is followed. If one link leads to a
        folder and another to its subfolder, the first one is followed.
        """
        prefixes: list[str] = []
        problems: list[ListingProblem] = []
        places = sorted((os.path.realpath(self._source.absolute(path)), path) for path in links)
        for place, path in places:
            if place in self._listed or not self._listed.isdisjoint(_parents_of(place)):
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
        return _CYCLE if place in self._parents else None

    def _add(self, place: str) -> None:
        self._listed.add(place)
        self._parents.update(_parents_of(place))


def _parents_of(place: str) -> Iterator[str]:
    while (folder := os.path.dirname(place)) != place:
        yield folder
        place = folder
