"""The ledger's record of imported items with missing images, which may arrive later."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator

from imports.items.images import ImageFile
from imports.items.source import Signature
from imports.items.work_item import ItemState, Lacking, LackingItem
from imports.ledger.scope import SIGNATURE, Scope

_LACKS = "not_found + unusable > 0"
"""In every query for these items, so that SQLite uses the partial index."""


def count_lacking(connection: sqlite3.Connection, items: str) -> Lacking:
    """The number of missing images of the items that an SQL condition selects."""
    row = connection.execute(
        "select count(*), coalesce(sum(not_found), 0), coalesce(sum(unusable), 0)"
        f" from item indexed by item_lacking where {items} and {_LACKS} and state <> 'failed'"
    ).fetchone()
    return Lacking(*row)


class LackingLedger:
    """The items of one scope that are or will be imported without some of their images."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def count(self) -> Lacking:
        """The number of missing images."""
        return count_lacking(self._scope.connection, self._scope.all_items)

    def count_items(self, state: ItemState) -> int:
        """The number of items of a state with missing images, whose files are at the source."""
        row = self._scope.connection.execute(f"select count(*) {self._of(state)}").fetchone()
        return int(row[0])

    def items(self, state: ItemState, size: int) -> Iterator[list[LackingItem]]:
        """Those items, in lists of `size`."""
        query = (
            f"select id, path, unusable, {SIGNATURE} {self._of(state)}"
            " and id > ? order by id limit ?"
        )
        last = 0
        while rows := self._scope.connection.execute(query, (last, size)).fetchall():
            last = rows[-1][0]
            known, unusable = self._images([row[0] for row in rows])
            yield [
                LackingItem(
                    row[0],
                    row[1],
                    Signature(*row[3:]),
                    frozenset(known[row[0]]),
                    len(unusable[row[0]]) < row[2],
                )
                for row in rows
            ]

    def _of(self, state: ItemState) -> str:
        return (
            f"from item indexed by item_lacking where {self._scope.all_items} and {_LACKS}"
            f" and state = '{state}' and disposed_at is null"
        )

    def _images(self, item_ids: list[int]) -> tuple[dict[int, set[ImageFile]], dict[int, set[str]]]:
        """The known images of items, and the paths of unusable ones."""
        known: defaultdict[int, set[ImageFile]] = defaultdict(set)
        unusable: defaultdict[int, set[str]] = defaultdict(set)
        for item_id, path, size, mtime_ns, is_unusable in self._scope.connection.execute(
            "select item_id, image.path, size, mtime_ns, problem is not null from item_image"
            " join image on image.path = item_image.path"
            " where item_id in (select value from json_each(?))",
            (json.dumps(item_ids),),
        ):
            known[item_id].add(ImageFile(path, Signature(size, mtime_ns)))
            if is_unusable:
                unusable[item_id].add(path)
        return known, unusable

    def begin(self) -> None:
        """Deletes the noted items."""
        self._scope.connection.execute("drop table if exists temp.arrived")
        self._scope.connection.execute("create temp table arrived (item_id integer primary key)")

    def note(self, item_ids: Iterable[int]) -> None:
        """Notes items that have something new, without changing them."""
        self._scope.connection.executemany(
            "insert or ignore into arrived values (?)", [(each,) for each in item_ids]
        )

    def noted(self) -> int:
        """The number of noted items."""
        return int(self._scope.connection.execute("select count(*) from arrived").fetchone()[0])

    def found(self, size: int) -> Iterator[list[tuple[int, str, Signature]]]:
        """The noted items, by id, path and signature, in lists of `size`."""
        query = (
            f"select id, path, {SIGNATURE} from temp.arrived join item on item.id = item_id"
            " where item_id > ? order by item_id limit ?"
        )
        last = 0
        while rows := self._scope.connection.execute(query, (last, size)).fetchall():
            last = rows[-1][0]
            yield [(row[0], row[1], Signature(*row[2:])) for row in rows]
