"""The phases as steps of a run: each is checkpointed where it begins, timed, and ended in order."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imports.errors import BackendUnavailableError, InterruptedRunError
from imports.ledger.work_state import PhaseState, phase_counts
from imports.phases.disposal import dispose_verified
from imports.phases.import_ import import_items
from imports.phases.lacking import plan_left_out, plan_what_came
from imports.phases.listing import list_source
from imports.phases.placements import place_images
from imports.phases.planning import plan_items
from imports.phases.sha256 import hash_images
from imports.phases.upload import upload_images
from imports.work_item import Phase

if TYPE_CHECKING:
    from imports.ledger import Listing
    from imports.phases.verify import Verified
    from imports.run.session import RunSession

_log = logging.getLogger("imports.run")


@contextmanager
def in_phase(session: RunSession, phase: Phase) -> Iterator[None]:
    """Checkpoints a phase where it begins, and times it.

    That it has ended is in the next checkpoint: of the phase that follows, or of the end.
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
        # A checkpoint in between put another object in its place.
        mine = state.phases[phase]
        mine.status = status
        mine.duration_seconds = before + time.monotonic() - began
        session.display.end(phase)
        _log.info("%s %s after %.3f s", phase, status, mine.duration_seconds)


def plan_source(session: RunSession) -> Listing:
    """Lists the source, and reads what is new or changed in it.

    Raises:
        UsageError: if there is nothing of the kind in the source.
    """
    with in_phase(session, Phase.PLANNING):
        if session.settings.force:
            forget_merges(session)
        listing = list_source(session)
        if not session.settings.scan_only:
            session.run_values()
            plan_what_came(session)
            plan_left_out(session)
            plan_items(session)
            session.state.total_images = session.images.count()
    return listing


def plan_listed(session: RunSession) -> None:
    """Reads what is listed, and prepares it."""
    with in_phase(session, Phase.PLANNING):
        plan_items(session)


def hash_planned(session: RunSession) -> None:
    """Hashes the images of unfinished items, each once."""
    with in_phase(session, Phase.SHA256):
        hash_images(session)


def upload_planned(session: RunSession) -> None:
    """Stores the images of unfinished items that the target lacks."""
    with in_phase(session, Phase.UPLOAD):
        upload_images(session)
        place_images(session)


def import_planned(session: RunSession) -> None:
    """Imports the items that are planned: rows, merged a batch at a time."""
    with in_phase(session, Phase.IMPORT):
        total = import_items(session)
        if total or any(phase_counts(session.counts(), Phase.IMPORT).values()):
            forget_merges(session)


def verify_imported(session: RunSession, *, deep: bool) -> Verified:
    """Compares what this run has imported, and has not verified yet, with the target.

    Files that waited for that are deleted or moved then.
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
    """Drops the target's answers to this run's merges: what comes now is merged for real."""
    session.ask(session.target.database.forget_merges, session.state.rows_run_name)
