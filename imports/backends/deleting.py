"""Deleting what runs wrote: rows with what belongs to them, and images that no row names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from imports.tables.sql import described
from imports.tables.table import BATCH_ID, Table, TableGroup


@dataclass(frozen=True, slots=True)
class CountedRows:
    """How many rows of a table runs wrote; another run had inserted `earlier` of them before."""

    rows: int
    earlier: int


@dataclass(frozen=True, slots=True)
class Written:
    """What runs wrote: rows, by the label of their table, and images that no other row names."""

    tables: dict[str, CountedRows]
    images: int
    bytes: int


@dataclass(frozen=True, slots=True)
class NotedImages:
    """A page of the noted images: the last hash of it, None if there was none in it.

    `places` has by hash, of those that no row names, where they are in the store.
    """

    last: str | None
    places: dict[str, str]


class RowRemover(Protocol):
    """What rows can be deleted from; both backends are one. It raises as Database does."""

    def count_written(self, group: TableGroup, run_names: Sequence[str]) -> Written:
        """Counts what some runs wrote in the tables of a group."""
        ...

    def delete_written(
        self, group: TableGroup, table: Table, ids: Sequence[str], run_names: Sequence[str]
    ) -> list[str]:
        """Deletes rows of a table that some runs wrote, by id, with the rows that belong to them.

        It does so in one transaction, which also notes which images they named. A row to which any
        other row refers stays as it is; returns the ids of those. Rows of other runs stay, too.
        """
        ...

    def unlist_images(self, storage_type: str, after: str, limit: int) -> NotedImages:
        """Takes a page of the noted images, by hash, off the list of images.

        Those that a row names stay listed, and are no longer noted. The others are to be removed
        from the store, and stay noted until `forget_noted`.
        """
        ...

    def forget_noted(self, hashes: Sequence[str]) -> None:
        """Takes in that noted images are removed from the store."""
        ...


def resettable(group: TableGroup) -> list[Table]:
    """The tables of a group whose rows say which run wrote them, parents first."""
    return [each for each in group.tables if BATCH_ID in each.run_columns and each.id_type]


def count_question(group: TableGroup, run_names: Sequence[str]) -> bytes:
    """What the function `importer_count` is asked."""
    tables = [each for owner in resettable(group) for each in (owner, *group.owned_by(owner))]
    return orjson.dumps({"tables": [described(each) for each in tables], "batch_ids": run_names})


def deletion(
    group: TableGroup, table: Table, ids: Sequence[str], run_names: Sequence[str]
) -> bytes:
    """What the function `importer_delete` is asked."""
    tables = [described(each) for each in (table, *group.owned_by(table))]
    return orjson.dumps({"tables": tables, "ids": ids, "batch_ids": run_names})


def counted(answer: dict[str, Any]) -> Written:
    """What `importer_count` answers with."""
    tables = {
        label: CountedRows(int(each["rows"]), int(each["earlier"]))
        for label, each in answer["tables"].items()
    }
    return Written(tables, int(answer["images"]), int(answer["bytes"]))


def unlisting(storage_type: str, after: str, limit: int) -> bytes:
    """What the function `importer_unlist` is asked."""
    return orjson.dumps({"storage_type": storage_type, "after": after, "limit": limit})


def unlisted(answer: dict[str, Any]) -> NotedImages:
    """What `importer_unlist` answers with."""
    return NotedImages(answer["last"], dict(answer["places"]))
