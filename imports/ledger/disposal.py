"""The ledger's record of the files of finished items: deleted, moved, or still there."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from imports.items.source import Signature
from imports.items.work_item import Failure, ItemState
from imports.ledger.acknowledged import COUNTS, FORGOTTEN
from imports.ledger.runs import add_counts
from imports.ledger.scope import SIGNATURE, Scope

_WRONG = "stays, since its rows in the target differ (see the verification)"


class DueItem(NamedTuple):
    """A finished item whose file is probably at the source.

    `reason` says why it failed, if it did; `again` whether this run retries it; `own` whether
    this run imported it; `stays` that its file is not of this kind, and is not touched.
    """

    id: int
    path: str
    signature: Signature
    reason: str | None
    again: bool
    own: bool = True
    stays: bool = False


class DisposedItem(NamedTuple):
    """The result of disposing of an item's file.

    It was moved to `moved_to`, or deleted; or `problem` says why not, and `signature` is its
    current one. `gone`: somebody else removed it before it could be deleted; `vanished`: before it
    was read. `kept_as` is the new name of a file that was set aside, and could not be put back
    since another file had replaced it.
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
        """The items among `item_ids` that are finished and whose files are at the source.

        Acknowledged items are left out, here and below: their files stay.
        """
        items = "json_each(:ids) cross join item on item.id = value"
        return self._due(items, "true", ids=json.dumps(item_ids))

    def left(self, after: int, limit: int, most_tries: int | None) -> list[DueItem]:
        """A page of all such items, by id.

        Failed items are to be retried, except those that failed in this run, or in `most_tries`
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
            # Left-out records are only in the file.
            " and (state = 'failed' or left_out = 0)"
            " order by item.id limit :limit",
            {"limit": -1, "most_tries": None, "batch_id": self._scope.run_name, **values},
        )
        return [
            DueItem(row[0], row[1], Signature(*row[6:]), row[2], *map(bool, row[3:6]))
            for row in rows
        ]

    def record(self, items: Sequence[DisposedItem]) -> None:
        """Records the disposal of files; deletes items whose files vanished."""
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
        """Records that the files of items that will fail are not of this kind.

        This holds until they are read again.
        """
        if item_ids:
            with self._scope.file.transaction() as connection:
                connection.execute(
                    "update item set stays = 1 where id in (select value from json_each(?))",
                    (json.dumps(item_ids),),
                )

    def failed_in_source(self) -> tuple[int, int]:
        """The number of items in the source that count as failed, and of those not of this kind."""
        row = self._scope.connection.execute(
            "select count(*), coalesce(sum(stays), 0) from item"
            f" where {self._scope.condition(ItemState.FAILED)} and disposed_at is null and {COUNTS}"
        ).fetchone()
        return int(row[0]), int(row[1])

    def due_at(self, path: str) -> DueItem | None:
        """The item at a path, if it is finished and its file is at the source."""
        return next(iter(self._due("item", "item.path = :path", path=path)), None)

    def sign(self, item_id: int, signature: Signature) -> None:
        """Records the new signature of a file that was set aside and put back."""
        with self._scope.file.transaction() as connection:
            self._sign(connection, [(signature, item_id)])

    @staticmethod
    def _sign(connection: sqlite3.Connection, signed: list[tuple[Signature, int]]) -> None:
        connection.executemany(
            "update item set digest = ? where id = ?",
            [(signature.digest, item_id) for signature, item_id in signed],
        )

    def forget_problems(self) -> None:
        """Deletes earlier problems: the disposals are retried."""
        with self._scope.file.transaction() as connection:
            connection.execute(
                "update item set disposal_problem = null where"
                f" {self._scope.all_items} and disposal_problem is not null and found_wrong = 0"
            )

    def record_verified(self, wrong: Iterable[str], *, whole: bool) -> None:
        """Records the paths of items whose rows or images in the target are wrong.

        Their files stay until they are imported again, or a `whole` verification finds them right.
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
        """The number of finished files that could not be deleted or moved, and the first ones."""
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
        """The number of imported items whose files were disposed of."""
        row = self._scope.connection.execute(
            f"select count(*) from item where {self._scope.condition(ItemState.IMPORTED)}"
            " and disposed_at is not null"
        ).fetchone()
        return int(row[0])


def _what(item: DisposedItem) -> str:
    if item.moved_to is not None:
        return "moved"
    return "gone" if item.gone else "deleted"
