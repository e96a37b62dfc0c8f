"""A dry run: reads and converts the items of a source, without a ledger and without a target."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from imports.errors import RecordError
from imports.items.source import Source
from imports.items.work_item import ListedItem, WorkItem
from imports.kinds import kind_named
from imports.kinds.kind import Kind
from imports.kinds.placements import check_placements
from imports.phases.prepare import (
    PIECE_RECORDS,
    encode_records,
    largest_item,
    read_items,
    reason_of,
    row_encoders,
)
from imports.phases.walking import Walk, nothing_found, single, walk
from imports.run.source import find_source, source_of
from imports.settings import Settings
from imports.source.image_finder import ImageFinder, image_finder
from imports.source.tree import ListedEntry, ListingProblem
from imports.tables.row_format import RowFormat
from imports.workers.executors import FEW_ITEMS, Workers, run_bounded

if TYPE_CHECKING:
    from imports.tables.row_format import Encoder

_AT_ONCE = 256
"""Items in one job of a worker."""


class Finding(NamedTuple):
    """What is wrong with an item: with a value or a record (`field`), or as a whole.

    `fails` says that the item, or the record, would not be imported.
    """

    path: str
    field: str
    problem: str
    fails: bool = True


@dataclass(slots=True)
class Checked:
    """The number of checked items, of those that would fail, and what is wrong."""

    items: int = 0
    failing: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CheckJob:
    """Some items of a kind to check."""

    kind: str
    source: Source
    finder: ImageFinder
    items: list[ListedItem]


def check_source(settings: Settings, stop: threading.Event) -> Iterator[Checked]:
    """Checks every item of a source, or its single item; yields the results of some at a time.

    Raises:
        UsageError: if the source has no item of the kind.
        InterruptedRunError: if it was stopped.
    """
    kind = kind_named(settings.kind)
    folder, single_item = find_source(settings, kind)
    source = source_of(settings, kind, folder)
    finder = image_finder(Path(source.folder), settings.image_roots)
    found = False
    with closing(Workers(settings.max_workers)) as workers:
        only = source.file_name or single_item
        through = Walk(kind, source, workers, stop)
        entries = islice(
            walk(through) if only is None else single(kind, source, only), settings.limit
        )
        first = list(islice(entries, FEW_ITEMS))
        problems: list[ListingProblem] = []
        jobs = _jobs(kind, source, finder, chain(first, entries), problems)
        executor = workers.for_parsing(len(first))
        for checked in run_bounded(
            executor, check_items, jobs, in_flight=workers.in_flight(executor), stop=stop
        ):
            found = True
            yield checked
    for problem in problems:
        found = True
        yield Checked(1, 1, [Finding(problem.path, "", problem.reason)])
    if not found:
        raise nothing_found(kind, source, only)


def _jobs(
    kind: Kind,
    source: Source,
    finder: ImageFinder,
    entries: Iterable[ListedEntry],
    problems: list[ListingProblem],
) -> Iterator[CheckJob]:
    """The entries in jobs; what is no item goes to the problems."""
    remaining = iter(entries)
    while some := list(islice(remaining, _AT_ONCE)):
        problems += [each for each in some if isinstance(each, ListingProblem)]
        items = sorted(each for each in some if isinstance(each, ListedItem))
        if items:
            yield CheckJob(kind.name, source, finder, items)


def check_items(job: CheckJob) -> Checked:
    """Checks the items of a job."""
    kind = kind_named(job.kind)
    encoders = row_encoders(kind, RowFormat.COPY)
    largest = largest_item(kind)
    checked = Checked(len(job.items))
    large: list[WorkItem] = []
    items: list[WorkItem] = []
    for number, (path, signature) in enumerate(job.items):
        is_large = largest is not None and signature.size > largest
        (large if is_large else items).append(WorkItem(number, path, signature))
    for item, content, tally in read_items(kind, job.source, items):
        if isinstance(content, Exception):
            _add(checked, _findings(item.path, content))
            continue
        try:
            plan = kind.plan(job.source, item.path, content, job.finder)
            if plan.placements:
                check_placements(plan)
            found = [Finding(item.path, "", each, fails=False) for each in plan.warnings]
            problems = encode_records(kind, encoders, item.id, content, (), tally).problems
            found += [Finding(item.path, each.label, each.reason) for each in problems]
        except Exception as error:  # noqa: BLE001 - a defect must cost one item, not the run
            found = _findings(item.path, error)
        _add(checked, found)
    for item in large:
        _add(checked, _check_large(kind, encoders, job.source, item))
    return checked


def _check_large(
    kind: Kind, encoders: list[Encoder], source: Source, item: WorkItem
) -> list[Finding]:
    """What is wrong with an item that is read in pieces."""
    found: list[Finding] = []
    read = kind.pieces
    try:
        pieces = (
            read(source, item.path, item.signature, 0, PIECE_RECORDS, Counter()) if read else ()
        )
        for piece in pieces:
            problems = encode_records(
                kind, encoders, item.id, piece.content, (), Counter(), piece.first
            ).problems
            found += [Finding(item.path, each.label, each.reason) for each in problems]
    except Exception as error:  # noqa: BLE001 - as above
        found += _findings(item.path, error)
    return found


def _findings(path: str, error: Exception) -> list[Finding]:
    if isinstance(error, RecordError) and error.problems:
        return [Finding(path, place, problem) for place, problem in error.problems]
    return [Finding(path, "", reason_of(error))]


def _add(checked: Checked, found: list[Finding]) -> None:
    checked.findings += found
    checked.failing += any(each.fails for each in found)
