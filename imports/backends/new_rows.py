"""New rows: while a dataset is empty in the target, COPY writes directly into the table.

This saves the temporary table, the comparison and writing each row twice. If a row exists already,
COPY fails as a whole, and the batch is merged. For parents and derivations, a temporary table gets
only the columns that these need, and equal rows once.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from operator import itemgetter

from psycopg2 import errors
from psycopg2.extensions import cursor as Cursor

from imports.backends.database import Rows
from imports.items.records import RowOutcome
from imports.tables.row_format import text_field
from imports.tables.sql import (
    any_lacks_parent,
    copy_incoming,
    copy_new,
    create_incoming,
    must_merge,
)
from imports.tables.table import Column, Table

_MAX_FAILED_COPIES = 3
"""After so many batches with an existing row, all other batches are merged."""

_NULL, _LAST = b"\\N", b"\xff"
"""NULL in a line for COPY, and a value that sorts after all text."""


class NewRows:
    """Copies new rows of one run, and counts the failed copies by dataset. Thread-safe."""

    def __init__(self) -> None:
        """No dataset is known yet."""
        self._lock = threading.Lock()
        self._tries_left: dict[tuple[object, ...], int] = {}

    def copy(self, cursor: Cursor, rows: Rows) -> dict[str, str] | None:
        """Copies rows into their table, and returns the answer of a merge.

        None if they must be merged; then nothing is written.
        """
        if len(rows.group.tables) != 1 or not rows.by_table[0]:
            return None
        (table,) = rows.group.tables
        dataset = (table.qualified_name, *(rows.run[column.name] for column in table.run_key))
        with self._lock:
            if dataset not in self._tries_left:
                cursor.execute(must_merge(table), rows.run)
                merge_only = cursor.fetchone() == (True,)
                self._tries_left[dataset] = 0 if merge_only else _MAX_FAILED_COPIES
            if not self._tries_left[dataset]:
                return None
        # In the order of a merge: otherwise two batches with the same rows could deadlock.
        lines = sorted(rows.by_table[0], key=_key_of(table))
        before = "".join(
            f"{text_field(rows.run[column.name])}\t" for column in table.run_columns
        ).encode()
        savepoint = "savepoint new_rows; "
        if columns := _needed(rows):
            content = _numbered(rows.by_table[0], table, columns)
            statements = f"{create_incoming(table)}; {copy_incoming(table, columns)}"
            cursor.copy_expert(f"{savepoint}{statements}", io.BytesIO(content))
            savepoint = ""
        if table.parents:
            cursor.execute(any_lacks_parent(table), rows.run)
            if cursor.fetchone() == (True,):
                # Not a failed copy: other batches may have all parents.
                cursor.execute("rollback to savepoint new_rows")
                return None
        try:
            content = before + before.join(lines)
            cursor.copy_expert(f"{savepoint}{copy_new(table)}", io.BytesIO(content))
            # A trigger may have skipped some rows.
            complete = cursor.rowcount == len(lines)
        except (errors.UniqueViolation, errors.DeadlockDetected):
            complete = False
        if not complete:
            cursor.execute("rollback to savepoint new_rows")
            with self._lock:
                self._tries_left[dataset] = max(0, self._tries_left[dataset] - 1)
            return None
        return {table.label: RowOutcome.INSERTED * len(lines)}


def _needed(rows: Rows) -> tuple[Column, ...]:
    """The columns that the parents and the derivations of the only table need."""
    (table,) = rows.group.tables
    names = {name for parent in table.parents for name in parent.columns}
    for derivation in rows.group.derivations:
        names.update(derivation.by or [column.name for column in table.row_key])
    found = tuple(column for column in table.columns if column.name in names)
    # A parent may be named by values of the run alone; it is still asked for by a row.
    return found or table.columns[: bool(table.parents)]


def _numbered(lines: list[bytes], table: Table, columns: Sequence[Column]) -> bytes:
    """Some columns of encoded rows, equal ones once, each after an ordinal."""
    pick, until = _picker(table, columns)
    distinct = dict.fromkeys([pick(line[:-1].split(b"\t", until)) for line in lines])
    return b"".join(
        b"%d\t%b\n" % (ordinal, b"\t".join(fields[:-1])) for ordinal, fields in enumerate(distinct)
    )


def _key_of(table: Table) -> Callable[[bytes], tuple[bytes, ...]]:
    """A sort key for encoded rows: the key of the row, NULL last."""
    pick, until = _picker(table, table.row_key)

    def key(line: bytes) -> tuple[bytes, ...]:
        fields = pick(line.split(b"\t", until))
        if _NULL not in fields:
            return fields
        return tuple(_LAST if field == _NULL else field for field in fields)

    return key


def _picker(
    table: Table, columns: Sequence[Column]
) -> tuple[Callable[[list[bytes]], tuple[bytes, ...]], int]:
    """Picks the values of some columns from the fields of a row; and how many to split at most.

    The first one comes again at the end: for a single place, itemgetter returns no tuple.
    """
    places = [table.columns.index(column) for column in columns]
    return itemgetter(*places, places[0]), max(places) + 1
