"""The entries of folders: the workers of the listing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from imports.items.source import Source
from imports.kinds import kind_named
from imports.source.disk import read_all
from imports.source.local_file import LinkedFile, LocalFile, local_file, part_files
from imports.source.name_patterns import matcher
from imports.source.set_aside import is_aside_folder
from imports.source.tree import ListedEntry, ListingProblem, printable, unlistable

if TYPE_CHECKING:
    from imports.kinds.kind import Kind

MOST_ENTRIES = 500
"""A folder with more entries is large: it is read as a stream, never as a whole."""

_TOGETHER = 2
"""Folders in one job of a thread."""


@dataclass(frozen=True, slots=True)
class ListJob:
    """Some folders of a source, by their prefixes: `a/b/`, or empty for the source itself."""

    kind: str
    source: Source
    prefixes: list[str]


@dataclass(slots=True)
class ListedFolders:
    """The work items in `count` folders, and the prefixes of the folders in them.

    `large` are the prefixes of folders to read with `read_large`; `links` are the paths of links to
    folders; `aside` are the prefixes of hidden folders with files that were set aside.
    """

    count: int
    entries: list[ListedEntry] = field(default_factory=list)
    subfolders: list[str] = field(default_factory=list)
    large: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)

    def extend(self, other: ListedFolders) -> None:
        """Adds the content of another result."""
        self.count += other.count
        self.entries += other.entries
        self.subfolders += other.subfolders
        self.large += other.large
        self.links += other.links
        self.aside += other.aside


def list_folders(job: ListJob) -> ListedFolders:
    """Lists the folders of a job; one that cannot be listed becomes a problem."""
    some = [
        replace(job, prefixes=job.prefixes[start : start + _TOGETHER])
        for start in range(0, len(job.prefixes), _TOGETHER)
    ]
    whole = ListedFolders(0)
    for listed in read_all(_list_some, some, at_once=True):
        whole.extend(listed)
    return whole


def _list_some(job: ListJob) -> ListedFolders:
    kind, source = kind_named(job.kind), job.source
    listed = ListedFolders(len(job.prefixes))
    for prefix in job.prefixes:
        if is_aside_folder(prefix):
            listed.aside.append(prefix)
            continue
        try:
            with os.scandir(_place(source, prefix)) as entries:
                found = list(islice(entries, MOST_ENTRIES + 1))
            if len(found) > MOST_ENTRIES:
                listed.large.append(prefix)
                continue
            is_left_out = source.leaves_out(prefix)
            links = Links()
            folders: list[os.DirEntry[str]] = []
            files: list[LocalFile] = []
            for entry in found:
                if is_left_out(entry.name):
                    continue
                if entry.name in kind.parts and entry.is_dir():
                    files += part_files(source, prefix, entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry)
                elif not entry.is_symlink():
                    files.append(LocalFile(entry))
                elif not links.take(source, prefix, entry):
                    files.append(LinkedFile(entry, source))
            items = list(kind.items_in(source, prefix, files))
        except OSError as error:
            listed.entries.append(_problem(source, prefix, error))
            continue
        listed.entries += items
        listed.entries += links.problems
        listed.links += links.folders
        listed.subfolders += [f"{prefix}{folder.name}/" for folder in folders]
    return listed


@dataclass(slots=True)
class Links:
    """The links in some folders: the paths of those to folders, and those that lead nowhere.

    A link that leads nowhere and has no name of a work item may lead to an unmounted disk.
    """

    folders: list[str] = field(default_factory=list)
    problems: list[ListingProblem] = field(default_factory=list)

    def take(self, source: Source, prefix: str, entry: os.DirEntry[str]) -> bool:
        """Records a link; returns whether it leads to a folder."""
        path = f"{prefix}{entry.name}"
        try:
            is_folder = stat.S_ISDIR(entry.stat().st_mode)
        except OSError as error:
            if not (matcher(source.patterns)(entry.name) or entry.name.startswith(".")):
                reason = f"is a link that leads nowhere: {error.strerror}"
                self.problems.append(ListingProblem(printable(path), reason))
            return False
        if is_folder:
            self.folders.append(path)
        return is_folder


Problems = dict[str, ListingProblem]
"""Folders that cannot be listed, by their paths."""


def read_large(
    kind: Kind, source: Source, prefix: str, problems: Problems, links: Links
) -> Iterator[ListedEntry]:
    """The work items in a large folder; records its links, and a problem if it cannot be read."""
    files = (
        local_file(source, entry)
        for entry in _read(source, prefix, folders=False)
        if not entry.is_symlink() or not links.take(source, prefix, entry)
    )
    try:
        parts = chain.from_iterable(part_files(source, prefix, name) for name in kind.parts)
        yield from kind.items_in(source, prefix, chain(files, parts))
    except OSError as error:
        problems[prefix] = _problem(source, prefix, error)


def subfolders_of_large(source: Source, prefix: str, problems: Problems) -> Iterator[str]:
    """The prefixes of the folders in a large one; records a problem if it cannot be read."""
    try:
        for folder in _read(source, prefix, folders=True):
            yield f"{prefix}{folder.name}/"
    except OSError as error:
        problems[prefix] = _problem(source, prefix, error)


def _problem(source: Source, prefix: str, error: OSError) -> ListingProblem:
    return unlistable(prefix.removesuffix("/") or source.folder, error)


def _read(source: Source, prefix: str, *, folders: bool) -> Iterator[os.DirEntry[str]]:
    """Yields the folders, or the files, in a folder, in no order."""
    is_left_out = source.leaves_out(prefix)
    with os.scandir(_place(source, prefix)) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) is folders and not is_left_out(entry.name):
                yield entry


def _place(source: Source, prefix: str) -> str:
    return source.absolute(prefix) if prefix else source.folder
