"""The plain data that passes between the phases. All of it can be pickled.

Frequent types are named tuples: creating and pickling them is several times as fast.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from imports.errors import LedgerError
from imports.files.regular_file import LatestFolder, OpenedFile
from imports.files.system_names import is_system_name

RUN_NAME = r"batch_[0-9]{8}_[0-9]{6}_[0-9a-f]{6}"
"""The form of a run's batch id, which is also the name of a folder."""


class Phase(StrEnum):
    """The steps of a run, in order."""

    PLANNING = "planning"
    SHA256 = "sha256"
    UPLOAD = "upload"
    IMPORT = "import"
    VERIFY = "verify"


class ItemState(StrEnum):
    """The state of a work item. It only moves forward, until its file changes."""

    LISTED = "listed"
    PLANNED = "planned"
    IMPORTED = "imported"
    FAILED = "failed"


class RowOutcome(StrEnum):
    """What a merge did with one row. The values are the answers of the database.

    An undecided row was not written: the stored row differs, and it is unknown which is newer.
    A guarded row was not written because the stored one must not be changed; a row that is left
    out refers to a row that does not exist.
    """

    INSERTED = "I"
    UPDATED = "U"
    SKIPPED = "S"
    UNCHANGED = "="
    UNDECIDED = "?"
    GUARDED = "G"
    LEFT_OUT = "L"


def record_outcome(letters: str) -> RowOutcome:
    """The outcome of a record, out of those of its rows that no row owns; its first row is first.

    What is not in, or not as the record says, counts before all else; that it was inserted, only
    where its first row was.
    """
    for telling in (RowOutcome.UNDECIDED, RowOutcome.LEFT_OUT, RowOutcome.GUARDED):
        if telling in letters:
            return telling
    if letters[0] == RowOutcome.INSERTED:
        return RowOutcome.INSERTED
    if RowOutcome.INSERTED in letters or RowOutcome.UPDATED in letters:
        return RowOutcome.UPDATED
    return RowOutcome.SKIPPED if RowOutcome.SKIPPED in letters else RowOutcome.UNCHANGED


class Signature(NamedTuple):
    """Changes when a file changes: its size in bytes and its mtime in nanoseconds.

    The signature of a folder has the sum of its files' sizes, the latest of their mtimes, their
    count, and a digest over names, sizes and mtimes.
    """

    size: int
    mtime_ns: int
    file_count: int = 1
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The folder that is imported, by its real, absolute path, and which files belong to it.

    `patterns` are shell patterns for names of files; the kind decides what they select. `left_out`
    has, for the prefix of a folder (`a/b/`), beginnings of names that do not belong to the source;
    `apart` has the prefixes of folders that do not. `roots` are the real folders, each with a
    separator at its end, that links may lead to in addition to the source. `follows_links` says
    whether linked folders are listed. `options` are the values, by name, of the kind's
    `row_options` that were given.
    """

    folder: str
    patterns: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()
    roots: tuple[str, ...] = ()
    follows_links: bool = True
    options: Mapping[str, str] = field(default_factory=dict)
    latest: LatestFolder | None = field(default=None, compare=False, repr=False)

    def opening(self) -> Source:
        """The same source, to open a batch of its files with: see `LatestFolder`."""
        return replace(self, latest=LatestFolder(self.may_read))

    def open(self, path: str) -> OpenedFile:
        """Opens a file by its absolute path, if it may be read.

        Raises:
            OSError: if it cannot be opened, is not a regular file, or is a link that leads out.
        """
        return (self.latest or LatestFolder(self.may_read)).open(path)

    def may_read(self, real_path: str) -> bool:
        """Whether this real path is in the source, or in a folder that links may lead to."""
        return f"{real_path}{os.sep}".startswith((os.path.join(self.folder, ""), *self.roots))

    def absolute(self, path: str) -> str:
        """The absolute path of a work item.

        Raises:
            LedgerError: if it leads out of the source, so that it cannot come from a listing.
        """
        if (".." in path or path[:1] == "/") and not is_below(path):
            raise LedgerError(
                f"The ledger names {path}, which lies outside of the source: somebody has changed"
                " it. Move it away and run again: what the target already has is found there."
            )
        return f"{self.folder}{os.sep}{path}"

    def leaves_out(self, prefix: str) -> Callable[[str], bool]:
        """Says of names in a folder whether what has them is no part of the source."""
        # Said once a folder: nearly always it is about the name alone.
        if prefix in self.left_out or self.apart:
            return partial(self.is_left_out, prefix)
        return is_system_name

    def is_left_out(self, prefix: str, name: str) -> bool:
        """Whether a name in a folder is not a part of the source."""
        if is_system_name(name):
            return True
        beginnings = self.left_out.get(prefix)
        if beginnings is not None and name.startswith(beginnings):
            return True
        return bool(self.apart) and f"{prefix}{name}/" in self.apart


def is_below(path: str) -> bool:
    """Whether a relative path with slashes stays inside its folder."""
    return not path.startswith("/") and "\0" not in path and ".." not in path.split("/")


def is_run_name(text: str) -> bool:
    """Whether a string has the form of a run's batch id."""
    return re.fullmatch(RUN_NAME, text) is not None


