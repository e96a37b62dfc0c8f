"""A sync: from rows of insights to notes in Airtable, with as few requests as possible.

Rows go through queues: contacts whose member is looked up, up to 100 a request; records that may be
those of an earlier request; notes to create and notes to update, ten a request. A queue is worked
off when it is full, and at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from imports.airtable import rows
from imports.airtable.base import AirtableBase
from imports.airtable.memory import NoteState, Position, SyncMemory
from imports.airtable.note import note_of
from imports.airtable.outcome import Action, Outcome
from imports.airtable.selection import Page
from imports.airtable.sending import Sender
from imports.airtable.settled import Settled
from imports.airtable.task import NO_INSIGHTS, Queues, Task, planned, skip_reason
from imports.backends.reading import Row, RowReader

_LONGEST_KNOWN = 3_600.0
"""After so many seconds, a member is looked up again before its note is created."""
_MOST_NOTED = 1_000
"""Notes that are written even if nothing is sent."""


class Sync:
    """A sync into a base. With `force`, unchanged notes are sent again.

    With `insists`, so are notes that Airtable refused, and that have not changed since.

    Its methods raise LockedError if another sync has become active, and the errors of Database and
    of AirtableBase. What is done stays done, and the next sync continues.
    """

    def __init__(
        self,
        reader: RowReader,
        memory: SyncMemory,
        base: AirtableBase,
        tell: Callable[[Outcome], None],
        *,
        force: bool = False,
        insists: bool = False,
    ) -> None:
        """`tell` gets the outcome of each contact."""
        self._reader = reader
        self._memory = memory
        self._base = base
        self._tell = tell
        self._force = force
        self._insists = insists
        self._queues = Queues()
        self._sender = Sender(memory, base, self._queues, self._end)
        self._queued: dict[str, Task] = {}
        self._settled = Settled()
        self._done: dict[str, str] = {}

    def take(self, page: Page) -> None:
        """Takes the rows of a page. The last page is followed by `finish`."""
        latest = {row["contact_id"]: row["id"] for row in page.rows}
        if not page.of_contacts:
            latest = rows.latest(self._reader, page.contacts)
        if any(self._has_changed(row, latest) for row in page.rows):
            self._sender.finish()
        states = self._memory.notes(page.contacts)
        for row in page.rows:
            contact, stamp = row["contact_id"], row["updated_at"]
            positions = []
            if page.moves:
                positions = [Position(stamp, row["id"])]
                self._settled.begin(positions[0])
            if latest.get(contact) != row["id"]:
                self._settle(positions)
            elif (queued := self._queued.get(contact)) is not None:
                queued.positions += positions
            elif self._done.get(contact) == stamp:
                self._settle(positions)
            else:
                self._sort(row, states.get(contact), positions)
                if page.of_contacts:
                    self._done[contact] = stamp
        if page.missing:
            self._tell_missing(sorted(page.missing))
        self._sender.work()
        if self._memory.noted >= _MOST_NOTED:
            self._memory.write(self._base.calls)

    def finish(self) -> None:
        """Sends what is left."""
        self._sender.finish()

    def _tell_missing(self, contacts: list[str]) -> None:
        """Tells of contacts without a row, and forgets their problems. An open one stays open."""
        states = self._memory.notes(contacts)
        for contact in contacts:
            state = states.get(contact)
            if state is not None and state.problem is not None and not state.is_open:
                self._memory.note(replace(state, problem=None))
            self._tell(Outcome(contact, Action.FAILED, NO_INSIGHTS))

    def _has_changed(self, row: Row, latest: dict[str, str]) -> bool:
        """Whether a contact is queued with an earlier version of its row."""
        queued = self._queued.get(row["contact_id"])
        return (
            queued is not None
            and latest.get(row["contact_id"]) == row["id"]
            and (queued.note.row_id, queued.note.updated_at) != (row["id"], row["updated_at"])
        )

    def _sort(self, row: Row, known: NoteState | None, positions: list[Position]) -> None:
        """Puts a contact into its queue, unless there is nothing to do."""
        table = self._base.config.note_submission.table
        note = note_of(row)
        state = known or NoteState(note.contact_id, table)
        task = Task(note, note.hash(self._base.config), state, positions)
        skipped = skip_reason(row, note, state)
        if skipped is not None:
            self._end(task, Outcome(task.contact, Action.SKIPPED, skipped))
            return
        action = planned(task.hash, state, force=self._force, insists=self._insists)
        if action is Action.UNCHANGED:
            if state.problem is not None or state.version != note.version:
                state = replace(state, problem=None, version=note.version)
                self._memory.note(replace(state, insight_updated_at=note.updated_at))
            self._end(task, Outcome(task.contact, action, record_id=state.record_id))
            return
        if action is Action.FAILED:
            self._end(task, Outcome(task.contact, action, state.problem or ""))
            return
        self._queued[task.contact] = task
        if action is Action.UPDATED:
            self._queues.updated.append(task)
        elif state.member_id is None or state.is_open or state.age > _LONGEST_KNOWN:
            self._queues.looked_up.append(task)
        else:
            self._queues.created.append(task)

    def _end(self, task: Task, outcome: Outcome) -> None:
        self._queued.pop(task.contact, None)
        self._settle(task.positions)
        self._tell(outcome)

    def _settle(self, positions: list[Position]) -> None:
        for position in positions:
            last = self._settled.settle(position)
            if last is not None:
                self._memory.note_position(last)
