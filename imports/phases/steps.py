"""The phases as steps of a run: each begins with a checkpoint, is timed, and ends in order."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imports.errors import BackendUnavailableError, InterruptedRunError
from imports.items.phase import Phase
from imports.ledger.work_state import PhaseState, phase_counts
from imports.phases.disposal import dispose_verified
from imports.phases.import_ import import_items
from imports.phases.known import skip_known
from imports.phases.lacking import plan_arrived_images, plan_left_out
from imports.phases.listing import list_source
from imports.phases.parents import check_parents
from imports.phases.placements import place_images
from imports.phases.planning import plan_items
from imports.phases.sha256 import hash_images
from imports.phases.upload import upload_images

if TYPE_CHECKING:
    from imports.ledger import Listing
    from imports.phases.verify import Verified
    from imports.run.session import RunSession

_log = logging.getLogger("imports.run")


@contextmanager
def in_phase(session: RunSession, phase: Phase) -> Iterator[None]:
    """Writes a checkpoint at the beginning of a phase, and times the phase.

    The next checkpoint has the end of the phase: that of the next phase, or of the run's end.
    """
    state = session.state
    state.current_phase = phase
    mine = state.phases.setdefault(phase, PhaseState())
    mine.status = "running"
    session.checkpoint(now=True)
    _log.info("%s begins", phase)
    began, before = time.monotonic(), mine.duration_seconds
    status = "failed"
    try:
        session.raise_if_stopping()
        yield
        session.raise_if_stopping()
        status = "completed"
    except (InterruptedRunError, BackendUnavailableError):
        status = "interrupted"
        raise
    finally:
        # A checkpoint in between may have replaced the object.
        mine = state.phases[phase]
        mine.status = status
        mine.duration_seconds = before + time.monotonic() - began
        session.display.end(phase)
        _log.info("%s %s after %.3f s", phase, status, mine.duration_seconds)


def plan_source(session: RunSession) -> Listing:
    """Lists the source, and plans new and changed items.

    Raises:
        UsageError: if the source has no item of the kind.
    """
    with in_phase(session, Phase.PLANNING):
        if not session.settings.scan_only:
            check_parents(session)
        if session.settings.force:
            forget_merges(session)
        listing = list_source(session)
        if not session.settings.scan_only:
            session.run_values()
            skip_known(session)
            plan_arrived_images(session)
            plan_left_out(session)
            plan_items(session)
            session.state.total_images = session.images.count()
    return listing


def plan_listed(session: RunSession) -> None:
    """Plans the listed items."""
    with in_phase(session, Phase.PLANNING):
        plan_items(session)


def hash_planned(session: RunSession) -> None:
    """Hashes the images of unfinished items, each file once."""
    with in_phase(session, Phase.SHA256):
        hash_images(session)


def upload_planned(session: RunSession) -> None:
    """Stores the images of unfinished items that the target lacks."""
    with in_phase(session, Phase.UPLOAD):
        upload_images(session)
        place_images(session)


def import_planned(session: RunSession) -> None:
    """Imports the planned items, a batch at a time."""
    with in_phase(session, Phase.IMPORT):
        total = import_items(session)
        if total or any(phase_counts(session.counts(), Phase.IMPORT).values()):
            forget_merges(session)


def verify_imported(session: RunSession, *, deep: bool) -> Verified:
    """Compares what this run has imported and not verified yet with the target.

    Then deletes or moves the files that waited for the verification.
    """
    # On demand: most runs do not verify.
    from imports.phases.verify import verify

    last_batch = session.queue.last_batch()
    with in_phase(session, Phase.VERIFY):
        verified = verify(session, deep=deep, since=session.verified_until)
    if session.kind.consumes_source:
        whole = session.verified_until is None
        session.disposals.record_verified(verified.wrong, whole=whole)
    session.verified_until = last_batch
    dispose_verified(session)
    return verified


def forget_merges(session: RunSession) -> None:
    """Deletes the target's stored answers to this run's merges, so later merges are executed."""
    session.ask(session.target.database.forget_merges, session.state.rows_batch_id)
