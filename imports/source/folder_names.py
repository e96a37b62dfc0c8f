"""Names of files that differ only in upper and lower case, or in their Unicode normal form."""

from __future__ import annotations

import os
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from time import time_ns

_Listing = dict[str, list[str]]
_Stamp = tuple[int, int, int, int]

MOST_BYTES = 32 * 1024 * 1024
"""The approximate limit of memory for all cached listings of a process, and for a single one."""

_MOST_FOLDERS = 256
_NAME_BYTES = 250
_RECENT_NS = 2_000_000_000


def composed(name: str) -> str:
    """The name in normal form NFC: macOS writes é as e and an accent."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def caseless(name: str) -> str:
    """A key that is equal for names that differ only in case or normal form."""
    if name.isascii():
        return name.lower()
    return composed(unicodedata.normalize("NFD", name).casefold())


class FolderNames:
    """The names in folders, for one search: each folder is listed once."""

    def __init__(self) -> None:
        """Lists nothing yet."""
        self._seen: dict[str, _Listing | None] = {}

    def paths_alike(self, folder: str, parts: Sequence[str]) -> list[str]:
        """The paths below a folder whose parts differ from `parts` only in case and normal form.

        For a folder with too many names (`MOST_BYTES`) the result has the two normal forms of the
        name, whether they exist or not.
        """
        wanted = parts[0]
        if folder not in self._seen:
            self._seen[folder] = _LISTINGS.names_in(folder)
        names = self._seen[folder]
        if names is None:
            alike = [*dict.fromkeys(unicodedata.normalize(form, wanted) for form in ("NFC", "NFD"))]
        else:
            alike = names.get(caseless(wanted), [])
        paths = [os.path.join(folder, name) for name in alike]
        if len(parts) == 1:
            return paths
        return [below for path in paths for below in self.paths_alike(path, parts[1:])]


class _Listings:
    """A cache of the last listings: for each folder its names by their caseless key."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[_Stamp, _Listing | None, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def names_in(self, folder: str) -> _Listing | None:
        """The current names of a folder: empty if it cannot be read, None if there are too many."""
        try:
            stamp = _stamp(folder)
            with self._lock:
                kept = self._kept.get(folder)
                if kept is not None and kept[0] == stamp:
                    self._kept.move_to_end(folder)
                    return kept[1]
                listing, size = _listed(folder)
                # A folder that changed just now may change again with the same mtime.
                if abs(time_ns() - stamp[0]) > _RECENT_NS and stamp == _stamp(folder):
                    self._keep(folder, stamp, listing, size)
                return listing
        except (OSError, ValueError):
            return {}

    def _keep(self, folder: str, stamp: _Stamp, listing: _Listing | None, size: int) -> None:
        if (old := self._kept.pop(folder, None)) is not None:
            self._bytes -= old[2]
        self._kept[folder] = stamp, listing, size
        self._bytes += size
        while self._bytes > MOST_BYTES or len(self._kept) > _MOST_FOLDERS:
            _, (_, _, size) = self._kept.popitem(last=False)
            self._bytes -= size


_LISTINGS = _Listings()


def _stamp(folder: str) -> _Stamp:
    status = os.stat(folder)
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def _listed(folder: str) -> tuple[_Listing | None, int]:
    listing: _Listing = {}
    size = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            size += _NAME_BYTES + 4 * len(name)
            if size > MOST_BYTES:
                return None, 0
            listing.setdefault(caseless(name), []).append(name)
    return listing, size
