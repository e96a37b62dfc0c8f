"""Reading rows of a table: pages of them in the order of a key, single ones, and a search.

What comes next is asked for by the last row that was seen, never by a number: a page at the far end
is as quick as the first, and rows that are written meanwhile move none to another page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from imports.errors import BackendUnavailableError, StatementCancelledError
from imports.source.json_text import as_json
from imports.tables.sql import described
from imports.tables.table import Table

Row = dict[str, Any]
"""A row by its columns, as JSON has their values; numbers have all their digits."""


@dataclass(frozen=True, slots=True)
class RowQuestion:
    """Which rows of a table are wanted: at most `limit`, in the order of the columns in `by`.

    Together these columns tell each row from all others; NULL comes last in them. It begins behind
    the row `after`. `where` has the values that a column may have. `contains` are columns and a
    text: one of them has the text in it, in whatever case. `columns` are those that are wanted;
    none means all.
    """

    table: Table
    limit: int
    by: tuple[str, ...]
    after: Mapping[str, Any] | None = None
    where: Mapping[str, Sequence[object]] | None = None
    contains: tuple[tuple[str, ...], str] | None = None
    columns: tuple[str, ...] = ()

    def as_json(self) -> bytes:
        """What the function `importer_rows` is asked."""
        columns, text = self.contains or ((), "")
        payload = {
            "table": described(self.table),
            "limit": self.limit,
            "by": [self._described(name) for name in self.by],
            "after": self.after and [self.after[name] for name in self.by],
            "where": [
                {**self._described(name), "values": list(values)}
                for name, values in (self.where or {}).items()
            ],
            "contains": {"columns": columns, "text": text},
            "columns": list(dict.fromkeys((*self.by, *self.columns))) if self.columns else [],
        }
        return as_json(payload)

    def _described(self, name: str) -> dict[str, Any]:
        column = self.table.column(name)
        return {"name": name, "type": column.type, "nullable": column.nullable}


class RowReader(Protocol):
    """What has rows to read; both backends are one. It raises as Database does."""

    def rows(self, question: RowQuestion) -> list[Row]:
        """The rows that are wanted, in their order."""
        ...


_PAGE_SIZE = 1_000
"""Rows that runs wrote, which are listed at once."""


class WrittenRow(NamedTuple):
    """A row that a run wrote: its id, and its key for people."""

    id: str
    label: str


def page(
    reader: RowReader,
    table: Table,
    *,
    limit: int,
    after: Mapping[str, Any] | None = None,
    where: Mapping[str, Sequence[object]] | None = None,
    columns: tuple[str, ...] = (),
) -> list[Row]:
    """The next rows of a table, in the order of its key.

    `after` is the last row of the page before. `where` has for some columns the values that are
    wanted. Where these name the dataset, an index leads to any page of it.
    """
    return reader.rows(RowQuestion(table, limit, table.key, after, where=where, columns=columns))


def one(reader: RowReader, table: Table, key: Mapping[str, object]) -> Row | None:
    """The first row that has these values in some columns; None if there is none."""
    where = {name: [value] for name, value in key.items()}
    return next(iter(reader.rows(RowQuestion(table, 1, table.key, where=where))), None)


def search(
    reader: RowReader,
    table: Table,
    columns: tuple[str, ...],
    text: str,
    *,
    limit: int,
    after: Mapping[str, Any] | None = None,
    where: Mapping[str, Sequence[object]] | None = None,
) -> list[Row]:
    """The next rows that have a text in one of some columns, in whatever case.

    No sign in it has a meaning of its own. Every row may have to be looked at.
    """
    if not _can_be_stored(text):
        return []
    return reader.rows(RowQuestion(table, limit, table.key, after, where, (columns, text)))


def written_rows(
    reader: RowReader,
    table: Table,
    run_names: Sequence[str],
    after: str | None,
) -> list[WrittenRow]:
    """The next rows that some runs wrote, by id, behind the one with the id `after`.

    It is a page of them, or fewer if a page takes too long.

    Raises:
        BackendUnavailableError: if even one row takes too long, or the target does not answer.
    """
    names = table.names or tuple(column.name for column in table.row_key)
    before = None if after is None else {"id": after}
    where = {"batch_id": run_names}
    question = RowQuestion(table, _PAGE_SIZE, ("id",), before, where, columns=names)
    while True:
        try:
            found = reader.rows(question)
        except StatementCancelledError as error:
            if question.limit == 1:
                raise BackendUnavailableError(f"Even one row takes too long: {error}.") from error
            question = replace(question, limit=question.limit // 2)
        else:
            return [
                WrittenRow(str(row["id"]), _label(row[name] for name in names)) for row in found
            ]


def _label(values: Iterable[object]) -> str:
    return "/".join("-" if value is None else str(value) for value in values)


def _can_be_stored(text: str) -> bool:
    """Whether PostgreSQL can have it in a text; nothing contains what it cannot."""
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)
