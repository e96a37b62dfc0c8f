"""What a run has counted of items that it reads again is taken back: it counts them once."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from imports.ledger.runs import add_counts
from imports.ledger.scope import Scope

COUNTED = "(item.state = 'planned' or item.state = 'failed' and item.failed_in is :batch_id)"
"""The SQL that picks the items which the run of a scope has counted and not brought in."""

_OF_ITEMS = {
    "planning.to_import": "1",
    "planning.failed": "state = 'failed' and phase = 'planning'",
    # One that could not be read has what an earlier run found.
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
    """Takes back the counts of items, whose ids a query finds, in the transaction that lists them.

    They are items that the scope's run has `COUNTED`, as they are before that.
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
    # A run that was killed may not have counted all of it.
    taken = {name: -min(value, known.get(name, 0)) for name, value in counted.items()}
    add_counts(connection, scope.run_name, taken)
