"""Resets in the ledger: the items of a run are no longer recorded as imported."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import NamedTuple

from imports.ledger.acknowledged import FORGOTTEN
from imports.ledger.file import LedgerFile
from imports.ledger.reset_places import SIZE
from imports.ledger.scope import NOTHING_DONE

# A later run may have imported an item again and found its rows unchanged: the rows then still have
# this run's id.
_ITEMS = """
insert or ignore into temp.undone
select id, disposed_at is not null from item
where scope_id = (select scope_id from run where batch_id = :batch_id) and (
  state = 'imported'
    and first_in <= (select max(id) from batch where batch_id = :batch_id)
    and imported_in >= (select min(id) from batch where batch_id = :batch_id)
  or state <> 'imported' and succeeded + records_done > 0)
"""
_UNDONE = "(select id from temp.undone where not gone)"
_GONE = "(select id from temp.undone where gone)"
_RUNS = "(select batch_id from temp.undone_run)"
_TARGETS = f"""
(select target_id from run join scope on scope.id = scope_id where run.batch_id in {_RUNS})
"""
_PLACES = f"""
target_id in {_TARGETS} and (in_reset or (batch_id = '' or batch_id in {_RUNS}) and stage <> 'found'
  or stage = 'committed' and place in (
    select place from temp.undone join item_image on item_id = temp.undone.id))
"""
"""The places of images that the runs may have put, or whose rows they may have written."""


class Undone(NamedTuple):
    """The numbers of items that can be imported again, and of items whose files are gone."""

    importable: int
    gone: int


class UndonePlaces(NamedTuple):
    """How many images at places of their own a reset looks at, and their bytes."""

    images: int
    bytes: int


class KnownRun(NamedTuple):
    """A run that the ledger knows: its scope, and its own name."""

    scope_id: int
    kind: str
    source: str
    tag: str
    target_id: str
    run_name: str


def known_runs(connection: sqlite3.Connection, batch_id: str) -> list[KnownRun]:
    """The runs whose rows have a batch id, in their order; several if a user gave it to them."""
    rows = connection.execute(
        "select scope_id, kind, source, tag, target_id, batch_id from run"
        " join scope on scope.id = scope_id"
        " where batch_id = ?1 and given_id is null or given_id = ?1 order by number",
        (batch_id,),
    )
    return [KnownRun(*row) for row in rows]


def likely_ids(connection: sqlite3.Connection, text: str) -> list[str]:
    """The batch ids of runs whose own name is a text, or is that text and the digits after it."""
    rows = connection.execute(
        "select distinct coalesce(given_id, batch_id) from run where batch_id = ?1"
        " or substr(batch_id, 1, length(?1) + 1) = ?1 || '_' order by number desc limit 3",
        (text,),
    )
    return [batch_id for (batch_id,) in rows]


def count_undone(file: LedgerFile, run_names: Sequence[str]) -> tuple[Undone, UndonePlaces]:
    """How many items `undo_runs` would undo, and at how many images a reset would look."""
    with file.transaction() as connection:
        undone = _collect(connection, run_names)
        count, size = connection.execute(
            f"select count(*), coalesce(sum({SIZE}), 0) from placement where {_PLACES}"
        ).fetchone()
        _forget(connection)
    return undone, UndonePlaces(count, size)


def undo_runs(file: LedgerFile, run_names: Sequence[str]) -> Undone:
    """Makes the items importable again whose rows runs may have written, and ends the runs.

    The runs, by their own names, are of one target. They cannot be resumed. Deletes the items whose
    files were deleted or moved away; the record of the files stays. Later runs look for the images
    of all these items in the target again; images at places of their own are marked for
    `ResetPlaces`. Repeating this is safe.
    """
    with file.transaction() as connection:
        undone = _collect(connection, run_names)
        connection.execute(
            f"update placement set in_reset = 1 where stage = 'committed' and {_PLACES}"
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
        connection.execute(f"delete from work_state where batch_id in {_RUNS}")
        connection.execute(
            f"update run set reset_at = coalesce(reset_at, ?) where batch_id in {_RUNS}",
            (time.time(),),
        )
        _forget(connection)
    return undone


def _collect(connection: sqlite3.Connection, run_names: Sequence[str]) -> Undone:
    """Puts runs, and the items whose rows they may have written, into temporary tables.

    Returns the numbers of these items.
    """
    _forget(connection)
    connection.execute("create temp table undone_run (batch_id text primary key)")
    connection.execute("create temp table undone (id integer primary key, gone integer)")
    for run_name in run_names:
        connection.execute("insert into temp.undone_run values (?)", (run_name,))
        connection.execute(_ITEMS, {"batch_id": run_name})
    gone, count = connection.execute(
        "select coalesce(sum(gone), 0), count(*) from temp.undone"
    ).fetchone()
    return Undone(int(count - gone), int(gone))


def _forget(connection: sqlite3.Connection) -> None:
    """Drops the temporary tables, if they exist."""
    for table in ("undone", "undone_run"):
        connection.execute(f"drop table if exists temp.{table}")
