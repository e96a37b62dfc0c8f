"""The order in which items are imported, and the record of the results."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson

from imports.items.images import Image, ImageFile
from imports.items.phase import Phase
from imports.items.records import ExemptRecord, RecordFailure
from imports.items.source import Signature
from imports.items.work_item import ItemState, WorkItem
from imports.ledger.exempt import record_exempt
from imports.ledger.runs import add_counts
from imports.ledger.scope import SIGNATURE, Scope

MOST_WEIGHT = 10_000
"""The largest weight of a batch of several items. One is a row, or a KiB of rows."""


class ImportQueue:
    """The items of one scope that are imported, or verified, a batch at a time."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def open(
        self,
        state: ItemState,
        limit: int | None,
        most_bytes: int | None = None,
        since: int | None = None,
    ) -> int:
        """Orders the items of a state for the import; returns their number.

        Items of one group come last and together, by path, so that the later path wins; groups are
        in the order of their first paths. Items that failed before come after the others. Undated
        items come last of all. Items of more than `most_bytes` are for `large`, all others for
        `batches`. Disposed items are left out, and so are items that the batch `since` (see
        `last_batch`) or an earlier one imported, and items that no run of this ledger imported (see
        `KnownLedger`).
        """
        connection = self._scope.connection
        connection.execute("drop table if exists temp.queue")
        connection.execute(
            "create temp table queue"
            " (position integer primary key, item_id integer, item_group integer, large integer,"
            " undated integer)"
        )
        connection.execute(
            "insert into queue (item_id, item_group, large, undated)"
            " select item.id, shared.item_group, :most is not null and size > :most, undated"
            " from item left join ("
            "  select item_group, min(path) as first from item"
            f"  where {self._scope.condition(state)}"
            "  and item_group is not null group by item_group having count(*) > 1) as shared"
            " on shared.item_group = item.item_group"
            f" where {self._scope.condition(state)} and disposed_at is null"
            " and (:since is null or imported_in > :since)"
            " and (state <> 'imported' or first_in is not null)"
            " order by undated, shared.item_group is not null, shared.first,"
            " shared.item_group is null and tries > 0,"
            " iif(shared.item_group is null, item.id, 0), path limit :limit",
            {
                "scope": self._scope.id,
                "limit": -1 if limit is None else limit,
                "most": most_bytes,
                "since": since,
            },
        )
        count = connection.execute("select count(*) from queue").fetchone()[0]
        return int(count)

    def tried(self) -> set[int]:
        """The items of the queue that failed in an earlier run."""
        query = "select item_id from queue join item on item.id = item_id where tries > 0"
        return {item_id for (item_id,) in self._scope.connection.execute(query)}

    def last_batch(self) -> int:
        """The number of the last imported batch; later batches have larger numbers."""
        row = self._scope.connection.execute("select coalesce(max(id), 0) from batch").fetchone()
        return int(row[0])

    def batches(self, size: int, *, undated: bool = False) -> Iterator[list[WorkItem]]:
        """The dated or the undated items of the queue, in batches of `size` items.

        Batches of heavy items have fewer. A group is never split. After a crash, the resumed run
        gets the same batches, so that it repeats a merge with the same request id.
        """
        last = self._scope.connection.execute(
            "select coalesce(min(position), 1) - 1 from queue where undated = ?", (undated,)
        ).fetchone()[0]
        query = (
            "select position, queue.item_group, item.id, path, chunk, weight, cut_off,"
            f" {SIGNATURE} from queue join item on item.id = item_id"
            f" where not large and queue.undated = {int(undated)} and position > ?"
        )
        while True:
            rows = self._scope.connection.execute(
                f"{query} order by position limit ?", (last, size)
            ).fetchall()
            if not rows:
                return
            if rows[-1][1] is not None:
                rows += self._scope.connection.execute(
                    f"{query} and queue.item_group = ? order by position",
                    (rows[-1][0], rows[-1][1]),
                ).fetchall()
            # Nearly all batches are full, with light items, and need no cut.
            if (
                len(rows) < size
                or sum(row[5] for row in rows) > MOST_WEIGHT
                or any(row[6] is not None for row in rows)
            ):
                rows = rows[: self._cut([_Queued(*row[:7]) for row in rows], size)]
            images = self._images(last, rows[-1][0])
            last = rows[-1][0]
            yield [
                WorkItem(
                    row[2], row[3], Signature(*row[7:]), images.get(row[2], ()), row[4], 0, row[5]
                )
                for row in rows
            ]

    def _cut(self, items: list[_Queued], size: int) -> int:
        """The number of items in the batch; stores the items of a batch that is ended early.

        Otherwise the batch of a resumed run could have other items: of later batches, or new files.
        """
        count = _batch(items)
        if count < max(size, len(items)) and items[0].cut_off is None:
            with self._scope.file.transaction() as connection:
                connection.executemany(
                    "update item set cut_off = ? where id = ?",
                    [(items[0].id, item.id) for item in items[:count]],
                )
        return count

    def large(self) -> list[WorkItem]:
        """The large items of the queue, each with the number of its imported records."""
        rows = self._scope.connection.execute(
            f"select item.id, path, records_done, {SIGNATURE} from queue"
            " join item on item.id = item_id where large order by position"
        ).fetchall()
        return [WorkItem(row[0], row[1], Signature(*row[3:]), records_done=row[2]) for row in rows]

    def _images(self, after: int, up_to: int) -> dict[int, tuple[Image | None, ...]]:
        rows = self._scope.connection.execute(
            "select queue.item_id, item_image.position, image.path, size, mtime_ns, sha256,"
            " extension, content_type, width, height, flaw from queue"
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
        succeeded: Mapping[int, int] | None = None,
        record_failures: Sequence[RecordFailure] = (),
        exempt: Sequence[ExemptRecord] = (),
    ) -> None:
        """Records the result of a batch, after its transaction was committed.

        `took` is when the batch began and ended, in seconds since the epoch; `succeeded` is the
        number of imported records by item, `record_failures` are the failed records, and `exempt`
        the guarded and left-out ones.
        """
        failed = {item_id for item_id, _ in failures}
        now = time.time()
        records = _records(item_ids, took[0], succeeded or {}, record_failures)
        alike: dict[tuple[int, int, float], list[int]] = {}
        for item_id in item_ids:
            if item_id not in failed:
                alike.setdefault(records[item_id], []).append(item_id)
        with self._scope.file.transaction() as connection:
            number = connection.execute(
                "insert into batch (scope_id, batch_id, number, items, failed, started_at,"
                " finished_at) select ?1, ?2, coalesce(max(number), 0) + 1, ?3, ?4, ?5, ?6"
                " from batch where batch_id = ?2",
                (self._scope.id, self._scope.run_name, len(item_ids), len(failed), *took),
            ).lastrowid
            for values, ids in alike.items():
                # One statement for each item would take several times as long.
                connection.execute(
                    "update item set state = 'imported', phase = null, reason = null,"
                    f" cause = null, tries = 0, failed_in = null, {_RECORDS}, ended_at = ?,"
                    " updated_at = ?, imported_in = ?, first_in = coalesce(first_in, ?)"
                    " where id in (select value from json_each(?))",
                    (*values, took[1], now, number, number, orjson.dumps(ids).decode()),
                )
            connection.executemany(
                f"update item set {_RECORDS} where id = ?",
                [(*records[item_id], item_id) for item_id in failed],
            )
            connection.executemany(_RECORD_FAILURE, record_failures)
            record_exempt(connection, exempt)
            self._scope.fail(connection, Phase.IMPORT, failures)
            add_counts(connection, self._scope.run_name, counts)

    def record_piece(
        self,
        item_id: int,
        records_done: int,
        counts: Mapping[str, int],
        took: tuple[float, float],
        succeeded: int,
        record_failures: Sequence[RecordFailure],
        exempt: Sequence[ExemptRecord] = (),
    ) -> None:
        """Records that an item's records up to `records_done` are imported or failed."""
        records = _records([item_id], took[0], {item_id: succeeded}, record_failures)
        with self._scope.file.transaction() as connection:
            connection.execute(
                f"update item set {_RECORDS}, records_done = ? where id = ?",
                (*records[item_id], records_done, item_id),
            )
            connection.executemany(_RECORD_FAILURE, record_failures)
            record_exempt(connection, exempt)
            add_counts(connection, self._scope.run_name, counts)

    def record_failures(self, item_id: int) -> list[RecordFailure]:
        """The records of an item that failed in its last import, in order."""
        rows = self._scope.connection.execute(
            "select item_id, number, label, reason from record_failure where item_id = ?"
            " order by number",
            (item_id,),
        )
        return [RecordFailure(*row) for row in rows]


class _Queued(NamedTuple):
    position: int
    group: int | None
    id: int
    path: str
    chunk: int | None
    weight: int
    cut_off: int | None


def _batch(items: list[_Queued]) -> int:
    """The number of first items that form a batch, if possible of whole chunks."""
    total, end = 0, 0
    for index, item in enumerate(items):
        before = items[index - 1]
        if index and (item.group is None or item.group != before.group):
            if item.cut_off != before.cut_off:
                return index
            if item.chunk is None or item.chunk != before.chunk:
                end = index
            if total + item.weight > MOST_WEIGHT and item.cut_off is None:
                return end or index
        total += item.weight
    return len(items)


_RECORDS = "succeeded = succeeded + ?, refused = refused + ?, began_at = coalesce(began_at, ?)"
_RECORD_FAILURE = "insert or replace into record_failure values (?, ?, ?, ?)"


def _records(
    item_ids: list[int],
    began_at: float,
    succeeded: Mapping[int, int],
    record_failures: Sequence[RecordFailure],
) -> dict[int, tuple[int, int, float]]:
    """The values for `_RECORDS`, by item."""
    refused = Counter(failure.item_id for failure in record_failures)
    return {each: (succeeded.get(each, 0), refused[each], began_at) for each in item_ids}
