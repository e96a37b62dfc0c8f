"""Disposal: the files of finished items are deleted, or moved together with a list of errors.

This is safe once the ledger has the result of the item.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from imports.configuration.choices import Disposal
from imports.ledger import DisposedItem, DueItem
from imports.source.set_aside import BroughtHome, aside_folders_in, bring_home
from imports.source.tree import is_utf8
from imports.workers.executors import run_bounded

if TYPE_CHECKING:
    from imports.items.records import RecordFailure
    from imports.items.source import Signature
    from imports.run.consuming.disposal_plan import DisposalPlan
    from imports.run.session import RunSession

from imports.phases.disposing import DisposalJob, dispose_batch, finish_leftover, new_signature

_log = logging.getLogger("imports.run")


_PAGE = 1_000


def disposal_notice(plan: DisposalPlan, folder: Path, *, verified: bool) -> str:
    """Tells the user what happens to the files in a folder, `verified` or only imported."""
    done = "verified" if verified else "imported"
    fates = {
        Disposal.DELETE: f"are deleted once they are {done}",
        Disposal.MOVE: f"are moved to {plan.done_folder} once they are {done}",
        Disposal.KEEP: "stay when they are imported",
    }
    failed = f"are moved to {plan.failed_folder}" if plan.on_failure is Disposal.MOVE else "stay"
    return f"Files in {folder} {fates[plan.on_success]}; failed ones {failed}."


def dispose_items(session: RunSession, item_ids: Sequence[int]) -> None:
    """Disposes of the files of newly finished items.

    With `--verify-writes`, imported files stay until they are verified.
    """
    if session.disposal is not None and item_ids:
        due = [item for item in session.disposals.due(item_ids) if not item.stays]
        if session.settings.verify_writes:
            due = [item for item in due if item.reason is not None]
        _dispose_due(session, session.disposal, due)


def dispose_leftovers(session: RunSession) -> None:
    """Disposes of the remaining files: of this run, if it was interrupted, and of failed items.

    Files that an earlier run imported are imported once more first, since their rows may have
    changed. Files that this run reads again anyway stay.
    """
    settings, plan = session.settings, session.disposal
    if plan is None:
        return
    most_tries = None if settings.retry_failed else settings.max_retries
    again: list[tuple[int, Signature]] = []

    def may_dispose(item: DueItem) -> bool:
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

    def is_ready(item: DueItem) -> bool:
        return not os.path.lexists(session.source.absolute(item.path)) or may_dispose(item)

    session.disposals.forget_problems()
    complete_leftovers = partial(_complete_leftovers, session, plan, may_dispose, set())
    _dispose_all(session, plan, is_ready, most_tries, complete_leftovers)
    session.items.import_again(again)


def put_back_leftovers(
    session: RunSession,
    private: Path,
    finish: Callable[[Path, Path], bool] = lambda aside, home: False,
) -> list[BroughtHome]:
    """Puts back the files that a killed run had set aside, except those that `finish` disposes of.

    Raises:
        OSError: if a file cannot be put back.
    """
    found = bring_home(private, finish)
    for home, place in found:
        _log.warning("%s was set aside by a run that was killed, and is put back", home)
        if place != home:
            _report_kept(session, f"{home} was replaced meanwhile; the earlier file", place)
    return found


def _complete_leftovers(
    session: RunSession,
    plan: DisposalPlan,
    may_dispose: Callable[[DueItem], bool],
    searched: set[Path],
    page: list[DueItem],
) -> set[int]:
    """Completes the disposal of files that a killed run had set aside in the items' folders.

    Disposes of the files for which `may_dispose` allows it, puts back all others, and returns the
    ids of the items whose disposal is completed. `searched` are the folders already searched.
    """
    ended: set[int] = set()
    items: dict[Path, DueItem] = {}

    def finish(aside: Path, home: Path) -> bool:
        path = home.relative_to(session.source.folder).as_posix()
        item = session.disposals.due_at(path) if is_utf8(path) else None
        if item is None:
            return False
        items[home] = item
        if plan.of(item) is Disposal.KEEP or not may_dispose(item):
            return False
        disposed = finish_leftover(plan, session.source, item, _failures(session, item), aside)
        if disposed is None:
            return False
        end(item, disposed)
        return disposed.problem is None

    def end(item: DueItem, disposed: DisposedItem) -> None:
        session.disposals.record([disposed])
        _log_disposed(session, item, disposed)
        ended.add(item.id)

    folders = {Path(session.source.absolute(item.path)).parent for item in page}
    for folder in folders - searched:
        for private in aside_folders_in(folder):
            try:
                found = put_back_leftovers(session, private, finish)
            except OSError as error:
                # Otherwise they would count as gone.
                folders.discard(folder)
                problem = f"cannot be moved back from {private}: {error.strerror}"
                for each in page:
                    if os.path.lexists(private / Path(each.path).name):
                        end(each, DisposedItem(each.id, problem=problem))
                continue
            for home, place in found:
                item = items.get(home)
                signature = None if item is None else new_signature(str(place), item.signature)
                if item is not None and signature is not None and place == home:
                    session.disposals.sign(item.id, signature)
    searched.clear()
    searched.update(folders)
    return ended


def dispose_verified(session: RunSession) -> None:
    """Disposes of the files of imported items that were verified and found right."""
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
    complete_leftovers: Callable[[list[DueItem]], set[int]] | None = None,
) -> None:
    after = 0
    while page := session.disposals.left(after, _PAGE, most_tries):
        ended = set() if complete_leftovers is None else complete_leftovers(page)
        after = page[-1].id
        _dispose_due(
            session, plan, (item for item in page if item.id not in ended and is_ready(item))
        )


def _dispose_due(session: RunSession, plan: DisposalPlan, due: Iterable[DueItem]) -> None:
    wanted = {item.id: item for item in due if plan.of(item) is not Disposal.KEEP}
    items = iter(wanted.values())
    jobs = (
        DisposalJob(plan, session.source, [(item, _failures(session, item)) for item in some])
        for some in iter(lambda: list(islice(items, BATCH_SIZE)), [])
    )
    for disposed in run_bounded(
        session.workers.for_waiting(),
        dispose_batch,
        jobs,
        in_flight=session.workers.max_workers,
        stop=session.policy.stop,
    ):
        session.disposals.record(disposed)
        for each in disposed:
            _log_disposed(session, wanted[each.id], each)


def _failures(session: RunSession, item: DueItem) -> list[RecordFailure]:
    return [] if item.reason is None else session.queue.record_failures(item.id)


def _log_disposed(session: RunSession, item: DueItem, disposed: DisposedItem) -> None:
    """Logs what happened to a file, and why."""
    path = session.source.absolute(item.path)
    why = "imported" if item.reason is None else item.reason
    if disposed.vanished:
        return
    if disposed.kept_as is not None:
        _report_kept(session, f"{path} was replaced twice; the first file", disposed.kept_as)
    elif disposed.problem is not None:
        _log.error("%s %s", path, disposed.problem)
    elif disposed.moved_to is not None:
        _log.info("%s was moved to %s: %s", path, disposed.moved_to, why)
    elif disposed.gone:
        _log.info("%s was already gone, and not deleted or moved: %s", path, why)
    else:
        _log.info("%s was deleted: %s", path, why)


def _report_kept(session: RunSession, what: str, place: str | Path) -> None:
    _log.warning("%s is kept as %s", what, place)
    session.display.say(f"⚠️  {what} is kept as {place}. Both are imported.")


BATCH_SIZE = 64
"""Files that a worker disposes of at once."""
