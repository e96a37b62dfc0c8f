"""The images at places of their own that a reset removes, after the rows that named them.

The target says which rows are still there: an image stays if any row names its place. It is safe
to be killed anywhere, and repeated: the ledger has marked the places first, and forgets each only
after its image is removed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

from imports.backends.reading import RowQuery, RowReader
from imports.errors import ImageProblemError
from imports.items.images import Placement
from imports.ledger import KnownPlace, MarkedPlace, ResetPlaces
from imports.phases.putting import PlaceTarget, remove_copy, take_back
from imports.run.reset import ResetReport, ResetTarget
from imports.tables.table import NamedPlaces
from imports.workers.executors import in_a_thread

_log = logging.getLogger("imports.run")

_PAGE = 100
"""So many places are looked at, and their images removed, at once."""

_ROWS_AT_ONCE = 1_000

_UNDECLARED = "its kind does not say which rows name it: it stays"


def remove_placed(
    on: ResetTarget,
    target: PlaceTarget,
    places: ResetPlaces,
    columns: Iterable[NamedPlaces],
    report: ResetReport,
) -> None:
    """Takes back the images of items whose rows were never merged; removes those no row names.

    `columns` are those of all kinds that name places.

    Raises:
        BackendUnavailableError: if the target does not answer any more.
        InterruptedRunError: if it was asked to stop.
    """
    for unfinished in places.unfinished(_PAGE):
        done = _each(on, partial(_take_back, target), unfinished, report)
        places.record_taken_back(done, {})
        on.raise_if_stopping()
    columns = list(columns)
    declared = {each.bucket for each in columns}
    for page in places.marked(_PAGE):
        in_doubt = [each.known for each in page if each.known.place.bucket not in declared]
        report.problems += [(str(known.place), _UNDECLARED) for known in in_doubt]
        asked = [each for each in page if each.known.place.bucket in declared]
        named = in_a_thread(
            named_places, on.database, columns, [each.known.place for each in asked]
        )
        places.keep([*in_doubt, *(each.known for each in asked if each.known.place in named)])
        others = [each for each in asked if each.known.place not in named]
        places.forget(_each(on, partial(_remove, target), others, report))
        on.mention(f"Removed: {report.images:,} images")
        on.raise_if_stopping()


def named_places(
    reader: RowReader, columns: Iterable[NamedPlaces], places: list[Placement]
) -> set[Placement]:
    """Those places that rows name in some columns."""
    found: set[Placement] = set()
    for each in columns:
        wanted = {each.column: [place.path for place in places if place.bucket == each.bucket]}
        after = None
        while wanted[each.column]:
            rows = reader.rows(
                RowQuery(each.table, _ROWS_AT_ONCE, ("id",), after, wanted, columns=(each.column,))
            )
            found |= {Placement(each.bucket, row[each.column]) for row in rows}
            if len(rows) < _ROWS_AT_ONCE:
                break
            after = rows[-1]
    return found


def _take_back(target: PlaceTarget, marked: MarkedPlace) -> str | None:
    _, left = take_back(target, marked.known)
    return left


def _remove(target: PlaceTarget, marked: MarkedPlace) -> str | None:
    """Removes the image at a place if it is the one that a run put; else why it stays."""
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
    """Does something at several places at once; those where it was done."""

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
