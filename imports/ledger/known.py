"""Known items in the ledger: the target has their rows, but no run of this ledger imported them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson

from imports.ledger.acknowledged import FORGOTTEN
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
        """Listed items, earlier failures that are not retried, and known items.

        They are given by id and path, in lists of `size`. An item is left out while an image at a
        place of its own waits for its rows. Such an item must be imported; otherwise the image
        would be removed, although the rows may be stored. Items that cannot be listed, and items
        that failed in this run, are left out too.
        """
        waits = (
            "exists (select 1 from item_image join placement"
            " on placement.place = item_image.place and placement.target_id = :target"
            " where item_id = item.id and stage in ('putting', 'put'))"
        )
        failed = (
            "state = 'failed' and failed_in is not :batch_id and size >= 0 and disposed_at is null"
        )
        values = {"target": self._target_id, "batch_id": self._scope.run_name, "size": size}
        last = 0
        while rows := self._scope.connection.execute(
            f"select id, path from item where ({self._scope.condition()}"
            f" and (state = 'listed' or {failed}) and not {waits}"
            f" or {self._scope.all_items} and {_KNOWN})"
            " and id > :last order by id limit :size",
            {**values, "last": last},
        ).fetchall():
            last = rows[-1][0]
            yield rows

    def record(self, known: list[int], unknown: list[int]) -> None:
        """Records which candidates have rows in the target; known ones are listed again if not.

        The failure of an item that has rows is over. An item that a run of this ledger has
        imported keeps its first batch.
        """
        values = {
            "known": orjson.dumps(known).decode(),
            "unknown": orjson.dumps(unknown).decode(),
            "now": time.time(),
        }
        of_known = "id in (select value from json_each(:known))"
        with self._scope.file.transaction() as connection:
            given_up, acknowledged = connection.execute(
                "select count(*) - count(acknowledged_at), count(acknowledged_at)"
                f" from item where {of_known} and state = 'failed'",
                values,
            ).fetchone()
            if given_up + acknowledged:
                connection.execute(
                    f"delete from record_failure where item_id in (select id from item"
                    f" where {of_known} and state = 'failed')",
                    values,
                )
            skipped = connection.execute(
                f"update item set state = 'imported', {NOTHING_DONE}, imported_in = first_in,"
                " phase = null, reason = null, cause = null, tries = 0, failed_in = null,"
                f" updated_at = :now, {FORGOTTEN}"
                f" where {of_known} and state in ('listed', 'failed')",
                values,
            ).rowcount
            connection.execute(
                "update item set state = 'listed'"
                " where id in (select value from json_each(:unknown)) and state = 'imported'",
                values,
            )
            counts = {
                "planning.known": skipped,
                # The listing has counted these.
                "planning.given_up": -given_up,
                "planning.acknowledged": -acknowledged,
            }
            add_counts(connection, self._scope.run_name, counts)
