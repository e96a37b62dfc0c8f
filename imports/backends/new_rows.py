"""New rows: while a dataset is empty in the target, COPY writes directly into the table.

This saves the temporary table, the comparison and writing each row twice. If a row exists already,
COPY fails as a whole, and the batch is merged. Batches of a kind with derivations or parents are
always merged: these need the temporary table.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from operator import itemgetter

from psycopg2 import errors
from psycopg2.extensions import cursor as Cursor

from imports.backends.database import Rows
from imports.items.records import RowOutcome
from imports.tables.row_format import text_field
from imports.tables.sql import copy_new, must_merge
from imports.tables.table import Table

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
        if table.parents or rows.group.derivations:
            return None
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
        run_values = "".join(
            f"{text_field(rows.run[column.name])}\t" for column in table.run_columns
        ).encode()
        try:
            content = run_values + run_values.join(lines)
            cursor.copy_expert(f"savepoint new_rows; {copy_new(table)}", io.BytesIO(content))
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


def _key_of(table: Table) -> Callable[[bytes], tuple[bytes, ...]]:
    """A sort key for encoded rows: the key of the row, NULL last."""
    places = [table.columns.index(column) for column in table.row_key]
    until = max(places) + 1
    # The first place comes twice: with a single place, itemgetter returns no tuple.
    pick = itemgetter(*places, places[0])

    def key(line: bytes) -> tuple[bytes, ...]:
        fields: tuple[bytes, ...] = pick(line.split(b"\t", until))
        if _NULL not in fields:
            return fields
        return tuple(_LAST if field == _NULL else field for field in fields)

    return key
