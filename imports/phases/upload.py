"""Upload: the images that the target lacks are stored, and listed in `image_assets`.

Two threads beside the uploads ask which images the target lists, a page ahead, and list the stored
images. So the uploads need not wait.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from imports.backends.database import Rows
from imports.backends.halving import all_answers, in_parts
from imports.backends.target_config import TargetConfig, opened
from imports.errors import BackendUnavailableError, ImageProblemError
from imports.items.images import Image
from imports.items.phase import Phase
from imports.phases.unexplained import MAX_IMAGES, judge_images
from imports.tables.row_format import encoder
from imports.tables.table import IMAGE_ASSETS, IMAGES
from imports.workers.executors import run_bounded

if TYPE_CHECKING:
    from imports.backends.retrying import RetryingDatabase
    from imports.run.session import RunSession

_log = logging.getLogger("imports.run")


def upload_images(session: RunSession) -> None:
    """Stores the images of unfinished items that the target lacks."""
    total = session.images.open_unstored()
    session.display.begin(Phase.UPLOAD, total)
    if not total:
        return
    target = _target(session)
    if notice := session.ask(session.target.store.prepare):
        session.notice(notice)
    # A thread for each question: the main thread can handle signals, a blocked driver cannot.
    with ThreadPoolExecutor(2, thread_name_prefix="listing") as beside:
        stored = _StoredImages(session, target, beside)
        try:
            for outcomes in run_bounded(
                session.workers.for_waiting(),
                partial(upload_batch, target),
                _wanted(session, target, stored, beside),
                in_flight=session.settings.max_concurrent_uploads,
                stop=session.policy.stop,
            ):
                stored.take(outcomes)
            session.raise_if_stopping()
            stored.end_unexplained()
        finally:
            # After an error, the stored images must be recorded, not stored again.
            stored.finish()
    session.raise_if_stopping()


def list_images(session: RunSession, images: list[Image]) -> None:
    """Lists stored images in the target. Their files are not needed."""
    executor = session.workers.for_waiting()
    for first in range(0, len(images), BATCH_SIZE):
        some = images[first : first + BATCH_SIZE]
        executor.submit(record_images, _target(session), some).result()


def _target(session: RunSession) -> UploadTarget:
    return UploadTarget(
        session.target.config, session.state.rows_batch_id, session.state.cycle_name
    )


def _wanted(
    session: RunSession, target: UploadTarget, stored: _StoredImages, beside: Executor
) -> Iterator[list[Image]]:
    """The images to store, as many at a time as a worker of the store takes."""
    check_all = session.settings.force or session.state.repairing or session.single_item is not None
    store = session.target.store
    for images, known in _asked_ahead(session, target, beside):
        session.raise_if_stopping()
        if not check_all:
            stored.expect(known)
        if check_all or store.storage_type == "local":
            # A listed image may be missing or damaged: a repair, even a killed one, removes damaged
            # images. Checking a local file is cheap.
            wanted = images
        else:
            wanted = [image for image in images if image.sha256 not in known]
            stored.take_listed([image for image in images if image.sha256 in known])
        for first in range(0, len(wanted), store.put_at_once):
            yield wanted[first : first + store.put_at_once]


def _asked_ahead(
    session: RunSession, target: UploadTarget, beside: Executor
) -> Iterator[tuple[list[Image], set[str]]]:
    """Images a page at a time, each with the hashes that the target lists."""
    asked: Future[set[str]] | None = None
    before: list[Image] = []
    for images in session.images.unstored(BATCH_SIZE):
        asking = beside.submit(known_images, target, images)
        if asked is not None:
            yield before, asked.result()
        before, asked = images, asking
    if asked is not None:
        yield before, asked.result()


class _StoredImages:
    """The results of images, on their way into `image_assets`, and then into the ledger.

    The ledger records an image after the target lists it. One page of images is being listed while
    the next one is collected.
    """

    def __init__(self, session: RunSession, target: UploadTarget, beside: Executor) -> None:
        self._session = session
        self._target = target
        self._beside = beside
        self._known: set[str] = set()
        self._images: list[Image] = []
        self._unexplained: list[Uploaded] = []
        self._store_works = False
        self._counts: Counter[str] = Counter()
        self._listing: tuple[Future[None], list[str], Counter[str]] | None = None

    def expect(self, known: set[str]) -> None:
        """Takes the hashes that the target lists. The results of these images come later."""
        self._known |= known

    def take(self, outcomes: list[Uploaded]) -> None:
        """Takes the results of some images, and lists the stored ones when a page is full.

        Raises:
            BackendUnavailableError: if none of many images is stored, and the store is the cause.
        """
        for uploaded in outcomes:
            if uploaded.problem is None:
                self._images.append(uploaded.image)
                self._counts["upload.completed" if uploaded.new else "upload.skipped"] += 1
                if uploaded.new:
                    self._counts["uploaded_bytes"] += uploaded.image.file.signature.size
                self._store_works = True
            elif uploaded.unexplained and not self._store_works:
                self._unexplained.append(uploaded)
            else:
                self._fail(uploaded)
        if self._store_works:
            self._fail_unexplained()
        elif len(self._unexplained) >= MAX_IMAGES:
            self._judge_unexplained()
        if len(self._images) >= BATCH_SIZE:
            self._list()
        self._session.advance(Phase.UPLOAD, len(outcomes))

    def take_listed(self, images: list[Image]) -> None:
        """Takes images that the target lists already: they do not show that the store works."""
        works = self._store_works
        self.take([Uploaded(image) for image in images])
        self._store_works = works

    def end_unexplained(self) -> None:
        """Ends the images. If unexplained problems are left, their images fail.

        Raises:
            BackendUnavailableError: as `take` does.
        """
        self._judge_unexplained()

    def _fail_unexplained(self) -> None:
        unexplained, self._unexplained = self._unexplained, []
        for uploaded in unexplained:
            self._fail(uploaded)

    def _fail(self, uploaded: Uploaded) -> None:
        self._counts["upload.failed"] += 1
        _fail_items(self._session, uploaded.image, uploaded.problem or "")

    def _judge_unexplained(self) -> None:
        refused = [(each.image.sha256, each.problem or "") for each in self._unexplained]
        judge_images(self._session, refused)
        self._fail_unexplained()

    def finish(self) -> None:
        """Lists the remaining images in the target, and records them in the ledger."""
        self._list()
        self._record_listed()

    def _list(self) -> None:
        self._record_listed()
        new = [image for image in self._images if image.sha256 not in self._known]
        hashes = [image.sha256 for image in self._images]
        listing = self._beside.submit(record_images, self._target, new)
        self._listing = listing, hashes, self._counts
        self._known.difference_update(hashes)
        self._images, self._counts = [], Counter()

    def _record_listed(self) -> None:
        if self._listing is not None:
            (listing, hashes, counts), self._listing = self._listing, None
            listing.result()
            self._session.images.record_stored(hashes, counts)


def _fail_items(session: RunSession, image: Image, problem: str) -> None:
    """Fails the items that name an image which cannot be stored."""
    reason = f"Image upload failed: {problem}"
    _log.error("%s", reason)
    paths = session.items.record_upload_failure(image.sha256, reason)
    session.write_failures(Phase.UPLOAD, [(path, reason) for path in paths])


BATCH_SIZE = 500
"""Images in one request to the target."""


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """The target of images, and the run that stores them: its batch id and its own name."""

    config: TargetConfig
    batch_id: str
    run_name: str


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The result of one image: `new` says whether it was not stored before.

    `unexplained` says that the store did not name the image as the reason of the problem.
    """

    image: Image
    new: bool = False
    problem: str | None = None
    unexplained: bool = False


