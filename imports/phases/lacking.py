"""What arrived after items were read: missing images, and missing parents of records."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imports.items.images import ImageFile
from imports.items.phase import Phase
from imports.items.source import Source
from imports.items.work_item import ItemState, LackingItem, WorkItem
from imports.kinds import kind_named
from imports.phases.prepare import read_items, reason_of
from imports.source.image_finder import ImageFinder, image_finder
from imports.source.tree import signature_of
from imports.workers.executors import run_bounded

if TYPE_CHECKING:
    from imports.run.session import RunSession

_log = logging.getLogger("imports.run")


def plan_arrived_images(session: RunSession) -> None:
    """Plans items again if a missing image of theirs has arrived.

    Items that an interrupted run has planned are also planned again if an image of theirs has
    changed, so that they do not fail.
    """
    find_arrived_images(session, Phase.PLANNING)
    if count := _plan_found(session):
        session.add_counts({"planning.unchanged": -count})
    find_arrived_images(session, Phase.PLANNING, ItemState.PLANNED)
    if session.resumed:
        # Other runs have planned nothing yet, and the search takes time.
        _find_changed(session)
    _plan_found(session, planned=True)


def plan_left_out(session: RunSession) -> None:
    """Plans items again if earlier runs left out records of them.

    Only the target knows whether the missing parents exist now.
    """
    if items := session.exempt.left_out_before():
        session.items.import_again(items)
        session.add_counts({"planning.unchanged": -len(items)})


def find_arrived_images(
    session: RunSession, phase: Phase, state: ItemState = ItemState.IMPORTED
) -> None:
    """Finds the items of a state whose missing image has arrived, for `lacking.found`.

    Also finds imported items with a damaged image that was replaced: it may have been incomplete.
    """
    session.lacking.begin()
    if state is ItemState.IMPORTED and session.images.open_flawed():
        _note(session, replaced_items, session.images.flawed(BATCH_SIZE))
    total = session.lacking.count_items(state)
    if not total:
        return
    session.display.begin(phase, total)
    finder = image_finder(Path(session.source.folder), session.settings.image_roots)
    executor = session.workers.for_parsing(total)
    for looked in run_bounded(
        executor,
        look_again,
        (
            LookJob(session.kind.name, session.source, finder, items)
            for items in session.lacking.items(state, BATCH_SIZE)
        ),
        in_flight=session.workers.in_flight(executor),
        stop=session.policy.stop,
    ):
        session.lacking.note(looked.found)
        for path, reason in looked.problems:
            # The item stays unchanged: the problem is reported when it changes.
            _log.warning("%s: cannot look for its missing images: %s", path, reason)
        session.advance(phase, looked.count)
    session.raise_if_stopping()


def _find_changed(session: RunSession) -> None:
    """Also finds the planned items that have a changed image."""
    session.images.open_planned()
    _note(session, changed_items, session.images.planned(BATCH_SIZE))


def _note(
    session: RunSession,
    changed: Callable[[list[tuple[int, ImageFile]]], list[int]],
    images: Iterator[list[tuple[int, ImageFile]]],
) -> None:
    """Records the items that `changed` returns."""
    for found in run_bounded(
        session.workers.for_waiting(),
        changed,
        images,
        in_flight=session.workers.max_workers + 1,
        stop=session.policy.stop,
    ):
        session.lacking.note(found)
    session.raise_if_stopping()


def _plan_found(session: RunSession, *, planned: bool = False) -> int:
    """Plans the found items again, `planned` or imported ones; returns their number."""
    if count := session.lacking.noted():
        found = session.lacking.found(BATCH_SIZE)
        session.items.import_again(
            ((item[0], item[2]) for items in found for item in items), planned=planned
        )
    return count


BATCH_SIZE = 500
"""Items in one job of a worker."""


@dataclass(frozen=True, slots=True)
class LookJob:
    """Some items of a kind that have missing images, and how to find these."""

    kind: str
    source: Source
    finder: ImageFinder
    items: list[LackingItem]


@dataclass(slots=True)
class Looked:
    """The result of a job of `count` items: the ids of those with a new image.

    `problems` are the paths of items that cannot be read now, each with the reason.
    """

    count: int
    found: list[int] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def look_again(job: LookJob) -> Looked:
    """Looks for missing images: reads each item, and asks its kind for the images.

    An image that is known and unchanged does not count as new.
    """
    kind = kind_named(job.kind)
    looked = Looked(len(job.items), [item.id for item in job.items if item.has_usable])
    known = {item.id: item.known for item in job.items}
    items = [WorkItem(*item[:3]) for item in job.items if not item.has_usable]
    for item, content, _ in read_items(kind, job.source, items):
        if isinstance(content, Exception):
            looked.problems.append((item.path, reason_of(content)))
            continue
        try:
            plan = kind.plan(job.source, item.path, content, job.finder)
        except Exception as error:  # noqa: BLE001 - a defect must cost one item, not the run
            looked.problems.append((item.path, reason_of(error)))
        else:
            if any(image is not None and image not in known[item.id] for image in plan.images):
                looked.found.append(item.id)
    return looked


def changed_items(images: list[tuple[int, ImageFile]]) -> list[int]:
    """The ids of the items that have a changed image; each image comes with the id of its item."""
    return [item_id for item_id, image in images if not _is_unchanged(image)]


def replaced_items(images: list[tuple[int, ImageFile]]) -> list[int]:
    """The ids of the items whose image was replaced; a deleted image is not replaced."""
    return [item_id for item_id, image in images if not _is_unchanged(image, if_gone=True)]


def _is_unchanged(image: ImageFile, *, if_gone: bool = False) -> bool:
    try:
        return signature_of(os.stat(image.path)) == image.signature
    except OSError:
        # Planning reports the problem of a planned item.
        return if_gone
