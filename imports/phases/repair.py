"""Repair: imports items and images again that verification found wrong."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from imports.items.images import Image
from imports.items.phase import Phase
from imports.phases.planning import signatures
from imports.phases.steps import (
    forget_merges,
    hash_planned,
    import_planned,
    in_phase,
    plan_listed,
    upload_planned,
)
from imports.phases.upload import list_images
from imports.phases.verify import Verified, verify
from imports.source.tree import signature_of

if TYPE_CHECKING:
    from imports.run.report import VerifyReport
    from imports.run.session import RunSession

_log = logging.getLogger("imports.run")


def import_again(session: RunSession, verified: Verified, *, deep: bool) -> VerifyReport:
    """Imports again what verification found wrong, and returns the report of a new verification.

    If there is nothing to repair, returns the earlier report. Continues an interrupted repair.
    """
    state = session.state
    unfinished, _ = session.items.unfinished(0)
    if not verified.report.repairable and not (state.repairing and unfinished):
        return verified.report
    before = "completed" if state.repairing else state.status
    state.status = "running"
    state.repairing = True
    session.checkpoint(now=True)
    _import_wrong(session, verified)
    with in_phase(session, Phase.VERIFY):
        report = verify(session, deep=deep).report
    state.status = before
    state.repairing = False
    session.checkpoint(now=True)
    return report


def _import_wrong(session: RunSession, verified: Verified) -> None:
    items = set(verified.items)
    images = [each for each in verified.images if _can_be_stored_again(session, each)]
    for image in images:
        session.ask(session.target.store.remove, image.storage_path)
        items.update(session.images.items_of(image.sha256))
    placed = [each for each in verified.placed if _can_be_stored_again(session, each.image)]
    for placed_image in placed:
        items.update(session.placements.items_of(placed_image.place))
    forget_merges(session)
    list_images(session, verified.unlisted)
    readable = dict(signatures(session, items))
    session.items.import_again(readable.items())
    session.images.forget_stored()
    plan_listed(session)
    hash_planned(session)
    upload_planned(session)
    import_planned(session)
    noun = session.kind.wording.items
    count = len(images) + len(placed) + len(verified.unlisted)
    session.display.say(f"Imported again: {len(readable):,} {noun}, {count:,} images.")


def _can_be_stored_again(session: RunSession, image: Image) -> bool:
    """Whether a file still has the image. Otherwise the stored image is better than none."""
    for file in session.images.files_of(image.sha256):
        try:
            if signature_of(os.stat(file.path)) == file.signature:
                return True
        except OSError as error:
            _log.warning("%s: %s", file.path, error.strerror)
    _log.warning("%s stays unchanged: no file has its image any more", image.storage_path)
    return False
