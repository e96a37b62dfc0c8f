"""Acknowledged items: they are not retried, and no longer count as failed.

The listing removes the acknowledgement if the file changes, or if the item is retried anyway.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from imports.ledger.file import LedgerFile
from imports.ledger.places import paths_in

COUNTS = "acknowledged_at is null"
"""The SQL condition for failed items that count as failed."""

FORGOTTEN = "acknowledged_at = null, acknowledged_by = null, acknowledged_note = null"
"""The SQL assignments that remove an acknowledgement."""


class Acknowledgement(NamedTuple):
    """An acknowledged item: why it failed, and who acknowledged it, when and why."""

    path: str
    phase: str
    reason: str
    at: float
    by: str
    note: str | None


class KnownItem(NamedTuple):
    """What an acknowledgement needs of an item.

    `failed` says that its failure can be acknowledged: its file is still at the source.
    """

    id: int
    kind: str
    source: str
    tag: str
    target_id: str
    path: str
    reason: str | None
    failed: bool
    acknowledged: bool


_ITEMS = (
    "select item.id, kind, source, tag, target_id, path, reason,"
    " state = 'failed' and disposed_at is null, acknowledged_at is not null"
    " from scope cross join item on scope_id = scope.id"
    " where (:kind is null or kind = :kind) and (:tag is null or tag = :tag)"
)


def items_at(
    connection: sqlite3.Connection, kind: str | None, tag: str | None, places: Sequence[str]
) -> list[KnownItem]:
    """The items of a kind and a tag (None for all) at one of the places.

    A place is an absolute path, or a path in a source.
    """
    found: list[KnownItem] = []
    for scope_id, source in connection.execute("select id, source from scope order by id"):
        rows = connection.execute(
            f"{_ITEMS} and scope.id = :scope and path in (select value from json_each(:paths))"
            " order by path",
            {
                "kind": kind,
                "tag": tag,
                "scope": scope_id,
                "paths": json.dumps(paths_in(source, places)),
            },
        )
        found += map(_known, rows)
    return found


def failed_items(
    connection: sqlite3.Connection, kind: str | None, tag: str | None, *, acknowledged: bool
) -> list[KnownItem]:
    """All failed items whose files are at the source, either acknowledged or not acknowledged."""
    state = "is not null" if acknowledged else "is null"
    rows = connection.execute(
        f"{_ITEMS} and state = 'failed' and disposed_at is null and acknowledged_at {state}"
        " order by scope.id, path",
        {"kind": kind, "tag": tag},
    )
    return [_known(row) for row in rows]


def _known(row: tuple[int, str, str, str, str, str, str | None, int, int]) -> KnownItem:
    return KnownItem(*row[:7], failed=bool(row[7]), acknowledged=bool(row[8]))


def acknowledge(file: LedgerFile, item_ids: Iterable[int], by: str, note: str | None) -> None:
    """Records that a user has acknowledged failed items, and why."""
    with file.transaction() as connection:
        connection.executemany(
            "update item set acknowledged_at = ?, acknowledged_by = ?, acknowledged_note = ?"
            " where id = ? and state = 'failed'",
            [(time.time(), by, note, each) for each in item_ids],
        )


def take_back(file: LedgerFile, item_ids: Iterable[int]) -> None:
    """Removes acknowledgements: the items count as failed again."""
    with file.transaction() as connection:
        connection.executemany(
            f"update item set {FORGOTTEN} where id = ?", [(each,) for each in item_ids]
        )


def acknowledgements(
    connection: sqlite3.Connection, scope_id: int, limit: int, path: str | None = None
) -> tuple[int, list[Acknowledgement]]:
    """The number of acknowledged items of a scope, and the first of them; or the item at a path."""
    where = (
        "from item indexed by item_acknowledged where scope_id = :scope"
        " and acknowledged_at is not null and (:path is null or path = :path)"
    )
    values = {"scope": scope_id, "path": path, "limit": limit}
    count = connection.execute(f"select count(*) {where}", values).fetchone()[0]
    rows = connection.execute(
        "select path, phase, reason, acknowledged_at, acknowledged_by, acknowledged_note"
        f" {where} order by path limit :limit",
        values,
    )
    return int(count), [Acknowledgement(*row) for row in rows]
