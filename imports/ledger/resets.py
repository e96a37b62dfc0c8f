"""Resets in the ledger: the items of a run are no longer recorded as imported."""

from __future__ import annotations

import sqlite3
import time
from typing import NamedTuple

from imports.ledger.acknowledged import FORGOTTEN
from imports.ledger.file import LedgerFile
from imports.ledger.reset_places import SIZE
from imports.ledger.scope import NOTHING_DONE

# A later run may have imported an item again and found its rows unchanged: the rows then still have
# this run's id.
_ITEMS = """
create temp table undone as
select id, disposed_at is not null as gone from item
where scope_id = (select scope_id from run where batch_id = :batch_id) and (
  state = 'imported'
    and first_in <= (select max(id) from batch where batch_id = :batch_id)
    and imported_in >= (select min(id) from batch where batch_id = :batch_id)
  or state <> 'imported' and succeeded + records_done > 0)
"""
_UNDONE = "(select id from temp.undone where not gone)"
_GONE = "(select id from temp.undone where gone)"
_TARGET = "(select target_id from run join scope on scope.id = scope_id where run.batch_id = ?1)"
_PLACES = f"""
target_id = {_TARGET} and (in_reset or batch_id in (?1, '') and stage <> 'found'
  or stage = 'committed' and place in (
    select place from temp.undone join item_image on item_id = temp.undone.id))
"""
"""The places of images that a run may have put, or whose rows it may have written."""


class Undone(NamedTuple):
    """The numbers of items that can be imported again, and of items whose files are gone."""

    importable: int
    gone: int


class UndonePlaces(NamedTuple):
    """How many images at places of their own a reset looks at, and their bytes."""

    images: int
    bytes: int


class KnownRun(NamedTuple):
    """The scope of a run that the ledger knows."""

    scope_id: int
    kind: str
    source: str
    tag: str
    target_id: str


def known_run(connection: sqlite3.Connection, run_name: str) -> KnownRun | None:
    """The scope of a run, by its batch id; None if the ledger does not know the run."""
    row = connection.execute(
        "select scope_id, kind, source, tag, target_id from run join scope on scope.id = scope_id"
        " where batch_id = ?",
        (run_name,),
    ).fetchone()
    return None if row is None else KnownRun(*row)


def count_undone(file: LedgerFile, run_name: str) -> tuple[Undone, UndonePlaces]:
    """How many items `undo_run` would undo, and at how many images a reset would look."""
    with file.transaction() as connection:
        undone = _collect(connection, run_name)
        places = connection.execute(
            f"select count(*), coalesce(sum({SIZE}), 0) from placement where {_PLACES}", (run_name,)
        ).fetchone()
        connection.execute("drop table temp.undone")
    return undone, UndonePlaces(*places)


def undo_run(file: LedgerFile, run_name: str) -> Undone:
    """Makes the items importable again whose rows a run may have written, and ends the run.

    The run cannot be resumed. Deletes the items whose files were deleted or moved away; the record
    of the files stays. Later runs look for the images of all these items in the target again;
    images at places of their own are marked for `ResetPlaces`. Repeating this is safe. A run that
    the ledger does not know has no items.
    """
    with file.transaction() as connection:
        undone = _collect(connection, run_name)
        connection.execute(
            f"update placement set in_reset = 1 where stage = 'committed' and {_PLACES}",
            (run_name,),
        )
        connection.execute(
            "delete from seen_stored where sha256 in (select sha256 from temp.undone"
            " join item_image on item_id = id join image on image.path = item_image.path)"
        )
        connection.execute(
            "update item set state = 'listed', phase = null, reason = null, cause = null,"
            f" updated_at = ?, {NOTHING_DONE}, {FORGOTTEN} where id in {_UNDONE}",
            (time.time(),),
        )
        connection.execute(
            "delete from record_failure where item_id in (select id from temp.undone)"
        )
        for table, column in (("failure", "item_id"), ("item_image", "item_id"), ("item", "id")):
            connection.execute(f"delete from {table} where {column} in {_GONE}")
        connection.execute("delete from work_state where batch_id = ?", (run_name,))
        connection.execute(
            "update run set reset_at = coalesce(reset_at, ?) where batch_id = ?",
            (time.time(), run_name),
        )
        connection.execute("drop table temp.undone")
    return undone


def _collect(connection: sqlite3.Connection, run_name: str) -> Undone:
    """Puts the items whose rows a run may have written into a temporary table; counts them."""
    connection.execute("drop table if exists temp.undone")
    connection.execute(_ITEMS, {"batch_id": run_name})
    gone, count = connection.execute(
        "select coalesce(sum(gone), 0), count(*) from temp.undone"
    ).fetchone()
    return Undone(int(count - gone), int(gone))
