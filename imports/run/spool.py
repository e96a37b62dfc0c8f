"""The spool: rows that planning has prepared already, on disk until import takes them.

With it a file is opened and parsed once. It is only ever a shortcut: what is not in it, or is
torn, is read from its file again. Each worker writes whole chunks, the import reads them.
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
from imports.tables.row_format import RowFormat
from imports.work_item import Spooled, is_run_name

LEAST_FREE_BYTES = 1024**3
"""Below this much free space on the disk nothing is spooled."""

_HEAD_BYTES = 8
_VERSION = 5
"""Of what a chunk looks like: those of another one are not read."""

_CHUNK = re.compile(r"[0-9]+\.[a-z]+\.[0-9]+")

_MOST_KEPT = 4
"""So many chunks that were read are kept: as many as there are batches at once."""

_DECODER = msgspec.msgpack.Decoder(dict[int, Spooled])


@dataclass(frozen=True, slots=True)
class Spool:
    """The chunks of one run, in a folder of their own; rows are in one format."""

    folder: Path
    row_format: RowFormat

    def open(self) -> None:
        """Makes the folder, and removes the spools that earlier runs have left beside it.

        Raises:
            UsageError, DiskError: if it cannot be made, or a link is in its place.
        """
        spools = self.folder.parent
        for each in (spools, self.folder):
            if each.is_symlink():
                raise UsageError(f"{each} is a link; prepared rows go into a folder. Remove it.")
        if spools.is_dir():
            for other in spools.iterdir():
                if other != self.folder and is_run_name(other.name):
                    _remove(other)
        try:
            make_folder(self.folder)
        except OSError as error:
            raise about_file(f"{self.folder} cannot be made", error) from error
        tighten(spools)
        tighten(self.folder)

    def clear(self) -> None:
        """Removes all chunks."""
        _remove(self.folder)

    def write(self, chunk: int, items: dict[int, Spooled]) -> bool:
        """Writes prepared items; False if there is no room, which harms nothing."""
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
        """The items of a chunk; of one that is gone or torn there are none."""
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
    """Removes a spool: its chunks, then the folder. What else is in it stays, and so does it."""
    if folder.is_symlink():
        return
    with contextlib.suppress(OSError):
        for file in list(folder.iterdir()):
            if _CHUNK.fullmatch(file.name):
                file.unlink()
        folder.rmdir()


class SpoolReader:
    """Reads the chunks of a spool, and keeps the latest of them: small batches share a chunk."""

    def __init__(self, spool: Spool) -> None:
        """Has read nothing yet."""
        self._spool = spool
        self._kept: dict[int, dict[int, Spooled]] = {}

    def read(self, chunk: int) -> Mapping[int, Spooled]:
        """The items of a chunk, as `Spool.read` has them."""
        found = self._kept.get(chunk)
        if found is None:
            found = self._kept[chunk] = self._spool.read(chunk)
        if len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return found
