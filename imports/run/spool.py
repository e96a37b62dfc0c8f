"""The spool: rows that planning has prepared, on disk until import takes them.

With it, a file is opened and parsed once. It is a cache: rows that are missing or damaged in it are
prepared from the file again. Workers write whole chunks, and import reads them.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from imports.errors import UsageError
from imports.files.file_error import about_file
from imports.files.private_file import make_folder, private, read_own, tighten
from imports.items.records import Spooled
from imports.items.run_name import is_run_name
from imports.tables.row_format import RowFormat

LEAST_FREE_BYTES = 1024**3
"""With less free space on the disk, nothing is spooled."""

_HEAD_BYTES = 8
_VERSION = 5
"""The version of the chunk format; chunks of other versions are not read."""

_CHUNK = re.compile(r"[0-9]+\.[a-z]+\.[0-9]+")

_MOST_KEPT = 4
"""Chunks in the cache: as many as there are batches at once."""

_DECODER = msgspec.msgpack.Decoder(dict[int, Spooled])


@dataclass(frozen=True, slots=True)
class Spool:
    """The chunks of one run, in a folder of their own; all rows have one format."""

    folder: Path
    row_format: RowFormat

    def open(self) -> None:
        """Creates the folder, and removes the spools of earlier runs beside it.

        Raises:
            UsageError, DiskError: if it cannot be created, or is a link.
        """
        spools = self.folder.parent
        for each in (spools, self.folder):
            if each.is_symlink():
                raise UsageError(f"{each} is a link, but must be a folder. Remove the link.")
        if spools.is_dir():
            for other in spools.iterdir():
                if other != self.folder and is_run_name(other.name):
                    _remove(other)
        try:
            make_folder(self.folder)
        except OSError as error:
            raise about_file(f"{self.folder} cannot be created", error) from error
        tighten(spools)
        tighten(self.folder)

    def clear(self) -> None:
        """Removes all chunks."""
        _remove(self.folder)

    def write(self, chunk: int, items: dict[int, Spooled]) -> bool:
        """Writes prepared items; returns False if there is no space, which does no harm."""
        body = msgspec.msgpack.encode(items)
        path = self._path(chunk)
        try:
            if shutil.disk_usage(self.folder).free < LEAST_FREE_BYTES:
                return False
            with open(path, "wb", opener=private) as file:
                file.write(b"%08x%b" % (zlib.crc32(body), body))
        except OSError:
            path.unlink(missing_ok=True)
            return False
        return True

    def read(self, chunk: int) -> dict[int, Spooled]:
        """The items of a chunk; none if it is missing or damaged."""
        try:
            content = read_own(self._path(chunk))
        except OSError:
            return {}
        body = content[_HEAD_BYTES:]
        if content[:_HEAD_BYTES] != b"%08x" % zlib.crc32(body):
            return {}
        try:
            return _DECODER.decode(body)
        except msgspec.MsgspecError:
            return {}

    def _path(self, chunk: int) -> Path:
        return self.folder / f"{chunk:d}.{self.row_format}.{_VERSION}"


def _remove(folder: Path) -> None:
    """Removes a spool: its chunks, then the folder. If it has other files, it stays with them."""
    if folder.is_symlink():
        return
    with contextlib.suppress(OSError):
        for file in list(folder.iterdir()):
            if _CHUNK.fullmatch(file.name):
                file.unlink()
        folder.rmdir()


class SpoolReader:
    """Reads the chunks of a spool, and caches the latest ones: small batches share a chunk."""

    def __init__(self, spool: Spool) -> None:
        """Has read nothing yet."""
        self._spool = spool
        self._kept: dict[int, dict[int, Spooled]] = {}

    def read(self, chunk: int) -> Mapping[int, Spooled]:
        """The items of a chunk; see `Spool.read`."""
        found = self._kept.get(chunk)
        if found is None:
            found = self._kept[chunk] = self._spool.read(chunk)
        if len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return found