def known_images(target: UploadTarget, images: list[Image]) -> set[str]:
    """The hashes of those images that the target lists as stored in this store."""

    def ask(database: RetryingDatabase, _: int, some: list[str]) -> dict[str, str]:
        return database.known_images(some)

    database, store, _ = opened(target.config)
    hashes = [image.sha256 for image in images]
    return {
        sha256
        for known in all_answers(in_parts(database, hashes, ask))
        for sha256, kind in known.items()
        if kind == store.storage_type
    }


def upload_image(target: UploadTarget, image: Image) -> Uploaded:
    """Stores one image. If the store refuses it or fails, the result has a problem.

    Raises:
        BackendUnavailableError: if the target does not answer any request.
    """
    store = opened(target.config).store
    try:
        return Uploaded(image, new=store.put(image))
    except ImageProblemError as error:
        return Uploaded(image, problem=str(error))
    except BackendUnavailableError as error:
        store.blame_image(error)
        return Uploaded(image, problem=f"image {image.file.path}: {error}", unexplained=True)


def upload_batch(target: UploadTarget, images: list[Image]) -> list[Uploaded]:
    """Stores images one after the other; a run that is stopping leaves out the rest.

    Raises:
        BackendUnavailableError: if the target does not answer any request.
    """
    stop = opened(target.config).store.policy.stop
    uploaded: list[Uploaded] = []
    for image in images:
        if uploaded and stop.is_set():
            break
        uploaded.append(upload_image(target, image))
    return uploaded


def record_images(target: UploadTarget, images: list[Image]) -> None:
    """Lists stored images in `image_assets`."""
    if not images:
        return

    def ask(database: RetryingDatabase, _: int, some: list[Image]) -> None:
        request = request_id(target.run_name, [image.sha256 for image in some])
        database.merge(request, image_rows(target, some))

    all_answers(in_parts(opened(target.config).database, images, ask))


def image_rows(target: UploadTarget, images: list[Image]) -> Rows:
    """The rows of stored images for `image_assets`."""
    database, store, _ = opened(target.config)
    encode = encoder(IMAGE_ASSETS, database.row_format)
    encoded = [
        encode(
            (
                image.sha256,
                image.storage_path,
                store.storage_type,
                image.file.signature.size,
                image.content_type,
                image.width,
                image.height,
            )
        )
        for image in images
    ]
    return Rows(IMAGES, {"batch_id": target.batch_id}, {0: encoded})


_NAMESPACE = UUID("5e0f4a26-4a55-5d3c-9f4e-5a0c1c6b6d1f")


def request_id(run_name: str, parts: list[str]) -> UUID:
    """The id of a merge: always the same for the same parts of the same run."""
    return uuid5(_NAMESPACE, "\n".join([run_name, *parts]))
