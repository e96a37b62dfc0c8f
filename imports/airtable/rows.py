"""Reading the rows of insights that are to be synced, in pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from imports.airtable.memory import Position
from imports.backends.reading import Row, RowQuery, RowReader, pages
from imports.kinds.insights.tables import STRUCTURED_INSIGHTS

PAGE_SIZE = 100
_LISTED_AT_ONCE = 1_000
_FIRST_ID = "00000000-0000-0000-0000-000000000000"

_COLUMNS = ("contact_id", "updated_at", "version", "processing_status", "insights")


def since(reader: RowReader, position: Position | None) -> Iterator[list[Row]]:
    """Pages of all rows after a position, in the order of their changes."""
    after = position and position._asdict()
    by = ("updated_at", "id")
    return pages(reader, RowQuery(STRUCTURED_INSIGHTS, PAGE_SIZE, by, after, columns=_COLUMNS))


def of_contacts(reader: RowReader, contacts: Sequence[str]) -> list[Row]:
    """The last row of each of these contacts that has one."""
    wanted = latest(reader, contacts)
    if not wanted:
        return []
    where = {"id": sorted(wanted.values())}
    return reader.rows(
        RowQuery(STRUCTURED_INSIGHTS, len(wanted), ("id",), where=where, columns=_COLUMNS)
    )


def latest(reader: RowReader, contacts: Sequence[str]) -> dict[str, str]:
    """The id of the last row of each of these contacts that has one.

    Users may have written several rows of a contact, by the Python API or an earlier program.
    """
    found: dict[str, tuple[datetime, str]] = {}
    columns = ("contact_id", "updated_at")
    where = {"contact_id": list(contacts)}
    query = RowQuery(STRUCTURED_INSIGHTS, _LISTED_AT_ONCE, ("id",), where=where, columns=columns)
    for rows in pages(reader, query):
        for row in rows:
            this = (datetime.fromisoformat(row["updated_at"]), row["id"])
            found[row["contact_id"]] = max(this, found.get(row["contact_id"], this))
    return {contact: row_id for contact, (_, row_id) in found.items()}


def first_after(time: datetime) -> Position:
    """The position before all rows that changed at a time or later."""
    return Position(time.isoformat(), _FIRST_ID)
