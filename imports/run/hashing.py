"""SHA-256, seen from the coordinator: each image of an unfinished item is hashed once."""

from __future__ import annotations

import logging

from imports.phases import sha256
from imports.run.session import RunSession
from imports.work_item import Phase, flaw_warning
from imports.workers.executors import run_bounded

_log = logging.getLogger("imports.run")


def hash_images(session: RunSession) -> None:
    """Hashes the images whose hash the ledger does not know.

    One that is no image is a warning. One that cannot be read just now fails its items: without
    it their rows would lose, or never get, an image that is there.
    """
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
        for file, reason in hashed.unread:
            _log.error("%s: %s", file.path, reason)
            paths = session.items.record_unread_image(file.path, reason)
            session.tell_failures(Phase.SHA256, [(path, reason) for path in paths])
        if hashed.unread:
            session.add_counts({"sha256.unread": len(hashed.unread)})
        done = len(hashed.images) + len(hashed.problems) + len(hashed.unread)
        session.advance(Phase.SHA256, done)
