"""Verification: checks batches, images and orphans, and collects what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from imports.backends.deleting import resettable
from imports.items.images import Image, PlacedImage
from imports.items.phase import Phase
from imports.items.work_item import ItemState, WorkItem
from imports.ledger import SeenRows
from imports.ledger.work_state import MOST_LISTED
from imports.phases.comparing import (
    Compared,
    VerifyTarget,
    begin_batch,
    begin_piece,
    check_image,
    check_placed,
    compare_images,
    compare_items,
    row_mark,
    rows_written,
)
from imports.phases.lacking import find_arrived_images
from imports.phases.pieces import PieceReader
from imports.phases.prepare import batches, largest_item
from imports.phases.upload import BATCH_SIZE
from imports.run.report import Finding, VerifyReport
from imports.workers.chained import Chained
from imports.workers.executors import FEW_ITEMS, run_bounded

if TYPE_CHECKING:
    from imports.run.session import RunSession
    from imports.tables.table import Table

_log = logging.getLogger("imports.run")

T = TypeVar("T")


@dataclass(slots=True)
class Verified:
    """The report, and the items and images that a repair may fix.

    `placed` are images with places of their own. `unlisted` are images that are stored correctly
    and not listed correctly. `wrong` are the paths of all items that are not known to be correct.
    """

    report: VerifyReport = field(default_factory=VerifyReport)
    items: set[int] = field(default_factory=set)
    wrong: set[str] = field(default_factory=set)
    images: list[Image] = field(default_factory=list)
    placed: list[PlacedImage] = field(default_factory=list)
    unlisted: list[Image] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Counts and logs a finding; the report lists only the first ones."""
        found = self.report.found
        found[finding.found] = found.get(finding.found, 0) + 1
        if len(self.report.findings) < MOST_LISTED:
            self.report.findings.append(finding)
        if finding.path:
            self.wrong.add(finding.path)
        if finding.item_id is not None:
            self.items.add(finding.item_id)
            self.report.repairable = True
        _log.error(
            "verify: %s %s %s %s", finding.found, finding.subject, finding.path, finding.detail
        )


def verify(session: RunSession, *, deep: bool, since: int | None = None) -> Verified:
    """Compares imported items and their images with the target; `deep` reads the images.

    Without `since`, compares all of them and looks for orphans; with it, only those that later
    batches imported.

    Raises:
        BackendUnavailableError, InterruptedRunError: if it cannot be finished.
    """
    verified = Verified()
    total = session.queue.open(ItemState.IMPORTED, None, largest_item(session.kind), since)
    session.display.begin(Phase.VERIFY, total)
    target = VerifyTarget(session.target.config, session.kind.group, session.run_values())
    seen_rows = SeenRows(session.scope)
    seen_rows.begin()
    for compared in _compared(session, target, total):
        seen_rows.add(compared.row_marks)
        _add(compared, verified)
        session.advance(Phase.VERIFY, compared.items)
    _check_images(session, target, verified, deep=deep, since=since)
    _check_placed(session, target, verified, deep=deep, since=since)
    _look_for_missing(session, verified)
    # Rows of disposed files would look like orphans.
    if session.single_item is None and since is None and not session.disposals.disposed():
        _add_rows_of_failed(session, target, seen_rows)
        for table in resettable(session.kind.group):
            if not table.historic:
                _find_orphans(session, target, table, seen_rows, verified)
    return verified


def _compared(session: RunSession, target: VerifyTarget, total: int) -> Iterator[Compared]:
    """Compares the items of the queue: the usual ones in batches, then the large ones in pieces."""
    parsers, waiting = session.workers.for_parsing(total), session.workers.for_waiting()
    yield from run_bounded(
        Chained(parsers, waiting, begin_batch),
        partial(compare_items, target),
        chain(batches(session, undated=False), batches(session, undated=True)),
        in_flight=session.merges_at_once,
        stop=session.policy.stop,
        weigh=lambda job: job.weight,
        most_weight=session.most_weight_at_once,
    )
    session.raise_if_stopping()
    for item in session.queue.large():
        yield from _large_compared(session, target, item)


def _add_rows_of_failed(session: RunSession, target: VerifyTarget, seen_rows: SeenRows) -> None:
    """Records the stored rows of failed items, so that they do not count as orphans.

    Other findings are ignored: these items are reported as failed already.
    """
    if total := session.queue.open(ItemState.FAILED, None, largest_item(session.kind)):
        for compared in _compared(session, target, total):
            seen_rows.add(compared.row_marks)


