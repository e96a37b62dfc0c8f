"""Deleting what runs wrote: rows with their owned rows, and images that no row names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from imports.tables.description import described
from imports.tables.table import BATCH_ID, Table, TableGroup


@dataclass(frozen=True, slots=True)
class CountedRows:
    """The number of rows of a table that runs wrote; an earlier run inserted `earlier` of them."""

    rows: int
    earlier: int


@dataclass(frozen=True, slots=True)
class Written:
    """What runs wrote: rows by the label of their table, and images that no other row names."""

    tables: dict[str, CountedRows]
    images: int
    bytes: int


@dataclass(frozen=True, slots=True)
class NotedImages:
    """A page of the noted images: its last hash, None if the page is empty.

    `places` has the paths in the store of those that no row names, by hash.
    """

    last: str | None
    places: dict[str, str]


class RowRemover(Protocol):
    """Something to delete rows from, such as both backends. Raises the errors of Database."""

    def count_written(self, group: TableGroup, run_names: Sequence[str]) -> Written:
        """Counts what the given runs wrote in the tables of a group."""
        ...

    def delete_written(
        self, group: TableGroup, table: Table, ids: Sequence[str], run_names: Sequence[str]
    ) -> list[str]:
        """Deletes rows of a table that the given runs wrote, by id, with their owned rows.

        One transaction deletes them, and notes the images that they named. Rows of other runs
        stay. A row that another row refers to stays, too; returns the ids of these.
        """
        ...

    def unlist_images(self, storage_type: str, after: str, limit: int) -> NotedImages:
        """Deletes a page of the noted images from the list of images, in the order of hashes.

        Images that a row names stay listed, and are no longer noted. The caller removes the others
        from the store; they stay noted until `forget_noted`.
        """
        ...

    def forget_noted(self, hashes: Sequence[str]) -> None:
        """Deletes the notes of images that are removed from the store."""
        ...


def resettable(group: TableGroup) -> list[Table]:
    """The tables of a group whose rows have a run id, parents first."""
    return [each for each in group.tables if BATCH_ID in each.run_columns and each.id_type]


def count_request(group: TableGroup, run_names: Sequence[str]) -> bytes:
    """The payload for the function `importer_count`."""
    tables = [each for owner in resettable(group) for each in (owner, *group.owned_by(owner))]
    return orjson.dumps({"tables": [described(each) for each in tables], "batch_ids": run_names})


def delete_request(
    group: TableGroup, table: Table, ids: Sequence[str], run_names: Sequence[str]
) -> bytes:
    """The payload for the function `importer_delete`."""
    tables = [described(each) for each in (table, *group.owned_by(table))]
    return orjson.dumps({"tables": tables, "ids": ids, "batch_ids": run_names})


def counted(answer: dict[str, Any]) -> Written:
    """The answer of `importer_count`."""
    tables = {
        label: CountedRows(int(each["rows"]), int(each["earlier"]))
        for label, each in answer["tables"].items()
    }
    return Written(tables, int(answer["images"]), int(answer["bytes"]))


def unlist_request(storage_type: str, after: str, limit: int) -> bytes:
    """The payload for the function `importer_unlist`."""
    return orjson.dumps({"storage_type": storage_type, "after": after, "limit": limit})


def unlisted(answer: dict[str, Any]) -> NotedImages:
    """The answer of `importer_unlist`."""
    return NotedImages(answer["last"], dict(answer["places"]))
