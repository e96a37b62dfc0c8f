"""Planning: reads new and changed items once, finds their images, and prepares their rows."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imports.errors import NotOursError, RecordError
from imports.files.open_files import is_open_for_writing
from imports.items.phase import Phase
from imports.items.records import Spooled
from imports.items.source import Signature, Source
from imports.items.work_item import ItemState, ListedRow, Plan, listed_item
from imports.kinds import kind_named
from imports.kinds.placements import check_placements
from imports.phases.disposal import dispose_items
from imports.phases.prepare import encode_records, largest_item, read_items, reason_of, row_encoders
from imports.run.consuming.stability import stable_since
from imports.source.image_finder import ImageFinder, image_finder
from imports.workers.executors import run_bounded

if TYPE_CHECKING:
    from imports.kinds.kind import Kind
    from imports.run.session import RunSession
    from imports.run.spool import Spool
    from imports.tables.row_format import Encoder

_log = logging.getLogger("imports.run")


_USUAL = 4_000
"""Bytes of a usual item; a larger file is as much work as several items."""


def plan_items(session: RunSession) -> None:
    """Reads the listed items, finds their images, and has their rows prepared."""
    stable = stable_since(session)
    total, size = session.items.listed(stable)
    limit = session.settings.limit
    if limit is not None:
        # The limit includes what the run planned before it was interrupted.
        done = session.counts().get("planning.to_import", 0)
        if session.state.repairing:
            done = session.items.count(ItemState.PLANNED)
        limit = max(0, limit - done)
        total = min(total, limit)
    session.display.begin(Phase.PLANNING, total)
    finder = image_finder(Path(session.source.folder), session.settings.image_roots)
    if total:
        session.spool.open()
    # The size of a folder is not the size of its files.
    most_bytes = None if session.kind.items_are_folders else MOST_BYTES
    chunks = session.items.listed_items(
        limit, BATCH_SIZE, most_bytes, stable, by_path=session.kind.groups_by_path
    )
    jobs = (
        PlanJob(
            session.kind.name,
            session.source,
            finder,
            session.spool,
            chunk,
            items,
            session.growing.seen_unchanged([item[0] for item in items]) if stable else None,
        )
        for chunk, items in enumerate(chunks, session.items.next_chunk())
    )
    executor = session.workers.for_parsing(
        total if most_bytes is None else max(total, size // _USUAL)
    )
    for planned in run_bounded(
        executor,
        plan_batch,
        jobs,
        in_flight=session.workers.in_flight(executor),
        stop=session.policy.stop,
        weigh=lambda job: 0 if most_bytes is None else job.size,
        most_weight=MOST_BYTES_AT_ONCE,
    ):
        failures = [
            (session.items.path(plan.id), plan.failure)
            for plan in planned.plans
            if plan.failure is not None
        ]
        session.write_failures(Phase.PLANNING, failures)
        session.disposals.leave([plan.id for plan in planned.plans if plan.stays])
        if planned.growing:
            session.growing.found(planned.growing, time.monotonic())
        session.items.record_plans(
            planned.plans, _plan_counts(planned), planned.plain, planned.chunk
        )
        for path, reason in failures:
            _log.error("%s: %s", path, reason)
        dispose_items(session, [plan.id for plan in planned.plans if plan.failure is not None])
        session.advance(Phase.PLANNING, len(planned.plans) + len(planned.plain))


def signatures(session: RunSession, item_ids: set[int]) -> Iterator[tuple[int, Signature]]:
    """The current signatures of the items that exist."""
    for item_id in item_ids:
        path = session.items.path(item_id)
        try:
            yield item_id, session.sign(path)
        except OSError as error:
            _log.warning("%s cannot be imported again: %s", path, error.strerror)


def _plan_counts(planned: Planned) -> dict[str, int]:
    return {
        "planning.to_import": len(planned.plans) + len(planned.plain),
        "planning.failed": sum(plan.failure is not None for plan in planned.plans),
        "planning.images_missing": sum(plan.images_missing for plan in planned.plans),
    }


BATCH_SIZE = 500
"""Items in one job of a worker."""

MOST_BYTES = 2 * 1024 * 1024
"""Bytes of files in one job: if they are larger, the job has fewer items."""

MOST_BYTES_AT_ONCE = 16 * 1024 * 1024
"""Bytes of files that all workers together read at once; one larger file is allowed."""

_MOST_SPOOLED = 10_000
"""The largest weight of a chunk of the spool; the rows of other items are prepared again."""

_SMALL_BYTES = 4 * 1024
"""The rows of an item with at most this many bytes cannot be heavy."""


@dataclass(frozen=True, slots=True)
class PlanJob:
    """Some work items of a kind, as the ledger lists them.

    Their rows are spooled as `chunk`. If only complete files are taken, `seen` has those that
    listings saw unchanged for long enough; it is None if all files are taken.
    """

    kind: str
    source: Source
    finder: ImageFinder
    spool: Spool
    chunk: int
    items: list[ListedRow]
    seen: frozenset[int] | None = None

    @property
    def size(self) -> int:
        """The bytes of all items."""
        # By its index: creating work items would cost as much as reading.
        return sum([item[2] for item in self.items])


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan for each item of a job.

    Most items are `plain`: their one row is in `chunk` of the spool, and only their group is
    recorded.

    Items that may be `growing` are not planned.
    """

    plans: list[Plan]
    plain: dict[int, int | None] = field(default_factory=dict)
    chunk: int | None = None
    growing: list[int] = field(default_factory=list)


