"""The ledger's memory of records that were left out: they refer to rows that the target lacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from imports.ledger.scope import SIGNATURE, Scope
from imports.work_item import Signature

_FROM = "from item indexed by item_left_out"
_WITH_RECORDS = f"{_FROM} join record_left_out on item_id = item.id"
_SOME = "left_out > 0"
"""Said in every query, so that SQLite takes the partial index."""


class LeftOutLedger:
    """The records of the items of one scope that were left out."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def records(self, limit: int) -> tuple[int, list[tuple[str, str]]]:
        """How many records are left out, and the first of them: the paths of items, and labels."""
        where = f"{self._scope.all_items} and {_SOME}"
        connection = self._scope.connection
        count = connection.execute(
            f"select coalesce(sum(left_out), 0) {_FROM} where {where}"
        ).fetchone()[0]
        rows = connection.execute(
            f"select path, label {_WITH_RECORDS} where {where} order by item.id, number limit ?",
            (limit,),
        )
        return int(count), rows.fetchall()

    def of_earlier_runs(self) -> list[tuple[int, Signature]]:
        """The items that another run than this one has imported without some of their records."""
        rows = self._scope.connection.execute(
            f"select id, {SIGNATURE} {_FROM} where {self._scope.all_items} and {_SOME}"
            f" and state = 'imported' and disposed_at is null and not {self._scope.by_this_run}"
        )
        return [(row[0], Signature(*row[1:])) for row in rows]


def left_out_records(
    connection: sqlite3.Connection, kind: str | None, tag: str | None
) -> Iterator[tuple[str, str, str, str, str]]:
    """The records of a kind and a tag (None for all) that are left out, one by one.

    Each by the kind, source and tag of its scope, the path of its item, and its label.
    """
    yield from connection.execute(
        "select kind, source, tag, path, label from scope cross join item indexed by item_left_out"
        f" on item.scope_id = scope.id and {_SOME} join record_left_out on item_id = item.id"
        " where (?1 is null or kind = ?1) and (?2 is null or tag = ?2)"
        " order by scope.id, item.id, number",
        (kind, tag),
    )
