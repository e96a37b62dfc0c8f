"""Upload: the images that the target lacks are stored, and listed in `image_assets`."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid5

from imports.backends.database import Database, ImageStore, Rows
from imports.backends.halving import all_answers, in_parts
from imports.backends.retry import RetryPolicy, with_retries
from imports.errors import BackendUnavailableError, ImageProblemError
from imports.tables.row_format import encoder
from imports.tables.table import IMAGE_ASSETS, IMAGES
from imports.work_item import Image

BATCH_SIZE = 500
"""Images that the target is asked about at once."""


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """Where images go, and how patiently."""

    database: Database
    store: ImageStore
    policy: RetryPolicy
    batch_id: str

    def answers(self, policy: RetryPolicy) -> None:
        """Makes sure that the database answers."""
        with_retries(policy, self.database.identify)


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

    def ask(policy: RetryPolicy, _: int, some: list[str]) -> dict[str, str]:
        return with_retries(policy, target.database.known_images, some)

    hashes = [image.sha256 for image in images]
    return {
        sha256
        for known in all_answers(in_parts(target.policy, hashes, ask, target.answers))
        for sha256, kind in known.items()
        if kind == target.store.storage_type
    }


def upload_image(target: UploadTarget, image: Image) -> Uploaded:
    """Stores one image. One that is refused, or that the store cannot take, is a problem.

    Raises:
        BackendUnavailableError: if the target does not answer to anything any more.
    """
    try:
        return Uploaded(image, new=with_retries(target.policy, target.store.put, image))
    except ImageProblemError as error:
        return Uploaded(image, problem=str(error))
    except BackendUnavailableError as error:
        # Is it the store, or this one image? If it still answers, the others shall go on.
        if target.policy.stop.is_set() or not error.divisible:
            raise
        with_retries(target.policy, target.store.prepare)
        return Uploaded(image, problem=f"image {image.file.path}: {error}", in_doubt=True)


def upload_images(target: UploadTarget, images: list[Image]) -> list[Uploaded]:
    """Stores images one after the other; those that a run which is stopping left out are absent.

    Raises:
        BackendUnavailableError: if the target does not answer to anything any more.
    """
    uploaded: list[Uploaded] = []
    for image in images:
        if uploaded and target.policy.stop.is_set():
            break
        uploaded.append(upload_image(target, image))
    return uploaded


def record_images(target: UploadTarget, images: list[Image]) -> None:
    """Lists stored images in `image_assets`."""
    if not images:
        return

    def ask(policy: RetryPolicy, _: int, some: list[Image]) -> None:
        rows = image_rows(target.database, target.store, target.batch_id, some)
        request = request_id(target.batch_id, [image.sha256 for image in some])
        with_retries(policy, target.database.merge, request, rows)

    all_answers(in_parts(target.policy, images, ask, target.answers))


def image_rows(database: Database, store: ImageStore, batch_id: str, images: list[Image]) -> Rows:
    """What `image_assets` has of stored images."""
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
    return Rows(IMAGES, {"batch_id": batch_id}, {0: encoded})


_NAMESPACE = UUID("5e0f4a26-4a55-5d3c-9f4e-5a0c1c6b6d1f")


def request_id(batch_id: str, parts: list[str]) -> UUID:
    """The id of a merge: the same for the same parts of the same run, whoever asks again."""
    return uuid5(_NAMESPACE, "\n".join([batch_id, *parts]))
