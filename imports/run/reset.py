"""Reset: deletes what a run wrote, and makes its items importable again.

The order makes it safe to kill and repeat it: first the ledger, so that no item counts as imported
whose rows may be deleted; then the rows, with a record of their images; then the images that no row
names any more, first from the list of images, then from the store.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

from imports.backends.deleting import Written, resettable
from imports.backends.halving import in_parts
from imports.backends.reading import WrittenRow, written_rows
from imports.backends.retrying import RetryingDatabase, RetryingStore
from imports.errors import (
    BackendUnavailableError,
    DataRefusedError,
    ImageProblemError,
    InterruptedRunError,
)
from imports.items.run_name import cycle_run_name
from imports.ledger import LedgerFile, RunLedger, Undone, undo_runs
from imports.tables.table import Table, TableGroup
from imports.workers.executors import in_a_thread

_log = logging.getLogger("imports.run")

IMAGES_AT_ONCE = 50
"""Images in one request; their hashes are in a URL."""

MOST_LISTED = 1_000

_CYCLES_AT_ONCE = 100
"""Cycles in one request, if the number of a run's cycles is unknown."""


def _nobody_hears(progress: str) -> None:
    """Shows no progress."""


@dataclass(frozen=True, slots=True)
class ResetTarget:
    """The database and the image store of a reset, and threads for the store.

    `mention` gets messages about the progress. If the stop event of the database's policy is set,
    the reset ends after the current request.
    """

    database: RetryingDatabase
    store: RetryingStore
    threads: Executor
    mention: Callable[[str], None] = _nobody_hears

    def raise_if_stopping(self) -> None:
        """Ends the reset, if it was asked to stop.

        Raises:
            InterruptedRunError: if it was.
        """
        if self.database.policy.stop.is_set():
            raise InterruptedRunError("The reset was stopped. The same command continues it.")


@dataclass(slots=True)
class ResetReport:
    """The result of a reset: rows by the label of their table, images, and items of the ledger.

    `stayed` counts rows to which other rows refer, `kept` names the first of them; `problems` are
    images that could not be removed, each with its reason: a reset of any run retries them.
    """

    items: Undone
    deleted: Counter[str] = field(default_factory=Counter)
    stayed: Counter[str] = field(default_factory=Counter)
    kept: list[str] = field(default_factory=list)
    images: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing stayed."""
        return not self.stayed.total() and not self.problems


@dataclass(frozen=True, slots=True)
class BatchToReset:
    """A batch id, the own names of its runs in the ledger, and the tables that they write.

    Without names, the ledger knows none of its runs.
    """

    id: str
    run_names: tuple[str, ...]
    group: TableGroup


def count_batch(target: ResetTarget, ledger: LedgerFile, batch: BatchToReset) -> Written:
    """Counts what a reset of a batch would delete."""
    batch_ids = ids_on_rows(target, ledger, batch)
    return in_a_thread(target.database.count_written, batch.group, batch_ids)


def reset_batch(target: ResetTarget, ledger: LedgerFile, batch: BatchToReset) -> ResetReport:
    """Deletes what the runs of a batch wrote. Repeating it is safe.

    No import into the same target may be active.

    Raises:
        BackendUnavailableError: if the target does not answer any more, or takes too long.
        InterruptedRunError: if it was asked to stop.
        LedgerError: if the ledger cannot be written.
    """
    batch_ids = ids_on_rows(target, ledger, batch)
    report = ResetReport(undo_runs(ledger, batch.run_names))
    in_a_thread(_delete, target, batch.group, batch_ids, report)
    return report


def _delete(
    target: ResetTarget, group: TableGroup, batch_ids: Sequence[str], report: ResetReport
) -> None:
    forget_merges(target, batch_ids)
    delete_rows(target, group, batch_ids, report)
    remove_images(target, report)


def ids_on_rows(target: ResetTarget, ledger: LedgerFile, batch: BatchToReset) -> list[str]:
    """The batch ids on the rows of a batch, cycle by cycle.

    If the ledger does not know its runs, this asks the target for cycles until it has no rows of
    the next ones.
    """
    if batch.run_names:
        return max(map(RunLedger(ledger).cycles, batch.run_names), key=len)
    batch_ids: list[str] = []
    while True:
        first = len(batch_ids) + 1
        some = [cycle_run_name(batch.id, each) for each in range(first, first + _CYCLES_AT_ONCE)]
        found = in_a_thread(target.database.count_written, batch.group, some)
        if batch_ids and not any(each.rows for each in found.tables.values()):
            return batch_ids
        batch_ids += some


def forget_merges(target: ResetTarget, batch_ids: Sequence[str]) -> None:
    """Deletes the target's stored answers to merges: otherwise it would skip repeated merges."""
    for batch_id in batch_ids:
        target.database.forget_merges(batch_id)


def delete_rows(
    target: ResetTarget, group: TableGroup, batch_ids: Sequence[str], report: ResetReport
) -> None:
    """Deletes the rows of batches, a page at a time, children first."""
    for table in reversed(resettable(group)):
        after: str | None = None
        while page := written_rows(target.database, table, batch_ids, after):
            stayed = _delete_page(target, group, table, batch_ids, page)
            after = page[-1].id
            report.deleted[table.label] += len(page) - len(stayed)
            report.stayed[table.label] += len(stayed)
            listed = stayed[: MOST_LISTED - len(report.kept)]
            report.kept += [f"{table.label} {each.label}" for each in listed]
            target.mention(f"Deleted: {report.deleted.total():,} rows")
            target.raise_if_stopping()


def _delete_page(
    target: ResetTarget,
    group: TableGroup,
    table: Table,
    batch_ids: Sequence[str],
    page: list[WrittenRow],
) -> list[WrittenRow]:
    """Deletes a page of rows; returns those that stay."""

    def ask(database: RetryingDatabase, _: int, ids: list[str]) -> list[str]:
        return database.delete_written(group, table, ids, batch_ids)

    stayed: set[str] = set()
    for part in in_parts(target.database, [each.id for each in page], ask):
        if isinstance(part.answer, BackendUnavailableError):
            raise part.answer
        if isinstance(part.answer, DataRefusedError):
            _log.error("reset: %s %s stays: %s", table.label, part.things[0], part.answer)
            stayed.update(part.things)
        else:
            stayed.update(part.answer)
    return [each for each in page if each.id in stayed]


def remove_images(target: ResetTarget, report: ResetReport) -> None:
    """Removes the recorded images that no row names, also those that an earlier reset left."""
    kind, after = target.store.storage_type, ""
    while True:
        page = target.database.unlist_images(kind, after, IMAGES_AT_ONCE)
        if page.last is None:
            return
        after = page.last
        outcomes = target.threads.map(partial(_remove, target), page.places.values())
        problems = dict(zip(page.places, outcomes, strict=True))
        removed = [sha256 for sha256, problem in problems.items() if problem is None]
        if removed:
            target.database.forget_noted(removed)
        report.images += len(removed)
        report.problems += [
            (page.places[sha256], problem) for sha256, problem in problems.items() if problem
        ]
        target.mention(f"Removed: {report.images:,} images")
        target.raise_if_stopping()


def _remove(target: ResetTarget, storage_path: str) -> str | None:
    """Removes an image from the store; returns the problem, or None."""
    try:
        target.store.remove(storage_path)
    except ImageProblemError as error:
        _log.error("reset: %s stays: %s", storage_path, error)
        return str(error)
    return None
