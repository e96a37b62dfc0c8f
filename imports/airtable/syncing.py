"""A sync as a whole: what it selects, that it is the only one, and its report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from imports.airtable import rows
from imports.airtable.base import AirtableBase
from imports.airtable.config import AirtableConfig
from imports.airtable.memory import NoteState, SyncMemory
from imports.airtable.note import note_of
from imports.airtable.outcome import Action, Outcome, SyncReport
from imports.airtable.selection import Selection, pages
from imports.airtable.sync import Sync
from imports.airtable.task import NO_INSIGHTS, planned, skip_reason
from imports.backends.reading import Row
from imports.backends.retrying import RetryingDatabase
from imports.errors import BackendUnavailableError, ImporterError, InterruptedRunError, LockedError

Tell = Callable[[Outcome], None]


def nobody(outcome: Outcome) -> None:
    """Tells nobody."""


def sync(
    database: RetryingDatabase,
    base: AirtableBase,
    selection: Selection,
    tell: Tell = nobody,
    *,
    force: bool = False,
) -> SyncReport:
    """Syncs into a base. With `force`, unchanged notes are sent again.

    Raises:
        LockedError: if another sync into the base is active.
        BackendError, BackendUnavailableError: if the target or Airtable refuse us, or stay away.
        InterruptedRunError: if it was asked to stop. What is done stays done, also then.
    """
    report = SyncReport()
    told = _to_both(report, tell)
    memory = SyncMemory(database, base.config.base)
    try:
        position = memory.begin()
        with _ending(memory, base):
            work = Sync(database, memory, base, told, force=force, insists=selection.insists)
            for page in pages(database, memory, selection, position):
                work.take(page)
            work.finish()
    except BackendUnavailableError as error:
        if base.is_stopping:
            raise InterruptedRunError(
                f"The sync was stopped while it waited: {error} The same command continues it."
            ) from error
        raise
    finally:
        report.calls = base.calls
        report.calls_this_month = memory.calls_this_month
    return report


def plan(
    database: RetryingDatabase,
    config: AirtableConfig,
    selection: Selection,
    tell: Tell = nobody,
    *,
    force: bool = False,
) -> SyncReport:
    """What `sync` would do. It asks only the target: members are not looked up."""
    report = SyncReport()
    told = _to_both(report, tell)
    memory = SyncMemory(database, config.base)
    position = memory.look()
    seen: dict[str, str] = {}
    for page in pages(database, memory, selection, position):
        states = memory.notes(page.contacts)
        latest = rows.latest(database, page.contacts)
        for row in page.rows:
            contact = row["contact_id"]
            if latest.get(contact) != row["id"] or seen.get(contact) == row["updated_at"]:
                continue
            if page.of_contacts:
                seen[contact] = row["updated_at"]
            state = states.get(contact) or NoteState(contact, "")
            told(_planned(config, row, state, force=force, insists=selection.insists))
        for contact in sorted(page.missing):
            told(Outcome(contact, Action.FAILED, NO_INSIGHTS))
    report.calls_this_month = memory.calls_this_month
    return report


def _to_both(report: SyncReport, tell: Tell) -> Tell:
    def told(outcome: Outcome) -> None:
        report.add(outcome)
        tell(outcome)

    return told


def _planned(
    config: AirtableConfig, row: Row, state: NoteState, *, force: bool, insists: bool
) -> Outcome:
    note = note_of(row)
    if (reason := skip_reason(row, note, state)) is not None:
        return Outcome(note.contact_id, Action.SKIPPED, reason)
    action = planned(note.hash(config), state, force=force, insists=insists)
    reason = state.problem if action is Action.FAILED else None
    return Outcome(note.contact_id, action, reason or "", record_id=state.record_id)


@contextlib.contextmanager
def _ending(memory: SyncMemory, base: AirtableBase) -> Iterator[None]:
    """At the end, writes what was noted; the sync is then no longer active."""
    try:
        yield
    except LockedError:
        raise
    except BaseException:
        # The error is what the user must see.
        with contextlib.suppress(ImporterError):
            memory.write(base.calls, ends=True)
        raise
    memory.write(base.calls, ends=True)
