"""The order in which the ledger's items are imported, and what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from imports.ledger.runs import add_counts
from imports.ledger.scope import SIGNATURE, Scope
from imports.work_item import Image, ImageFile, ItemState, Phase, Signature, WorkItem


class ImportQueue:
    """The items of one scope that are imported, or verified, a batch at a time."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def open(self, state: ItemState, limit: int | None) -> int:
        """Puts the items of a state in the order in which they are imported; returns how many.

        Items of one group come last and side by side, by path, so that the later path wins
        whatever the workers do. What failed before comes behind what did not.
        """
        connection = self._scope.connection
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
            f" where {self._scope.condition(state)}"
            " order by shared.item_group is not null, shared.item_group,"
            " shared.item_group is null and tries > 0,"
            " iif(shared.item_group is null, item.id, 0), path limit :limit",
            {"scope": self._scope.id, "limit": -1 if limit is None else limit},
        )
        count = connection.execute("select count(*) from queue").fetchone()[0]
        return int(count)

    def batches(self, size: int) -> Iterator[list[WorkItem]]:
        """The queue in batches of `size` items; a group is never torn apart."""
        last = 0
        while True:
            rows = self._scope.connection.execute(
                f"select position, queue.item_group, item.id, path, chunk, {SIGNATURE} from queue"
                " join item on item.id = item_id where position > ? order by position limit ?",
                (last, size),
            ).fetchall()
            if not rows:
                return
            if rows[-1][1] is not None:
                rows += self._scope.connection.execute(
                    f"select position, queue.item_group, item.id, path, chunk, {SIGNATURE}"
                    " from queue join item on item.id = item_id"
                    " where position > ? and queue.item_group = ? order by position",
                    (rows[-1][0], rows[-1][1]),
                ).fetchall()
            images = self._images(last, rows[-1][0])
            last = rows[-1][0]
            yield [
                WorkItem(row[2], row[3], Signature(*row[5:]), images.get(row[2], ()), row[4])
                for row in rows
            ]

    def _images(self, after: int, up_to: int) -> dict[int, tuple[Image | None, ...]]:
        rows = self._scope.connection.execute(
            "select queue.item_id, item_image.position, image.path, size, mtime_ns, sha256,"
            " extension, content_type, width, height from queue"
            " join item_image on item_image.item_id = queue.item_id"
            " join image on image.path = item_image.path"
            " where queue.position > ? and queue.position <= ?"
            " order by queue.item_id, item_image.position",
            (after, up_to),
        )
        found: dict[int, list[Image | None]] = {}
        for item_id, position, path, size, mtime_ns, *known in rows:
            images = found.setdefault(item_id, [])
            images += [None] * (position - len(images))
            file = ImageFile(path, Signature(size, mtime_ns))
            images.append(Image(file, *known) if known[0] is not None else None)
        return {item_id: tuple(images) for item_id, images in found.items()}

    def record_imported(
        self,
        item_ids: list[int],
        failures: list[tuple[int, str]],
        counts: Mapping[str, int],
        took: tuple[float, float],
    ) -> None:
        """Takes in what became of a batch, after its transaction committed.

        `took` is when the batch began and ended, in seconds since the epoch.
        """
        failed = {item_id for item_id, _ in failures}
        now = time.time()
        with self._scope.file.transaction() as connection:
            connection.executemany(
                "update item set state = 'imported', phase = null, reason = null, cause = null,"
                " tries = 0, failed_in = null, updated_at = ? where id = ?",
                [(now, item_id) for item_id in item_ids if item_id not in failed],
            )
            self._scope.fail(connection, Phase.IMPORT, failures)
            connection.execute(
                "insert into batch (scope_id, batch_id, number, items, failed, started_at,"
                " finished_at) select ?1, ?2, coalesce(max(number), 0) + 1, ?3, ?4, ?5, ?6"
                " from batch where batch_id = ?2",
                (self._scope.id, self._scope.batch_id, len(item_ids), len(failed), *took),
            )
            add_counts(connection, self._scope.batch_id, counts)
