"""Listing: the folders of a source are read, many at once, and the ledger told what is in them."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from imports.errors import UsageError
from imports.kinds import kind_named
from imports.phases.disposal import put_back_left
from imports.phases.linked_folders import LinkedFolders
from imports.run.consuming.stability import stable_since
from imports.source.disk import read_all
from imports.source.local_file import LinkedFile, LocalFile, local_file
from imports.source.name_patterns import matcher
from imports.source.set_aside import is_aside_folder
from imports.source.tree import ListedEntry, ListingProblem, printable, unlistable
from imports.work_item import ListedItem, Phase, Source, folder_prefix
from imports.workers.executors import run_bounded

if TYPE_CHECKING:
    from imports.kinds.kind import Kind
    from imports.ledger import Listing
    from imports.run.session import RunSession
    from imports.settings import Settings

_SHOWN_AT_ONCE = 1_000


def list_source(session: RunSession, *, again: bool = False) -> Listing:
    """Lists the source, and takes into the ledger what is new, changed, or to be tried again.

    When it is listed `again` in a run, only what is new or changed.

    Raises:
        UsageError: if there is nothing of the kind in the source.
    """
    settings, kind = session.settings, session.kind
    session.display.begin(Phase.PLANNING, None)
    entries = _walk(session) if session.single_item is None else _single(session)
    if session.listing.none_known() and not settings.scan_only:
        entries = session.workers.expect_parsing(entries)
    listing = session.listing.record(
        _shown(session, entries),
        whole=session.single_item is None,
        again=(settings.force or session.single_item is not None)
        and not settings.scan_only
        and not again,
        most_tries=0 if again else _most_tries(settings),
        resumed=session.resumed and not again and not settings.scan_only,
    )
    stable = stable_since(session)
    if stable is not None:
        session.growing.note(stable, time.monotonic())
    counts = session.counts()
    disposed = counts.get("import.files_deleted", 0) + counts.get("import.files_moved", 0)
    if not listing.total and not session.consumes_source:
        place = f"below {session.source.folder}"
        if session.single_item is not None:
            place = f"at {session.source.absolute(session.single_item)}"
        raise UsageError(
            f"No {kind.wording.items_sought} found: nothing {place}"
            f" {kind.wording.condition} {' or '.join(session.source.patterns)}."
            " Check the source and the permissions."
        )
    session.state.total_files = listing.total + disposed
    session.checkpoint(now=True)
    if again:
        return listing
    given_up = 0 if settings.scan_only else listing.given_up
    session.set_counts(
        Phase.PLANNING,
        unchanged=listing.unchanged,
        given_up=given_up,
        unreadable=listing.problems,
    )
    if listing.acknowledged or session.counts().get("planning.acknowledged"):
        session.set_counts(Phase.PLANNING, acknowledged=listing.acknowledged)
    return listing


def _most_tries(settings: Settings) -> int | None:
    if settings.scan_only:
        # It only looks: what failed stays failed until a run tries it.
        return 0
    return None if settings.retry_failed else settings.max_retries


def _walk(session: RunSession) -> Iterator[ListedEntry]:
    """All work items of the source, in no order.

    Folders to which links lead come after all others, so that it does not depend on the order by
    which link one is reached. However many folders are in one folder, no more of those that are
    yet to be listed are held than a few batches bring.
    """
    problems: Problems = {}
    links = Links()
    linked = LinkedFolders(session.source)
    prefixes = [""]
    while prefixes:
        yield from _walk_from(session, prefixes, problems, links)
        prefixes, passed_over = linked.to_follow(links.folders)
        yield from passed_over
        links.folders.clear()
    yield from links.problems
    yield from problems.values()


def _walk_from(
    session: RunSession, prefixes: list[str], problems: Problems, links: Links
) -> Iterator[ListedEntry]:
    """The work items in some folders and in those below them; linked folders are left out."""
    waiting: list[Iterator[str]] = [iter(prefixes)]
    seen = 0
    left: list[str] = []
    while waiting:
        batches = partial(_batches, waiting)
        executor, most = session.workers.for_listing(seen)
        for listed in run_bounded(
            executor,
            list_folders,
            (ListJob(session.kind.name, session.source, each) for each in batches(most)),
            in_flight=session.workers.in_flight(executor),
            stop=session.policy.stop,
        ):
            seen += listed.count
            yield from listed.entries
            links.folders += listed.links
            waiting.append(iter(listed.subfolders))
            left += listed.aside
            for prefix in listed.large:
                yield from read_large(session.kind, session.source, prefix, problems, links)
                waiting.append(subfolders_of_large(session.source, prefix, problems))
        session.raise_if_stopping()
    if session.consumes_source:
        for prefix in left:
            yield from _brought_home(session, prefix)


def _brought_home(session: RunSession, prefix: str) -> Iterator[ListedEntry]:
    """The files that a killed run had set aside: they are put back, and listed with the others.

    The ledger knows nothing more of them.
    """
    private = Path(session.source.absolute(prefix))
    try:
        names = {each.place.name for each in put_back_left(session, private)}
        if names:
            with os.scandir(private.parent) as entries:
                files = [
                    local_file(session.source, entry) for entry in entries if entry.name in names
                ]
            parent = prefix.removesuffix("/").rpartition("/")[0]
            yield from session.kind.items_in(session.source, folder_prefix(parent or "."), files)
    except OSError as error:
        yield ListingProblem(
            printable(prefix.removesuffix("/")),
            f"holds files that a killed run had set aside, and cannot be emptied: {error.strerror};"
            " move them back to the folder that it is in",
        )


def _batches(waiting: list[Iterator[str]], most: int | None) -> Iterator[list[str]]:
    """Takes batches from what is waiting, the latest first, until that is empty just now."""
    taken = 0
    while waiting and (most is None or taken < most):
        batch: list[str] = []
        while waiting and len(batch) < BATCH_SIZE:
            more = list(islice(waiting[-1], BATCH_SIZE - len(batch)))
            batch += more
            if len(batch) < BATCH_SIZE:
                waiting.pop()
        if batch:
            taken += len(batch)
            yield batch


def _single(session: RunSession) -> Iterator[ListedEntry]:
    """The single item, whatever its name; but a folder only if it is one of the kind's."""
    item = session.single_item or ""
    if session.kind.items_are_folders:
        problems: Problems = {}
        prefix = folder_prefix(item)
        yield from read_large(session.kind, session.source, prefix, problems, Links())
        yield from problems.values()
        return
    try:
        yield ListedItem(item, session.sign(item))
    except OSError as error:
        yield ListingProblem(item, f"cannot be read: {error.strerror}")


