"""The ledger's record of exempt records: they rightly differ from the target.

They are left out, since their parent is not in the target, or the stored row is guarded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby

from imports.items.records import NOTHING_EXEMPT, ExemptRecord, ExemptRecords, RowOutcome
from imports.items.source import Signature
from imports.ledger.scope import SIGNATURE, Scope

_SOME = "left_out + guarded > 0"
"""In every query, so that SQLite uses the partial index."""

_FROM = "from item indexed by item_exempt"


class ExemptLedger:
    """The exempt records of the items of one scope."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def records(self, outcome: RowOutcome, limit: int) -> ExemptRecords:
        """The number of records with an outcome, and the first `limit` of them."""
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
        """The items that other runs have imported without some of their records."""
        rows = self._scope.connection.execute(
            f"select id, {SIGNATURE} {_FROM} where {self._scope.all_items} and {_SOME}"
            " and left_out > 0 and state = 'imported' and disposed_at is null"
            f" and not {self._scope.by_this_run}"
        )
        return [(row[0], Signature(*row[1:])) for row in rows]


_COLUMNS = {RowOutcome.LEFT_OUT: "left_out", RowOutcome.GUARDED: "guarded"}
"""The columns of an item with the number of its records that have an outcome."""


def record_exempt(connection: sqlite3.Connection, records: Sequence[ExemptRecord]) -> None:
    """Records exempt records, in the transaction that records their items as imported."""
    # Only the new ones are counted: one large item may have a million, in many pieces.
    for (item_id, outcome), alike in groupby(sorted(records, key=_item), _item):
        added = connection.executemany(
            "insert or ignore into record_exempt values (?, ?, ?, ?)", alike
        ).rowcount
        column = _COLUMNS[outcome]
        connection.execute(
            f"update item set {column} = {column} + ? where id = ?", (added, item_id)
        )


def _item(record: ExemptRecord) -> tuple[int, RowOutcome]:
    return record.item_id, record.outcome


def exempt_records(
    connection: sqlite3.Connection, kind: str | None, tag: str | None
) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yields the exempt records of a kind and a tag (None for all).

    Each has the kind, source and tag of its scope, the path of its item, its label and outcome.
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
    """The numbers of left-out and of guarded records of a scope."""
    row = connection.execute(
        f"select coalesce(sum(left_out), 0), coalesce(sum(guarded), 0) {_FROM}"
        f" where scope_id = ? and {_SOME}",
        (scope_id,),
    ).fetchone()
    return int(row[0]), int(row[1])
