"""SHA-256: each image of an unfinished item is read once, unless its hash is known."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imports.errors import ImageProblemError, UnreadImageError
from imports.files.patience import patiently
from imports.items.images import Image, ImageFile, flaw_warning
from imports.items.phase import Phase
from imports.source.image_content import read_image
from imports.workers.executors import run_bounded

if TYPE_CHECKING:
    from imports.run.session import RunSession

_log = logging.getLogger("imports.run")


def hash_images(session: RunSession) -> None:
    """Hashes the images whose hash the ledger does not know.

    A file that is not an image is a warning. An image that cannot be read now fails its items:
    otherwise their rows would lose an image that exists.
    """
    session.display.begin(Phase.SHA256, session.images.open_unhashed())
    for hashed in run_bounded(
        session.workers.for_waiting(),
        hash_batch,
        session.images.unhashed(BATCH_SIZE),
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
            session.write_failures(Phase.SHA256, [(path, reason) for path in paths])
        if hashed.unread:
            session.add_counts({"sha256.unread": len(hashed.unread)})
        done = len(hashed.images) + len(hashed.problems) + len(hashed.unread)
        session.advance(Phase.SHA256, done)


BATCH_SIZE = 32
"""Images in one job of a worker."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """The results of some images.

    Files with `problems` are not images; their items are imported without them. Files in `unread`
    can be retried.
    """

    images: list[Image] = field(default_factory=list)
    problems: list[tuple[ImageFile, str]] = field(default_factory=list)
    unread: list[tuple[ImageFile, str]] = field(default_factory=list)


def hash_batch(files: list[ImageFile]) -> Hashed:
    """Reads the images; files that cannot be used or read do not stop the others."""
    hashed = Hashed()
    for file in files:
        try:
            hashed.images.append(patiently(read_image, file))
        except UnreadImageError as error:
            hashed.unread.append((file, str(error)))
        except ImageProblemError as error:
            hashed.problems.append((file, str(error)))
    return hashed