def _shown(session: RunSession, entries: Iterator[ListedEntry]) -> Iterator[ListedEntry]:
    """Passes entries on, and shows that they come."""
    for number, entry in enumerate(entries, 1):
        if number % _SHOWN_AT_ONCE == 0:
            session.display.advance(Phase.PLANNING, _SHOWN_AT_ONCE)
            session.raise_if_stopping()
        yield entry


BATCH_SIZE = 256
"""Folders that a worker lists at once."""

MOST_ENTRIES = 500
"""A folder with more entries is large: it is read as it comes, and never held as a whole."""

_TOGETHER = 2
"""So many of them are one job for a thread."""


@dataclass(frozen=True, slots=True)
class ListJob:
    """Some folders of a source, by their prefixes: `a/b/`, or nothing for the source itself."""

    kind: str
    source: Source
    prefixes: list[str]


@dataclass(slots=True)
class ListedFolders:
    """The work items in `count` folders, and the prefixes of the folders in them.

    `large` are those of the folders that were left for `read_large`; `links` are the paths of
    links to folders; `aside` are the folders in which files are set aside, which are no part of
    the source.
    """

    count: int
    entries: list[ListedEntry] = field(default_factory=list)
    subfolders: list[str] = field(default_factory=list)
    large: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)

    def extend(self, other: ListedFolders) -> None:
        """Takes in what is in another one."""
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
                if entry.is_dir(follow_symlinks=False):
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

    A link that leads nowhere under a name that no work item has may be a disk that is not there.
    """

    folders: list[str] = field(default_factory=list)
    problems: list[ListingProblem] = field(default_factory=list)

    def take(self, source: Source, prefix: str, entry: os.DirEntry[str]) -> bool:
        """Notes a link; whether it is one to a folder, and so no file."""
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
    """The work items in a large folder, and its links; that it cannot be read becomes a problem."""
    files = (
        local_file(source, entry)
        for entry in _read(source, prefix, folders=False)
        if not entry.is_symlink() or not links.take(source, prefix, entry)
    )
    try:
        yield from kind.items_in(source, prefix, files)
    except OSError as error:
        problems[prefix] = _problem(source, prefix, error)


def subfolders_of_large(source: Source, prefix: str, problems: Problems) -> Iterator[str]:
    """The prefixes of the folders in a large one; that it cannot be read becomes a problem."""
    try:
        for folder in _read(source, prefix, folders=True):
            yield f"{prefix}{folder.name}/"
    except OSError as error:
        problems[prefix] = _problem(source, prefix, error)


def _problem(source: Source, prefix: str, error: OSError) -> ListingProblem:
    return unlistable(prefix.removesuffix("/") or source.folder, error)


def _read(source: Source, prefix: str, *, folders: bool) -> Iterator[os.DirEntry[str]]:
    """The folders, or else the files, in a folder, as they come."""
    is_left_out = source.leaves_out(prefix)
    with os.scandir(_place(source, prefix)) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) is folders and not is_left_out(entry.name):
                yield entry


def _place(source: Source, prefix: str) -> str:
    return source.absolute(prefix) if prefix else source.folder
