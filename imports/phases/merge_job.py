"""Jobs of the import: items with their records, from the spool or prepared in a first step."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from imports.items.records import Prepared, Spooled
from imports.items.work_item import WorkItem
from imports.phases.prepare import PieceJob, PrepareJob, prepare_batch, prepare_piece
from imports.workers.chained import FirstStep

if TYPE_CHECKING:
    from imports.run.spool import SpoolReader


@dataclass(frozen=True, slots=True)
class MergeJob:
    """Some work items with their records, in their order; or a piece of a large one.

    For a piece, `numbers` are the numbers of its records in the item. `began_at` is in seconds
    since the epoch.
    """

    items: list[WorkItem]
    prepared: Prepared
    began_at: float
    numbers: range = range(0)


def begin_batch(spool: SpoolReader, job: PrepareJob) -> FirstStep[Prepared, MergeJob] | MergeJob:
    """Reads the records of the items from the spool; the other items must be prepared first.

    An older chunk may have outdated records of an item, so only the item's current chunk counts.
    """
    began_at = time.time()
    spooled: dict[int, Spooled] = {}
    for chunk in sorted({item.chunk for item in job.items if item.chunk is not None}):
        wanted = {item.id for item in job.items if item.chunk == chunk}
        found = spool.read(chunk)
        for item_id in wanted & found.keys():
            spooled[item_id] = found[item_id]
    missing = [item for item in job.items if item.id not in spooled]
    then = partial(_merge_job, job.items, spooled, began_at)
    if not missing:
        return then(Prepared([], []))
    return FirstStep(partial(prepare_batch, replace(job, items=missing)), then)


def begin_piece(job: PieceJob) -> FirstStep[Prepared, MergeJob]:
    """The records of a piece must be prepared first."""
    numbers = range(job.piece.first, job.piece.first + job.piece.size)
    then = partial(MergeJob, [job.item], began_at=time.time(), numbers=numbers)
    return FirstStep(partial(prepare_piece, job), then)


def _merge_job(
    items: list[WorkItem], spooled: dict[int, Spooled], began_at: float, prepared: Prepared
) -> MergeJob:
    """The items with their records: spooled ones and prepared ones."""
    if spooled:
        records = {item_id: found.records for item_id, found in spooled.items()}
        for record in prepared.records:
            records.setdefault(record.item_id, []).append(record)
        cleaned = {item_id: found.cleaned for item_id, found in spooled.items() if found.cleaned}
        summaries = {
            item_id: found.summary
            for item_id, found in spooled.items()
            if found.summary is not None
        }
        prepared = replace(
            prepared,
            records=[record for item in items for record in records.get(item.id, ())],
            cleaned=prepared.cleaned | cleaned,
            summaries=prepared.summaries | summaries,
        )
    return MergeJob(items, prepared, began_at)
