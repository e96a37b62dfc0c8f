"""Placing: the rows of a batch of records by table, and the position of each record's rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from imports.backends.database import Rows

if TYPE_CHECKING:
    from imports.items.records import Aggregate, Record
    from imports.tables.table import TableGroup


class Placed(NamedTuple):
    """Where an aggregate's rows are: table and position of the first row, and of the others."""

    table: int
    first: int
    others: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PlacedRows:
    """Rows by table; `aggregates` has the positions of each record's aggregates.

    It has None for an aggregate that lost against another one of the same key, in `winners`.
    """

    rows: Rows
    aggregates: list[tuple[Placed | None, ...]]
    winners: dict[str, tuple[Aggregate, Placed]]

    def own(self) -> list[Placed | None]:
        """The position of each record's own aggregate."""
        return [aggregates[0] for aggregates in self.aggregates]

    def placed_aggregates(self) -> list[list[tuple[int, int]]]:
        """The positions of each placed aggregate, in the order of the rows of every table."""
        return [
            [(aggregate.table, aggregate.first), *aggregate.others]
            for aggregates in self.aggregates
            for aggregate in aggregates
            if aggregate is not None
        ]


def place_rows(group: TableGroup, run: dict[str, Any], records: list[Record]) -> PlacedRows:
    """The rows of some records by table, in their order; for each key only the winner's rows."""
    winners: dict[str, Aggregate] = {}
    for record in records:
        for aggregate in record.aggregates:
            if aggregate.key is None:
                continue
            best = winners.get(aggregate.key)
            if best is None or aggregate.wins_against(best):
                winners[aggregate.key] = aggregate
    by_table: dict[int, list[bytes]] = {}
    placed: list[tuple[Placed | None, ...]] = []
    places: dict[str, tuple[Aggregate, Placed]] = {}
    for record in records:
        if len(record.aggregates) == 1 and record.aggregates[0].key is None:
            # In most kinds nearly every record.
            placed.append((_place(record.aggregates[0], by_table),))
            continue
        mine: list[Placed | None] = []
        for aggregate in record.aggregates:
            # A batch may have an aggregate twice, as the same object or as an equal one.
            if aggregate.key is not None and winners.get(aggregate.key) is not aggregate:
                mine.append(None)
                continue
            place = _place(aggregate, by_table)
            mine.append(place)
            if aggregate.key is not None:
                places[aggregate.key] = (aggregate, place)
        placed.append(tuple(mine))
    return PlacedRows(Rows(group, run, by_table), placed, places)


def _place(aggregate: Aggregate, by_table: dict[int, list[bytes]]) -> Placed:
    """Appends an aggregate's rows to `by_table`; returns their positions."""
    places = []
    for table, row in aggregate.rows:
        rows = by_table.setdefault(table, [])
        places.append((table, len(rows)))
        rows.append(row)
    return Placed(*places[0], tuple(places[1:]))
