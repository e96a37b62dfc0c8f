"""Placing: the rows of a batch of records, by table, and where in it each record's rows are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from imports.backends.database import Rows

if TYPE_CHECKING:
    from imports.tables.table import TableGroup
    from imports.work_item import Aggregate, Record


class Placed(NamedTuple):
    """Where an aggregate's rows are: the first one's table and place, and those of the others."""

    table: int
    first: int
    others: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PlacedRows:
    """Rows by table; `aggregates` has for each record where its aggregates are.

    An aggregate is None where another one of the same key went in instead: the one in `winners`.
    """

    rows: Rows
    aggregates: list[tuple[Placed | None, ...]]
    winners: dict[str, tuple[Aggregate, Placed]]

    def own(self) -> list[Placed | None]:
        """Where each record's own aggregate is."""
        return [aggregates[0] for aggregates in self.aggregates]

    def families_placed(self) -> list[list[tuple[int, int]]]:
        """The places of each aggregate that went in, in the order of the rows of every table."""
        return [
            [(aggregate.table, aggregate.first), *aggregate.others]
            for aggregates in self.aggregates
            for aggregate in aggregates
            if aggregate is not None
        ]


def place_rows(group: TableGroup, run: dict[str, Any], records: list[Record]) -> PlacedRows:
    """The rows of some records, by table, in the records' order; of each key those that win."""
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
            # Nearly all records of most kinds.
            placed.append((_place(record.aggregates[0], by_table),))
            continue
        mine: list[Placed | None] = []
        for aggregate in record.aggregates:
            # An aggregate may be in a batch twice, as the same object or as an equal one.
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
    """Appends an aggregate's rows to those of their tables."""
    places = []
    for table, row in aggregate.rows:
        rows = by_table.setdefault(table, [])
        places.append((table, len(rows)))
        rows.append(row)
    return Placed(*places[0], tuple(places[1:]))
