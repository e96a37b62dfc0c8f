"""Records of items: their rows, and what a merge did with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class RowOutcome(StrEnum):
    """What a merge did with one row. The values are the answers of the database.

    An undecided row was not written: the stored row differs, and it is unknown which is newer.
    A guarded row was not written because the stored one must not be changed; a row that is left
    out refers to a row that does not exist.
    """

    INSERTED = "I"
    UPDATED = "U"
    SKIPPED = "S"
    UNCHANGED = "="
    UNDECIDED = "?"
    GUARDED = "G"
    LEFT_OUT = "L"


def record_outcome(letters: str) -> RowOutcome:
    """The outcome of a record, from the outcomes of its rows without an owner, its first row first.

    Undecided, left-out and guarded rows decide first. The record counts as inserted only if its
    first row was inserted.
    """
    for telling in (RowOutcome.UNDECIDED, RowOutcome.LEFT_OUT, RowOutcome.GUARDED):
        if telling in letters:
            return telling
    if letters[0] == RowOutcome.INSERTED:
        return RowOutcome.INSERTED
    if RowOutcome.INSERTED in letters or RowOutcome.UPDATED in letters:
        return RowOutcome.UPDATED
    return RowOutcome.SKIPPED if RowOutcome.SKIPPED in letters else RowOutcome.UNCHANGED


class ExemptRecords(NamedTuple):
    """How many exempt records there are, and the first of them: path of the item, and label."""

    total: int = 0
    first: Sequence[tuple[str, str]] = ()


NOTHING_EXEMPT = ExemptRecords()


class Aggregate(NamedTuple):
    """Encoded rows of a record that are written together; the first row decides.

    `rows` are pairs of a table's index in the kind and a row. If records share rows (a company of
    several people), they have the same `key`. From the aggregates with one key in a batch, only one
    is merged: that with the latest `timestamp`, and among these that with the smallest `source`. A
    `timestamp` is a string that sorts by time. Aggregates without a key are all merged.
    """

    rows: tuple[tuple[int, bytes], ...]
    key: str | None = None
    timestamp: str = ""
    source: str = ""

    def wins_against(self, other: Aggregate) -> bool:
        """Whether this one is merged rather than another one with the same key."""
        if self.timestamp != other.timestamp:
            return self.timestamp > other.timestamp
        return self.source < other.source


class Record(NamedTuple):
    """One record of a work item, with encoded rows.

    `label` names it in messages (`Belmar/FL/PH23408`), `number` is its index in the item. Its own
    aggregate is the first.
    """

    item_id: int
    label: str
    aggregates: tuple[Aggregate, ...]
    number: int = 0

    @property
    def rows(self) -> tuple[tuple[int, bytes], ...]:
        """The rows of all its aggregates."""
        return tuple(row for aggregate in self.aggregates for row in aggregate.rows)

    @property
    def undated(self) -> bool:
        """Whether other records may have its key, and it has no date to compare."""
        own = self.aggregates[0]
        return own.key is not None and not own.timestamp


class RecordFailure(NamedTuple):
    """A record that failed, although others of its item may be imported, and the reason.

    `number` is its index in the item; `label` is empty if nothing names it.
    """

    item_id: int
    number: int
    label: str
    reason: str


class ExemptRecord(NamedTuple):
    """A record that rightly differs from the target: it is left out, or guarded.

    `number` is its index in the item; `outcome` is one of the two.
    """

    item_id: int
    number: int
    label: str
    outcome: RowOutcome


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of work items, read and encoded by a worker, to be merged.

    `failures` are pairs of item id and reason; `problems` are single records that cannot be read.
    `cleaned` counts, by item and value, the values that became NULL or lost characters. `summaries`
    has by item what its status file says in addition, for kinds that say more.
    """

    records: list[Record]
    failures: list[tuple[int, str]]
    problems: list[RecordFailure] = field(default_factory=list)
    cleaned: dict[int, dict[str, int]] = field(default_factory=dict)
    summaries: dict[int, Mapping[str, Any]] = field(default_factory=dict)


class Spooled(NamedTuple):
    """A prepared work item: its records, the values that were cleaned in them, and its summary."""

    records: list[Record]
    cleaned: dict[str, int]
    summary: Mapping[str, Any] | None = None
