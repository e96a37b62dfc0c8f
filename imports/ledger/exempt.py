"""The ledger's memory of exempt records: not in the target as their files say, and rightly so.

Either they are left out, since they refer to rows that the target lacks, or the target guards what
it has.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from imports.ledger.scope import SIGNATURE, Scope
from imports.work_item import NOTHING_EXEMPT, ExemptRecord, ExemptRecords, RowOutcome, Signature

_SOME = "left_out + guarded > 0"
"""Said in every query, so that SQLite takes the partial index."""

_FROM = "from item indexed by item_exempt"


class ExemptLedger:
    """The exempt records of the items of one scope."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def records(self, outcome: RowOutcome, limit: int) -> ExemptRecords:
        """Those with an outcome; `limit` of them are listed."""
        connection = self._scope.connection
        where = f"{self._scope.all_items} and {_SOME}"
        total = connection.execute(
            f"select coalesce(sum({_COLUMNS[outcome]}), 0) {_FROM} where {where}"
        ).fetchone()[0]
        if not total:
            return NOTHING_EXEMPT
        rows = connection.execute(
            f"select path, label {_FROM} join record_exempt on item_id = item.id"
            f" where {where} and outcome = ? order by item.id, number limit ?",
            (outcome, limit),
        )
        return ExemptRecords(int(total), rows.fetchall())

    def left_out_before(self) -> list[tuple[int, Signature]]:
        """The items that another run than this one has imported without some of their records."""
        rows = self._scope.connection.execute(
            f"select id, {SIGNATURE} {_FROM} where {self._scope.all_items} and {_SOME}"
            " and left_out > 0 and state = 'imported' and disposed_at is null"
            f" and not {self._scope.by_this_run}"
        )
        return [(row[0], Signature(*row[1:])) for row in rows]


_COLUMNS = {RowOutcome.LEFT_OUT: "left_out", RowOutcome.GUARDED: "guarded"}
"""The columns in which an item has how many of its records have an outcome."""


def record_exempt(connection: sqlite3.Connection, records: Sequence[ExemptRecord]) -> None:
    """Takes in exempt records of items that are imported, in the transaction that says so."""
    connection.executemany("insert or replace into record_exempt values (?, ?, ?, ?)", records)
    counts = ", ".join(
        f"{column} = (select count(*) from record_exempt where item_id = id"
        f" and outcome = '{outcome}')"
        for outcome, column in _COLUMNS.items()
    )
    items = {each.item_id for each in records}
    connection.executemany(f"update item set {counts} where id = ?", [(each,) for each in items])


def exempt_records(
    connection: sqlite3.Connection, kind: str | None, tag: str | None
) -> Iterator[tuple[str, str, str, str, str, str]]:
    """The exempt records of a kind and a tag (None for all), one by one.

    Each by the kind, source and tag of its scope, the path of its item, its label and its outcome.
    """
    yield from connection.execute(
        "select kind, source, tag, path, label, outcome from scope"
        f" cross join item indexed by item_exempt on item.scope_id = scope.id and {_SOME}"
        " join record_exempt on item_id = item.id"
        " where (?1 is null or kind = ?1) and (?2 is null or tag = ?2)"
        " order by scope.id, item.id, number",
        (kind, tag),
    )


def count_exempt(connection: sqlite3.Connection, scope_id: int) -> tuple[int, int]:
    """How many records of a scope are left out, and how many are guarded."""
    row = connection.execute(
        f"select coalesce(sum(left_out), 0), coalesce(sum(guarded), 0) {_FROM}"
        f" where scope_id = ? and {_SOME}",
        (scope_id,),
    ).fetchone()
    return int(row[0]), int(row[1])
