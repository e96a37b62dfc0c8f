"""The folders of recognitions, and the meaning of their files.

Source: the loader in use (the document "Professional Data Ingestion System"), whose data sets look
like this. Parts in brackets may be missing.

    [export_20251024_121255/]recognition_100024/
      [photos/]recognition_100024_2025-10-11_Main.jpg
      [photos/]recognition_100024_2025-10-11_Qualifying.jpg
      [100024_recognition_2025-10-11_AM.json]              the menu of the day, or AM.json
      [100024_recognition_2025-10-11_correct_dishes.json]  the receipt, or CD.json
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from imports.items.source import Source, folder_prefix
from imports.source.local_file import files_in, is_folder, part_files
from imports.source.name_patterns import Matcher, matcher
from imports.source.tree import FolderFile, SourceFile

PHOTOS = "photos"
PATTERNS = ("*.jpg", "*.jpeg", "*_AM.json", "AM.json", "*_correct_dishes.json", "CD.json")
"""Patterns that end in `.json` name menus and receipts, the others photos."""

_NAMED = re.compile(r"recognition_(.*)", re.DOTALL)
_DIGITS = re.compile(r"[0-9]+")
_EXPORT = re.compile(r"export_.*", re.DOTALL)
_LARGEST_ID = 2**63 - 1
_MENUS = (matcher(("*_AM.json",)), matcher(("AM.json",)))
_RECEIPTS = (matcher(("*_correct_dishes.json",)), matcher(("CD.json",)))


class Files(NamedTuple):
    """The files of a recognition, by their paths in its folder.

    `photos` are sorted by name, the first one is that of camera 1. `unused` are further menus and
    receipts, which are not taken.
    """

    photos: tuple[FolderFile, ...]
    menu: FolderFile | None
    receipt: FolderFile | None
    unused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """The name of a recognition's folder: its number, or None if the name has no valid number."""

    id: int | None


def named(path: str) -> Named | None:
    """The meaning of a folder's name, by its path in the source; None if it is no recognition.

    Recognitions are in the source itself, or in one of its exports.
    """
    parent, _, name = path.rpartition("/")
    if parent and not _EXPORT.fullmatch(parent):
        return None
    match = _NAMED.fullmatch(name)
    digits = name if match is None else match[1]
    if _DIGITS.fullmatch(digits) and int(digits) <= _LARGEST_ID:
        return Named(int(digits))
    return None if match is None else Named(None)


def all_files(source: Source, path: str) -> list[FolderFile]:
    """The files of a folder and of the folder `photos` in it, without hidden ones.

    Raises:
        OSError: if one of the two cannot be listed.
    """
    prefix = folder_prefix(path)
    is_left_out = source.leaves_out(prefix)
    found = files_in(source.absolute(path), lambda name: is_hidden(name) or is_left_out(name))
    return found + without_hidden(part_files(source, prefix, PHOTOS))


def without_hidden(files: Iterable[SourceFile]) -> list[FolderFile]:
    """The files that belong to their folder: they exist, and are not hidden.

    Raises:
        OSError: if the status of one cannot be read.
    """
    return [
        part for file in files if not is_hidden(file.name) and (part := file.as_part()) is not None
    ]


def sorted_out(files: Sequence[FolderFile], patterns: tuple[str, ...] = PATTERNS) -> Files:
    """Sorts the files of a recognition by their names; files must match `patterns`."""
    files = [file for file in files if matcher(patterns)(_base(file.name))]
    within = [file for file in files if file.name.startswith(f"{PHOTOS}/")]
    beside = sorted((file for file in files if "/" not in file.name), key=lambda file: file.name)
    photos = [file for file in within if _is_photo(file.name)]
    photos = photos or [file for file in beside if _is_photo(file.name)]
    menus = _first_kind(beside, _MENUS)
    receipts = _first_kind(beside, _RECEIPTS)
    return Files(
        tuple(sorted(photos, key=lambda file: file.name)),
        menus[0] if menus else None,
        receipts[0] if receipts else None,
        tuple(file.name for file in menus[1:] + receipts[1:]),
    )


def copy_elsewhere(source: Source, path: str, number: int) -> str | None:
    """The folder of the same recognition that is imported instead of this one, or None.

    It is in the last export by name. A folder outside the exports comes before all exports.
    """
    parent, _, name = path.rpartition("/")
    places = [each for each in _exports(source.folder, _mtime(source.folder)) if each > parent]
    for place in reversed(places):
        for other in (f"recognition_{number}", str(number)):
            if is_folder(f"{source.folder}/{place}/{other}"):
                return f"{place}/{other}"
    longer = f"{folder_prefix(parent or '.')}recognition_{number}"
    return longer if name == str(number) and is_folder(source.absolute(longer)) else None


def _first_kind(files: list[FolderFile], kinds: Sequence[Matcher]) -> list[FolderFile]:
    for is_one in kinds:
        found = [file for file in files if is_one(file.name)]
        if found:
            return found
    return []


def is_hidden(name: str) -> bool:
    """Whether a file is hidden, by its name in the folder of a recognition."""
    return _base(name).startswith(".")


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _is_photo(name: str) -> bool:
    return not name.lower().endswith(".json")


def _mtime(folder: str) -> int:
    return os.stat(folder).st_mtime_ns


@lru_cache(maxsize=4)
def _exports(folder: str, mtime_ns: int) -> list[str]:
    """The names of a source's exports, in order; `mtime_ns` says when to read them again."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name for entry in entries if _EXPORT.fullmatch(entry.name) and entry.is_dir()
        )
