"""Planning, seen from the coordinator: what is new or changed in the source is read."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from imports.phases import planning
from imports.run.disposal import dispose_items
from imports.run.session import RunSession
from imports.run.settling import settled_at
from imports.source.image_finder import image_finder
from imports.work_item import ItemState, Phase, Signature
from imports.workers.executors import run_bounded

_log = logging.getLogger("imports.run")

_USUAL = 4_000
"""A file of so many bytes is as much work as a usual item; a larger one is as much as several."""


def plan_items(session: RunSession) -> None:
    """Reads the listed items, finds their images, and has their rows prepared."""
    settled = settled_at(session)
    total, size = session.items.listed(settled)
    limit = session.settings.limit
    if limit is not None:
        # What a run has planned before it was interrupted is within its limit.
        done = session.counts().get("planning.to_import", 0)
        if session.state.repairing:
            done = session.items.count(ItemState.PLANNED)
        limit = max(0, limit - done)
        total = min(total, limit)
    session.display.begin(Phase.PLANNING, total)
    finder = image_finder(Path(session.source.folder), session.settings.image_roots)
    if total:
        session.spool.open()
    # The size of a folder says nothing of what is read in it.
    most_bytes = None if session.kind.items_are_folders else planning.MOST_BYTES
    chunks = session.items.listed_items(limit, planning.BATCH_SIZE, most_bytes, settled)
    jobs = (
        planning.PlanJob(
            session.kind.name,
            session.source,
            finder,
            session.spool,
            chunk,
            items,
            session.growing.seen_unchanged([item[0] for item in items]) if settled else None,
        )
        for chunk, items in enumerate(chunks, session.items.next_chunk())
    )
    executor = session.workers.for_parsing(
        total if most_bytes is None else max(total, size // _USUAL)
    )
    for planned in run_bounded(
        executor,
        planning.plan_batch,
        jobs,
        in_flight=session.workers.in_flight(executor),
        stop=session.policy.stop,
        weigh=lambda job: 0 if most_bytes is None else job.size,
        most_weight=planning.MOST_BYTES_AT_ONCE,
    ):
        failures = [
            (session.items.path(plan.id), plan.failure)
            for plan in planned.plans
            if plan.failure is not None
        ]
        session.tell_failures(Phase.PLANNING, failures)
        session.disposals.leave([plan.id for plan in planned.plans if plan.stays])
        if planned.growing:
            session.growing.found(planned.growing, time.monotonic())
        session.items.record_plans(
            planned.plans,
            planned.chunk,
            planned.spooled,
            _plan_counts(planned),
            planned.plain,
        )
        for path, reason in failures:
            _log.error("%s: %s", path, reason)
        dispose_items(session, [plan.id for plan in planned.plans if plan.failure is not None])
        session.advance(Phase.PLANNING, len(planned.plans) + len(planned.plain))


def signatures(session: RunSession, item_ids: set[int]) -> Iterator[tuple[int, Signature]]:
    """The signatures that some items have now; of those that are there."""
    for item_id in item_ids:
        path = session.items.path(item_id)
        try:
            yield item_id, session.sign(path)
        except OSError as error:
            _log.warning("%s cannot be imported again: %s", path, error.strerror)


def _plan_counts(planned: planning.Planned) -> dict[str, int]:
    return {
        "planning.to_import": len(planned.plans) + len(planned.plain),
        "planning.failed": sum(plan.failure is not None for plan in planned.plans),
        "planning.images_missing": sum(plan.images_missing for plan in planned.plans),
    }
