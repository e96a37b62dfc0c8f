"""The folder that is imported, and the signatures of what is in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from imports.errors import LedgerError
from imports.files.regular_file import LatestFolder, OpenedFile
from imports.files.system_names import is_system_name


class Signature(NamedTuple):
    """Changes when a file changes: its size in bytes and its mtime in nanoseconds.

    The signature of a folder has the sum of its files' sizes, the latest of their mtimes, their
    count, and a digest over names, sizes and mtimes.
    """

    size: int
    mtime_ns: int
    file_count: int = 1
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The folder that is imported, by its real, absolute path, and which files belong to it.

    If `is_file`, it is a file instead, which is the only work item, by its name.

    `patterns` are shell patterns for names of files; the kind decides what they select. `left_out`
    has, for the prefix of a folder (`a/b/`), beginnings of names that do not belong to the source;
    `apart` has the prefixes of folders that do not. `roots` are the real folders, each with a
    separator at its end, that links may lead to in addition to the source. `follows_links` says
    whether linked folders are listed. `options` are the values, by name, of the kind's
    `row_options` that were given.
    """

    folder: str
    patterns: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()
    roots: tuple[str, ...] = ()
    follows_links: bool = True
    options: Mapping[str, str] = field(default_factory=dict)
    is_file: bool = False
    latest: LatestFolder | None = field(default=None, compare=False, repr=False)

    @property
    def file_name(self) -> str | None:
        """The name of the only work item, if the source is a file."""
        return os.path.basename(self.folder) if self.is_file else None

    def opening(self) -> Source:
        """The same source, to open a batch of its files with: see `LatestFolder`."""
        return replace(self, latest=LatestFolder(self.may_read))

    def open(self, path: str) -> OpenedFile:
        """Opens a file by its absolute path, if it may be read.

        Raises:
            OSError: if it cannot be opened, is not a regular file, or is a link that leads out.
        """
        return (self.latest or LatestFolder(self.may_read)).open(path)

    def may_read(self, real_path: str) -> bool:
        """Whether this real path is in the source, or in a folder that links may lead to."""
        return f"{real_path}{os.sep}".startswith((os.path.join(self.folder, ""), *self.roots))

    def absolute(self, path: str) -> str:
        """The absolute path of a work item.

        Raises:
            LedgerError: if it leads out of the source, so that it cannot come from a listing.
        """
        if (".." in path or path[:1] == "/") and not is_below(path):
            raise LedgerError(
                f"The ledger names {path}, which is outside the source: somebody has changed the"
                " ledger. Move it away and run again: the importer finds what the target already"
                " has."
            )
        return self.folder if self.is_file else f"{self.folder}{os.sep}{path}"

    def leaves_out(self, prefix: str) -> Callable[[str], bool]:
        """The function that says whether a name in a folder does not belong to the source."""
        # Chosen once for each folder: nearly always it only depends on the name.
        if prefix in self.left_out or self.apart:
            return partial(self.is_left_out, prefix)
        return is_system_name

    def is_left_out(self, prefix: str, name: str) -> bool:
        """Whether a name in a folder is not a part of the source."""
        if is_system_name(name):
            return True
        beginnings = self.left_out.get(prefix)
        if beginnings is not None and name.startswith(beginnings):
            return True
        return bool(self.apart) and f"{prefix}{name}/" in self.apart


def is_below(path: str) -> bool:
    """Whether a relative path with slashes stays inside its folder."""
    return not path.startswith("/") and "\0" not in path and ".." not in path.split("/")


def folder_prefix(path: str) -> str:
    """The prefix of names in a folder: its path with a slash; empty for the source itself."""
    return "" if path == "." else f"{path}/"
