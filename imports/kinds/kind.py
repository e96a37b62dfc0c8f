"""Kind: the contract between the engine and a kind of source. It knows nothing about backends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from imports.configuration.commands import Commands

if TYPE_CHECKING:
    from imports.items.images import Image, ImageFile, Placement
    from imports.items.source import Signature, Source
    from imports.kinds.wording import Wording
    from imports.source.cleaning import Tally
    from imports.source.image_finder import ImageFinder
    from imports.source.tree import ListedEntry, SourceFile
    from imports.tables.table import TableGroup

    Pieces = Callable[[Source, str, Signature, int, int, Tally], Iterator["ContentPiece"]]


class ItemPlan(NamedTuple):
    """The images of one work item, its group, its warnings and missing images.

    `images` has None for an image that was not found. Items of one group are in one batch.
    `undated` says that its records have no date to compare, if the records do not say so
    themselves.

    `placements` has the places of the images, in the same order: None for an image that is stored
    under its hash; empty if all are. A placed image replaces what an earlier run put at its place.
    If the item fails, it is taken back.
    """

    images: tuple[ImageFile | None, ...] = ()
    group: str | None = None
    warnings: tuple[str, ...] = ()
    images_missing: int = 0
    undated: bool = False
    placements: tuple[Placement | None, ...] = ()


class KindAggregate(NamedTuple):
    """Rows as (index of the table, values) that are written together; see `Aggregate`."""

    rows: tuple[tuple[int, tuple[object, ...]], ...]
    key: str | None = None
    timestamp: str = ""
    source: str = ""


class KindRecord(NamedTuple):
    """One record: a label for messages, and its rows in aggregates; the first is its own."""

    label: str
    aggregates: tuple[KindAggregate, ...]

    @property
    def rows(self) -> tuple[tuple[int, tuple[object, ...]], ...]:
        """The rows of all its aggregates."""
        return tuple(row for aggregate in self.aggregates for row in aggregate.rows)


def single_row(label: str, row: tuple[object, ...]) -> KindRecord:
    """A record of a single row in the kind's first table."""
    return KindRecord(label, (KindAggregate(((0, row),)),))


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """A record that cannot be read, although others of its item can. The label may be empty."""

    label: str
    reason: str


class ContentPiece(NamedTuple):
    """A part of a large work item: `size` records, beginning with the index `first`.

    `content` is an argument for `Kind.records`.
    """

    first: int
    size: int
    content: Any


def no_story(content: Any) -> list[str]:
    """The `story` of a kind without one: no lines."""
    return []


def as_told(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `status_file` of a kind that adds nothing."""
    return told


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source, as functions.

    `items_in(source, prefix, files)` yields the work items in the files of one folder; `prefix` is
    the folder's path and a slash, or empty for the source itself. It uses only `files`, not the
    disk, since they may be objects of a store.
    `sign(source, path)` returns the current signature of an item.
    `read(source, path, signature, tally)` reads an item if it still has the signature.
    `plan(source, path, content, finder)` finds the images of an item that was read.
    `records(content, images, tally)` converts it into records, or problems of single records;
    `images` are in the plan's order, with None for an image that is missing. There are none if the
    records are only weighed.
    `story(content)` describes a single item to the user, in lines.
    `summary(content, images)` is what the status file of an imported item says of it, in addition.
    `status_file(told)` is the content of a status file, from what the importer says in it.
    `pieces(source, path, signature, start, size, tally)` reads an item that is too large for
    memory, from the record `start` on, `size` records at a time; a kind without it has no such
    items.
    `key_of(path)` returns the key of an item's row in the kind's first table: the value of the one
    column of the key that is not the run's, or None. With it, a run skips the items whose row is in
    the target, whoever imported it; `--force` imports them again.

    `path` is always relative to the source. An item that cannot be used raises RecordError (`sign`:
    OSError). NotOursError says that a file is complete, but does not belong to this kind, so it is
    neither deleted nor moved. `groups_by_path` says that items of one group are neighbours in the
    order of their paths: they are planned in this order. `items_are_folders` says that a work item
    is a folder, `status_files` that a status file is written into it. `is_flat` says that folders
    in the source are not listed. `parts` are names of folders in it whose files belong to it:
    `items_in` gets these among the others, by names like `photos/a.jpg`. `buckets` are those of the
    places of its images. `consumes_source` says that imported files are deleted or moved, unless
    the user keeps them. `row_options` are the options whose values the kind puts into its rows: it
    gets them in `Source.options`. `client_groups` are tables that its Python client
    writes.
    """

    name: str
    wording: Wording
    patterns: tuple[str, ...]
    group: TableGroup
    items_in: Callable[[Source, str, Iterable[SourceFile]], Iterator[ListedEntry]]
    sign: Callable[[Source, str], Signature]
    read: Callable[[Source, str, Signature, Tally], Any]
    plan: Callable[[Source, str, Any, ImageFinder], ItemPlan]
    records: Callable[[Any, Sequence[Image | None], Tally], Sequence[KindRecord | RecordProblem]]
    story: Callable[[Any], list[str]] = no_story
    summary: Callable[[Any, Sequence[Image | None]], Mapping[str, Any]] | None = None
    status_file: Callable[[Mapping[str, Any]], Mapping[str, Any]] = as_told
    groups_by_path: bool = False
    items_are_folders: bool = False
    is_flat: bool = False
    status_files: bool = False
    parts: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    pieces: Pieces | None = None
    key_of: Callable[[str], object] | None = None
    consumes_source: bool = False
    row_options: Commands = Commands.NONE
    client_groups: tuple[TableGroup, ...] = ()

    @property
    def takes(self) -> Commands:
        """The commands for its source, which decide the options that it takes."""
        takes = Commands.SOURCE | self.row_options
        if self.wording.single_command is None:
            takes |= Commands.OF_FILES
        if not self.items_are_folders:
            takes |= Commands.OF_FILE_ITEMS
        if self.status_files:
            takes |= Commands.OF_FOLDERS
        if self.buckets:
            takes |= Commands.OF_PLACES
        if self.group.judges_age:
            takes |= Commands.OF_TIMESTAMPS
        if self.consumes_source:
            takes |= Commands.CONSUMED
        return takes
