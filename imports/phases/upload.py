"""Upload: the images that the target lacks are stored, and listed in `image_assets`.

What the target lists is asked a page ahead, and what is stored is listed, beside the uploads:
none of them waits for the other.
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
from imports.tables.row_format import encoder
from imports.tables.table import IMAGE_ASSETS, IMAGES
from imports.work_item import Image, Phase
from imports.workers.executors import run_bounded

if TYPE_CHECKING:
    from imports.backends.retrying import RetryingDatabase
    from imports.run.session import RunSession

_FEWEST_DOUBTED = 3
"""If no image can be stored, and they are so many, it is hardly their fault."""


_MOST_DOUBTED = 10
"""At so many nobody tries on."""


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
    # A thread for either question: a signal is heard meanwhile, which a database driver is deaf to.
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
            stored.end_doubts()
        finally:
            # What was stored before something went wrong must not be stored again.
            stored.finish()
    session.raise_if_stopping()


def list_images(session: RunSession, images: list[Image]) -> None:
    """Lists images that are stored as they should be, whatever became of their files."""
    executor = session.workers.for_waiting()
    for first in range(0, len(images), BATCH_SIZE):
        some = images[first : first + BATCH_SIZE]
        executor.submit(record_images, _target(session), some).result()


def _target(session: RunSession) -> UploadTarget:
    return UploadTarget(session.target.config, session.state.rows_run_name)


def _wanted(
    session: RunSession, target: UploadTarget, stored: _StoredImages, beside: Executor
) -> Iterator[list[Image]]:
    """The images to store, as many at a time as a worker of the store takes."""
    doubted = session.settings.force or session.state.repairing or session.single_item is not None
    store = session.target.store
    for images, known in _asked_ahead(session, target, beside):
        session.raise_if_stopping()
        if not doubted:
            stored.expect(known)
        if doubted or store.storage_type == "local":
            # What is listed need not be there, nor listed as it should be: a repair, even one that
            # was killed, removes what is damaged. A local file is looked at sooner than it is
            # believed in.
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
    """What became of images, on its way into `image_assets` and from there into the ledger.

    The ledger hears of an image only when the target lists it. At most a page of images is being
    listed while the next one gathers.
    """

    def __init__(self, session: RunSession, target: UploadTarget, beside: Executor) -> None:
        self._session = session
        self._target = target
        self._beside = beside
        self._known: set[str] = set()
        self._images: list[Image] = []
        self._doubted: list[Uploaded] = []
        self._store_works = False
        self._counts: Counter[str] = Counter()
        self._listing: tuple[Future[None], list[str], Counter[str]] | None = None

    def expect(self, known: set[str]) -> None:
        """Takes the hashes that the target lists of images whose outcomes will come."""
        self._known |= known

    def take(self, outcomes: list[Uploaded]) -> None:
        """Takes what became of some images, and lists those that are stored once they are many.

        Raises:
            BackendUnavailableError: if many are not stored, none is, and not they are the matter.
        """
        for uploaded in outcomes:
            if uploaded.problem is None:
                self._images.append(uploaded.image)
                self._counts["upload.completed" if uploaded.new else "upload.skipped"] += 1
                self._store_works = True
            elif uploaded.in_doubt and not self._store_works:
                self._doubted.append(uploaded)
            else:
                self._fail(uploaded)
        if self._store_works:
            self._fail_doubted()
        elif len(self._doubted) >= _MOST_DOUBTED:
            self._blame_the_store()
        if len(self._images) >= BATCH_SIZE:
            self._list()
        self._session.advance(Phase.UPLOAD, len(outcomes))

    def take_listed(self, images: list[Image]) -> None:
        """Takes images that the target lists already: of the store that tells nothing."""
        works = self._store_works
        self.take([Uploaded(image) for image in images])
        self._store_works = works

    def end_doubts(self) -> None:
        """Takes in that all images were tried.

        Raises:
            BackendUnavailableError: as `take` does.
        """
        if len(self._doubted) >= _FEWEST_DOUBTED:
            self._blame_the_store()
        self._fail_doubted()

    def _fail_doubted(self) -> None:
        doubted, self._doubted = self._doubted, []
        for uploaded in doubted:
            self._fail(uploaded)

    def _fail(self, uploaded: Uploaded) -> None:
        self._counts["upload.failed"] += 1
        _fail_items(self._session, uploaded.image, uploaded.problem or "")

    def _blame_the_store(self) -> None:
        untried = self._session.images.untried([each.image.sha256 for each in self._doubted])
        if len(untried) >= _FEWEST_DOUBTED:
            problem = (self._doubted[0].problem or "").rstrip(".")
            raise BackendUnavailableError(
                f"Of {len(self._doubted):,} images none can be stored, and for none the image is"
                f" named as the reason. So the image store is the matter, or what lies before it:"
                f" {problem}. No file is called failed for it.",
                divisible=False,
            )
        self._fail_doubted()

    def finish(self) -> None:
        """Brings the rest into the target and the ledger."""
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
    session.tell_failures(Phase.UPLOAD, [(path, reason) for path in paths])


BATCH_SIZE = 500
"""Images that the target is asked about at once."""


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """Where images go, and by which run."""

    config: TargetConfig
    run_name: str


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of one image: `new` says whether it was not there before.

    A problem is in doubt if the store did not say that the image is the matter.
    """

    image: Image
    new: bool = False
    problem: str | None = None
    in_doubt: bool = False


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
    """Stores one image. One that is refused, or that the store cannot take, is a problem.

    Raises:
        BackendUnavailableError: if the target does not answer to anything any more.
    """
    store = opened(target.config).store
    try:
        return Uploaded(image, new=store.put(image))
    except ImageProblemError as error:
        return Uploaded(image, problem=str(error))
    except BackendUnavailableError as error:
        store.blame_image(error)
        return Uploaded(image, problem=f"image {image.file.path}: {error}", in_doubt=True)


def upload_batch(target: UploadTarget, images: list[Image]) -> list[Uploaded]:
    """Stores images one after the other; those that a run which is stopping left out are absent.

    Raises:
        BackendUnavailableError: if the target does not answer to anything any more.
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
    """What `image_assets` has of stored images."""
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
    return Rows(IMAGES, {"batch_id": target.run_name}, {0: encoded})


_NAMESPACE = UUID("5e0f4a26-4a55-5d3c-9f4e-5a0c1c6b6d1f")


def request_id(run_name: str, parts: list[str]) -> UUID:
    """The id of a merge: the same for the same parts of the same run, whoever asks again."""
    return uuid5(_NAMESPACE, "\n".join([run_name, *parts]))
