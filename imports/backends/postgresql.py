"""Rows into PostgreSQL: COPY into a temporary table, and one merge, in one transaction."""

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
    small_question,
)
from imports.backends.deadlines import Limits
from imports.backends.deleting import (
    NotedImages,
    Written,
    count_question,
    counted,
    deletion,
    unlisted,
    unlisting,
)
from imports.backends.new_rows import NewRows
from imports.backends.reading import Row, RowQuestion
from imports.errors import BackendError, BackendUnavailableError
from imports.servers.database_url import understood
from imports.tables.row_format import RowFormat
from imports.tables.sql import (
    MERGES,
    UNJUDGED,
    all_incoming,
    copy_incoming,
    count_incoming,
    create_incoming,
    derive_statement,
    described,
    incoming,
    judge_statement,
    merge_statement,
    replace_sets_statement,
)
from imports.tables.table import Table, TableGroup
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
            cursor.execute(
                "select id::text, schema_version, functions_checksum from public.import_target"
            )
            row = cursor.fetchone()
        if row is None:
            raise BackendError(
                "The table import_target of the database is empty; it must have its one row:"
                " insert into public.import_target default values"
            )
        return TargetIdentity(*row)

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
                raise BackendUnavailableError(_FIRST_TRY_LIVES, locked=True) from error
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
        """Compares rows with what is stored, by table."""
        tables = []
        with self._connections.transaction() as cursor:
            for index, table in rows.compared():
                lines = rows.by_table.get(index)
                if lines:
                    _copy(cursor, table, lines)
                tables.append(described(table, relation=incoming(table) if lines else None))
            question = orjson.dumps({"tables": tables, "run": rows.run})
            answer = _call(cursor, "importer_compare", question)
        return {index: table_comparison(answer[table.label]) for index, table in rows.compared()}

    def rows(self, question: RowQuestion) -> list[Row]:
        """The rows that are wanted, in their order."""
        with self._connections.transaction() as cursor:
            found: list[Row] = _call(cursor, "importer_rows", question.as_json())
            return found

    def count_written(self, group: TableGroup, run_names: Sequence[str]) -> Written:
        """Counts what some runs wrote in the tables of a group."""
        with self._question() as cursor:
            return counted(_call(cursor, "importer_count", count_question(group, run_names)))

    def delete_written(
        self, group: TableGroup, table: Table, ids: Sequence[str], run_names: Sequence[str]
    ) -> list[str]:
        """Deletes rows that some runs wrote, with what belongs to them; see RowRemover."""
        with self._connections.transaction() as cursor:
            question = deletion(group, table, ids, run_names)
            stayed: list[str] = _call(cursor, "importer_delete", question)
            return stayed

    def unlist_images(self, storage_type: str, after: str, limit: int) -> NotedImages:
        """Takes a page of the noted images off the list of images; see RowRemover."""
        question = unlisting(storage_type, after, limit)
        with self._connections.transaction() as cursor:
            return unlisted(_call(cursor, "importer_unlist", question))

    def forget_noted(self, hashes: Sequence[str]) -> None:
        """Takes in that noted images are removed from the store."""
        with self._connections.transaction() as cursor:
            cursor.execute(
                "delete from public.import_removals where content_hash = any(%s)", (list(hashes),)
            )

    def known_images(self, hashes: Sequence[str]) -> dict[str, str]:
        """Those of some hashes that `image_assets` has, each with its storage type."""
        with self._connections.transaction() as cursor:
            cursor.execute(
                "select content_hash, storage_type from public.image_assets"
                " where content_hash = any(%s)",
                (list(hashes),),
            )
            return dict(cursor.fetchall())

    def forget_merges(self, run_name: str) -> None:
        """Drops the answers that were kept for a run that has ended."""
        with self._question() as cursor:
            cursor.execute(f"delete from {MERGES} where batch_id = %s", (run_name,))

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


def merge_answer(answer: dict[str, Any], rows: Rows) -> MergeAnswer:
    """What a merge answers with, as `import_merges` keeps it.

    Raises:
        ValueError: if a derivation has not answered with counts.
    """
    letters = answer["outcomes"]
    derived: Counter[str] = Counter()
    for counts in answer["derived"]:
        if any(type(count) is not int for count in counts.values()):
            raise ValueError(f"a derivation answered with {counts}, not with counts by table")
        derived.update(counts)
    return MergeAnswer(
        {index: letters[table.label] for index, table, _ in rows.tables() if table.owner is None},
        dict(derived),
    )


def table_comparison(answer: dict[str, Any]) -> TableComparison:
    """What `importer_compare` answers with about a table."""
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
    """Merges rows by COPY into temporary tables, and one statement for each table."""
    run = _run_expressions(rows.group)
    answer: dict[str, str] = {}
    for _, table, lines in rows.tables():
        if table.owner is not None:
            continue
        _copy(cursor, table, lines)
        # As psycopg wants it.
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
    """Runs the derivations of tables with rows that were written; what each of them answers."""
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
    """Brings rows into their temporary table, which is made in the same round trip."""
    numbered = b"".join(b"%d\t%b" % (ordinal, line) for ordinal, line in enumerate(lines))
    statements = f"{create_incoming(table)}; {copy_incoming(table)}"
    cursor.copy_expert(statements, io.BytesIO(numbered))


def _replace_sets(cursor: Cursor, rows: Rows, owner: Table, letters: str) -> None:
    """Replaces the sets of rows of those owners that were written; most often there are none."""
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
    """What one of the functions answers that both backends ask."""
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
        raise BackendError("The database answered with no row where it must answer with one.")
    return row[0]
