"""Work items: as they are listed, in the ledger, planned, and failed."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from imports.items.images import Image, ImageFile, Placement
from imports.items.source import Signature


class ItemState(StrEnum):
    """The state of a work item. It only moves forward, until its file changes."""

    LISTED = "listed"
    PLANNED = "planned"
    IMPORTED = "imported"
    FAILED = "failed"


class ListedItem(NamedTuple):
    """A work item as the source lists it.

    `path` is relative to the source, with slashes; `.` is the source itself.
    """

    path: str
    signature: Signature


class WorkItem(NamedTuple):
    """A work item in the ledger.

    `images` are its images in the order of the item, with None for a missing one. `chunk` is the
    spool chunk with its rows, or None. `records_done` is the number of its first records that were
    imported before an interruption.
    """

    id: int
    path: str
    signature: Signature
    images: tuple[Image | None, ...] = ()
    chunk: int | None = None
    records_done: int = 0
    weight: int = 1


class LackingItem(NamedTuple):
    """An imported item that lacks images, and the image files that it has or names.

    `has_usable` says that one of them has become usable, according to the ledger.
    """

    id: int
    path: str
    signature: Signature
    known: frozenset[ImageFile]
    has_usable: bool


class Lacking(NamedTuple):
    """The number of missing images of imported items, and of the items that lack them.

    `not_found` images do not exist; `unusable` ones exist, but are not images.
    """

    items: int = 0
    not_found: int = 0
    unusable: int = 0

    @property
    def images(self) -> int:
        """The number of missing images."""
        return self.not_found + self.unusable


NOTHING_LACKING = Lacking()


ListedRow = tuple[int, str, int, int, int, str]
"""A listed work item in the ledger: its id, path and signature."""


def listed_item(row: ListedRow) -> WorkItem:
    """The work item of a row of the ledger."""
    return WorkItem(row[0], row[1], Signature(*row[2:]))


class Plan(NamedTuple):
    """The result of planning one work item.

    `images` has None for an image that was not found. Items with the same number `group` must be in
    one batch. `failure` is the reason if the item cannot be imported; `stays` says that its file
    does not belong to this kind and is not moved; `warnings` say what is missing. `records` and
    `weight` (of its rows, see `phases.prepare.Encoded`) are set if planning knows them. `undated`
    says that its records have no date to compare: such items are imported last. `placements` are
    the places of the images, as in `ItemPlan`. `chunk` is the chunk of the spool that has its rows.
    """

    id: int
    images: tuple[ImageFile | None, ...] = ()
    group: int | None = None
    warnings: tuple[str, ...] = ()
    images_missing: int = 0
    failure: str | None = None
    stays: bool = False
    records: int | None = None
    weight: int = 1
    undated: bool = False
    placements: tuple[Placement | None, ...] = ()
    chunk: int | None = None


class Failure(NamedTuple):
    """A failure for the report: path, phase, reason, and the number of tries."""

    path: str
    phase: str
    reason: str
    tries: int = 1
