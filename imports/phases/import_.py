"""Import: batches of rows are merged (`merging`), and recorded in the ledger."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from imports.items.phase import Phase
from imports.items.records import RowOutcome
from imports.items.work_item import ItemState, WorkItem
from imports.phases.disposal import dispose_items
from imports.phases.merge_job import begin_batch, begin_piece
from imports.phases.merging import (
    Imported,
    ImportTarget,
    import_batch,
    import_piece,
    item_failures,
    write_status_files,
)
from imports.phases.pieces import PieceReader
from imports.phases.placements import finish_placements, skipped_items
from imports.phases.prepare import batches, largest_item
from imports.phases.unexplained import UnexplainedRefusals
from imports.run.spool import SpoolReader
from imports.workers.chained import Chained
from imports.workers.executors import FEW_ITEMS, run_bounded

if TYPE_CHECKING:
    from imports.run.session import RunSession

_log = logging.getLogger("imports.run")

_OUTCOMES = {
    RowOutcome.INSERTED: ("inserted", "🆕 inserted %s"),
    RowOutcome.UPDATED: ("updated", "📝 updated %s"),
    RowOutcome.SKIPPED: ("skipped", "⏭️  skipped, older %s"),
    RowOutcome.UNCHANGED: ("unchanged", "🟰 unchanged %s"),
    RowOutcome.GUARDED: ("guarded", "🔒 guarded, unchanged %s"),
}


_RARE = ("import.guarded", "import.left_out")


def import_items(session: RunSession) -> int:
    """Imports the planned items, a batch at a time; returns their number."""
    settings = session.settings
    largest = largest_item(session.kind)
    total = session.queue.open(ItemState.PLANNED, settings.limit, largest)
    session.display.begin(Phase.IMPORT, total)
    target = ImportTarget(
        session.target.config,
        session.kind.group,
        session.run_values(),
        session.state.cycle_name,
        session.status_files,
        session.backups,
    )
    parsers, waiting = session.workers.for_parsing(total), session.workers.for_waiting()
    executor = Chained(parsers, waiting, partial(begin_batch, SpoolReader(session.spool)))
    done = 0
    refusals = UnexplainedRefusals(session.queue.tried)
    for undated in (False, True):
        # The first of several undated records must win, whichever worker is faster.
        at_once = 1 if undated or settings.batch_delay else session.merges_at_once
        for imported in run_bounded(
            executor,
            partial(import_batch, target),
            batches(session, undated=undated),
            in_flight=at_once,
            stop=session.policy.stop,
            weigh=lambda job: job.weight,
            most_weight=session.most_weight_at_once,
        ):
            for each in refusals.take(imported):
                _record(session, each)
                session.advance(Phase.IMPORT, len(each.item_ids))
            done += len(imported.item_ids)
            if settings.batch_delay and done < total:
                session.policy.stop.wait(settings.batch_delay)
        session.raise_if_stopping()
        for each in refusals.rest():
            _record(session, each)
            session.advance(Phase.IMPORT, len(each.item_ids))
        if not undated:
            for item in session.queue.large():
                _import_large(session, target, item)
    session.spool.clear()
    finish_placements(session)
    return total


def _import_large(session: RunSession, target: ImportTarget, item: WorkItem) -> None:
    """Imports an item in pieces; the ledger records the progress after each piece."""
    reader = PieceReader(session, item)
    # One thread of this process would parse, encode and merge one after the other.
    parsers = session.workers.for_parsing(FEW_ITEMS)
    began_at = time.time()
    done = item.records_done
    ahead: dict[int, tuple[range, Imported]] = {}
    for numbers, imported in run_bounded(
        Chained(parsers, session.workers.for_waiting(), begin_piece),
        partial(import_piece, target),
        reader.jobs(),
        in_flight=session.merges_at_once,
        stop=session.policy.stop,
        # If an early piece waits, those after it do not go on without end.
        weigh=lambda _: int(len(ahead) >= session.merges_at_once),
    ):
        UnexplainedRefusals(session.queue.tried).take(imported)
        ahead[numbers.start] = numbers, imported
        # In order: the ledger counts the imported records from the first one.
        while done in ahead:
            numbers, imported = ahead.pop(done)
            done = numbers.stop
            counts = _outcome_counts(imported) | session.cleaned_counts(imported.cleaned)
            session.queue.record_piece(
                item.id,
                done,
                counts,
                imported.took,
                len(imported.merged),
                imported.record_failures,
                imported.exempt,
            )
            _log_records(imported)
            session.display.mention(f"  {item.path}: {done:,} records")
        session.update_progress()
        session.checkpoint()
    session.raise_if_stopping()
    failures = item_failures(session.queue.record_failures(item.id))
    if reader.problem is not None:
        failures = [(item.id, reader.problem)]
    if reader.stays:
        session.disposals.leave([item.id])
    if target.backups is not None and not failures:
        target.backups.keep([(item.path, item.signature)])
    imported = Imported([item.id], failures, cleaned=reader.cleaned, took=(began_at, time.time()))
    _record(session, imported)
    session.advance(Phase.IMPORT, 1)


def _record(session: RunSession, imported: Imported) -> None:
    counts = _outcome_counts(imported) | session.cleaned_counts(imported.cleaned)
    counts["import.failed_batches" if imported.failures else "import.completed_batches"] = 1
    if imported.failures:
        counts["import.failed"] = len(imported.failures)
    if session.placements.is_used:
        session.placements.record_skipped(imported.item_ids, skipped_items(imported.merged))
    session.queue.record_imported(
        imported.item_ids,
        imported.failures,
        counts,
        imported.took,
        imported.succeeded,
        imported.record_failures,
        imported.exempt,
    )
    if session.status_files is not None and imported.unexplained_items:
        imported.unwritten = write_status_files(
            session.status_files, imported.unexplained_items, imported
        )
    session.note_unwritten(imported.unwritten)
    for item_id, reason in imported.failures:
        _log.error("%s: %s", session.items.path(item_id), reason)
    _log_records(imported)
    dispose_items(session, imported.item_ids)


def _outcome_counts(imported: Imported) -> dict[str, int]:
    # Letters, since hashing an enum member is slow.
    letters = "".join([outcome for _, outcome, _ in imported.merged])
    counts = {f"import.{name}": letters.count(each) for each, (name, _) in _OUTCOMES.items()}
    counts["import.total_imported"] = counts["import.inserted"] + counts["import.updated"]
    counts["import.refused"] = len(imported.record_failures)
    counts["import.left_out"] = sum(each.outcome is RowOutcome.LEFT_OUT for each in imported.exempt)
    counts |= {f"import.derived.{table}": rows for table, rows in imported.derived.items()}
    # Few kinds have these outcomes: a zero is not shown.
    return {name: count for name, count in counts.items() if count or name not in _RARE}


def _log_records(imported: Imported) -> None:
    if _log.isEnabledFor(logging.DEBUG):
        for _, outcome, label in imported.merged:
            _log.debug(_OUTCOMES[outcome][1], label)
        for record in imported.exempt:
            if record.outcome is RowOutcome.LEFT_OUT:
                _log.debug("🔗 left out, its parent is missing %s", record.label)
        for label, row in imported.refused:
            _log.debug("🚫 refused %s: %s", label, row.decode().rstrip())
