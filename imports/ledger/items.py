"""The ledger's memory of work items: what was listed, planned, imported, and what failed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from imports.ledger.file import LedgerFile
from imports.ledger.runs import add_counts
from imports.source_tree import ListedEntry, ListingProblem
from imports.work_item import Failure, ItemState, Phase, Plan, Signature, WorkItem

_LISTING_CHUNK = 5_000

_UNFINISHED = "state <> 'imported'"
"""Said in every query for unfinished items, so that SQLite takes the partial index."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a listing of the source came to: items in all, and how they compare.

    `changed` includes those that failed before; `problems` are those that cannot be listed.
    """

    total: int
    new: int
    changed: int
    unchanged: int
    problems: int


class ItemLedger:
    """The work items of one scope."""

    def __init__(
        self, file: LedgerFile, scope_id: int, batch_id: str, only: str | None = None
    ) -> None:
        """Works on an open file; what is counted is counted for the run of `batch_id`.

        With `only` a run is about the item of this path, and leaves the others as they are.
        """
        self._file = file
        self.scope_id = scope_id
        self._batch_id = batch_id
        self._only = "" if only is None else " and item.path = " + _quoted(only)

    def record_listing(
        self, entries: Iterable[ListedEntry], *, whole: bool, again: bool
    ) -> Listing:
        """Takes in a listing of the source, which may be of any length.

        New and changed items become `listed`; so do failed ones, to be tried once more, and all
        of them where `again`. Items no longer in a `whole` listing are forgotten, unless a part
        of the source could not be listed.
        """
        self._file.connection.execute("drop table if exists temp.listing")
        self._file.connection.execute(
            "create temp table listing"
            " (path text primary key, size integer, mtime_ns integer, problem text)"
        )
        rows = iter(
            (entry.path, -1, -1, entry.reason)
            if isinstance(entry, ListingProblem)
            else (entry.path, entry.signature.size, entry.signature.mtime_ns, None)
            for entry in entries
        )
        with self._file.transaction() as connection:
            while chunk := list(islice(rows, _LISTING_CHUNK)):
                connection.executemany("insert or replace into listing values (?, ?, ?, ?)", chunk)
            listing = self._compare_listing(again=again)
            if whole and listing.total and not listing.problems:
                gone = "item where scope_id = ? and path not in (select path from listing)"
                connection.execute(
                    f"delete from item_image where item_id in (select id from {gone})",
                    (self.scope_id,),
                )
                connection.execute(f"delete from {gone}", (self.scope_id,))
            connection.execute(
                "insert into item (scope_id, path, size, mtime_ns, state, phase, reason, tries,"
                " updated_at)"
                " select ?, path, size, mtime_ns, iif(problem is null, 'listed', 'failed'),"
                " iif(problem is null, null, 'planning'), problem,"
                " iif(problem is null, 0, 1), ?"
                " from listing where true order by rowid"
                " on conflict (scope_id, path) do update set size = excluded.size,"
                " mtime_ns = excluded.mtime_ns, state = excluded.state, phase = excluded.phase,"
                " reason = excluded.reason, updated_at = excluded.updated_at,"
                " tries = excluded.tries + iif(item.size = excluded.size"
                " and item.mtime_ns = excluded.mtime_ns, item.tries, 0)"
                " where item.size <> excluded.size or item.mtime_ns <> excluded.mtime_ns"
                " or item.state = 'failed' or ?",
                (self.scope_id, time.time(), again),
            )
        self._file.connection.execute("drop table temp.listing")
        return listing

    def none_known(self) -> bool:
        """Whether this source was never listed before."""
        row = self._file.connection.execute(
            "select exists (select 1 from item where scope_id = ?)", (self.scope_id,)
        ).fetchone()
        return not row[0]

    def _compare_listing(self, *, again: bool) -> Listing:
        total, known, same, problems = self._file.connection.execute(
            "select count(*), count(item.id), coalesce(sum(item.state = 'imported'"
            " and item.size = listing.size and item.mtime_ns = listing.mtime_ns), 0),"
            " count(problem)"
            " from listing left join item on item.scope_id = ? and item.path = listing.path",
            (self.scope_id,),
        ).fetchone()
        unchanged = 0 if again else same
        return Listing(total, total - known, known - unchanged, unchanged, problems)

    def listed_items(self, limit: int | None, size: int) -> Iterator[list[WorkItem]]:
        """The items that planning has yet to read, at most `limit`, in lists of `size`."""
        query = (
            "select id, path, size, mtime_ns from item"
            f" where scope_id = ? and {_UNFINISHED} and state = 'listed' and id > ?{self._only}"
            " order by id limit ?"
        )
        last, left = 0, limit
        while left is None or left > 0:
            wanted = size if left is None else min(size, left)
            rows = self._file.connection.execute(query, (self.scope_id, last, wanted)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            left = None if left is None else left - len(rows)
            yield [WorkItem(row[0], row[1], Signature(row[2], row[3])) for row in rows]

    def record_plans(
        self, plans: list[Plan], chunk: int, spooled: frozenset[int], counts: Mapping[str, int]
    ) -> None:
        """Takes in what planning found; the rows of `spooled` items are in `chunk`."""
        now = time.time()
        good = [plan for plan in plans if plan.failure is None]
        with self._file.transaction() as connection:
            connection.executemany(
                "update item set state = 'planned', chunk = ?, item_group = ?, warnings = ?,"
                " updated_at = ? where id = ?",
                [
                    (
                        chunk if plan.id in spooled else None,
                        None if plan.group is None else _group_number(plan.group),
                        json.dumps(plan.warnings) if plan.warnings else None,
                        now,
                        plan.id,
                    )
                    for plan in good
                ],
            )
            connection.executemany(
                "delete from item_image where item_id = ?", [(plan.id,) for plan in plans]
            )
            connection.executemany(
                "insert into item_image values (?, ?, ?)",
                [
                    (plan.id, position, image.path)
                    for plan in good
                    for position, image in enumerate(plan.images)
                ],
            )
            connection.executemany(
                "insert into image (path, size, mtime_ns) values (?, ?, ?)"
                " on conflict (path) do update set size = excluded.size,"
                " mtime_ns = excluded.mtime_ns, sha256 = null, problem = null,"
                " settled_by = null"
                " where size <> excluded.size or mtime_ns <> excluded.mtime_ns"
                " or problem is not null",
                [
                    (image.path, image.signature.size, image.signature.mtime_ns)
                    for plan in good
                    for image in plan.images
                ],
            )
            self._fail(
                connection,
                Phase.PLANNING,
                [(plan.id, plan.failure) for plan in plans if plan.failure is not None],
            )
            add_counts(connection, self._batch_id, counts)

    def next_chunk(self) -> int:
        """A number for the next chunk of the spool that no item of this scope has yet."""
        row = self._file.connection.execute(
            f"select coalesce(max(chunk), 0) + 1 from item where scope_id = ? and {_UNFINISHED}",
            (self.scope_id,),
        ).fetchone()
        return int(row[0])

    def duplicates(self, limit: int) -> tuple[int, list[list[str]]]:
        """How many groups of items are the same search, and the paths of the first of them."""
        groups = (
            "select item_group from item where scope_id = ? and item_group is not null"
            " group by item_group having count(*) > 1"
        )
        count = self._file.connection.execute(f"select count(*) from ({groups})", (self.scope_id,))
        found = []
        for (group,) in self._file.connection.execute(
            f"{groups} limit ?", (self.scope_id, limit)
        ).fetchall():
            paths = self._file.connection.execute(
                "select path from item where scope_id = ? and item_group = ? order by path limit 5",
                (self.scope_id, group),
            )
            found.append([row[0] for row in paths])
        return int(count.fetchone()[0]), found

    def warnings(self, since: float, limit: int) -> tuple[int, list[tuple[str, str]]]:
        """How many items touched since then lack something, and the first of them with what."""
        where = (
            "from item indexed by item_warned"
            " where scope_id = ? and warnings is not null and state <> 'failed'"
            " and updated_at >= ?"
        )
        count = self._file.connection.execute(
            f"select count(*) {where}", (self.scope_id, since)
        ).fetchone()[0]
        rows = self._file.connection.execute(
            f"select path, warnings {where} order by path limit ?", (self.scope_id, since, limit)
        )
        return int(count), [(path, "; ".join(json.loads(text))) for path, text in rows]

    # Import

    def open_queue(self, state: ItemState, limit: int | None) -> int:
        """Puts the items of a state in the order in which they are imported; returns how many.

        Items of one group come last and side by side, by path, so that the later path wins
        whatever the workers do. What failed before comes behind what did not.
        """
        connection = self._file.connection
        connection.execute("drop table if exists temp.queue")
        connection.execute(
            "create temp table queue"
            " (position integer primary key, item_id integer, item_group integer)"
        )
        connection.execute(
            "insert into queue (item_id, item_group)"
            " select item.id, shared.item_group from item left join ("
            "  select item_group from item where scope_id = :scope and item_group is not null"
            "  group by item_group having count(*) > 1) as shared"
            " on shared.item_group = item.item_group"
            f" where scope_id = :scope and state = :state {self._and_unfinished(state)}{self._only}"
            " order by shared.item_group is not null, shared.item_group,"
            " shared.item_group is null and tries > 0,"
            " iif(shared.item_group is null, item.id, 0), path limit :limit",
            {"scope": self.scope_id, "state": state, "limit": -1 if limit is None else limit},
        )
        count = connection.execute("select count(*) from queue").fetchone()[0]
        return int(count)

    def queued_batches(self, size: int) -> Iterator[list[WorkItem]]:
        """The queue in batches of `size` items; a group is never torn apart."""
        last = 0
        while True:
            rows = self._file.connection.execute(
                "select position, queue.item_group, item.id, path, size, mtime_ns, chunk from queue"
                " join item on item.id = item_id where position > ? order by position limit ?",
                (last, size),
            ).fetchall()
            if not rows:
                return
            if rows[-1][1] is not None:
                rows += self._file.connection.execute(
                    "select position, queue.item_group, item.id, path, size, mtime_ns, chunk"
                    " from queue join item on item.id = item_id"
                    " where position > ? and queue.item_group = ? order by position",
                    (rows[-1][0], rows[-1][1]),
                ).fetchall()
            images = self._images(last, rows[-1][0])
            last = rows[-1][0]
            yield [
                WorkItem(
                    row[2],
                    row[3],
                    Signature(row[4], row[5]),
                    tuple(images.get(row[2], ())),
                    row[6],
                )
                for row in rows
            ]

    def _images(self, after: int, up_to: int) -> dict[int, list[str | None]]:
        rows = self._file.connection.execute(
            "select queue.item_id, sha256 from queue"
            " join item_image on item_image.item_id = queue.item_id"
            " left join image on image.path = item_image.path"
            " where queue.position > ? and queue.position <= ?"
            " order by queue.item_id, item_image.position",
            (after, up_to),
        )
        found: dict[int, list[str | None]] = {}
        for item_id, sha256 in rows:
            found.setdefault(item_id, []).append(sha256)
        return found

    def record_imported(
        self, item_ids: list[int], failures: list[tuple[int, str]], counts: Mapping[str, int]
    ) -> None:
        """Takes in what became of a batch, after its transaction committed."""
        failed = {item_id for item_id, _ in failures}
        now = time.time()
        with self._file.transaction() as connection:
            connection.executemany(
                "update item set state = 'imported', phase = null, reason = null, updated_at = ?"
                " where id = ?",
                [(now, item_id) for item_id in item_ids if item_id not in failed],
            )
            self._fail(connection, Phase.IMPORT, failures)
            add_counts(connection, self._batch_id, counts)

    def record_upload_failure(self, sha256: str, reason: str) -> int:
        """Fails the unfinished items that name an image; returns how many."""
        with self._file.transaction() as connection:
            rows = connection.execute(
                "select distinct item.id from image"
                " join item_image on item_image.path = image.path"
                " join item on item.id = item_image.item_id"
                f" where sha256 = ? and scope_id = ? and {_UNFINISHED}",
                (sha256, self.scope_id),
            ).fetchall()
            self._fail(connection, Phase.UPLOAD, [(row[0], reason) for row in rows])
        return len(rows)

    def import_again(self, items: Iterable[tuple[int, Signature]]) -> None:
        """Has items, whose files have these signatures now, read and imported again."""
        with self._file.transaction() as connection:
            connection.executemany(
                "update item set state = 'listed', size = ?, mtime_ns = ? where id = ?",
                [(signature.size, signature.mtime_ns, each) for each, signature in items],
            )

    # Verification

    def begin_vouching(self) -> None:
        """Forgets which rows of the target were vouched for."""
        connection = self._file.connection
        connection.execute("drop table if exists temp.vouched")
        connection.execute("create temp table vouched (id text primary key) without rowid")

    def vouch_for(self, row_ids: Iterable[str]) -> None:
        """Notes rows of the target that a file speaks for."""
        with self._file.transaction() as connection:
            connection.executemany(
                "insert or ignore into vouched values (?)", [(each,) for each in row_ids]
            )

    def vouched(self, row_ids: list[str]) -> set[str]:
        """Those of some rows that a file speaks for."""
        rows = self._file.connection.execute(
            "select id from vouched where id in (select value from json_each(?))",
            (json.dumps(row_ids),),
        )
        return {row[0] for row in rows}

    # Reports

    def path(self, item_id: int) -> str:
        """The path of an item."""
        row = self._file.connection.execute(
            "select path from item where id = ?", (item_id,)
        ).fetchone()
        return str(row[0])

    def count(self, state: ItemState) -> int:
        """How many items are in a state."""
        row = self._file.connection.execute(
            f"select count(*) from item where scope_id = ? and state = ?"
            f" {self._and_unfinished(state)}{self._only}",
            (self.scope_id, state),
        ).fetchone()
        return int(row[0])

    def unfinished(self, limit: int) -> tuple[int, list[tuple[str, str]]]:
        """How many items are not finished, and the first of them with their state."""
        where = f"from item where scope_id = ? and {_UNFINISHED} and state <> 'failed'{self._only}"
        count = self._file.connection.execute(
            f"select count(*) {where}", (self.scope_id,)
        ).fetchone()[0]
        rows = self._file.connection.execute(
            f"select path, state {where} order by id limit ?", (self.scope_id, limit)
        )
        return int(count), rows.fetchall()

    def failures(self, limit: int) -> tuple[int, list[Failure]]:
        """How many items failed, and the first of them."""
        where = (
            f"from item indexed by item_failed where scope_id = ? and state = 'failed'{self._only}"
        )
        count = self._file.connection.execute(
            f"select count(*) {where}", (self.scope_id,)
        ).fetchone()[0]
        rows = self._file.connection.execute(
            f"select path, phase, reason, tries {where} order by path limit ?",
            (self.scope_id, limit),
        )
        return int(count), [Failure(*row) for row in rows]

    def _fail(
        self, connection: sqlite3.Connection, phase: Phase, failures: list[tuple[int, str]]
    ) -> None:
        now = time.time()
        connection.executemany(
            "update item set state = 'failed', phase = ?, reason = ?, tries = tries + 1,"
            " updated_at = ? where id = ?",
            [(phase, reason, now, item_id) for item_id, reason in failures],
        )

    @staticmethod
    def _and_unfinished(state: ItemState) -> str:
        return "" if state is ItemState.IMPORTED else f"and {_UNFINISHED}"


def _quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _group_number(group: str) -> int:
    digest = hashlib.blake2b(group.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
