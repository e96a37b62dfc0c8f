"""Scope: one source in one target, and the run that works on it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass

from imports.items.phase import Phase
from imports.items.work_item import ItemState
from imports.ledger.file import LedgerFile

UNFINISHED = "state <> 'imported'"
"""In every query for unfinished items, so that SQLite uses the partial index."""

NOTHING_DONE = (
    "records = null, weight = 1, cut_off = null, records_done = 0, succeeded = 0, refused = 0,"
    " left_out = 0, guarded = 0, began_at = null, ended_at = null, imported_in = null,"
    " disposal_problem = null, found_wrong = 0, stays = 0"
)
"""The SQL assignments for an item that begins again."""

SIGNATURE = "size, mtime_ns, file_count, digest"
"""The columns of a signature, in its order."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The items of one source in one target, and the run that works on them.

    Counts belong to the run `run_name`. With `only`, the run imports only the item at this path,
    and does not change the others.
    """

    file: LedgerFile
    id: int
    run_name: str
    only: str | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection to the ledger, to read."""
        return self.file.connection

    @property
    def all_items(self) -> str:
        """The SQL condition for the run's items."""
        only = "" if self.only is None else f" and item.path = {_quoted(self.only)}"
        return f"item.scope_id = {self.id}{only}"

    def condition(self, state: ItemState | None = None) -> str:
        """The SQL condition for the run's items in a state, or for its unfinished items."""
        if state is ItemState.IMPORTED:
            return f"{self.all_items} and state = 'imported'"
        wanted = "" if state is None else f" and state = '{state}'"
        return f"{self.all_items} and {UNFINISHED}{wanted}"

    @property
    def seen_stored(self) -> str:
        """The SQL condition for images that this run, which is :batch_id, saw stored."""
        return (
            "exists (select 1 from seen_stored"
            f" where seen_stored.scope_id = {self.id} and seen_stored.sha256 = image.sha256"
            " and seen_stored.batch_id = :batch_id)"
        )

    @property
    def by_this_run(self) -> str:
        """The SQL condition for items that this run imported."""
        return (
            "exists (select 1 from batch where batch.id = item.imported_in"
            f" and batch.batch_id = {_quoted(self.run_name)})"
        )

    def fail(
        self, connection: sqlite3.Connection, phase: Phase, failures: Iterable[tuple[int, str]]
    ) -> None:
        """Fails items, each for a reason, in a transaction.

        If a resumed run fails an item again, that counts as one try.
        """
        now = time.time()
        for item_id, reason in failures:
            values = {
                "id": item_id,
                "phase": phase,
                "reason": reason,
                "now": now,
                "batch_id": self.run_name,
            }
            connection.execute(
                "update item set state = 'failed', phase = :phase, reason = :reason,"
                " cause = cause_of(:reason), tries = tries + (failed_in is not :batch_id),"
                " failed_in = :batch_id, updated_at = :now, ended_at = :now,"
                " began_at = coalesce(began_at, :now) where id = :id",
                values,
            )
            connection.execute(
                "insert into failure (item_id, batch_id, phase, reason, failed_at)"
                " values (:id, :batch_id, :phase, :reason, :now)",
                values,
            )

    def forget_records(self, connection: sqlite3.Connection) -> None:
        """Deletes the failed and exempt records of listed items."""
        for table in ("record_failure", "record_exempt"):
            connection.execute(
                f"delete from {table} where exists (select 1 from item"
                f" where item.id = {table}.item_id and {self.condition(ItemState.LISTED)})"
            )


def _quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