def _large_compared(
    session: RunSession, target: VerifyTarget, item: WorkItem
) -> Iterator[Compared]:
    """Compares the current file of a large item, piece by piece."""
    try:
        signature = session.sign(item.path)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        yield _unreadable(item, reason)
        return
    reader = PieceReader(session, item._replace(signature=signature, records_done=0))
    parsers, waiting = session.workers.for_parsing(FEW_ITEMS), session.workers.for_waiting()
    yield from run_bounded(
        Chained(parsers, waiting, begin_piece),
        partial(compare_items, target),
        reader.jobs(),
        in_flight=session.merges_at_once,
        stop=session.policy.stop,
    )
    session.raise_if_stopping()
    yield Compared(1) if reader.problem is None else _unreadable(item, reader.problem)


def _unreadable(item: WorkItem, reason: str) -> Compared:
    return Compared(1, findings=[Finding("unreadable", item.path, reason, item.path)])


def _add(compared: Compared, verified: Verified) -> None:
    verified.report.records += compared.records
    verified.report.guarded += compared.exempt["guarded"]
    verified.report.left_out += compared.exempt["left_out"]
    for finding in compared.findings:
        verified.add(finding)


def _check_images(
    session: RunSession,
    target: VerifyTarget,
    verified: Verified,
    *,
    deep: bool,
    since: int | None,
) -> None:
    session.images.open_stored(since)
    for stored in session.images.stored(BATCH_SIZE):
        listed = session.workers.for_waiting().submit(compare_images, target, stored)
        damaged = list(_damaged(session, partial(_checked, target, deep=deep), stored, verified))
        verified.images += damaged
        hashes = {image.sha256 for image in damaged}
        wrong = listed.result()
        for finding in wrong.values():
            verified.add(finding)
            verified.report.repairable = True
        verified.unlisted += [
            image for image in stored if image.sha256 in wrong and image.sha256 not in hashes
        ]


def _check_placed(
    session: RunSession,
    target: VerifyTarget,
    verified: Verified,
    *,
    deep: bool,
    since: int | None,
) -> None:
    if not session.placements.open_stored(since):
        return
    check = partial(_placed_checked, target, deep=deep)
    verified.placed += _damaged(session, check, session.placements.stored(), verified)


def _damaged(
    session: RunSession,
    check: Callable[[T], tuple[T, Finding | None]],
    images: Iterable[T],
    verified: Verified,
) -> Iterator[T]:
    """Checks stored images, and adds what is found; yields the images that are wrong."""
    for image, finding in run_bounded(
        session.workers.for_waiting(),
        check,
        images,
        in_flight=session.settings.max_concurrent_uploads,
        stop=session.policy.stop,
    ):
        verified.report.images += 1
        if finding is not None:
            verified.add(finding)
            verified.report.repairable = True
            yield image
    session.raise_if_stopping()


def _look_for_missing(session: RunSession, verified: Verified) -> None:
    """Counts the missing images, and finds the items whose missing image has arrived."""
    verified.report.missing = session.lacking.count().images
    find_arrived_images(session, Phase.VERIFY)
    detail = "an image that was missing or damaged at its import is there now"
    for items in session.lacking.found(BATCH_SIZE):
        for item_id, path, _ in items:
            verified.add(Finding("different", path, detail, path, item_id))


def _checked(target: VerifyTarget, image: Image, *, deep: bool) -> tuple[Image, Finding | None]:
    return image, check_image(target, image, deep=deep)


def _placed_checked(
    target: VerifyTarget, placed: PlacedImage, *, deep: bool
) -> tuple[PlacedImage, Finding | None]:
    return placed, check_placed(target, placed, deep=deep)


def _find_orphans(
    session: RunSession, target: VerifyTarget, table: Table, seen_rows: SeenRows, verified: Verified
) -> None:
    """Finds rows of a table that runs of this source wrote, and that no item of it has."""
    # While items are open, such a row may belong to one of them.
    items = session.items
    open_items = items.unfinished(0)[0] + items.failures(0)[0] + items.acknowledged()
    run_names = session.runs.run_names(session.scope.id)
    after = None
    question = partial(rows_written, target, table, run_names)
    while page := session.workers.for_waiting().submit(question, after).result():
        after = page[-1].id
        seen = seen_rows.seen([row_mark(table, row.id) for row in page])
        for row in page:
            if row_mark(table, row.id) not in seen:
                verified.add(_orphan(row.label, open_items))


def _orphan(label: str, open_items: int) -> Finding:
    if not open_items:
        return Finding("orphaned", label, "no item of the source has it any more")
    return Finding(
        "unaccounted",
        label,
        f"no imported item has it; it may belong to one of the {open_items:,} items that failed or"
        " are not imported yet",
    )
