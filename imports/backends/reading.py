"""Reading rows of a table: pages in an order, single rows, a count, and a search.

A page begins after the last row of the page before, not at a row number. So the last page is as
fast as the first, and rows that are written meanwhile do not move others to another page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeVar

from imports.errors import BackendUnavailableError, StatementCancelledError
from imports.source.json_text import as_json
from imports.tables.description import described
from imports.tables.table import Table

R = TypeVar("R")

Row = dict[str, Any]
"""The JSON values of a row by column; numbers keep all their digits."""


@dataclass(frozen=True, slots=True)
class RowQuery:
    """Selects at most `limit` rows of a table, in the order of the columns `by`, NULL last.

    Together these columns are unique. `descending` reverses the order. The rows come after the row
    `after`, and after `skip` more rows, which costs a little for each. `where` has the permitted
    values of some columns; an array must have one of them. `contains` has columns and a text, which
    one of the columns must contain, ignoring case. `columns` are the columns to return; none means
    all.
    """

    table: Table
    limit: int
    by: tuple[str, ...]
    after: Mapping[str, Any] | None = None
    where: Mapping[str, Sequence[object]] | None = None
    contains: tuple[tuple[str, ...], str] | None = None
    columns: tuple[str, ...] = ()
    descending: bool = False
    skip: int = 0

    def as_json(self) -> bytes:
        """The payload for the function `importer_rows`."""
        columns, text = self.contains or ((), "")
        payload = {
            "table": described(self.table),
            "limit": self.limit,
            "skip": self.skip,
            "descending": self.descending,
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
    """Something to read rows from, such as both backends. Raises the errors of Database."""

    def rows(self, query: RowQuery) -> list[Row]:
        """The selected rows, in order."""
        ...

    def call(self, function: str, payload: bytes, shape: Callable[[Any], R]) -> R:
        """The answer of one of our functions in the database, converted by `shape`.

        The function may be called twice, since a request is retried. `shape` raises ValueError,
        TypeError or LookupError for an answer that the function does not give.
        """
        ...


_PAGE_SIZE = 1_000
"""How many written rows are listed at a time."""


class WrittenRow(NamedTuple):
    """A row that a run wrote: its id, and a readable key."""

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

    `after` is the last row of the page before. `where` has the permitted values of some columns.
    If it names the dataset, every page is found by an index.
    """
    return reader.rows(RowQuery(table, limit, table.key, after, where=where, columns=columns))


def one(reader: RowReader, table: Table, key: Mapping[str, object]) -> Row | None:
    """The first row with the given values of some columns; None if no row has them."""
    where = {name: [value] for name, value in key.items()}
    return next(iter(reader.rows(RowQuery(table, 1, table.key, where=where))), None)


def pages(reader: RowReader, query: RowQuery) -> Iterator[list[Row]]:
    """All pages of a query: each but the last one has `limit` rows, and none is empty."""
    while found := reader.rows(query):
        yield found
        if len(found) < query.limit:
            return
        query = replace(query, after=found[-1], skip=0)


def count(reader: RowReader, query: RowQuery) -> int:
    """How many rows a query selects, whatever its limit and where it begins."""
    return reader.call("importer_row_count", query.as_json(), _number)


def _number(answer: Any) -> int:
    if type(answer) is not int:
        raise ValueError("expected a number")
    return answer


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
    """The next rows with a text in one of the columns, ignoring case.

    The text has no wildcards. The search may read every row.
    """
    if not _can_be_stored(text):
        return []
    return reader.rows(RowQuery(table, limit, table.key, after, where, (columns, text)))


def written_rows(
    reader: RowReader,
    table: Table,
    run_names: Sequence[str],
    after: str | None,
) -> list[WrittenRow]:
    """The next rows that the given runs wrote, in the order of their ids, after the id `after`.

    Returns a page of rows, or fewer if a page times out.

    Raises:
        BackendUnavailableError: if a single row times out, or the target does not answer.
    """
    names = table.names or tuple(column.name for column in table.row_key)
    before = None if after is None else {"id": after}
    where = {"batch_id": run_names}
    query = RowQuery(table, _PAGE_SIZE, ("id",), before, where, columns=names)
    while True:
        try:
            found = reader.rows(query)
        except StatementCancelledError as error:
            if query.limit == 1:
                raise BackendUnavailableError(f"A single row timed out: {error}.") from error
            query = replace(query, limit=query.limit // 2)
        else:
            return [
                WrittenRow(str(row["id"]), _label(row[name] for name in names)) for row in found
            ]


def _label(values: Iterable[object]) -> str:
    return "/".join("-" if value is None else str(value) for value in values)


def _can_be_stored(text: str) -> bool:
    """Whether PostgreSQL can store a text; no row contains any other."""
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)
