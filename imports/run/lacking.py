"""Images that came or changed since their items were read, seen from the coordinator."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from imports.phases.lacking import (
    BATCH_SIZE,
    LookJob,
    changed_items,
    look_again,
    replaced_items,
)
from imports.run.session import RunSession
from imports.source.image_finder import image_finder
from imports.work_item import ImageFile, ItemState, Phase
from imports.workers.executors import run_bounded

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
