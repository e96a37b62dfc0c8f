"""Subtracts the counts of items that a run reads again, so that it counts them once."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from imports.ledger.runs import add_counts
from imports.ledger.scope import Scope

COUNTED = "(item.state = 'planned' or item.state = 'failed' and item.failed_in is :batch_id)"
"""The SQL condition for items that the run has counted and not imported."""

_OF_ITEMS = {
    "planning.to_import": "1",
    "planning.failed": "state = 'failed' and phase = 'planning'",
    # An item that could not be read has the number of an earlier run.
    "planning.images_missing": "iif(state = 'failed' and phase = 'planning', 0, not_found)",
    "import.failed": "state = 'failed' and phase = 'import'",
    "import.refused": "refused",
}
_OF_IMAGES = {
    "sha256.unusable": ("image.path", "problem is not null"),
    "sha256.unread": (
        "image.path",
        "state = 'failed' and phase = 'sha256' and sha256 is null and problem is null",
    ),
    "upload.failed": ("image.sha256", "state = 'failed' and phase = 'upload' and not {stored}"),
}


def uncount(
    connection: sqlite3.Connection, scope: Scope, ids: str, values: Mapping[str, object]
) -> None:
    """Subtracts the counts of the items whose ids a query finds.

    Must run before the items are listed again, in the same transaction. The query selects items
    that the scope's run has `COUNTED`.
    """
    values = {**values, "batch_id": scope.run_name}
    sums = ", ".join(f"coalesce(sum({each}), 0)" for each in _OF_ITEMS.values())
    row = connection.execute(f"select {sums} from item where id in ({ids})", values).fetchone()
    if not row[0]:
        return
    counted = dict(zip(_OF_ITEMS, row, strict=True))
    for name, (what, where) in _OF_IMAGES.items():
        where = where.format(stored=scope.seen_stored)
        counted[name] = connection.execute(
            f"select count(distinct {what}) from item"
            " join item_image on item_image.item_id = item.id"
            f" join image on image.path = item_image.path where item.id in ({ids}) and {where}",
            values,
        ).fetchone()[0]
    known = dict(
        connection.execute(
            "select name, value from run_count where batch_id = ?", (scope.run_name,)
        ).fetchall()
    )
    # A killed run may not have counted all of them.
    taken = {name: -min(value, known.get(name, 0)) for name, value in counted.items()}
    add_counts(connection, scope.run_name, taken)
