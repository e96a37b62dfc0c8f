"""The plain data that passes between the phases. All of it can be pickled.

What there is much of are named tuples: they are made and pickled several times as fast.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from imports.errors import LedgerError
from imports.files.regular_file import LatestFolder, OpenedFile
from imports.files.system_names import is_system_name

RUN_NAME = r"batch_[0-9]{8}_[0-9]{6}_[0-9a-f]{6}"
"""The one form of a run's batch id: it names folders too."""


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
    """What a merge did with one row. The values are what the database answers with.

    An undecided row was not written: what is there says something else, and nobody knows which of
    the two is newer.
    """

    INSERTED = "I"
    UPDATED = "U"
    SKIPPED = "S"
    UNCHANGED = "="
    UNDECIDED = "?"


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
    `left_out` has by folder (its prefix, `a/b/`) the beginnings of names that are no part of it,
    `apart` the prefixes of folders that are none. `roots` are the real folders, each with a
    separator behind it, that links may lead to besides the source itself; `follows_links` says
    whether folders are listed to which a link leads.
    """

    folder: str
    patterns: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()
    roots: tuple[str, ...] = ()
    follows_links: bool = True
    latest: LatestFolder | None = field(default=None, compare=False, repr=False)

    def opening(self) -> Source:
        """The same source, to open a batch of its files with: see `LatestFolder`."""
        return replace(self, latest=LatestFolder(self.may_read))

    def open(self, path: str) -> OpenedFile:
        """Opens a file by its absolute path, if it may be read.

        Raises:
            OSError: if it cannot be opened, is no regular file, or a link that leads out.
        """
        return (self.latest or LatestFolder(self.may_read)).open(path)

    def may_read(self, real_path: str) -> bool:
        """Whether what has this real path lies in the source, or in a folder that links lead to."""
        return f"{real_path}{os.sep}".startswith((os.path.join(self.folder, ""), *self.roots))

    def absolute(self, path: str) -> str:
        """The path of a work item, which is relative to the source, as the system wants it.

        Raises:
            LedgerError: if it leads out of the source: no listing of ours has such a path.
        """
        if (".." in path or path[:1] == "/") and not is_below(path):
            raise LedgerError(
                f"The ledger names {path}, which lies outside of the source: somebody has changed"
                " it. Move it away and run again: what the target already has is found there."
            )
        return f"{self.folder}{os.sep}{path}"

    def is_left_out(self, prefix: str, name: str) -> bool:
        """Whether what has this name in a folder is no part of the source."""
        if is_system_name(name):
            return True
        beginnings = self.left_out.get(prefix)
        if beginnings is not None and name.startswith(beginnings):
            return True
        return bool(self.apart) and f"{prefix}{name}/" in self.apart


def is_below(path: str) -> bool:
    """Whether a relative path with slashes stays in the folder that it is relative to."""
    return not path.startswith("/") and "\0" not in path and ".." not in path.split("/")


def is_run_name(text: str) -> bool:
    """Whether a text has the form of a run's batch id."""
    return re.fullmatch(RUN_NAME, text) is not None


def folder_prefix(path: str) -> str:
    """What comes before the names in a folder: its path with a slash, nothing for the source."""
    return "" if path == "." else f"{path}/"


def cycle_run_name(run_name: str, cycle: int) -> str:
    """The batch id on the rows of a run's cycle, counted from 1: the run's own for the first."""
    return run_name if cycle == 1 else f"{run_name}.{cycle}"


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
    """An image whose content is known. Its extension and type come from the content.

    `flaw` says what keeps it from being shown; it is stored all the same.
    """

    file: ImageFile
    sha256: str
    extension: str
    content_type: str
    width: int | None
    height: int | None
    flaw: str | None = None

    @property
    def storage_path(self) -> str:
        """Where every store keeps it: `sha256/ab/cd/<hash>.<ext>`."""
        return storage_path(self.sha256, self.extension)


def storage_path(sha256: str, extension: str) -> str:
    """Where every image store keeps an image: `sha256/ab/cd/<hash>.<ext>`."""
    return f"sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}.{extension}"


def flaw_warning(path: str, flaw: str) -> str:
    """What a work item is warned of that names an image with a flaw."""
    return f"image {path} is stored as it is, but {flaw}"


