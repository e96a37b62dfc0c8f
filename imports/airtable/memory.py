"""The memory of the syncs, in the target: the notes, the watermark, the calls, the active sync."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from imports.backends.reading import RowReader
from imports.errors import LockedError
from imports.workers.process_id import is_running

FUNCTION = "importer_airtable"

_PROCESS = uuid4().hex[:8]
"""Tells this process from others with the same number."""
_HOLDER = re.compile(r"process (?P<number>\d+) \((?P<process>\w+)\) on (?P<host>.*)", re.DOTALL)


class Position(NamedTuple):
    """A row of `elvis__structured_insights` in their order: by time of change, then by id."""

    updated_at: str
    id: str


@dataclass(frozen=True, slots=True)
class NoteState:
    """What is known of the note of a contact.

    `record_id` is its record, and `sent_hash` what that has. With an `intended_hash`, and without a
    `record_id`, a request to create it may have been sent. `member_notes` are the records that
    linked to the member before that. `problem` is why Airtable has not got the last version, and
    `refused_hash` is what it refused. `version` and `insight_updated_at` are those of what it has.
    `age` is how many seconds ago this was written.
    """

    contact_id: str
    table_name: str
    member_id: str | None = None
    member_notes: tuple[str, ...] = ()
    record_id: str | None = None
    sent_hash: str | None = None
    intended_hash: str | None = None
    refused_hash: str | None = None
    problem: str | None = None
    version: int | None = None
    insight_updated_at: str | None = None
    age: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether its record may exist, and is not known."""
        return self.intended_hash is not None and self.record_id is None


@dataclass(slots=True)
class _Pending:
    notes: dict[str, NoteState] = field(default_factory=dict)
    synced_to: Position | None = None


class SyncMemory:
    """The memory of one base. What is noted is written with the next request to the target.

    All methods raise the errors of Database, and LockedError if another sync is active.
    """

    def __init__(
        self, database: RowReader, base: str, today: Callable[[], datetime] | None = None
    ) -> None:
        """Reads and writes nothing yet."""
        self._database = database
        self._base = base
        self._today = today or (lambda: datetime.now(UTC))
        self._sync_id = str(uuid4())
        self._pending = _Pending()
        self._month = ""
        self._counted_before = 0
        self._counted = 0
        self.calls_this_month = 0
        """The calls of all syncs."""

    def begin(self) -> Position | None:
        """Becomes the active sync; returns the last row up to which Airtable has all.

        Raises:
            LockedError: if another sync is active, and its process may be alive.
        """
        begins = {"sync_id": self._sync_id, "begins_as": _this_process()}
        answer = self._call(begins)
        if _is_dead(answer.get("held_by")):
            answer = self._call({**begins, "ended_sync": answer["held_sync"]})
        if "held_by" in answer:
            raise LockedError(
                f"Another sync into the base {self._base} is active: {answer['held_by']}. Wait for"
                " it to end. If it was killed, wait five minutes."
            )
        return _position(answer)

    def look(self) -> Position | None:
        """The last row up to which Airtable has all, without becoming the active sync."""
        return _position(self._call({}))

    def note(self, *states: NoteState) -> None:
        """Notes what is known of notes."""
        self._pending.notes |= {each.contact_id: each for each in states}

    def note_position(self, position: Position) -> None:
        """Notes that Airtable has all rows up to this one."""
        self._pending.synced_to = position

    @property
    def noted(self) -> int:
        """How many notes wait to be written."""
        return len(self._pending.notes)

    def write(self, calls: int, *, ends: bool = False) -> None:
        """Writes what was noted, and the number of calls of this sync.

        With `ends`, this sync is no longer active.

        Raises:
            LockedError: if another sync has become active.
        """
        self._count(calls)
        pending = self._pending
        request: dict[str, Any] = {
            "sync_id": self._sync_id,
            "calls": self._counted,
            "notes": [_row(each) for each in pending.notes.values()],
        }
        if pending.synced_to is not None:
            request["synced_to"], request["synced_id"] = pending.synced_to
        if ends:
            request["ends"] = True
        answer = self._call(request)
        if "held_by" in answer:
            raise LockedError(
                f"Another sync into the base {self._base} has become active, since this one did"
                " not write for a long time. This one ends. Run it again."
            )
        self._pending = _Pending()

    def notes(self, contacts: Sequence[str]) -> dict[str, NoteState]:
        """What is known of the notes of some contacts."""
        stored = {
            row["contact_id"]: _state(row)
            for row in self._call({"contacts": list(contacts)})["notes"]
        }
        wanted = set(contacts)
        newer = {name: each for name, each in self._pending.notes.items() if name in wanted}
        return {**stored, **newer}

    def waiting(self, after: str, limit: int) -> list[str]:
        """The next contacts that earlier syncs could not settle, in the order of their ids."""
        found: list[str] = self._call({"after": after, "limit": limit})["waiting"]
        return found

    def _count(self, calls: int) -> None:
        month = f"{self._today():%Y-%m-01}"
        if month != self._month:
            # The calls of an earlier month are written already, but for the last request.
            self._month, self._counted_before = month, self._counted_before + self._counted
        self._counted = calls - self._counted_before

    def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        month = self._month or f"{self._today():%Y-%m-01}"
        payload = orjson.dumps({"base_id": self._base, "month": month, **request})
        answer = self._database.call(FUNCTION, payload, _object)
        self.calls_this_month = answer.get("calls", self.calls_this_month)
        return answer


def _object(answer: Any) -> dict[str, Any]:
    if isinstance(answer, dict):
        return answer
    raise ValueError("expected an object")


def _row(state: NoteState) -> dict[str, Any]:
    row = asdict(state)
    del row["age"]
    return row


def _state(row: dict[str, Any]) -> NoteState:
    values = {each.name: row[each.name] for each in fields(NoteState)}
    return NoteState(**{**values, "member_notes": tuple(row["member_notes"] or ())})


def _position(answer: dict[str, Any]) -> Position | None:
    if answer["synced_to"] is None:
        return None
    return Position(answer["synced_to"], answer["synced_id"])


def _this_process() -> str:
    return f"process {os.getpid()} ({_PROCESS}) on {socket.gethostname()}"


def _is_dead(holder: str | None) -> bool:
    """Whether a sync was one of this machine, and its process has ended."""
    found = _HOLDER.fullmatch(holder or "")
    if found is None or found["host"] != socket.gethostname():
        return False
    number = int(found["number"])
    # In a container, the next process often has the same number.
    return found["process"] != _PROCESS if number == os.getpid() else not is_running(number)
