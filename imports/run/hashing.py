"""SHA-256, seen from the coordinator: each image of an unfinished item is hashed once."""

from __future__ import annotations

import logging

from imports.phases import sha256
from imports.run.session import RunSession
from imports.work_item import Phase, flaw_warning
from imports.workers import run_bounded

_log = logging.getLogger("imports.run")


def hash_images(session: RunSession) -> None:
    """Hashes the images whose hash the ledger does not know."""
    session.display.begin(Phase.SHA256, session.images.open_unhashed())
    for hashed in run_bounded(
        session.workers.for_waiting(),
        sha256.hash_batch,
        session.images.unhashed(sha256.BATCH_SIZE),
        in_flight=session.workers.max_workers + 1,
        stop=session.policy.stop,
    ):
        session.images.record_hashes(hashed.images, hashed.problems)
        for file, problem in hashed.problems:
            _log.warning("%s: %s", file.path, problem)
        for image in hashed.images:
            if image.flaw is not None:
                _log.warning("%s", flaw_warning(image.file.path, image.flaw))
        session.advance(Phase.SHA256, len(hashed.images) + len(hashed.problems))
