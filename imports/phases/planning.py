"""Planning: new and changed items are read once, their images found, and their rows prepared."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from imports.cleaning import Tally
from imports.image_finder import ImageFinder
from imports.kinds import kind_named
from imports.open_files import is_open_for_writing
from imports.phases.prepare import (
    encode_records,
    largest_item,
    read_items,
    reason_of,
    row_encoders,
)
from imports.spool import Spool
from imports.work_item import ListedRow, Plan, Record, Source, listed_item

BATCH_SIZE = 500
"""Items that a worker plans at once."""

MOST_BYTES = 2 * 1024 * 1024
"""Of larger files it plans fewer at once."""


@dataclass(frozen=True, slots=True)
class PlanJob:
    """Some work items of a kind, as the ledger lists them.

    `chunk` is where their rows are spooled. Where only complete files are taken, `seen` has those
    that listings have seen unchanged for long enough; it is None where all are.
    """

    kind: str
    source: Source
    finder: ImageFinder
    spool: Spool
    chunk: int
    items: list[ListedRow]
    seen: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan for each item of a job; `chunk` has the rows of `spooled` items.

    Nearly all items are `plain`: they have one row, which is spooled, and there is no more to
    say of them than which group they are of. Of these there is the group alone.

    `cleaned` counts the values that became NULL in those rows. Items that may be `growing` are
    not planned.
    """

    plans: list[Plan]
    chunk: int
    plain: dict[int, int | None] = field(default_factory=dict)
    spooled: frozenset[int] = frozenset()
    cleaned: dict[str, int] = field(default_factory=dict)
    growing: list[int] = field(default_factory=list)


def is_complete(source: Source, path: str, seen_unchanged: bool) -> bool:
    """Whether a file that has not changed for a while is complete: nobody has it open for writing.

    Where nobody can tell that, listings must have seen that it did not change.
    """
    in_use = is_open_for_writing(source.absolute(path))
    return seen_unchanged if in_use is None else not in_use


def plan_batch(job: PlanJob) -> Planned:
    """Plans the items of a job; one that cannot be read gets a plan with its failure.

    The rows of an item without images need nothing that later phases find out: they are
    prepared at once.
    """
    kind = kind_named(job.kind)
    encoders = row_encoders(kind, job.spool.row_format)
    plans: list[Plan] = []
    prepared: dict[int, list[Record]] = {}
    tally: Tally = Counter()
    largest = largest_item(kind)
    items = []
    growing = []
    for item in map(listed_item, job.items):
        if job.seen is not None and not is_complete(job.source, item.path, item.id in job.seen):
            growing.append(item.id)
        elif largest is not None and item.signature.size > largest:
            plans.append(Plan(item.id))  # it is read when it is imported, piece by piece
        else:
            items.append(item)
    for item, content, mine in read_items(kind, job.source, items):
        found_records, row_count = None, 1
        if isinstance(content, Exception):
            plans.append(Plan(item.id, failure=reason_of(content)))
            continue
        try:
            found = kind.plan(content, job.source.absolute(item.path), job.finder)
            if not any(found.images):
                records, problems = encode_records(kind, encoders, item.id, content, (), mine)
                found_records = len(records) + len(problems)
                row_count = sum(len(record.rows) for record in records)
                # What has problems is read once more in import, which tells of them.
                if not problems:
                    prepared[item.id] = records
                    if mine:
                        tally.update(mine)
        except Exception as error:  # noqa: BLE001 - a defect must cost one item, not the run
            plans.append(Plan(item.id, failure=reason_of(error)))
        else:
            plans.append(
                Plan(
                    item.id,
                    found.images,
                    None if found.group is None else _group_number(found.group),
                    found.warnings,
                    found.images_missing,
                    records=found_records,
                    row_count=row_count,
                )
            )
    if not prepared or not job.spool.write(job.chunk, prepared):
        return Planned(plans, job.chunk, growing=growing)
    plain = {plan.id: plan.group for plan in plans if _is_plain(plan) and plan.id in prepared}
    others = [plan for plan in plans if plan.id not in plain]
    spooled = frozenset(prepared.keys() - plain.keys())
    return Planned(others, job.chunk, plain, spooled, dict(tally), growing)


def _is_plain(plan: Plan) -> bool:
    return plan.records == plan.row_count == 1 and not plan.images and not plan.warnings


def _group_number(group: str) -> int:
    digest = hashlib.blake2b(group.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
