"""Known items in the ledger: the target has their rows, but no run of this ledger imported them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson

from imports.items.work_item import ItemState
from imports.ledger.runs import add_counts
from imports.ledger.scope import NOTHING_DONE, Scope

_KNOWN = "state = 'imported' and first_in is null and disposed_at is null"
"""Each run asks the target for these again: another machine may have changed their rows."""


class KnownLedger:
    """The items of one scope that may be in its target already."""

    def __init__(self, scope: Scope, target_id: str) -> None:
        """Works on a scope of an open ledger, and its target."""
        self._scope = scope
        self._target_id = target_id

    def candidates(self, size: int) -> Iterator[list[tuple[int, str]]]:
        """Listed items and known items, by id and path, in lists of `size`.

        An item is left out while an image at a place of its own waits for its rows. Such an item
        must be imported; otherwise the image would be removed, although the rows may be stored.
        """
        waits = (
            "exists (select 1 from item_image join placement"
            " on placement.place = item_image.place and placement.target_id = ?"
            " where item_id = item.id and stage in ('putting', 'put'))"
        )
        last = 0
        while rows := self._scope.connection.execute(
            f"select id, path from item where ({self._scope.condition(ItemState.LISTED)}"
            f" and not {waits} or {self._scope.all_items} and {_KNOWN})"
            " and id > ? order by id limit ?",
            (self._target_id, last, size),
        ).fetchall():
            last = rows[-1][0]
            yield rows

    def record(self, known: list[int], unknown: list[int]) -> None:
        """Records which candidates have rows in the target; the others are listed again.

        An item that a run of this ledger has imported keeps its first batch.
        """
        with self._scope.file.transaction() as connection:
            skipped = connection.execute(
                f"update item set state = 'imported', {NOTHING_DONE}, imported_in = first_in,"
                " phase = null, reason = null, cause = null, tries = 0, failed_in = null,"
                " updated_at = ?"
                " where id in (select value from json_each(?)) and state = 'listed'",
                (time.time(), orjson.dumps(known).decode()),
            ).rowcount
            connection.execute(
                "update item set state = 'listed'"
                " where id in (select value from json_each(?)) and state = 'imported'",
                (orjson.dumps(unknown).decode(),),
            )
            if skipped:
                counts = {"planning.known": skipped}
                add_counts(connection, self._scope.run_name, counts)
