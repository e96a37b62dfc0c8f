"""Rows into PostgreSQL: COPY into a temporary table, and one merge, in one transaction."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import orjson
import psycopg2
from psycopg2.extensions import cursor as Cursor

from imports.backends.connections import Connections
from imports.backends.database import (
    Comparison,
    Rows,
    TargetIdentity,
    WrittenRow,
    small_question,
)
from imports.backends.database_url import understood
from imports.backends.deadlines import Limits
from imports.backends.new_rows import NewRows
from imports.errors import BackendError, BackendUnavailableError
from imports.row_format import RowFormat
from imports.table_sql import (
    MERGES,
    UNJUDGED,
    compare_statement,
    copy_incoming,
    count_incoming,
    create_incoming,
    incoming,
    judge_statement,
    merge_statement,
    nothing_incoming,
    replace_sets_statement,
    written_statement,
)
from imports.tables import Table, TableGroup
from imports.work_item import RowOutcome

_LIMITS = Limits()
_FIRST_TRY_LIVES = (
    "An earlier try of the same batch is still open in the database, which has not noticed that its"
    " connection broke. The batch must wait for it to end."
)


class PostgreSQLDatabase:
    """A PostgreSQL of 15 or later, by its URL. Works through a transaction pooler too."""

    row_format = RowFormat.COPY

    def __init__(self, url: str, limits: Limits = _LIMITS) -> None:
        """Connects when it is first used.

        Raises:
            UsageError: if the URL cannot be understood.
        """
        self._connections = Connections(understood(url), limits)
        self._new_rows = NewRows()

    def identify(self) -> TargetIdentity:
        """Who the database is."""
        with self._question() as cursor:
            cursor.execute("select id::text, schema_version from public.import_target")
            row = cursor.fetchone()
        if row is None:
            raise BackendError(
                "The table import_target of the database is empty; it must have its one row:"
                " insert into public.import_target default values"
            )
        return TargetIdentity(row[0], row[1])

    def dataset_id(self, kind: str, tag: str, description: str | None, author: str | None) -> int:
        """The id of a dataset, which is made if it is not there."""
        find = "select id from public.datasets where (kind, tag) = (%s, %s)"
        with self._question() as cursor:
            cursor.execute(find, (kind, tag))
            row = cursor.fetchone()
            if row is None:
                cursor.execute(
                    "insert into public.datasets (kind, tag, description, created_by)"
                    " values (%s, %s, %s, %s) on conflict (kind, tag) do nothing",
                    (kind, tag, description, author),
                )
                cursor.execute(find, (kind, tag))
                row = cursor.fetchone()
        return int(_only(row))

    def merge(self, request_id: UUID, rows: Rows) -> dict[int, str]:
        """Merges rows in one transaction; see Database."""
        with self._connections.transaction() as cursor:
            # The lock makes a repeated request wait for the first to end.
            try:
                cursor.execute(
                    "select pg_advisory_xact_lock(hashtextextended(%(request)s, 0));"
                    f"select answer from {MERGES} where request_id = %(request)s::uuid",
                    {"request": str(request_id)},
                )
            except psycopg2.errors.LockNotAvailable as error:
                raise BackendUnavailableError(_FIRST_TRY_LIVES, locked=True) from error
            known = cursor.fetchone()
            if known is not None:
                answer: dict[str, str] = known[0]
            else:
                answer = self._new_rows.copy(cursor, rows) or _merge(cursor, rows)
                cursor.execute(
                    f"insert into {MERGES} (request_id, batch_id, answer) values (%s, %s, %s)",
                    (str(request_id), rows.run["batch_id"], orjson.dumps(answer).decode()),
                )
        return {
            index: answer[table.label] for index, table, _ in rows.tables() if table.owner is None
        }

    def compare(self, rows: Rows) -> dict[int, list[Comparison]]:
        """Compares rows with what is stored, by table."""
        run = _run_expressions(rows.group)
        found = {}
        with self._connections.transaction() as cursor:
            for index, table, lines in rows.tables():
                _copy(cursor, table, lines)
                cursor.execute(compare_statement(table, run, incoming(table)), rows.run)
                found[index] = comparisons(_only(cursor.fetchone()))
        return found

    def written(
        self,
        group: TableGroup,
        table: Table,
        batch_ids: Sequence[str],
        after: str | None,
        limit: int,
    ) -> list[WrittenRow]:
        """A page of the rows that some runs wrote, by id."""
        statement = written_statement(
            table, "%(batch_ids)s::text[]", f"%(after)s::{table.id_type}", "%(limit)s"
        )
        with self._connections.transaction() as cursor:
            cursor.execute(
                statement, {"batch_ids": list(batch_ids), "after": after, "limit": limit}
            )
            return written_rows(_only(cursor.fetchone()))

    def known_images(self, hashes: Sequence[str]) -> dict[str, str]:
        """Those of some hashes that `image_assets` has, each with its storage type."""
        with self._connections.transaction() as cursor:
            cursor.execute(
                "select content_hash, storage_type from public.image_assets"
                " where content_hash = any(%s)",
                (list(hashes),),
            )
            return dict(cursor.fetchall())

    def forget_merges(self, batch_id: str) -> None:
        """Drops the answers that were kept for a run that has ended."""
        with self._question() as cursor:
            cursor.execute(f"delete from {MERGES} where batch_id = %s", (batch_id,))

    def close(self) -> None:
        """Closes all connections."""
        self._connections.close()

    @contextmanager
    def _question(self) -> Iterator[Cursor]:
        """A transaction for what cannot be halved."""
        with small_question(), self._connections.transaction() as cursor:
            yield cursor


def location(url: str) -> str:
    """Where a database URL points to, without user and password."""
    return understood(url).location


def comparisons(answer: list[dict[str, Any]]) -> list[Comparison]:
    """What `compare_statement` answers with, row by row."""
    return [
        Comparison(
            each["s"],
            each["i"],
            {name: (pair[0], pair[1]) for name, pair in (each["d"] or {}).items()},
        )
        for each in answer
    ]


def written_rows(answer: list[dict[str, Any]]) -> list[WrittenRow]:
    """What `written_statement` answers with, row by row."""
    return [
        WrittenRow(each["i"], "/".join("-" if part is None else str(part) for part in each["k"]))
        for each in answer
    ]


def _merge(cursor: Cursor, rows: Rows) -> dict[str, str]:
    """Merges rows by COPY into temporary tables, and one statement for each table."""
    tables = _merged(rows)
    run = _run_expressions(rows.group)
    answer: dict[str, str] = {}
    for _, table, lines in tables:
        owner = rows.group.owner_of(table)
        if owner is None:
            _copy(cursor, table, lines)
            statement = merge_statement(table, run, incoming(table), count_incoming(table))
            cursor.execute(statement, rows.run)
            letters = _only(cursor.fetchone())
            if UNJUDGED in letters:
                judging = judge_statement(table, run, incoming(table), "%(letters)s", 0)
                cursor.execute(judging, {**rows.run, "letters": letters})
                letters = _only(cursor.fetchone())
            answer[table.label] = letters
        else:
            _replace_sets(cursor, table, owner, answer[owner.label], lines)
    return answer


def _merged(rows: Rows) -> list[tuple[int, Table, list[bytes]]]:
    """The tables that a merge concerns: those with rows, and those that hang on one of them."""
    present = {rows.group.tables[index].qualified_name for index in rows.by_table}
    return [
        (index, table, rows.by_table.get(index, []))
        for index, table in enumerate(rows.group.tables)
        if index in rows.by_table or table.owner in present
    ]


def _copy(cursor: Cursor, table: Table, lines: list[bytes]) -> None:
    """Brings rows into their temporary table, which is made in the same round trip."""
    numbered = b"".join(b"%d\t%b" % (ordinal, line) for ordinal, line in enumerate(lines))
    statements = f"{create_incoming(table)}; {copy_incoming(table)}"
    cursor.copy_expert(statements, io.BytesIO(numbered))


def _replace_sets(
    cursor: Cursor, table: Table, owner: Table, letters: str, lines: list[bytes]
) -> None:
    """Replaces the sets of rows of those owners that were written; most often there are none."""
    updated = RowOutcome.UPDATED in letters
    if not updated and not (lines and RowOutcome.INSERTED in letters):
        return
    source = incoming(table)
    if lines:
        _copy(cursor, table, lines)
    else:
        source = nothing_incoming(table)
    cursor.execute(
        replace_sets_statement(table, owner, source, incoming(owner), "%(letters)s", 0),
        {"letters": letters},
    )


def _run_expressions(group: TableGroup) -> dict[str, str]:
    values = {
        column.name: f"%({column.name})s::{column.type}"
        for table in group.tables
        for column in table.run_columns
    }
    return {**values, "if_exists": "%(if_exists)s::text", "repair": "%(repair)s::boolean"}


def _only(row: tuple[Any, ...] | None) -> Any:
    if row is None:
        raise BackendError("The database answered with no row where it must answer with one.")
    return row[0]
