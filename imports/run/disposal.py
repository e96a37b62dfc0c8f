"""Disposal, seen from the coordinator: once the ledger has it, a file need not stay."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

from imports.errors import UsageError
from imports.kinds.kind import Kind
from imports.ledger import DueItem
from imports.phases.disposal import BATCH_SIZE, DisposalJob, DisposalPlan, dispose_batch
from imports.run.session import RunSession
from imports.settings import Disposal, Settings
from imports.work_item import Signature
from imports.workers import run_bounded

_log = logging.getLogger("imports.run")

_PAGE = 1_000


def disposal_plan(
    settings: Settings, kind: Kind, folder: Path, single_item: str | None
) -> DisposalPlan | None:
    """What a run does with the files of a source, None where they all stay.

    A source that is worked off is emptied where nothing else is said; a single file, which
    somebody wants to look into, stays.

    Raises:
        UsageError: if files would be moved to where they are, or to a folder around that.
    """
    if not kind.worked_off or settings.scan_only:
        return None
    usual = single_item is None
    plan = DisposalPlan(
        settings.on_success or (Disposal.DELETE if usual else Disposal.KEEP),
        Disposal(settings.on_failure or (Disposal.MOVE if usual else Disposal.KEEP)),
        str((settings.done_dir or folder.parent / "done_uploads").resolve()),
        str((settings.failed_dir or folder.parent / "failed_uploads").resolve()),
    )
    for place in plan.folders:
        if folder.is_relative_to(place):
            raise UsageError(
                f"Files of {folder} cannot be moved to {place}: that is the source, or around it."
                " Name another folder with --failed-dir or --done-dir."
            )
    keeps = plan.on_success is Disposal.KEEP and plan.on_failure is Disposal.KEEP
    return None if keeps else plan


def what_becomes(plan: DisposalPlan, folder: Path, *, verified: bool) -> str:
    """What a run does with the files in a folder, for its user; `verified` as it is told to."""
    done = "verified" if verified else "imported"
    fates = {
        Disposal.DELETE: f"are deleted once they are {done}",
        Disposal.MOVE: f"are moved to {plan.done_folder} once they are {done}",
        Disposal.KEEP: "stay when they are imported",
    }
    failed = f"are moved to {plan.failed_folder}" if plan.on_failure is Disposal.MOVE else "stay"
    return f"Files in {folder} {fates[plan.on_success]}; failed ones {failed}."


def dispose_items(session: RunSession, item_ids: Sequence[int]) -> None:
    """Disposes of the files of items that have just been finished.

    With `--verify-writes` those that went in stay until they are verified.
    """
    if session.disposal is not None and item_ids:
        due = [item for item in session.disposals.due(item_ids) if not item.stays]
        if session.settings.verify_writes:
            due = [item for item in due if item.reason is not None]
        _dispose(session, session.disposal, due)


def dispose_left(session: RunSession) -> None:
    """Disposes of the files that are left of this run, if it was interrupted, and of failed ones.

    Those that went in by an earlier run are imported once more first: nobody knows what has
    become of their rows since. What this run reads again anyway stays, unless it is gone.
    """
    settings, plan = session.settings, session.disposal
    if plan is None:
        return
    most_tries = None if settings.retry_failed else settings.max_retries
    again: list[tuple[int, Signature]] = []

    def is_ready(item: DueItem) -> bool:
        if not os.path.lexists(session.source.absolute(item.path)):
            return True
        if (
            settings.force
            or item.again
            or item.stays
            or (item.reason is None and settings.verify_writes)
        ):
            return False
        if item.reason is None and not item.own:
            if plan.of(item) is not Disposal.KEEP:
                again.append((item.id, item.signature))
            return False
        return True

    session.disposals.forget_problems()
    _dispose_all(session, plan, is_ready, most_tries)
    session.items.import_again(again)


def dispose_verified(session: RunSession) -> None:
    """Disposes of the files that went in, now that they are verified and not found wrong."""
    if session.disposal is not None:
        _dispose_all(
            session,
            session.disposal,
            lambda item: item.reason is None,
        )


def _dispose_all(
    session: RunSession,
    plan: DisposalPlan,
    is_ready: Callable[[DueItem], bool],
    most_tries: int | None = None,
) -> None:
    after = 0
    while page := session.disposals.left(after, _PAGE, most_tries):
        after = page[-1].id
        _dispose(session, plan, filter(is_ready, page))


def _dispose(session: RunSession, plan: DisposalPlan, due: Iterable[DueItem]) -> None:
    wanted = iter([item for item in due if plan.of(item) is not Disposal.KEEP])
    jobs = (
        DisposalJob(
            plan,
            session.source,
            [
                (item, session.queue.record_failures(item.id) if item.reason is not None else [])
                for item in items
            ],
        )
        for items in iter(lambda: list(islice(wanted, BATCH_SIZE)), [])
    )
    for disposed in run_bounded(
        session.workers.for_waiting(),
        dispose_batch,
        jobs,
        in_flight=session.workers.max_workers,
        stop=session.policy.stop,
    ):
        session.disposals.record(disposed)
        for item in disposed:
            if item.vanished:
                continue
            if item.problem is not None:
                _log.error("%s %s", session.items.path(item.id), item.problem)
            elif item.moved_to is not None:
                _log.info("%s was moved to %s", session.items.path(item.id), item.moved_to)
