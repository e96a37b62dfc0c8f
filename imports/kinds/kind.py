"""Kind: what the engine asks of a kind of source. It knows nothing of backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from imports.cleaning import Tally
from imports.image_finder import ImageFinder
from imports.source_tree import ListedEntry
from imports.tables import TableGroup
from imports.work_item import ImageFile, Signature


@dataclass(frozen=True, slots=True)
class ItemPlan:
    """What a kind finds in one work item: its images, its group, and what it lacks."""

    images: tuple[ImageFile, ...] = ()
    group: str | None = None
    warnings: tuple[str, ...] = ()
    images_missing: int = 0


@dataclass(frozen=True, slots=True)
class KindRecord:
    """One record: a label for people, and its rows as (index of the table, values)."""

    label: str
    rows: tuple[tuple[int, tuple[object, ...]], ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source, as functions.

    `list_items(folder)` yields the work items below a folder, in a fixed order.
    `read(path, signature, tally)` reads one, if it is still the one of the signature.
    `plan(content, path, finder)` finds the images of what was read.
    `records(content, images, tally)` turns it into records; `images` are the hashes of its
    images in the plan's order.

    `path` is absolute. All three raise RecordError for an item that cannot be used.
    """

    name: str
    item_noun: str
    pattern: str
    group: TableGroup
    list_items: Callable[[str], Iterator[ListedEntry]]
    read: Callable[[str, Signature, Tally], Any]
    plan: Callable[[Any, str, ImageFinder], ItemPlan]
    records: Callable[[Any, Sequence[str | None], Tally], list[KindRecord]]
