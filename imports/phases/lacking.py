"""What came since items were read: their images, by looking again; and what records refer to."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imports.kinds import kind_named
from imports.phases.prepare import read_items, reason_of
from imports.source.image_finder import ImageFinder, image_finder
from imports.source.tree import signature_of
from imports.work_item import ImageFile, ItemState, LackingItem, Phase, Source, WorkItem
from imports.workers.executors import run_bounded

if TYPE_CHECKING:
    from imports.run.session import RunSession

_log = logging.getLogger("imports.run")


def plan_what_came(session: RunSession) -> None:
    """Has items planned anew for which an image has come that they lack.

    Items that an interrupted run has planned are planned anew also if an image of theirs has
    changed: that is no reason to fail them.
    """
    find_what_came(session, Phase.PLANNING)
    if count := _plan_found(session):
        session.add_counts({"planning.unchanged": -count})
    find_what_came(session, Phase.PLANNING, ItemState.PLANNED)
    if session.resumed:
        # In any other run none is planned yet, and to find that out takes a while.
        _find_changed(session)
    _plan_found(session, planned=True)


def plan_left_out(session: RunSession) -> None:
    """Has items of earlier runs planned anew of which records were left out.

    Only the target can tell whether what they refer to is there by now.
    """
    if items := session.exempt.left_out_before():
        session.items.import_again(items)
        session.add_counts({"planning.unchanged": -len(items)})


def find_what_came(
    session: RunSession, phase: Phase, state: ItemState = ItemState.IMPORTED
) -> None:
    """Finds the items of a state that lack an image which is there now, for `lacking.found`.

    Of those that are imported, also the ones with an image that could not be shown, if there is
    another by now: somebody was still writing it.
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
            # It stays as it is: what is the matter with it shows when it changes.
            _log.warning("%s: its missing images cannot be looked for: %s", path, reason)
        session.advance(phase, looked.count)
    session.raise_if_stopping()


def _find_changed(session: RunSession) -> None:
    """Finds, besides what was found, the planned items that have a changed image."""
    session.images.open_planned()
    _note(session, changed_items, session.images.planned(BATCH_SIZE))


def _note(
    session: RunSession,
    changed: Callable[[list[tuple[int, ImageFile]]], list[int]],
    images: Iterator[list[tuple[int, ImageFile]]],
) -> None:
    """Notes the items of which `changed` says so."""
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
    """Has what was found planned anew, be it `planned` already or imported; how many that were."""
    if count := session.lacking.noted():
        found = session.lacking.found(BATCH_SIZE)
        session.items.import_again(
            ((item[0], item[2]) for items in found for item in items), planned=planned
        )
    return count


BATCH_SIZE = 500
"""Items that a worker looks at, at once."""


@dataclass(frozen=True, slots=True)
class LookJob:
    """Some items of a kind that lack images, and how these are found."""

    kind: str
    source: Source
    finder: ImageFinder
    items: list[LackingItem]


@dataclass(slots=True)
class Looked:
    """What became of a job of `count` items: those with an image that was not there before, by id.

    `problems` are the items, by path, that cannot be read just now, and why.
    """

    count: int
    found: list[int] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def look_again(job: LookJob) -> Looked:
    """Looks for images that the items lack: reads each item, and asks its kind for them.

    An image that is there and as it was has not come.
    """
    kind = kind_named(job.kind)
    looked = Looked(len(job.items), [item.id for item in job.items if item.mended])
    known = {item.id: item.known for item in job.items}
    items = [WorkItem(*item[:3]) for item in job.items if not item.mended]
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
    return [item_id for item_id, image in images if not _is_as_it_was(image)]


def replaced_items(images: list[tuple[int, ImageFile]]) -> list[int]:
    """The items of which another image is there now; one that is gone is still the one stored."""
    return [item_id for item_id, image in images if not _is_as_it_was(image, if_gone=True)]


def _is_as_it_was(image: ImageFile, *, if_gone: bool = False) -> bool:
    try:
        return signature_of(os.stat(image.path)) == image.signature
    except OSError:
        # Of a planned item, planning says what is the matter.
        return if_gone
