"""Which contacts are synced: a selection, and the pages of their rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from imports.airtable import rows
from imports.airtable.memory import Position, SyncMemory
from imports.backends.reading import Row, RowReader


@dataclass(frozen=True, slots=True)
class Selection:
    """Which contacts are synced. By default, those whose insights are new since the last sync.

    `contacts` are the only ones; `since` selects those whose insights have changed in this time;
    `everything` selects all.
    """

    contacts: tuple[str, ...] = ()
    since: timedelta | None = None
    everything: bool = False

    @property
    def insists(self) -> bool:
        """Whether notes that Airtable refused are sent again."""
        return bool(self.contacts) or self.everything


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of contacts.

    If they are `of_contacts`, each is the last one of its contact, and `missing` are the contacts
    without a row. Otherwise they are in the order of their changes; with `moves`, the watermark
    follows.
    """

    rows: list[Row]
    of_contacts: bool = False
    missing: frozenset[str] = field(default_factory=frozenset)
    moves: bool = False

    @property
    def contacts(self) -> list[str]:
        """The contacts of its rows."""
        return sorted({row["contact_id"] for row in self.rows})


def pages(
    reader: RowReader, memory: SyncMemory, selection: Selection, position: Position | None
) -> Iterator[Page]:
    """The selected rows; `position` is the last row up to which Airtable has all.

    By default, first those of contacts that earlier syncs could not settle.
    """
    if selection.contacts:
        for first in range(0, len(selection.contacts), rows.PAGE_SIZE):
            yield _of(reader, selection.contacts[first : first + rows.PAGE_SIZE])
        return
    moves = selection.since is None
    if selection.since is not None:
        position = rows.first_after(datetime.now(UTC) - selection.since)
    elif selection.everything:
        position = None
    else:
        after = ""
        while waiting := memory.waiting(after, rows.PAGE_SIZE):
            yield _of(reader, tuple(waiting))
            after = waiting[-1]
    for found in rows.since(reader, position):
        yield Page(found, moves=moves)


def _of(reader: RowReader, contacts: tuple[str, ...]) -> Page:
    found = rows.of_contacts(reader, contacts)
    missing = frozenset(contacts) - {row["contact_id"] for row in found}
    return Page(found, of_contacts=True, missing=missing)
