"""Upload, seen from the coordinator: the images that the target lacks are stored."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial

from imports.phases import upload
from imports.phases.upload import UploadTarget
from imports.run.session import RunSession
from imports.work_item import Image, Phase
from imports.workers import in_a_thread, run_bounded

_log = logging.getLogger("imports.run")


def upload_images(session: RunSession) -> None:
    """Stores the images of unfinished items that the target lacks."""
    total = session.images.open_unsettled()
    session.display.begin(Phase.UPLOAD, total)
    if not total:
        return
    target = UploadTarget(
        session.target.database, session.target.store, session.policy, session.state.batch_id
    )
    session.ask(session.target.store.prepare)
    for images in session.images.unsettled(upload.BATCH_SIZE):
        _upload_some(session, target, images)
        session.raise_if_stopping()


def _upload_some(session: RunSession, target: UploadTarget, images: list[Image]) -> None:
    known = in_a_thread(upload.known_images, target, images)
    doubted = session.settings.force or session.state.repairing or session.single_item is not None
    if doubted or target.store.storage_type == "local":
        # What is listed need not be there: a repair, even one that was killed, removes what
        # is damaged. A local file is looked at sooner than it is believed in.
        wanted = images
    else:
        wanted = [image for image in images if image.sha256 not in known]
    stored: list[Image] = []
    counts: Counter[str] = Counter({"upload.skipped": len(images) - len(wanted)})
    session.advance(Phase.UPLOAD, len(images) - len(wanted))
    try:
        for uploaded in run_bounded(
            session.workers.for_waiting(),
            partial(upload.upload_image, target),
            wanted,
            in_flight=session.settings.max_concurrent_uploads,
            stop=session.policy.stop,
        ):
            if uploaded.problem is None:
                stored.append(uploaded.image)
                counts["upload.completed" if uploaded.new else "upload.skipped"] += 1
            else:
                counts["upload.failed"] += 1
                _fail_items(session, uploaded.image, uploaded.problem)
            session.advance(Phase.UPLOAD, 1)
    finally:
        # What was stored before something went wrong must not be stored again.
        new = [each for each in stored if each.sha256 not in known]
        in_a_thread(upload.record_images, target, new)
        there = {image.sha256 for image in images} - {image.sha256 for image in wanted}
        session.images.record_settled(there | {each.sha256 for each in stored}, counts)


def _fail_items(session: RunSession, image: Image, problem: str) -> None:
    """Fails the items that name an image which cannot be stored."""
    reason = f"Image upload failed: {problem}"
    _log.error("%s", reason)
    paths = session.items.record_upload_failure(image.sha256, reason)
    session.tell_failures(Phase.UPLOAD, [(path, reason) for path in paths])
