"""Sending what waits in the queues: look-ups, creations and updates.

The order of a creation is: (1) the memory has the intention, (2) the request, (3) the memory has
the ids of the records. After a crash between these steps, the next sync finds the record by the
links of the member: those that were not there before the intention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from imports.airtable.answers import MissingRecordError, RefusedRecordError, UnsureError
from imports.airtable.base import (
    CONTACTS_A_CALL,
    RECORDS_A_CALL,
    AirtableBase,
    Member,
    StoredNote,
)
from imports.airtable.memory import NoteState, SyncMemory
from imports.airtable.outcome import Action, Outcome
from imports.airtable.task import Queues, Task, taken
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    ImporterError,
)

NO_MEMBER = "no record in the table of members has this contact id"

_REFUSALS = 3
"""After so many, with the same reason and no record accepted, the table is the cause."""
_TRIES = 4
"""How often the same note is created, if there is no answer."""


class Sender:
    """Works off the queues. `end` gets each contact that leaves them, with its outcome.

    Raises the errors of SyncMemory and of AirtableBase.
    """

    def __init__(
        self,
        memory: SyncMemory,
        base: AirtableBase,
        queues: Queues,
        end: Callable[[Task, Outcome], None],
    ) -> None:
        """Sends nothing yet."""
        self._memory = memory
        self._base = base
        self._config = base.config
        self._queues = queues
        self._end = end
        self._accepts = False
        self._refusals: list[str] = []

    def finish(self) -> None:
        """Works off all queues."""
        while not self._queues.are_empty:
            self.work(all_of_it=True)

    def work(self, *, all_of_it: bool = False) -> None:
        """Works off the queues as far as they fill requests; `all_of_it` does not wait for that."""
        queues = self._queues
        while len(queues.looked_up) >= (1 if all_of_it else CONTACTS_A_CALL):
            self._look_up(taken(queues.looked_up, CONTACTS_A_CALL))
        while len(queues.found) >= (1 if all_of_it else CONTACTS_A_CALL):
            self._recognize(taken(queues.found, CONTACTS_A_CALL))
        for queue, send in ((queues.created, self._create), (queues.updated, self._update)):
            for task in [each for each in queue if each.is_doubtful]:
                queue.remove(task)
                send([task])
            while len(queue) >= (1 if all_of_it else RECORDS_A_CALL):
                send(taken(queue, RECORDS_A_CALL))

    def _look_up(self, tasks: list[Task]) -> None:
        ages = [task.state.age for task in tasks if task.state.is_open]
        if ages:
            # The request of a killed sync may still be on its way.
            self._base.let_settle(min(ages))
        self._write()
        found = self._base.members([task.contact for task in tasks])
        for task in tasks:
            members = found[task.contact]
            if len(members) != 1:
                self._fail(task, _no_single(members))
                continue
            (member,) = members
            before = set(task.state.member_notes)
            if task.state.is_open and (added := [i for i in member.notes if i not in before]):
                self._queues.found.append((task, added))
                continue
            task.state = replace(
                task.state,
                member_id=member.id,
                member_notes=member.notes,
                intended_hash=None,
                age=0.0,
            )
            self._memory.note(task.state)
            self._queues.created.append(task)

    def _recognize(self, found: list[tuple[Task, list[str]]]) -> None:
        """Finds out which of the records that were added to members are ours."""
        self._write()
        added = self._base.notes([record_id for _, record_ids in found for record_id in record_ids])
        ours = {each.id: each for each in added if each.type == self._config.note_submission.type}
        for task, record_ids in found:
            mine = sorted((ours[each] for each in record_ids if each in ours), key=_by_creation)
            if not mine:
                before = (*task.state.member_notes, *record_ids)
                task.state = replace(task.state, member_notes=before, intended_hash=None)
                self._queues.created.append(task)
                continue
            # Another one may be somebody else's: then ours gets its text once more.
            sent = task.state.intended_hash if len(mine) == 1 else None
            task.state = replace(task.state, record_id=mine[0].id, sent_hash=sent)
            if sent == task.hash:
                self._has(task, Action.CREATED)
            else:
                self._memory.note(task.state)
                self._queues.updated.append(task)

    def _create(self, tasks: list[Task]) -> None:
        for task in tasks:
            task.state = replace(task.state, intended_hash=task.hash, age=0.0)
            self._memory.note(task.state)
        self._write()
        fields = [task.note.new_fields(self._config, task.state.member_id or "") for task in tasks]
        try:
            record_ids = self._base.create(fields)
        except UnsureError as error:
            self._look_again(tasks, error)
        except MissingRecordError as error:
            gone = [task for task in tasks if task.state.member_id == error.record_id]
            self._without(tasks, gone, error, self._create)
            for task in gone:
                self._member_is_gone(task, error)
        except RefusedRecordError as error:
            self._halve(tasks, error, self._create)
        except ImporterError:
            # It was not sent, or refused as a whole.
            self._memory.note(*(replace(task.state, intended_hash=None) for task in tasks))
            raise
        else:
            for task, record_id in zip(tasks, record_ids, strict=True):
                task.state = replace(task.state, record_id=record_id, sent_hash=task.hash)
                self._has(task, Action.MADE_AGAIN if task.again else Action.CREATED)

    def _update(self, tasks: list[Task]) -> None:
        self._write()
        try:
            self._base.update(
                [
                    (task.state.record_id or "", task.note.changed_fields(self._config))
                    for task in tasks
                ]
            )
        except MissingRecordError as error:
            gone = [task for task in tasks if task.state.record_id == error.record_id]
            self._without(tasks, gone, error, self._update)
            for task in gone:
                task.again = True
                task.state = NoteState(task.contact, task.state.table_name)
                self._queues.looked_up.append(task)
        except RefusedRecordError as error:
            self._halve(tasks, error, self._update)
        else:
            for task in tasks:
                task.state = replace(task.state, sent_hash=task.hash)
                self._has(task, Action.UPDATED)

    def _look_again(self, tasks: list[Task], error: UnsureError) -> None:
        """After a request without an answer: waits for Airtable, and looks what it has."""
        for task in tasks:
            task.tries += 1
        if max(task.tries for task in tasks) >= _TRIES:
            raise BackendUnavailableError(str(error)) from error
        self._look_up(tasks)

    def _member_is_gone(self, task: Task, error: DataRefusedError) -> None:
        task.state = replace(task.state, member_id=None, intended_hash=None)
        if task.looked_again:
            self._fail(task, str(error))
            return
        task.looked_again = True
        self._queues.looked_up.append(task)

    def _without(
        self,
        tasks: list[Task],
        gone: list[Task],
        error: RefusedRecordError,
        send: Callable[[list[Task]], None],
    ) -> None:
        """Sends the tasks whose record is not gone; halves them if no task has it."""
        left = [task for task in tasks if task not in gone]
        if not gone:
            self._halve(tasks, error, send)
        elif left:
            send(left)

    def _halve(
        self,
        tasks: list[Task],
        error: RefusedRecordError,
        send: Callable[[list[Task]], None],
    ) -> None:
        """Sends each half of refused tasks, until the refused one stands alone."""
        if len(tasks) > 1:
            middle = len(tasks) // 2
            send(tasks[:middle])
            send(tasks[middle:])
            return
        task = tasks[0]
        task.state = replace(task.state, intended_hash=None, refused_hash=task.hash)
        self._fail(task, str(error), error.field)
        self._refusals.append(str(error))
        if not self._accepts and self._refusals.count(str(error)) >= _REFUSALS:
            raise BackendError(
                f"Airtable refuses every note for the same reason: {error} The table is probably"
                " the cause: `resilient-importer airtable-sync --check` compares it with"
                " airtable.toml."
            )

    def _has(self, task: Task, action: Action) -> None:
        """Airtable has the note of a task."""
        self._accepts = True
        task.state = replace(
            task.state,
            table_name=self._config.note_submission.table,
            intended_hash=None,
            refused_hash=None,
            problem=None,
            version=task.note.version,
            insight_updated_at=task.note.updated_at,
        )
        self._memory.note(task.state)
        self._end(task, Outcome(task.contact, action, record_id=task.state.record_id))

    def _fail(self, task: Task, reason: str, refused: str | None = None) -> None:
        """The note cannot be sent. If it is open, it stays open."""
        task.state = replace(task.state, problem=reason)
        self._memory.note(task.state)
        self._end(task, Outcome(task.contact, Action.FAILED, reason, refused))

    def _write(self) -> None:
        """Writes the memory, with the request that comes now."""
        self._memory.write(self._base.calls + 1)


def _no_single(members: Sequence[Member]) -> str:
    if not members:
        return NO_MEMBER
    ids = ", ".join(sorted(each.id for each in members))
    return f"several records in the table of members have this contact id: {ids}; keep one of them"


def _by_creation(note: StoredNote) -> tuple[str, str]:
    return note.created, note.id
