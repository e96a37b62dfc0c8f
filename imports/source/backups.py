"""Copies of imported files, in a folder that the user names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from imports.files.file_error import about_file
from imports.files.free_names import names, with_end
from imports.files.whole_file import sync_folder
from imports.items.source import Signature, Source
from imports.source.drafts import part_of
from imports.source.moving import make_folder
from imports.source.publishing import publish_copy
from imports.source.tree import is_unchanged

ADVICE = "Make room, make it writable, choose another folder with --backup-dir, or leave that out."


@dataclass(frozen=True, slots=True)
class Backups:
    """Copies files of a source to a folder, under their paths in the source."""

    folder: str
    source: Source

    def keep(self, files: Iterable[tuple[str, Signature]]) -> None:
        """Copies files that still have their signatures, and syncs the copies to disk.

        Nothing is overwritten: if another content has the name, the copy's name ends with the time
        of the file. A file whose content has a copy is not copied again, so this can be repeated.

        Raises:
            DiskError: if a file cannot be copied.
        """
        folders = set()
        for path, signature in files:
            destination = Path(self.folder, path)
            original = Path(self.source.absolute(path))
            same = partial(is_unchanged, signature=signature)
            try:
                make_folder(destination.parent)
                part = part_of(original, destination.parent)
                publish_copy(original, part, _names(destination, signature), same)
            except FileNotFoundError:
                continue  # it changed meanwhile: another run imports and copies what is there then
            except OSError as error:
                what = f"{path} is imported, but cannot be copied to {self.folder}"
                raise about_file(what, error, ADVICE) from error
            folders.add(destination.parent)
        for folder in folders:
            sync_folder(folder)


def _names(destination: Path, signature: Signature) -> Iterator[Path]:
    """The name, then the name with the time of the file, then numbers too."""
    yield destination
    changed = datetime.fromtimestamp(signature.mtime_ns / 1e9, UTC)
    yield from names(with_end(destination, f"_{changed:%Y%m%d_%H%M%S}{destination.suffix}"))
