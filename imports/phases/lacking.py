"""Looking again at images of items that an earlier run has planned or imported."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from imports.kinds import kind_named
from imports.phases.prepare import read_items, reason_of
from imports.source.image_finder import ImageFinder
from imports.source.tree import signature_of
from imports.work_item import ImageFile, LackingItem, Source, WorkItem

BATCH_SIZE = 500
"""Items that a worker looks at, at once."""


@dataclass(frozen=True, slots=True)
class LookJob:
    """Some items of a kind that lack images, and how these are found."""

    kind: str
    source: Source
    finder: ImageFinder
    items: list[LackingItem]


@dataclass(slots=True)
class Looked:
    """What became of a job of `count` items: those with an image that was not there before, by id.

    `problems` are the items, by path, that cannot be read just now, and why.
    """

    count: int
    found: list[int] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def look_again(job: LookJob) -> Looked:
    """Looks for images that the items lack: reads each item, and asks its kind for them.

    An image that is there and as it was has not come.
    """
    kind = kind_named(job.kind)
    looked = Looked(len(job.items), [item.id for item in job.items if item.mended])
    known = {item.id: item.known for item in job.items}
    items = [WorkItem(*item[:3]) for item in job.items if not item.mended]
    for item, content, _ in read_items(kind, job.source, items):
        if isinstance(content, Exception):
            looked.problems.append((item.path, reason_of(content)))
            continue
        try:
            plan = kind.plan(job.source, item.path, content, job.finder)
        except Exception as error:  # noqa: BLE001 - a defect must cost one item, not the run
            looked.problems.append((item.path, reason_of(error)))
        else:
            if any(image is not None and image not in known[item.id] for image in plan.images):
                looked.found.append(item.id)
    return looked


def changed_items(images: list[tuple[int, ImageFile]]) -> list[int]:
    """The ids of the items that have a changed image; each image comes with the id of its item."""
    return [item_id for item_id, image in images if not _is_as_it_was(image)]


def replaced_items(images: list[tuple[int, ImageFile]]) -> list[int]:
    """The items of which another image is there now; one that is gone is still the one stored."""
    return [item_id for item_id, image in images if not _is_as_it_was(image, if_gone=True)]


def _is_as_it_was(image: ImageFile, *, if_gone: bool = False) -> bool:
    try:
        return signature_of(os.stat(image.path)) == image.signature
    except OSError:
        # Of a planned item, planning says what is the matter.
        return if_gone
