"""A contact on its way to Airtable, and the queues that it waits in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from imports.airtable.memory import NoteState, Position
from imports.airtable.note import Note
from imports.airtable.outcome import Action
from imports.backends.reading import Row

T = TypeVar("T")

NOT_COMPLETED = "its processing_status is not completed"
NO_TEXT = "it has no text"
NO_INSIGHTS = "there are no insights of this contact"


@dataclass(slots=True, eq=False)
class Task:
    """A contact on its way: its note, what is known of that, and the positions of its row.

    With `again`, somebody had deleted its note. `tries` counts creations without an answer. With
    `looked_again`, its member was looked up twice, since the first one had been deleted.
    """

    note: Note
    hash: str
    state: NoteState
    positions: list[Position] = field(default_factory=list)
    again: bool = False
    tries: int = 0
    looked_again: bool = False

    @property
    def contact(self) -> str:
        """Its contact id."""
        return self.note.contact_id

    @property
    def is_doubtful(self) -> bool:
        """Whether Airtable refused it last time: then it is sent alone."""
        return self.state.refused_hash is not None


@dataclass(slots=True)
class Queues:
    """The contacts by what comes next.

    `looked_up`: their members are looked up; `found`: some records that were added to their members
    may be theirs; `created` and `updated`: their notes are sent.
    """

    looked_up: list[Task] = field(default_factory=list)
    found: list[tuple[Task, list[str]]] = field(default_factory=list)
    created: list[Task] = field(default_factory=list)
    updated: list[Task] = field(default_factory=list)

    @property
    def are_empty(self) -> bool:
        """Whether nobody waits."""
        return not (self.looked_up or self.found or self.created or self.updated)


def taken(queue: list[T], most: int) -> list[T]:
    """Takes the first ones from a queue."""
    first, queue[:] = queue[:most], queue[most:]
    return first


def planned(now: str, state: NoteState, *, force: bool = False, insists: bool = False) -> Action:
    """What a note needs, by the hash of what it is `now` and what is known of it.

    With `force`, it is sent if it has not changed; with `insists`, also if Airtable refused it.
    """
    if now == state.refused_hash and not (force or insists):
        return Action.FAILED
    if state.record_id is None:
        return Action.CREATED
    return Action.UPDATED if force or now != state.sent_hash else Action.UNCHANGED


def skip_reason(row: Row, note: Note, state: NoteState) -> str | None:
    """Why a contact has nothing to be sent, if so."""
    if row["processing_status"] not in (None, "completed"):
        return NOT_COMPLETED
    if note.is_empty and state.record_id is None and not state.is_open:
        return NO_TEXT
    return None
