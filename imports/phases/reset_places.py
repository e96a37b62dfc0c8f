"""Removes images at places of their own in a reset, after the rows that named them.

An image stays if a row in the target still names its place. It is safe to kill and repeat it: the
ledger marks the places first, and deletes each mark only after its image is removed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

from imports.backends.reading import RowQuery, RowReader, pages
from imports.errors import ImageProblemError
from imports.items.images import Placement
from imports.ledger import KnownPlace, MarkedPlace, ResetPlaces
from imports.phases.putting import PlaceTarget, remove_copy, take_back
from imports.run.reset import ResetReport, ResetTarget
from imports.tables.table import NamedPlaces
from imports.workers.executors import in_a_thread

_log = logging.getLogger("imports.run")

_PAGE = 100
"""Places that are checked, and whose images are removed, at once."""

_ROWS_AT_ONCE = 1_000

_UNDECLARED = "its kind does not say which rows name it: it stays"


def remove_placed(
    on: ResetTarget,
    target: PlaceTarget,
    places: ResetPlaces,
    columns: Iterable[NamedPlaces],
    report: ResetReport,
) -> None:
    """Takes back the images of items that were never merged, and removes images that no row names.

    `columns` are the columns of all kinds that name places.

    Raises:
        BackendUnavailableError: if the target does not answer any more.
        InterruptedRunError: if the reset was asked to stop.
    """
    for unfinished in places.unfinished(_PAGE):
        done = _each(on, partial(_take_back, target), unfinished, report)
        places.record_taken_back(done, {})
        on.raise_if_stopping()
    columns = list(columns)
    declared = {each.bucket for each in columns}
    for page in places.marked(_PAGE):
        undeclared = [each.known for each in page if each.known.place.bucket not in declared]
        report.problems += [(str(known.place), _UNDECLARED) for known in undeclared]
        asked = [each for each in page if each.known.place.bucket in declared]
        named = in_a_thread(
            named_places, on.database, columns, [each.known.place for each in asked]
        )
        places.keep([*undeclared, *(each.known for each in asked if each.known.place in named)])
        others = [each for each in asked if each.known.place not in named]
        places.forget(_each(on, partial(_remove, target), others, report))
        on.mention(f"Removed: {report.images:,} images")
        on.raise_if_stopping()


def named_places(
    reader: RowReader, columns: Iterable[NamedPlaces], places: list[Placement]
) -> set[Placement]:
    """The places that a row names in one of the columns."""
    found: set[Placement] = set()
    for each in columns:
        paths = [place.path for place in places if place.bucket == each.bucket]
        if not paths:
            continue
        where = {each.column: paths}
        query = RowQuery(each.table, _ROWS_AT_ONCE, ("id",), where=where, columns=(each.column,))
        for rows in pages(reader, query):
            found |= {Placement(each.bucket, row[each.column]) for row in rows}
    return found


def _take_back(target: PlaceTarget, marked: MarkedPlace) -> str | None:
    _, left = take_back(target, marked.known)
    return left


def _remove(target: PlaceTarget, marked: MarkedPlace) -> str | None:
    """Removes the image at a place if a run has put it; otherwise returns why it stays."""
    known = marked.known
    size = target.places.size(known.place)
    remove_copy(target, known)
    if size is None:
        return None
    same = target.hash(known.place) == known.sha256 if marked.size is None else size == marked.size
    if not same:
        return "somebody else has put another image there: it stays"
    target.places.remove(known.place)
    return None


def _each(
    on: ResetTarget,
    do: Callable[[MarkedPlace], str | None],
    jobs: list[MarkedPlace],
    report: ResetReport,
) -> list[KnownPlace]:
    """Calls `do` for several places at once; returns the places where it succeeded."""

    def attempt(job: MarkedPlace) -> tuple[bool, str | None]:
        try:
            return True, do(job)
        except ImageProblemError as error:
            return False, str(error)

    finished = []
    for job, (done, problem) in zip(jobs, on.threads.map(attempt, jobs), strict=True):
        if done:
            finished.append(job.known)
        if problem is None:
            report.images += 1
        else:
            _log.error("reset: %s: %s", job.known.place, problem)
            report.problems.append((str(job.known.place), problem))
    return finished
