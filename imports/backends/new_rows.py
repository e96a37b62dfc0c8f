"""New rows: where a target has nothing of a dataset yet, COPY brings them straight into place.

That spares the temporary table, the comparison and a second writing of each row. A row that is
there after all makes COPY fail as a whole, and the batch is merged as any other. So are all batches
of a kind with derivations or parents: what these ask for is in the temporary table.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from operator import itemgetter

from psycopg2 import errors
from psycopg2.extensions import cursor as Cursor

from imports.backends.database import Rows
from imports.tables.row_format import text_field
from imports.tables.sql import copy_new, must_merge
from imports.tables.table import Table
from imports.work_item import RowOutcome

_MOST_DISAPPOINTMENTS = 3
"""So many batches may hold a row that is there; then no more are expected to be new."""


_NULL, _LAST = b"\\N", b"\xff"
"""A null in a line for COPY, and what comes after all text."""


class NewRows:
    """What is known of the datasets that one run fills. Safe to use from any thread."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self._lock = threading.Lock()
        self._tries_left: dict[tuple[object, ...], int] = {}

    def copy(self, cursor: Cursor, rows: Rows) -> dict[str, str] | None:
        """Brings rows in by COPY alone, and answers as a merge does.

        None if they must be merged, and nothing has been done.
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
                hopeless = cursor.fetchone() == (True,)
                self._tries_left[dataset] = 0 if hopeless else _MOST_DISAPPOINTMENTS
            if not self._tries_left[dataset]:
                return None
        # In the order of a merge: two that bring the same rows in different orders could deadlock.
        lines = sorted(rows.by_table[0], key=_key_of(table))
        run_values = "".join(
            f"{text_field(rows.run[column.name])}\t" for column in table.run_columns
        ).encode()
        try:
            content = run_values + run_values.join(lines)
            cursor.copy_expert(f"savepoint new_rows; {copy_new(table)}", io.BytesIO(content))
            # A trigger may have left some out.
            whole = cursor.rowcount == len(lines)
        except (errors.UniqueViolation, errors.DeadlockDetected):
            whole = False
        if not whole:
            cursor.execute("rollback to savepoint new_rows")
            with self._lock:
                self._tries_left[dataset] = max(0, self._tries_left[dataset] - 1)
            return None
        return {table.label: RowOutcome.INSERTED * len(lines)}


def _key_of(table: Table) -> Callable[[bytes], tuple[bytes, ...]]:
    """The function that tells the key of an encoded row, such that nulls come last."""
    places = [table.columns.index(column) for column in table.row_key]
    until = max(places) + 1
    # Twice the first one, since of one place alone there would be no tuple.
    pick = itemgetter(*places, places[0])

    def key(line: bytes) -> tuple[bytes, ...]:
        fields: tuple[bytes, ...] = pick(line.split(b"\t", until))
        if _NULL not in fields:
            return fields
        return tuple(_LAST if field == _NULL else field for field in fields)

    return key