def is_complete(source: Source, path: str, seen_unchanged: bool) -> bool:
    """Whether a file with an old mtime is complete: no program has it open for writing.

    If the system cannot tell, listings must have seen it unchanged.
    """
    in_use = is_open_for_writing(source.absolute(path))
    return seen_unchanged if in_use is None else not in_use


def plan_batch(job: PlanJob) -> Planned:
    """Plans the items of a job; one that cannot be read gets a plan with its failure.

    The rows of an item without images do not depend on later phases, and are prepared at once.
    """
    kind = kind_named(job.kind)
    encoders = row_encoders(kind, job.spool.row_format)
    plans: list[Plan] = []
    prepared: dict[int, Spooled] = {}
    spooled_weight = 0
    largest = largest_item(kind)
    items = []
    growing = []
    for item in map(listed_item, job.items):
        if job.seen is not None and not is_complete(job.source, item.path, item.id in job.seen):
            growing.append(item.id)
        elif largest is not None and item.signature.size > largest:
            plans.append(Plan(item.id))  # import reads it, piece by piece
        else:
            items.append(item)
    for item, content, mine in read_items(kind, job.source, items):
        found_records, weight = None, 1
        if isinstance(content, Exception):
            plans.append(_failed(item.id, content))
            continue
        try:
            found = kind.plan(job.source, item.path, content, job.finder)
            undated = found.undated
            if found.placements:
                check_placements(found)
            if any(found.images):
                if item.signature.size > _SMALL_BYTES:
                    weight = _weight_without_images(kind, encoders, item.id, content)
            else:
                records, problems, weight = encode_records(
                    kind, encoders, item.id, content, (), mine
                )
                found_records = len(records) + len(problems)
                for record in records:
                    undated = undated or record.undated
                # Import reads an item with problems again, and reports them.
                if not problems and spooled_weight + weight <= _MOST_SPOOLED:
                    spooled_weight += weight
                    summary = None if kind.summary is None else kind.summary(content, ())
                    prepared[item.id] = Spooled(records, dict(mine), summary)
        except Exception as error:  # noqa: BLE001 - a defect must cost one item, not the run
            plans.append(_failed(item.id, error))
        else:
            plans.append(
                Plan(
                    item.id,
                    found.images,
                    None if found.group is None else _group_number(found.group),
                    found.warnings,
                    found.images_missing,
                    records=found_records,
                    weight=weight,
                    undated=undated,
                    placements=found.placements,
                )
            )
    if not prepared or not job.spool.write(job.chunk, prepared):
        return Planned(plans, growing=growing)
    plain = {plan.id: plan.group for plan in plans if _is_plain(plan) and plan.id in prepared}
    others = [
        plan._replace(chunk=job.chunk) if plan.id in prepared else plan
        for plan in plans
        if plan.id not in plain
    ]
    return Planned(others, plain, job.chunk, growing)


def _failed(item_id: int, error: Exception) -> Plan:
    return Plan(item_id, failure=reason_of(error), stays=isinstance(error, NotOursError))


def _weight_without_images(kind: Kind, encoders: list[Encoder], item_id: int, content: Any) -> int:
    """The weight of the rows of an item with images; import reports its failure, if any."""
    try:
        return encode_records(kind, encoders, item_id, content, (), Counter()).weight
    except RecordError:
        return 1


def _is_plain(plan: Plan) -> bool:
    one_row = plan.records == plan.weight == 1
    return one_row and not plan.images and not plan.warnings and not plan.undated


def _group_number(group: str) -> int:
    digest = hashlib.blake2b(group.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
