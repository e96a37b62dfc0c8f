"""The ledger's memory of source files that are done with: deleted, moved away, or yet to be."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from imports.ledger.acknowledged import COUNTS, FORGOTTEN
from imports.ledger.runs import add_counts
from imports.ledger.scope import SIGNATURE, Scope
from imports.work_item import Failure, ItemState, Signature

_WRONG = "stays, since what the target has of it differs (see the verification)"


class DueItem(NamedTuple):
    """A finished item whose file is at the source, as far as is known.

    `reason` says why it failed, if it did; `again` whether this run tries it again; `own` whether
    it went in by this run; `stays` that it is not of this kind, and is left where it is.
    """

    id: int
    path: str
    signature: Signature
    reason: str | None
    again: bool
    own: bool = True
    stays: bool = False


class DisposedItem(NamedTuple):
    """What became of the file of an item.

    It was moved to `moved_to`, or deleted; or `problem` says why it was not, and `signature` is
    the one that it has now. `gone`: somebody else took it away before it could be deleted;
    `vanished`: before it was read. `kept_as` is the new name of another file that had come in its
    place, and could not get its name back.
    """

    id: int
    moved_to: str | None = None
    problem: str | None = None
    vanished: bool = False
    gone: bool = False
    kept_as: str | None = None
    signature: Signature | None = None


class DisposalLedger:
    """The finished items of one scope, and where their files are."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def due(self, item_ids: Sequence[int]) -> list[DueItem]:
        """Those of some items that are finished, and whose files are at the source.

        What is acknowledged stays as it is, and is left out here as below.
        """
        items = "json_each(:ids) cross join item on item.id = value"
        return self._due(items, "true", ids=json.dumps(item_ids))

    def left(self, after: int, limit: int, most_tries: int | None) -> list[DueItem]:
        """A page, by id, of all of them.

        Failed ones are tried again, but for those that failed in this run, or in `most_tries`
        runs (None for no limit).
        """
        # By id, so that all pages together are one pass.
        return self._due(
            "item not indexed",
            "item.id > :after",
            most_tries=most_tries,
            after=after,
            limit=limit,
        )

    def _due(self, items: str, condition: str, **values: object) -> list[DueItem]:
        rows = self._scope.connection.execute(
            "select item.id, item.path, iif(state = 'failed', reason, null),"
            " state = 'failed' and failed_in is not :batch_id"
            f" and (:most_tries is null or tries < :most_tries), {self._scope.by_this_run},"
            " stays,"
            f" {SIGNATURE} from {items}"
            f" where {self._scope.all_items} and state in ('imported', 'failed')"
            f" and disposed_at is null and found_wrong = 0 and {COUNTS} and {condition}"
            # What was left out is only there.
            " and (state = 'failed' or left_out = 0)"
            " order by item.id limit :limit",
            {"limit": -1, "most_tries": None, "batch_id": self._scope.run_name, **values},
        )
        return [
            DueItem(row[0], row[1], Signature(*row[6:]), row[2], *map(bool, row[3:6]))
            for row in rows
        ]

    def record(self, items: Sequence[DisposedItem]) -> None:
        """Takes in what became of files; items that vanished are forgotten."""
        now = time.time()
        gone = [
            item
            for item in items
            if item.problem is None and not item.vanished and item.kept_as is None
        ]
        moved = sum(item.moved_to is not None for item in gone)
        with self._scope.file.transaction() as connection:
            connection.executemany(
                "insert into disposal (scope_id, path, size, mtime_ns, what, reason, moved_to,"
                " batch_id, disposed_at) select scope_id, path, size, mtime_ns, ?,"
                " iif(state = 'failed', reason, null), ?, ?, ? from item where id = ?",
                [(_what(item), item.moved_to, self._scope.run_name, now, item.id) for item in gone],
            )
            connection.executemany(
                "update item set disposed_at = ?, moved_to = ?, disposal_problem = null,"
                f" {FORGOTTEN} where id = ?",
                [(now, item.moved_to, item.id) for item in gone],
            )
            connection.executemany(
                "update item set disposal_problem = ? where id = ?",
                [(item.problem, item.id) for item in items if item.problem is not None],
            )
            self._sign(connection, [(each.signature, each.id) for each in items if each.signature])
            for table, column in (
                ("failure", "item_id"),
                ("item_image", "item_id"),
                ("item", "id"),
            ):
                connection.executemany(
                    f"delete from {table} where {column} = ?",
                    [(item.id,) for item in items if item.vanished],
                )
            counts = {"import.files_deleted": len(gone) - moved, "import.files_moved": moved}
            add_counts(connection, self._scope.run_name, counts)

    def leave(self, item_ids: Sequence[int]) -> None:
        """Takes in that the files of items that are about to fail are not of this kind.

        This holds until they are read again.
        """
        if item_ids:
            with self._scope.file.transaction() as connection:
                connection.execute(
                    "update item set stays = 1 where id in (select value from json_each(?))",
                    (json.dumps(item_ids),),
                )

    def failed_in_source(self) -> tuple[int, int]:
        """How many items that count as failed are in the source; how many are not of this kind."""
        row = self._scope.connection.execute(
            "select count(*), coalesce(sum(stays), 0) from item"
            f" where {self._scope.condition(ItemState.FAILED)} and disposed_at is null and {COUNTS}"
        ).fetchone()
        return int(row[0]), int(row[1])

    def due_at(self, path: str) -> DueItem | None:
        """The item of a path, if it is finished and its file is at the source."""
        return next(iter(self._due("item", "item.path = :path", path=path)), None)

    def sign(self, item_id: int, signature: Signature) -> None:
        """Takes in what signature a file has that was set aside and put back."""
        with self._scope.file.transaction() as connection:
            self._sign(connection, [(signature, item_id)])

    @staticmethod
    def _sign(connection: sqlite3.Connection, signed: list[tuple[Signature, int]]) -> None:
        connection.executemany(
            "update item set digest = ? where id = ?",
            [(signature.digest, item_id) for signature, item_id in signed],
        )

    def forget_problems(self) -> None:
        """Forgets what was in the way before: it is tried again."""
        with self._scope.file.transaction() as connection:
            connection.execute(
                "update item set disposal_problem = null where"
                f" {self._scope.all_items} and disposal_problem is not null and found_wrong = 0"
            )

    def record_verified(self, wrong: Iterable[str], *, whole: bool) -> None:
        """Takes in of which items, by path, the target has something else than it should.

        Their files stay until they are imported again, or a `whole` verification finds no fault.
        """
        with self._scope.file.transaction() as connection:
            if whole:
                connection.execute(
                    "update item set found_wrong = 0, disposal_problem = null"
                    f" where {self._scope.all_items} and found_wrong <> 0"
                )
            connection.executemany(
                "update item set found_wrong = 1, disposal_problem = ?"
                f" where {self._scope.all_items} and item.path = ?",
                [(_WRONG, path) for path in wrong],
            )

    def problems(self, limit: int) -> tuple[int, list[Failure]]:
        """How many finished files could not be deleted or moved, and the first of them."""
        where = (
            "from item indexed by item_not_disposed_of"
            f" where {self._scope.all_items} and disposal_problem is not null and {COUNTS}"
        )
        count = self._scope.connection.execute(f"select count(*) {where}").fetchone()[0]
        rows = self._scope.connection.execute(
            f"select path, disposal_problem {where} order by path limit ?", (limit,)
        )
        return int(count), [Failure(path, "import", problem) for path, problem in rows]

    def disposed(self) -> int:
        """How many items of this source are imported, and their files are gone from it."""
        row = self._scope.connection.execute(
            f"select count(*) from item where {self._scope.condition(ItemState.IMPORTED)}"
            " and disposed_at is not null"
        ).fetchone()
        return int(row[0])


def _what(item: DisposedItem) -> str:
    if item.moved_to is not None:
        return "moved"
    return "gone" if item.gone else "deleted"
