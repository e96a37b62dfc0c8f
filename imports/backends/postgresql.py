"""Rows into PostgreSQL: COPY into a temporary table and one merge, in one transaction."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import orjson
import psycopg2
from psycopg2.extensions import cursor as Cursor

from imports.backends.connections import Connections
from imports.backends.database import (
    AddedRows,
    Comparison,
    MergeAnswer,
    Rows,
    TableComparison,
    TargetIdentity,
    indivisible,
)
from imports.backends.deadlines import Limits
from imports.backends.deleting import (
    NotedImages,
    Written,
    count_request,
    counted,
    delete_request,
    unlist_request,
    unlisted,
)
from imports.backends.new_rows import NewRows
from imports.backends.reading import Row, RowQuery
from imports.errors import BackendError, BackendUnavailableError
from imports.items.records import RowOutcome
from imports.servers.database_url import understood
from imports.tables.description import described
from imports.tables.row_format import RowFormat
from imports.tables.sql import (
    MERGES,
    UNJUDGED,
    all_incoming,
    copy_incoming,
    count_incoming,
    create_incoming,
    derive_statement,
    incoming,
    judge_statement,
    merge_statement,
    replace_sets_statement,
)
from imports.tables.table import Table, TableGroup

_LIMITS = Limits()
_FIRST_TRY_OPEN = (
    "An earlier transaction of the same batch is still open: the database has not noticed yet that"
    " its connection broke. The batch waits until it ends."
)


class PostgreSQLDatabase:
    """A PostgreSQL 15 or later, by its URL. A transaction pooler may be in between."""

    row_format = RowFormat.COPY

    def __init__(self, url: str, limits: Limits = _LIMITS) -> None:
        """Connects on first use.

        Raises:
            UsageError: if the URL cannot be understood.
        """
        self._connections = Connections(understood(url), limits)
        self._new_rows = NewRows()

    def identify(self) -> TargetIdentity:
        """Which database it is."""
        with self._indivisible() as cursor:
            cursor.execute(
                "select id::text, schema_version, functions_checksum from public.import_target"
            )
            row = cursor.fetchone()
        if row is None:
            raise BackendError(
                "The table import_target of the database is empty. It must have one row; run:"
                " insert into public.import_target default values"
            )
        return TargetIdentity(*row)

    def dataset_id(self, kind: str, tag: str, description: str | None, author: str | None) -> int:
        """The id of a dataset; creates it if it does not exist."""
        find = "select id from public.datasets where (kind, tag) = (%s, %s)"
        with self._indivisible() as cursor:
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

    def merge(self, request_id: UUID, rows: Rows) -> MergeAnswer:
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
                raise BackendUnavailableError(_FIRST_TRY_OPEN, locked=True) from error
            known = cursor.fetchone()
            if known is not None:
                answer: dict[str, Any] = known[0]
            else:
                letters = self._new_rows.copy(cursor, rows) or _merge(cursor, rows)
                answer = {"outcomes": letters, "derived": _derive(cursor, rows, letters)}
                cursor.execute(
                    f"insert into {MERGES} (request_id, batch_id, answer) values (%s, %s, %s)",
                    (str(request_id), rows.run["batch_id"], orjson.dumps(answer).decode()),
                )
            return merge_answer(answer, rows)

    def compare(self, rows: Rows) -> dict[int, TableComparison]:
        """Compares rows with the stored ones, by table."""
        tables = []
        with self._connections.transaction() as cursor:
            for index, table in rows.compared():
                lines = rows.by_table.get(index)
                if lines:
                    _copy(cursor, table, lines)
                tables.append(described(table, relation=incoming(table) if lines else None))
            payload = orjson.dumps({"tables": tables, "run": rows.run})
            answer = _call(cursor, "importer_compare", payload)
        return {index: table_comparison(answer[table.label]) for index, table in rows.compared()}

    def rows(self, query: RowQuery) -> list[Row]:
        """The selected rows, in order."""
        with self._connections.transaction() as cursor:
            found: list[Row] = _call(cursor, "importer_rows", query.as_json())
            return found

    def function(self, name: str, payload: bytes) -> dict[str, Any]:
        """The answer of a function; see Database."""
        with self._indivisible() as cursor:
            answer: dict[str, Any] = _call(cursor, name, payload)
            return answer

    def count_written(self, group: TableGroup, run_names: Sequence[str]) -> Written:
        """Counts what the given runs wrote in the tables of a group."""
        with self._indivisible() as cursor:
            return counted(_call(cursor, "importer_count", count_request(group, run_names)))

    def delete_written(
        self, group: TableGroup, table: Table, ids: Sequence[str], run_names: Sequence[str]
    ) -> list[str]:
        """Deletes rows that runs wrote, with their owned rows; see RowRemover."""
        with self._connections.transaction() as cursor:
            request = delete_request(group, table, ids, run_names)
            stayed: list[str] = _call(cursor, "importer_delete", request)
            return stayed

    def unlist_images(self, storage_type: str, after: str, limit: int) -> NotedImages:
        """Deletes a page of the noted images from the list of images; see RowRemover."""
        request = unlist_request(storage_type, after, limit)
        with self._connections.transaction() as cursor:
            return unlisted(_call(cursor, "importer_unlist", request))

    def forget_noted(self, hashes: Sequence[str]) -> None:
        """Deletes the notes of images that are removed from the store."""
        with self._connections.transaction() as cursor:
            cursor.execute(
                "delete from public.import_removals where content_hash = any(%s)", (list(hashes),)
            )

    def known_images(self, hashes: Sequence[str]) -> dict[str, str]:
        """The given hashes that `image_assets` has, each with its storage type."""
        with self._connections.transaction() as cursor:
            cursor.execute(
                "select content_hash, storage_type from public.image_assets"
                " where content_hash = any(%s)",
                (list(hashes),),
            )
            return dict(cursor.fetchall())

    def forget_merges(self, run_name: str) -> None:
        """Deletes the stored answers of a run that has ended."""
        with self._indivisible() as cursor:
            cursor.execute(f"delete from {MERGES} where batch_id = %s", (run_name,))

    def close(self) -> None:
        """Closes all connections."""
        self._connections.close()

    @contextmanager
    def _indivisible(self) -> Iterator[Cursor]:
        """A transaction for a request that cannot be halved."""
        with indivisible(), self._connections.transaction() as cursor:
            yield cursor


def location(url: str) -> str:
    """The location in a database URL, without user and password."""
    return understood(url).location


def merge_answer(answer: dict[str, Any], rows: Rows) -> MergeAnswer:
    """The answer of a merge, from the JSON that `import_merges` keeps.

    Raises:
        ValueError: if a derivation did not answer with counts.
    """
    letters = answer["outcomes"]
    derived: Counter[str] = Counter()
    for counts in answer["derived"]:
        if any(type(count) is not int for count in counts.values()):
            raise ValueError(f"a derivation answered {counts} instead of counts by table")
        derived.update(counts)
    return MergeAnswer(
        {index: letters[table.label] for index, table, _ in rows.tables() if table.owner is None},
        dict(derived),
    )


def table_comparison(answer: dict[str, Any]) -> TableComparison:
    """The answer of `importer_compare` for one table."""
    return TableComparison(
        [
            Comparison(
                each["s"],
                each["i"],
                {name: (pair[0], pair[1]) for name, pair in (each["d"] or {}).items()},
            )
            for each in answer["rows"]
        ],
        [AddedRows(each["i"], each["n"], each["r"]) for each in answer["added"]],
    )


def _merge(cursor: Cursor, rows: Rows) -> dict[str, str]:
    """Merges rows: COPY into temporary tables, then one statement for each table."""
    run = _run_expressions(rows.group)
    answer: dict[str, str] = {}
    for _, table, lines in rows.tables():
        if table.owner is not None:
            continue
        _copy(cursor, table, lines)
        # psycopg2 reads % as a placeholder.
        guarded = table.with_guard(lambda guard: guard.replace("%", "%%"))
        statement = merge_statement(guarded, run, all_incoming(table), count_incoming(table))
        cursor.execute(statement, rows.run)
        letters = _only(cursor.fetchone())
        if UNJUDGED in letters:
            judging = judge_statement(guarded, run, all_incoming(table), "%(letters)s", 0)
            cursor.execute(judging, {**rows.run, "letters": letters})
            letters = _only(cursor.fetchone())
        _replace_sets(cursor, rows, table, letters)
        answer[table.label] = letters
    return answer


def _derive(cursor: Cursor, rows: Rows, letters: dict[str, str]) -> list[dict[str, int]]:
    """Runs the derivations of tables with written rows; returns the answer of each."""
    derived = []
    for derivation in rows.group.derivations:
        table = rows.group.derived_from(derivation)
        mine = letters.get(table.label, "")
        if RowOutcome.INSERTED in mine or RowOutcome.UPDATED in mine:
            statement = derive_statement(
                derivation, table, "%(run)s::jsonb", all_incoming(table), "%(letters)s", 0
            )
            cursor.execute(statement, {"run": orjson.dumps(rows.run).decode(), "letters": mine})
            derived.append(_only(cursor.fetchone()))
    return derived


def _copy(cursor: Cursor, table: Table, lines: list[bytes]) -> None:
    """Copies rows into their temporary table, and creates it in the same round trip."""
    numbered = b"".join(b"%d\t%b" % (ordinal, line) for ordinal, line in enumerate(lines))
    statements = f"{create_incoming(table)}; {copy_incoming(table)}"
    cursor.copy_expert(statements, io.BytesIO(numbered))


def _replace_sets(cursor: Cursor, rows: Rows, owner: Table, letters: str) -> None:
    """Replaces the owned rows of written owners; most often there are none."""
    updated = RowOutcome.UPDATED in letters
    if not updated and RowOutcome.INSERTED not in letters:
        return
    tables = []
    for index, table in enumerate(rows.group.tables):
        lines = rows.by_table.get(index)
        if table.owner == owner.qualified_name and (lines or updated):
            if lines:
                _copy(cursor, table, lines)
            tables.append(described(table, relation=incoming(table) if lines else None))
    if tables:
        cursor.execute(
            replace_sets_statement(owner, "%(letters)s", 0),
            {"letters": letters, "tables": orjson.dumps(tables).decode()},
        )


def _call(cursor: Cursor, function: str, payload: bytes) -> Any:
    """The answer of one of the functions that both backends call."""
    cursor.execute(f"select public.{function}(%s)", (payload.decode(),))
    return _only(cursor.fetchone())


def _run_expressions(group: TableGroup) -> dict[str, str]:
    values = {
        column.name: f"%({column.name})s::{column.type}"
        for table in group.tables
        for column in table.run_columns
    }
    return {**values, "if_exists": "%(if_exists)s::text", "repair": "%(repair)s::boolean"}


def _only(row: tuple[Any, ...] | None) -> Any:
    if row is None:
        raise BackendError("The database returned no row. It must return one.")
    return row[0]
