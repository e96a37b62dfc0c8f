"""Verification: batches, images and orphans checked, and what is wrong put together."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial

from imports.backends.target import MERGES_AT_ONCE
from imports.ledger import Vouching
from imports.phases.upload import BATCH_SIZE
from imports.phases.verify import (
    PAGE_SIZE,
    Finding,
    VerifyTarget,
    check_image,
    compare_batch,
)
from imports.report import VerifyReport
from imports.run.session import RunSession
from imports.work_item import ItemState, Phase, StoredImage
from imports.work_state import MOST_LISTED
from imports.workers import run_bounded

_log = logging.getLogger("imports.run")


@dataclass(slots=True)
class Verified:
    """The report, and the items and images that importing again may put right."""

    report: VerifyReport = field(default_factory=VerifyReport)
    items: set[int] = field(default_factory=set)
    images: list[StoredImage] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Counts a finding, lists it if it is among the first, and logs it."""
        found = self.report.found
        found[finding.found] = found.get(finding.found, 0) + 1
        if len(self.report.findings) < MOST_LISTED:
            self.report.findings.append(finding)
        if finding.item_id is not None:
            self.items.add(finding.item_id)
            self.report.repairable = True
        _log.error(
            "verify: %s %s %s %s", finding.found, finding.subject, finding.path, finding.detail
        )


def verify(session: RunSession, *, deep: bool) -> Verified:
    """Compares all imported items and their images with the target; `deep` reads the images.

    Raises:
        BackendUnavailableError, InterruptedRunError: if it cannot be finished.
    """
    verified = Verified()
    total = session.queue.open(ItemState.IMPORTED, None)
    session.display.begin(Phase.VERIFY, total)
    target = VerifyTarget(
        session.target.database,
        session.target.store,
        session.policy,
        session.kind.group,
        session.run_values(),
        session.workers.for_parsing(total),
    )
    vouching = Vouching(session.scope)
    _compare_items(session, target, vouching, verified)
    _check_images(session, target, verified, deep=deep)
    if session.single_item is None:
        _find_orphans(session, vouching, verified)
    return verified


def _compare_items(
    session: RunSession, target: VerifyTarget, vouching: Vouching, verified: Verified
) -> None:
    vouching.begin()
    for compared in run_bounded(
        session.workers.for_waiting(),
        partial(compare_batch, target),
        session.batches(),
        in_flight=min(MERGES_AT_ONCE, session.workers.max_workers),
        stop=session.policy.stop,
    ):
        verified.report.records += compared.records
        vouching.vouch_for(compared.row_ids)
        for finding in compared.findings:
            verified.add(finding)
        session.advance(Phase.VERIFY, compared.items)
    session.raise_if_stopping()


def _check_images(
    session: RunSession, target: VerifyTarget, verified: Verified, *, deep: bool
) -> None:
    session.images.open_stored()
    for stored in session.images.stored(BATCH_SIZE):
        for image, finding in run_bounded(
            session.workers.for_waiting(),
            partial(_checked, target, deep=deep),
            stored,
            in_flight=session.settings.max_concurrent_uploads,
            stop=session.policy.stop,
        ):
            verified.report.images += 1
            if finding is not None:
                verified.add(finding)
                verified.images.append(image)
                verified.report.repairable = True
        session.raise_if_stopping()


def _checked(
    target: VerifyTarget, image: StoredImage, *, deep: bool
) -> tuple[StoredImage, Finding | None]:
    return image, check_image(target, image, deep=deep)


def _find_orphans(session: RunSession, vouching: Vouching, verified: Verified) -> None:
    """Finds rows that runs over this source wrote, and that nothing in it speaks for."""
    group = session.kind.group
    # Then it is not known of whom such a row is.
    open_items = session.items.unfinished(0)[0] + session.items.failures(0)[0]
    batch_ids = session.runs.batch_ids(session.scope.id)
    after = None
    while page := session.ask(
        session.target.database.written,
        group,
        group.tables[0],
        batch_ids,
        after,
        PAGE_SIZE,
    ):
        after = page[-1].id
        vouched = vouching.vouched([row.id for row in page])
        for row in page:
            if row.id not in vouched:
                verified.add(_unvouched(row.label, open_items))


def _unvouched(label: str, open_items: int) -> Finding:
    if not open_items:
        return Finding("orphaned", label, "nothing in the source has it any more")
    return Finding(
        "unaccounted",
        label,
        f"nothing that is imported has it; it may be of one of the {open_items:,} that failed or"
        " are yet to be imported",
    )
