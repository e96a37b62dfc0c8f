"""Scope: one source in one target, as a run works on it in the ledger."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass

from imports.ledger.file import LedgerFile
from imports.work_item import ItemState, Phase

UNFINISHED = "state <> 'imported'"
"""Said in every query for unfinished items, so that SQLite takes the partial index."""

NOTHING_DONE = (
    "records = null, weight = 1, cut_off = null, records_done = 0, succeeded = 0, refused = 0,"
    " left_out = 0, guarded = 0, began_at = null, ended_at = null, imported_in = null,"
    " disposal_problem = null, found_wrong = 0, stays = 0"
)
"""Said where an item begins anew."""

SIGNATURE = "size, mtime_ns, file_count, digest"
"""The columns of a signature, in its order."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The items of one source in one target, and the run that works on them.

    What is counted is counted for the run of `batch_id`. With `only` the run is about the item
    of this path, and leaves the others as they are.
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
        """The SQL that picks the run's items."""
        only = "" if self.only is None else f" and item.path = {_quoted(self.only)}"
        return f"item.scope_id = {self.id}{only}"

    def condition(self, state: ItemState | None = None) -> str:
        """The SQL that picks those of them in a state, or those that are not finished."""
        if state is ItemState.IMPORTED:
            return f"{self.all_items} and state = 'imported'"
        wanted = "" if state is None else f" and state = '{state}'"
        return f"{self.all_items} and {UNFINISHED}{wanted}"

    @property
    def seen_stored(self) -> str:
        """The SQL that says of an image whether this run, which is :batch_id, saw it stored."""
        return (
            "exists (select 1 from seen_stored"
            f" where seen_stored.scope_id = {self.id} and seen_stored.sha256 = image.sha256"
            " and seen_stored.batch_id = :batch_id)"
        )

    @property
    def by_this_run(self) -> str:
        """The SQL that picks the items that went in by this run."""
        return (
            "exists (select 1 from batch where batch.id = item.imported_in"
            f" and batch.batch_id = {_quoted(self.run_name)})"
        )

    def fail(
        self, connection: sqlite3.Connection, phase: Phase, failures: Iterable[tuple[int, str]]
    ) -> None:
        """Fails items, each for a reason, in a transaction.

        A run that is resumed, and fails an item again, is still one try.
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
        """Forgets which records of items that are listed had failed, or were exempt."""
        for table in ("record_failure", "record_exempt"):
            connection.execute(
                f"delete from {table} where exists (select 1 from item"
                f" where item.id = {table}.item_id and {self.condition(ItemState.LISTED)})"
            )


def _quoted(text: str) -> str:
    """A text as SQL writes it: of a path, which is found among those that `find_source` takes."""
    return "'" + text.replace("'", "''") + "'"
