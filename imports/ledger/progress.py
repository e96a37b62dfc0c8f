"""The progress of the files of a source, for the progress log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from imports.items.work_item import ItemState
from imports.ledger.scope import Scope


class ItemProgress(NamedTuple):
    """The progress of an item: its records, and when it began and ended.

    Times are seconds since the epoch, or None if they are in the future. `acknowledged` says
    whether its failure is acknowledged.
    """

    path: str
    state: ItemState
    records: int | None
    succeeded: int
    refused: int
    began_at: float | None
    ended_at: float | None
    acknowledged: int = 0


def item_progress(scope: Scope) -> Iterator[ItemProgress]:
    """All items of a scope that have begun, in the order in which they were found."""
    rows = scope.connection.execute(
        "select path, state, records, succeeded, refused, coalesce(began_at, updated_at), ended_at,"
        " acknowledged_at is not null"
        f" from item where {scope.all_items} and state <> 'listed' order by id"
    )
    for path, state, *rest in rows:
        yield ItemProgress(path, ItemState(state), *rest)