class WorkItem(NamedTuple):
    """A work item as the ledger knows it.

    `images` are its images in the order the item names them, None for one that it is imported
    without; `chunk` is where its rows are spooled, None for nowhere; `records_done` is how many
    of its records, from the first, went in before it was interrupted.
    """

    id: int
    path: str
    signature: Signature
    images: tuple[Image | None, ...] = ()
    chunk: int | None = None
    records_done: int = 0
    weight: int = 1


class LackingItem(NamedTuple):
    """An imported item that lacks images, and the image files that it was imported with or for.

    `mended` says that one of them can be used by now, as far as the ledger knows.
    """

    id: int
    path: str
    signature: Signature
    known: frozenset[ImageFile]
    mended: bool


class Lacking(NamedTuple):
    """How many images are missing in what is imported, and of how many items.

    `not_found` are not where they are looked for, `unusable` are there, but are no images.
    """

    items: int = 0
    not_found: int = 0
    unusable: int = 0

    @property
    def images(self) -> int:
        """How many images are missing in all."""
        return self.not_found + self.unusable


NOTHING_LACKING = Lacking()


ListedRow = tuple[int, str, int, int, int, str]
"""A listed work item as the ledger has it: its id, its path, and its signature."""


def listed_item(row: ListedRow) -> WorkItem:
    """The work item that a row of the ledger stands for."""
    return WorkItem(row[0], row[1], Signature(*row[2:]))


class Plan(NamedTuple):
    """What planning found out about one work item.

    `images` has None for one that was not found. `group` is a number that is the same for items
    that are the same search (or the like); `failure` says why the item cannot be imported at
    all, `stays` that its file is not of this kind and is left where it is, `warnings` what it will
    be imported without. `records` and `weight` are how much is in it, where planning has looked
    that far; `weight` is that of its rows (`phases.prepare.Encoded`). `undated` says that nobody
    knows whether its records are newer than others: such items are imported last.
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


class Aggregate(NamedTuple):
    """Rows of a record that go in, or not, with the first of them, encoded for the target.

    `rows` are pairs of the index of a table of the kind and the row. Where records share rows (a
    company that several people worked for), `key` names whose they are: of aggregates of one key
    in a batch the one with the latest `timestamp` is merged, of several the one with the smallest
    `source`. A `timestamp` is a text that sorts; aggregates without a key are all merged.
    """

    rows: tuple[tuple[int, bytes], ...]
    key: str | None = None
    timestamp: str = ""
    source: str = ""

    def wins_against(self, other: Aggregate) -> bool:
        """Whether it is merged rather than another one of the same key."""
        if self.timestamp != other.timestamp:
            return self.timestamp > other.timestamp
        return self.source < other.source


class Record(NamedTuple):
    """One record of a work item, its rows encoded for the target.

    `label` names it for people (`Belmar/FL/PH23408`), `number` is its place in the item; its own
    aggregate comes first.
    """

    item_id: int
    label: str
    aggregates: tuple[Aggregate, ...]
    number: int = 0

    @property
    def rows(self) -> tuple[tuple[int, bytes], ...]:
        """The rows of all its aggregates."""
        return tuple(row for aggregate in self.aggregates for row in aggregate.rows)

    @property
    def undated(self) -> bool:
        """Whether others may have rows of its own key, and it has no timestamp to compare."""
        own = self.aggregates[0]
        return own.key is not None and not own.timestamp


class RecordFailure(NamedTuple):
    """A record that did not go in, while others of its item may have: which, and why.

    `number` is its place in the item, `label` is empty where nothing names it.
    """

    item_id: int
    number: int
    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of work items, read and encoded: what a worker hands to the merge.

    `failures` are pairs of item id and reason, `problems` single records that cannot be read;
    `cleaned` counts, by item and value, the values that became NULL or lost characters.
    """

    records: list[Record]
    failures: list[tuple[int, str]]
    problems: list[RecordFailure] = field(default_factory=list)
    cleaned: dict[int, dict[str, int]] = field(default_factory=dict)


class Spooled(NamedTuple):
    """A work item that is prepared already: its records, and the values cleaned in them."""

    records: list[Record]
    cleaned: dict[str, int]


class Failure(NamedTuple):
    """Something that went wrong, for the report: where, in which phase, why, how often tried."""

    path: str
    phase: str
    reason: str
    tries: int = 1
