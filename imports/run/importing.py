"""Import, seen from the coordinator: batches of rows are merged, and the ledger told."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial

from imports.backends.target import MERGES_AT_ONCE
from imports.phases.import_ import Imported, ImportTarget, import_batch
from imports.run.session import RunSession
from imports.work_item import ItemState, Phase, RowOutcome
from imports.workers import run_bounded

_log = logging.getLogger("imports.run")

_OUTCOMES = {
    RowOutcome.INSERTED: ("inserted", "🆕 inserted %s"),
    RowOutcome.UPDATED: ("updated", "📝 updated %s"),
    RowOutcome.SKIPPED: ("skipped", "⏭️  skipped, older %s"),
    RowOutcome.UNCHANGED: ("unchanged", "🟰 unchanged %s"),
}


def import_items(session: RunSession) -> int:
    """Imports the items that are planned, a batch at a time; returns how many there were."""
    settings = session.settings
    total = session.queue.open(ItemState.PLANNED, settings.limit)
    session.display.begin(Phase.IMPORT, total)
    target = ImportTarget(
        session.target.database,
        session.policy,
        session.kind.group,
        session.run_values(),
        session.workers.for_parsing(total),
        session.spool,
        session.status_files,
    )
    at_once = min(MERGES_AT_ONCE, session.workers.max_workers)
    done = 0
    for imported in run_bounded(
        session.workers.for_waiting(),
        partial(import_batch, target),
        session.batches(),
        in_flight=1 if settings.batch_delay else at_once,
        stop=session.policy.stop,
    ):
        _record(session, imported)
        session.advance(Phase.IMPORT, len(imported.item_ids))
        done += len(imported.item_ids)
        if settings.batch_delay and done < total:
            session.policy.stop.wait(settings.batch_delay)
    session.raise_if_stopping()
    session.spool.clear()
    return total


def _record(session: RunSession, imported: Imported) -> None:
    outcomes = Counter(outcome for outcome, _ in imported.outcomes)
    counts = {f"import.{_OUTCOMES[letter][0]}": count for letter, count in outcomes.items()}
    counts["import.total_imported"] = outcomes[RowOutcome.INSERTED] + outcomes[RowOutcome.UPDATED]
    counts["import.failed_batches" if imported.failures else "import.completed_batches"] = 1
    counts |= session.cleaned_counts(imported.cleaned)
    session.queue.record_imported(imported.item_ids, imported.failures, counts, imported.took)
    session.note_unwritten(imported.unwritten)
    for item_id, reason in imported.failures:
        _log.error("%s: %s", session.items.path(item_id), reason)
    if _log.isEnabledFor(logging.DEBUG):
        for outcome, label in imported.outcomes:
            _log.debug(_OUTCOMES[outcome][1], label)
        for label, row in imported.refused:
            _log.debug("🚫 refused %s: %s", label, row.decode().rstrip())
