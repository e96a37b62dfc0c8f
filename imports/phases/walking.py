"""Walking: workers read the folders of a source, and find its work items."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from imports.errors import InterruptedRunError, UsageError
from imports.items.source import Source, folder_prefix
from imports.items.work_item import ListedItem
from imports.kinds.kind import Kind
from imports.phases.linked_folders import LinkedFolders
from imports.phases.listed_folders import (
    Links,
    ListJob,
    Problems,
    list_folders,
    read_large,
    subfolders_of_large,
)
from imports.source.tree import ListedEntry, ListingProblem
from imports.workers.executors import Workers, run_bounded


@dataclass(frozen=True, slots=True)
class Walk:
    """What is walked through, and with what. After `stop` is set, it ends with an error."""

    kind: Kind
    source: Source
    workers: Workers
    stop: threading.Event


def walk(
    through: Walk, put_back: Callable[[str], Iterator[ListedEntry]] | None = None
) -> Iterator[ListedEntry]:
    """All work items of a source, in no order.

    Linked folders come after all others, so the result does not depend on the order of listing.
    Memory holds only a few batches of folders that are not listed yet. `put_back` gets the prefix
    of each hidden folder with files that were set aside, and yields these.

    Raises:
        InterruptedRunError: if it was stopped.
    """
    problems: Problems = {}
    links = Links()
    linked = LinkedFolders(through.source)
    prefixes = [""]
    while prefixes:
        yield from _walk_from(through, prefixes, problems, links, put_back)
        if through.kind.is_flat:
            break
        prefixes, unfollowed = linked.to_follow(links.folders)
        yield from unfollowed
        links.folders.clear()
    yield from links.problems
    yield from problems.values()


def single(kind: Kind, source: Source, item: str) -> Iterator[ListedEntry]:
    """The single item; a file may have any name, a folder must be an item of the kind."""
    if kind.items_are_folders:
        problems: Problems = {}
        yield from read_large(kind, source, folder_prefix(item), problems, Links())
        yield from problems.values()
        return
    try:
        yield ListedItem(item, kind.sign(source, item))
    except OSError as error:
        yield ListingProblem(item, f"cannot be read: {error.strerror}")


def nothing_found(kind: Kind, source: Source, only: str | None) -> UsageError:
    """The error if a source has no item, or `only` is none."""
    place = f"below {source.folder}" if only is None else f"at {source.absolute(only)}"
    return UsageError(
        f"No {kind.wording.items_sought} found: nothing {place}"
        f" {kind.wording.condition} {' or '.join(source.patterns)}."
        " Check the source and the permissions."
    )


def _walk_from(
    through: Walk,
    prefixes: list[str],
    problems: Problems,
    links: Links,
    put_back: Callable[[str], Iterator[ListedEntry]] | None,
) -> Iterator[ListedEntry]:
    """The work items in some folders and below them; does not follow links."""
    kind, source, workers = through.kind, through.source, through.workers
    waiting: list[Iterator[str]] = [iter(prefixes)]
    seen = 0
    aside_prefixes: list[str] = []
    while waiting:
        batches = partial(_batches, waiting)
        executor, most = workers.for_listing(seen)
        for listed in run_bounded(
            executor,
            list_folders,
            (ListJob(kind.name, source, each) for each in batches(most)),
            in_flight=workers.in_flight(executor),
            stop=through.stop,
        ):
            seen += listed.count
            yield from listed.entries
            links.folders += listed.links
            if not kind.is_flat:
                waiting.append(iter(listed.subfolders))
            aside_prefixes += listed.aside
            for prefix in listed.large:
                yield from read_large(kind, source, prefix, problems, links)
                if not kind.is_flat:
                    waiting.append(subfolders_of_large(source, prefix, problems))
        if through.stop.is_set():
            raise InterruptedRunError("The run was stopped. The same command resumes it.")
    if put_back is not None:
        for prefix in aside_prefixes:
            yield from put_back(prefix)


def _batches(waiting: list[Iterator[str]], most: int | None) -> Iterator[list[str]]:
    """Takes batches from the waiting folders, the latest first, until none is waiting."""
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


BATCH_SIZE = 256
"""Folders that a worker lists at once."""
