"""What somebody calls a file, and what it is called in a source."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def absolute_places(path: Path) -> list[str]:
    """The absolute paths that a path may mean, seen from the working folder.

    Neither the file nor its folder need be there; links on the way are those of the source.
    """
    return [os.path.abspath(path), str(path.parent.resolve() / path.name)]


def paths_in(source: str, places: Iterable[str]) -> list[str]:
    """The paths in a source that places mean, which are absolute paths or such paths already.

    The source itself is `.`: it may be a work item.
    """
    folder = source.rstrip("/") + "/"
    return list(
        dict.fromkeys("." if each == source else each.removeprefix(folder) for each in places)
    )
