"""Files that may still be growing; only for one run, since its monotonic clock is its own."""

from __future__ import annotations

import json
from typing import NamedTuple

from imports.items.work_item import ItemState
from imports.ledger.scope import Scope


class StableSince(NamedTuple):
    """The times since which a complete file must be unchanged.

    `mtime` is in seconds since the epoch, `seen` by the monotonic clock of this process.
    """

    mtime: float
    seen: float


class GrowingLedger:
    """The listed items of one scope whose files may still be growing."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def note(self, stable: StableSince, now: float) -> None:
        """Records, after a listing, the listed files whose mtime is too recent.

        `now` is by the clock of `StableSince.seen`. If a growing file has changed since, its time
        begins again.
        """
        make_growing(self._scope)
        connection = self._scope.connection
        listed = f"item where {self._scope.condition(ItemState.LISTED)}"
        connection.execute(
            "delete from temp.growing where not exists (select 1 from item where id = item_id"
            " and state = 'listed' and (item.size, item.mtime_ns, item.digest)"
            " = (growing.size, growing.mtime_ns, growing.digest))"
        )
        connection.execute(
            "insert or ignore into temp.growing select id, size, mtime_ns, digest, ?"
            f" from {listed} and mtime_ns > {int(stable.mtime * 1e9)}",
            (now,),
        )

    def found(self, item_ids: list[int], now: float) -> None:
        """Records that some listed files may be growing at `now`; see `note`."""
        make_growing(self._scope)
        self._scope.connection.execute(
            "insert or replace into temp.growing select id, size, mtime_ns, digest, ?"
            " from item where id in (select value from json_each(?))",
            (now, json.dumps(item_ids)),
        )

    def seen_unchanged(self, item_ids: list[int]) -> frozenset[int]:
        """The items among `item_ids` that listings have seen unchanged."""
        make_growing(self._scope)
        rows = self._scope.connection.execute(
            "select item_id from temp.growing where item_id in (select value from json_each(?))",
            (json.dumps(item_ids),),
        )
        return frozenset(row[0] for row in rows)


def make_growing(scope: Scope) -> None:
    """Creates the temporary table, if it does not exist."""
    scope.connection.execute(
        "create temp table if not exists growing (item_id integer primary key, size integer,"
        " mtime_ns integer, digest text, seen_at real)"
    )


def is_stable(stable: StableSince) -> str:
    """The SQL condition for items whose files may be complete; the table must exist."""
    return (
        f"coalesce((select seen_at <= {stable.seen!r} from temp.growing"
        f" where item_id = item.id), mtime_ns <= {int(stable.mtime * 1e9)})"
    )
