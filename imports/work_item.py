"""The plain data that passes between the phases. All of it can be pickled.

What there is much of are named tuples: they are made and pickled several times as fast.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Phase(StrEnum):
    """The steps of a run, in their order."""

    PLANNING = "planning"
    SHA256 = "sha256"
    UPLOAD = "upload"
    IMPORT = "import"
    VERIFY = "verify"


class ItemState(StrEnum):
    """How far a work item has come. It only moves forward, until its file changes."""

    LISTED = "listed"
    PLANNED = "planned"
    IMPORTED = "imported"
    FAILED = "failed"


class RowOutcome(StrEnum):
    """What a merge did with one row. The values are what the database answers with."""

    INSERTED = "I"
    UPDATED = "U"
    SKIPPED = "S"
    UNCHANGED = "="


class Signature(NamedTuple):
    """By which a change of a file is noticed: its size in bytes and its mtime in nanoseconds.

    A folder's has the sum of its files' sizes, the latest of their mtimes, their count, and a
    digest over all of it.
    """

    size: int
    mtime_ns: int
    file_count: int = 1
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """What is imported: a folder by its real, absolute path, and what its work items are called.

    `patterns` are shell patterns for names of files; what they pick is the kind's affair.
    """

    folder: str
    patterns: tuple[str, ...]

    def absolute(self, path: str) -> str:
        """The path of a work item, which is relative to the source, as the system wants it."""
        return f"{self.folder}{os.sep}{path}"


class ListedItem(NamedTuple):
    """A work item as the source lists it.

    `path` is relative to the source, with slashes; `.` is the source itself.
    """

    path: str
    signature: Signature


class ImageFile(NamedTuple):
    """An image on disk, by its real, absolute path."""

    path: str
    signature: Signature


class Image(NamedTuple):
    """An image whose content is known. Its extension and type come from the content."""

    file: ImageFile
    sha256: str
    extension: str
    content_type: str
    width: int | None
    height: int | None

    @property
    def storage_path(self) -> str:
        """Where every store keeps it: `sha256/ab/cd/<hash>.<ext>`."""
        return storage_path(self.sha256, self.extension)


def storage_path(sha256: str, extension: str) -> str:
    """Where every image store keeps an image: `sha256/ab/cd/<hash>.<ext>`."""
    return f"sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}.{extension}"


class StoredImage(NamedTuple):
    """An image that the target must have, with its size in bytes."""

    sha256: str
    storage_path: str
    size: int


class WorkItem(NamedTuple):
    """A work item as the ledger knows it.

    `images` are its images in the order the item names them, None for one that it is imported
    without; `chunk` is where its rows are spooled, None for nowhere.
    """

    id: int
    path: str
    signature: Signature
    images: tuple[Image | None, ...] = ()
    chunk: int | None = None


class Plan(NamedTuple):
    """What planning found out about one work item.

    `images` has None for one that was not found. `group` is the same for items that are the same
    search (or the like); `failure` says why the item cannot be imported at all, `warnings` what
    it will be imported without.
    """

    id: int
    images: tuple[ImageFile | None, ...] = ()
    group: str | None = None
    warnings: tuple[str, ...] = ()
    images_missing: int = 0
    failure: str | None = None


class Record(NamedTuple):
    """One record of a work item, its rows encoded for the target.

    `label` names it for people (`Belmar/FL/PH23408`); `rows` are pairs of the index of a table
    of the kind and the encoded row, the record's own row first.
    """

    item_id: int
    label: str
    rows: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of work items, read and encoded: what a worker hands to the merge.

    `failures` are pairs of item id and reason; `cleaned` counts the values that became NULL
    or lost characters, by value.
    """

    records: list[Record]
    failures: list[tuple[int, str]]
    cleaned: dict[str, int] = field(default_factory=dict)


class Failure(NamedTuple):
    """Something that went wrong, for the report: where, in which phase, why, how often tried."""

    path: str
    phase: str
    reason: str
    tries: int = 1