def folder_prefix(path: str) -> str:
    """The prefix of names in a folder: its path with a slash; empty for the source itself."""
    return "" if path == "." else f"{path}/"


def cycle_run_name(run_name: str, cycle: int) -> str:
    """The batch id on the rows of a run's cycle, counted from 1; the first has the run's own."""
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
    """An image that was read. Its extension and type come from its content.

    `flaw` describes its damage, if it has any; it is stored anyway.
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
        """Its path in every store: `sha256/ab/cd/<hash>.<ext>`."""
        return storage_path(self.sha256, self.extension)


class Placement(NamedTuple):
    """A place of its own for an image: a bucket, and a path in it. As a text, `bucket/path`."""

    bucket: str
    path: str

    def __str__(self) -> str:
        """What the ledger, and people, know it by."""
        return f"{self.bucket}/{self.path}"


class PlacedImage(NamedTuple):
    """An image, and the place where it is stored instead of under its hash."""

    image: Image
    place: Placement


def storage_path(sha256: str, extension: str) -> str:
    """The path of an image in every store: `sha256/ab/cd/<hash>.<ext>`."""
    return f"sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}.{extension}"


def flaw_warning(path: str, flaw: str) -> str:
    """The warning for a work item whose image has a flaw."""
    return f"image {path} is stored as it is, but {flaw}"


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

    `mended` says that one of them can be used now, according to the ledger.
    """

    id: int
    path: str
    signature: Signature
    known: frozenset[ImageFile]
    mended: bool


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


class ExemptRecords(NamedTuple):
    """How many exempt records there are, and the first of them: path of the item, and label."""

    total: int = 0
    first: Sequence[tuple[str, str]] = ()


NOTHING_EXEMPT = ExemptRecords()


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


class Aggregate(NamedTuple):
    """Encoded rows of a record that are written together; the first row decides.

    `rows` are pairs of a table's index in the kind and a row. If records share rows (a company of
    several people), they have the same `key`. From the aggregates with one key in a batch, only one
    is merged: that with the latest `timestamp`, and among these that with the smallest `source`. A
    `timestamp` is a string that sorts by time. Aggregates without a key are all merged.
    """

    rows: tuple[tuple[int, bytes], ...]
    key: str | None = None
    timestamp: str = ""
    source: str = ""

    def wins_against(self, other: Aggregate) -> bool:
        """Whether this one is merged rather than another one with the same key."""
        if self.timestamp != other.timestamp:
            return self.timestamp > other.timestamp
        return self.source < other.source


class Record(NamedTuple):
    """One record of a work item, with encoded rows.

    `label` names it in messages (`Belmar/FL/PH23408`), `number` is its index in the item. Its own
    aggregate is the first.
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
        """Whether other records may have its key, and it has no date to compare."""
        own = self.aggregates[0]
        return own.key is not None and not own.timestamp


class RecordFailure(NamedTuple):
    """A record that failed, although others of its item may be imported, and the reason.

    `number` is its index in the item; `label` is empty if nothing names it.
    """

    item_id: int
    number: int
    label: str
    reason: str


class ExemptRecord(NamedTuple):
    """A record that is not in the target as its file says, and rightly so: left out, or guarded.

    `number` is its place in the item, `outcome` one of these two.
    """

    item_id: int
    number: int
    label: str
    outcome: RowOutcome


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of work items, read and encoded by a worker, to be merged.

    `failures` are pairs of item id and reason; `problems` are single records that cannot be read.
    `cleaned` counts, by item and value, the values that became NULL or lost characters. `summaries`
    has by item what its status file says in addition, for kinds that say more.
    """

    records: list[Record]
    failures: list[tuple[int, str]]
    problems: list[RecordFailure] = field(default_factory=list)
    cleaned: dict[int, dict[str, int]] = field(default_factory=dict)
    summaries: dict[int, Mapping[str, Any]] = field(default_factory=dict)


class Spooled(NamedTuple):
    """A prepared work item: its records, the values that were cleaned in them, and its summary."""

    records: list[Record]
    cleaned: dict[str, int]
    summary: Mapping[str, Any] | None = None


class Failure(NamedTuple):
    """A failure for the report: path, phase, reason, and the number of tries."""

    path: str
    phase: str
    reason: str
    tries: int = 1
