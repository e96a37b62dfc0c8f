"""The ledger's record of work items: what planning found, and what failed."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

import orjson

from imports.items.images import flaw_warning
from imports.items.phase import Phase
from imports.items.source import Signature
from imports.items.work_item import Failure, ItemState, ListedRow, Plan
from imports.ledger.acknowledged import COUNTS
from imports.ledger.growing import StableSince, is_stable, make_growing
from imports.ledger.recount import uncount
from imports.ledger.runs import add_counts
from imports.ledger.scope import NOTHING_DONE, SIGNATURE, UNFINISHED, Scope

_NOTHING: Mapping[int, int | None] = {}


class ItemLedger:
    """The work items of one scope."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def listed_items(
        self,
        limit: int | None,
        size: int,
        most_bytes: int | None = None,
        stable: StableSince | None = None,
        *,
        by_path: bool = False,
    ) -> Iterator[list[ListedRow]]:
        """The items that planning has not read yet, at most `limit`, in lists of `size`.

        Failed items come last, so that they do not use up a limit. A list has at most `most_bytes`
        in all, or one item. They are in the order of the listing, or `by_path`. `stable`: see
        `listed`.
        """
        left = limit
        if by_path:
            yield from self._listed_by_path(left, size, most_bytes, stable)
            return
        for tried in ("tries = 0", "tries > 0"):
            query = (
                f"select id, path, {SIGNATURE} from item where {self._listed(stable)}"
                f" and {tried} and id > ? order by id limit ?"
            )
            last = 0
            while left is None or left > 0:
                wanted = size if left is None else min(size, left)
                rows = self._scope.connection.execute(query, (last, wanted)).fetchall()
                if not rows:
                    break
                rows = _cut(rows, most_bytes)
                last = rows[-1][0]
                left = None if left is None else left - len(rows)
                yield rows

    def _listed_by_path(
        self, limit: int | None, size: int, most_bytes: int | None, stable: StableSince | None
    ) -> Iterator[list[ListedRow]]:
        connection = self._scope.connection
        connection.execute("drop table if exists temp.by_path")
        connection.execute(
            "create temp table by_path (position integer primary key, item_id integer)"
        )
        connection.execute(
            f"insert into by_path (item_id) select id from item where {self._listed(stable)}"
            " order by tries > 0, path limit ?",
            (-1 if limit is None else limit,),
        )
        last = 0
        query = (
            f"select id, path, {SIGNATURE} from by_path join item on id = item_id"
            " where position > ? order by position limit ?"
        )
        while rows := connection.execute(query, (last, size)).fetchall():
            rows = _cut(rows, most_bytes)
            last += len(rows)
            yield rows

    def listed(self, stable: StableSince | None = None) -> tuple[int, int]:
        """The number of items that planning has not read yet, and their size in bytes.

        With `stable`, only items whose files may be complete: unchanged since then by their mtime,
        or, if they were growing, by the listings.
        """
        row = self._scope.connection.execute(
            f"select count(*), coalesce(sum(size), 0) from item where {self._listed(stable)}"
        ).fetchone()
        return int(row[0]), int(row[1])

    def _listed(self, stable: StableSince | None) -> str:
        listed = self._scope.condition(ItemState.LISTED)
        if stable is None:
            return listed
        make_growing(self._scope)
        return f"{listed} and {is_stable(stable)}"

    def record_plans(
        self,
        plans: list[Plan],
        counts: Mapping[str, int],
        plain: Mapping[int, int | None] = _NOTHING,
        chunk: int | None = None,
    ) -> None:
        """Records the plans; a `plain` item has only its group, and its row is in `chunk`."""
        now = time.time()
        good = [plan for plan in plans if plan.failure is None]
        failures = [(plan.id, plan.failure) for plan in plans if plan.failure is not None]
        with self._scope.file.transaction() as connection:
            # One statement for each item would take several times as long.
            connection.execute(
                "update item set state = 'planned', chunk = ?, item_group = each.value,"
                " warnings = null, not_found = 0, unusable = 0, records = 1, weight = 1,"
                " undated = 0, cut_off = null, updated_at = ?"
                " from json_each(?) as each where item.id = cast(each.key as integer)",
                (chunk, now, orjson.dumps(dict(plain), option=orjson.OPT_NON_STR_KEYS).decode()),
            )
            connection.executemany(
                "update item set state = 'planned', chunk = ?, item_group = ?, warnings = ?,"
                " not_found = ?, unusable = 0, records = ?, weight = ?, undated = ?,"
                " cut_off = null, updated_at = ? where id = ?",
                [
                    (
                        plan.chunk,
                        plan.group,
                        json.dumps(plan.warnings) if plan.warnings else None,
                        plan.images_missing,
                        plan.records,
                        plan.weight,
                        plan.undated,
                        now,
                        plan.id,
                    )
                    for plan in good
                ],
            )
            connection.execute(
                "delete from item_image where item_id in (select value from json_each(?))",
                (orjson.dumps([*plain, *(plan.id for plan in plans)]).decode(),),
            )
            connection.executemany(
                "insert into item_image (item_id, position, path, place) values (?, ?, ?, ?)",
                [
                    (plan.id, position, image.path, _place(plan, position))
                    for plan in good
                    for position, image in enumerate(plan.images)
                    if image is not None
                ],
            )
            connection.executemany(
                "insert into image (path, size, mtime_ns) values (?, ?, ?)"
                " on conflict (path) do update set size = excluded.size,"
                " mtime_ns = excluded.mtime_ns, sha256 = null, problem = null, flaw = null"
                " where size <> excluded.size or mtime_ns <> excluded.mtime_ns"
                " or problem is not null",
                [
                    (image.path, image.signature.size, image.signature.mtime_ns)
                    for plan in good
                    for image in plan.images
                    if image is not None
                ],
            )
            _warn_of_flaws(connection, [plan.id for plan in good if plan.images])
            self._scope.fail(connection, Phase.PLANNING, failures)
            add_counts(connection, self._scope.run_name, counts)

    def next_chunk(self) -> int:
        """The number of the next chunk of the spool, which no item of this scope has yet."""
        row = self._scope.connection.execute(
            f"select coalesce(max(chunk), 0) + 1 from item where scope_id = ? and {UNFINISHED}",
            (self._scope.id,),
        ).fetchone()
        return int(row[0])

    def duplicates(self, limit: int) -> tuple[int, list[list[str]]]:
        """The number of groups with more than one item, and the paths of the first groups."""
        groups = (
            "select item_group from item where scope_id = ? and item_group is not null"
            " group by item_group having count(*) > 1"
        )
        count = self._scope.connection.execute(
            f"select count(*) from ({groups})", (self._scope.id,)
        )
        found = []
        for (group,) in self._scope.connection.execute(
            f"{groups} limit ?", (self._scope.id, limit)
        ).fetchall():
            paths = self._scope.connection.execute(
                "select path from item where scope_id = ? and item_group = ? order by path limit 5",
                (self._scope.id, group),
            )
            found.append([row[0] for row in paths])
        return int(count.fetchone()[0]), found

    def warnings(self, limit: int) -> tuple[int, list[tuple[str, str]]]:
        """The number of items with a warning, and the first of them with their warnings.

        An item has its warning until it is imported without one.
        """
        where = (
            "from item indexed by item_warned"
            f" where {self._scope.all_items} and warnings is not null and state <> 'failed'"
        )
        count = self._scope.connection.execute(f"select count(*) {where}").fetchone()[0]
        rows = self._scope.connection.execute(
            f"select path, warnings {where} order by path limit ?", (limit,)
        )
        return int(count), [(path, "; ".join(json.loads(text))) for path, text in rows]

    def record_upload_failure(self, sha256: str, reason: str) -> list[str]:
        """Fails the unfinished items that name an image of this hash; returns their paths."""
        return self._fail_naming("sha256 = ? and place is null", sha256, Phase.UPLOAD, reason)

    def record_placement_failure(self, place: str, reason: str) -> list[str]:
        """Fails the unfinished items that have an image of this place; returns their paths."""
        return self._fail_naming("place = ?", place, Phase.UPLOAD, reason)

    def record_conflict(self, item_id: int, reason: str) -> list[str]:
        """Fails an unfinished item whose image's place another item has; returns its path."""
        return self._fail_naming("item.id = ?", item_id, Phase.UPLOAD, reason)

    def record_unread_image(self, path: str, reason: str) -> list[str]:
        """Fails the unfinished items that name an unreadable image; returns their paths."""
        return self._fail_naming("image.path = ?", path, Phase.SHA256, reason)

    def _fail_naming(self, image: str, value: str | int, phase: Phase, reason: str) -> list[str]:
        with self._scope.file.transaction() as connection:
            rows = connection.execute(
                "select distinct item.id, item.path from image"
                " join item_image on item_image.path = image.path"
                " join item on item.id = item_image.item_id"
                f" where {image} and {self._scope.condition()}",
                (value,),
            ).fetchall()
            self._scope.fail(connection, phase, [(row[0], reason) for row in rows])
        return [row[1] for row in rows]

    def list_planned(self) -> None:
        """Makes this run read and count the planned items of an abandoned run again."""
        with self._scope.file.transaction() as connection:
            connection.execute(
                f"update item set state = 'listed', {NOTHING_DONE}"
                f" where {self._scope.condition(ItemState.PLANNED)}"
            )

    def import_again(
        self, items: Iterable[tuple[int, Signature]], *, planned: bool = False
    ) -> None:
        """Makes this run read and import items again; `items` has their current signatures.

        Includes the imported items of their groups: otherwise an earlier file of a group could
        replace the rows of a later one. `planned`: this run has planned the items already, so their
        counts are subtracted.
        """
        with self._scope.file.transaction() as connection:
            connection.execute("create temp table again (id integer primary key)")
            for each, signature in items:
                connection.execute("insert or ignore into again values (?)", (each,))
                if planned:
                    uncount(connection, self._scope, "select :id", {"id": each})
                connection.execute(
                    "update item set state = 'listed', size = ?, mtime_ns = ?, file_count = ?,"
                    f" digest = ?, {NOTHING_DONE} where id = ?",
                    (*signature, each),
                )
            connection.execute(
                f"update item set state = 'listed', {NOTHING_DONE}"
                f" where {self._scope.condition(ItemState.IMPORTED)} and disposed_at is null"
                " and item_group in (select item_group from again join item using (id)"
                " where item_group is not null)"
            )
            connection.execute("drop table again")
            self._scope.forget_records(connection)

    # Reports

    def path(self, item_id: int) -> str:
        """The path of an item."""
        row = self._scope.connection.execute(
            "select path from item where id = ?", (item_id,)
        ).fetchone()
        return str(row[0])

    def count(self, state: ItemState) -> int:
        """The number of items in a state."""
        row = self._scope.connection.execute(
            f"select count(*) from item where {self._scope.condition(state)}"
        ).fetchone()
        return int(row[0])

    def unfinished(self, limit: int) -> tuple[int, list[tuple[str, str]]]:
        """The number of unfinished items, and the first of them with their state."""
        # Two counts that only need an index, instead of one that reads every row.
        count = self._scope.connection.execute(
            f"select (select count(*) from item where {self._scope.condition()})"
            f" - (select count(*) from item where {self._scope.condition(ItemState.FAILED)})"
        ).fetchone()[0]
        where = f"from item where {self._scope.condition()} and state <> 'failed'"
        rows = self._scope.connection.execute(
            f"select path, state {where} order by id limit ?", (limit,)
        )
        return int(count), rows.fetchall()

    def acknowledged(self) -> int:
        """The number of acknowledged items."""
        row = self._scope.connection.execute(
            "select count(*) from item indexed by item_acknowledged"
            f" where {self._scope.all_items} and acknowledged_at is not null"
        ).fetchone()
        return int(row[0])

    def failures(self, limit: int) -> tuple[int, list[Failure]]:
        """The number of failed items that are not acknowledged, and the first of them.

        If their files were moved away, only failures of this run, and of earlier runs whose report
        was not shown.
        """
        failed = self._scope.condition(ItemState.FAILED)
        unreported = f"select batch_id from run where scope_id = {self._scope.id} and reported = 0"
        visible = f"(disposed_at is null or failed_in = :batch_id or failed_in in ({unreported}))"
        where = f"from item indexed by item_failed where {failed} and {COUNTS} and {visible}"
        values = {"batch_id": self._scope.run_name, "limit": limit}
        count = self._scope.connection.execute(f"select count(*) {where}", values).fetchone()[0]
        rows = self._scope.connection.execute(
            f"select path, phase, reason, tries {where} order by path limit :limit", values
        )
        return int(count), [Failure(*row) for row in rows]


def _place(plan: Plan, position: int) -> str | None:
    place = plan.placements[position] if plan.placements else None
    return None if place is None else str(place)


def _warn_of_flaws(connection: sqlite3.Connection, item_ids: list[int]) -> None:
    """Adds warnings to items about flaws of images that were hashed earlier."""
    if not item_ids:
        return
    flawed = connection.execute(
        "select distinct image.path, flaw, item_id from item_image"
        " join image on image.path = item_image.path"
        " where item_id in (select value from json_each(?)) and flaw is not null"
        " order by item_id, image.path",
        (orjson.dumps(item_ids).decode(),),
    ).fetchall()
    connection.executemany(
        "update item set warnings = json_insert(coalesce(warnings, '[]'), '$[#]', ?) where id = ?",
        [(flaw_warning(path, flaw), item_id) for path, flaw, item_id in flawed],
    )


def _cut(rows: list[ListedRow], most_bytes: int | None) -> list[ListedRow]:
    """The first rows, with at most so many bytes in all; at least one."""
    if most_bytes is None or sum(row[2] for row in rows) <= most_bytes:
        return rows
    sizes = accumulate(row[2] for row in rows)
    return rows[: max(1, sum(each <= most_bytes for each in sizes))]
