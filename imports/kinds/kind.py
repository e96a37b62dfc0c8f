"""Kind: what the engine asks of a kind of source. It knows nothing of backends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from imports.tables.table import LatestWins, TableGroup, UpdateIfNewer

if TYPE_CHECKING:
    from imports.kinds.wording import Wording
    from imports.source.cleaning import Tally
    from imports.source.image_finder import ImageFinder
    from imports.source.tree import ListedEntry
    from imports.work_item import Image, ImageFile, Signature, Source

    Pieces = Callable[[Source, str, Signature, int, int, Tally], Iterator["ContentPiece"]]


class ItemPlan(NamedTuple):
    """What a kind finds in one work item: its images, its group, and what it lacks.

    `images` has None for one that was not found. `undated` says that nobody knows whether its
    records are newer than others, where the records do not say so themselves.
    """

    images: tuple[ImageFile | None, ...] = ()
    group: str | None = None
    warnings: tuple[str, ...] = ()
    images_missing: int = 0
    undated: bool = False


class KindAggregate(NamedTuple):
    """Rows as (index of the table, values) that go in together; see `Aggregate`."""

    rows: tuple[tuple[int, tuple[object, ...]], ...]
    key: str | None = None
    timestamp: str = ""
    source: str = ""


class KindRecord(NamedTuple):
    """One record: a label for people, and its rows in aggregates, its own first."""

    label: str
    aggregates: tuple[KindAggregate, ...]

    @property
    def rows(self) -> tuple[tuple[int, tuple[object, ...]], ...]:
        """The rows of all its aggregates."""
        return tuple(row for aggregate in self.aggregates for row in aggregate.rows)


def single_row(label: str, row: tuple[object, ...]) -> KindRecord:
    """A record that is one row of the kind's first table, and shares it with no other."""
    return KindRecord(label, (KindAggregate(((0, row),)),))


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """A record that cannot be read, while others of its item can; an empty label names nothing."""

    label: str
    reason: str


class ContentPiece(NamedTuple):
    """A part of a large work item: `size` records of it, from the `first` on.

    `content` is what `records` takes.
    """

    first: int
    size: int
    content: Any


def no_story(content: Any) -> list[str]:
    """What a kind tells about a single work item, where it tells nothing."""
    return []


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source, as functions.

    `items_in(source, prefix, files)` yields the work items that the files of one folder make;
    `prefix` is the folder's path with a slash behind it, or nothing for the source itself.
    `sign(source, path)` gives the signature that one has now.
    `read(source, path, signature, tally)` reads one, if it is still the one of the signature.
    `plan(source, path, content, finder)` finds the images of what was read.
    `records(content, images, tally)` turns it into records, or problems with single ones;
    `images` are its images in the plan's order, None for one that it is imported without.
    `story(content)` tells a user about a single one, in lines.
    `pieces(source, path, signature, start, size, tally)` reads one that is too large for memory,
    from the record `start` on, `size` records at a time; a kind without it has no such items.

    `path` is always relative to the source. What cannot be used raises RecordError, or OSError
    from `sign`; NotOursError says that a file is whole and not of this kind, so that it is neither
    deleted nor moved. `items_are_folders` says whether a work item is a folder, which can have a
    status file; `consumes_source` whether its files are deleted or moved away once they are
    imported, unless the user wants them kept.
    """

    name: str
    wording: Wording
    patterns: tuple[str, ...]
    group: TableGroup
    items_in: Callable[[Source, str, Iterable[os.DirEntry[str]]], Iterator[ListedEntry]]
    sign: Callable[[Source, str], Signature]
    read: Callable[[Source, str, Signature, Tally], Any]
    plan: Callable[[Source, str, Any, ImageFinder], ItemPlan]
    records: Callable[[Any, Sequence[Image | None], Tally], Sequence[KindRecord | RecordProblem]]
    story: Callable[[Any], list[str]] = no_story
    items_are_folders: bool = False
    pieces: Pieces | None = None
    consumes_source: bool = False

    @property
    def compares_timestamps(self) -> bool:
        """Whether its rows are older or newer than others, and a run may say which to keep."""
        return any(
            isinstance(table.on_conflict, (LatestWins, UpdateIfNewer))
            for table in self.group.tables
        )
