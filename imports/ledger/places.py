"""The names of a file: the paths that a user gives, and the paths in a source."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def absolute_places(path: Path) -> list[str]:
    """The absolute paths that a path may mean, relative to the working folder.

    The file and its folder need not exist. Links in the path are resolved, and also kept.
    """
    return [os.path.abspath(path), str(path.parent.resolve() / path.name)]


def paths_in(source: str, places: Iterable[str]) -> list[str]:
    """The paths in a source for places, which are absolute paths or paths in the source.

    The source itself is `.`, since it may be a work item; if it is a file, that has its name.
    """
    folder = source.rstrip("/") + "/"
    paths: list[str] = []
    for each in places:
        itself = [".", os.path.basename(source)]
        paths += itself if each == source else [each.removeprefix(folder)]
    return list(dict.fromkeys(paths))
