"""Rows are read in pages by their key, one by one, and found by a text: on both backends alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from imports.backends.database import Database
from imports.backends.reading import (
    Row,
    RowQuery,
    count,
    one,
    page,
    pages,
    search,
    written_rows,
)
from imports.errors import ImporterError
from imports.kinds.people.tables import EMAILS, PEOPLE
from imports.kinds.states import SEARCH_RESULTS
from tests.integration.test_merge import opened
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.people import emails, person, write

NAMES = ("search_name", "search_state", "license_number")
ROWS = [
    ("a", "FL", None),
    ("a", "FL", "1"),
    ("a", "FL", "2"),
    ("a", "GA", None),
    ("b", "FL", "%"),
    ("b", "FL", "_\\"),
    ("b", "FL", "'; drop table x; -- \"%s"),
    ("B", "FL", "Ŵ 100%"),
]


@pytest.fixture
def database(bench: Bench) -> Iterator[Database]:
    with opened(bench) as (database, _):
        yield database


@pytest.fixture
def dataset(bench: Bench) -> int:
    """The id of a dataset with `ROWS`; another one has as many of its own."""
    ids = query(
        bench.url,
        "INSERT INTO datasets (kind, tag) VALUES ('states', 'one'), ('states', 'other')"
        " RETURNING id",
    )
    for (dataset_id,) in ids:
        for number, row in enumerate(ROWS):
            query(
                bench.url,
                "INSERT INTO search_results (dataset_id, batch_id, search_name, search_state,"
                " license_number, raw, search_ts)"
                " VALUES (%s, %s, %s, %s, %s, '{\"n\": 12345678901234567890.10}', 'now')",
                dataset_id,
                f"b{number % 3}",
                *row,
            )
    return int(ids[1][0])


def keys(rows: list[Row]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in NAMES) for row in rows]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_by_a_key_with_ties_and_nulls_have_every_row_once_and_in_order(
    bench: Bench, database: Database, dataset: int, limit: int
) -> None:
    found: list[Row] = []
    after: Row | None = None
    while rows := page(
        database, SEARCH_RESULTS, limit=limit, after=after, where={"dataset_id": [dataset]}
    ):
        assert len(rows) <= limit
        found += rows
        after = rows[-1]
    in_order = query(
        bench.url,
        "SELECT search_name, search_state, license_number FROM search_results"
        " WHERE dataset_id = %s ORDER BY 1, 2, 3",
        dataset,
    )
    assert keys(found) == in_order
    assert all(str(row["raw"]["n"]) == "12345678901234567890.10" for row in found)
    assert {*found[0]} >= {"id", "batch_id", "created_at"}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_in_another_order_and_back_have_every_row_once(
    bench: Bench, database: Database, dataset: int, limit: int, descending: bool
) -> None:
    by = ("license_number", "id")
    query_ = RowQuery(SEARCH_RESULTS, limit, by, columns=NAMES, descending=descending)
    direction = " DESC" if descending else ""
    in_order = query(
        bench.url,
        "SELECT search_name, search_state, license_number FROM search_results"
        f" ORDER BY license_number{direction}, id{direction}",
    )
    assert keys([row for found in pages(database, query_) for row in found]) == in_order
    for skip in (0, 1, 7, 15, 16, 99):
        some = database.rows(replace(query_, skip=skip))
        assert keys(some) == in_order[skip : skip + limit]
    begun = database.rows(replace(query_, limit=5))
    further = replace(query_, after=begun[-1], skip=2)
    assert keys(database.rows(further)) == in_order[7 : 7 + limit]


def test_rows_are_counted(database: Database, dataset: int) -> None:
    everything = RowQuery(SEARCH_RESULTS, 1, ("id",))
    assert count(database, everything) == 2 * len(ROWS)
    mine = {"dataset_id": [dataset], "search_state": ["GA", "TX"]}
    assert count(database, replace(everything, where=mine)) == 1
    assert count(database, replace(everything, where={"dataset_id": []})) == 0


def test_a_page_is_of_some_columns_and_of_rows_with_some_values(
    database: Database, dataset: int
) -> None:
    where = {"dataset_id": [dataset], "batch_id": ["b0", "b2"], "license_number": [None, "2", "%"]}
    rows = page(database, SEARCH_RESULTS, limit=9, where=where, columns=("city",))
    assert keys(rows) == [("a", "FL", "2"), ("a", "FL", None), ("a", "GA", None)]
    assert {*rows[0]} == {"dataset_id", *NAMES, "city"}
    assert page(database, SEARCH_RESULTS, limit=9, where={"dataset_id": []}) == []


def test_one_row_is_found_by_its_key(database: Database, dataset: int) -> None:
    for row in ROWS:
        key = {"dataset_id": dataset, **dict(zip(NAMES, row, strict=True))}
        found = one(database, SEARCH_RESULTS, key)
        assert found is not None
        assert keys([found]) == [row]
        assert one(database, SEARCH_RESULTS, {"id": found["id"]}) == found
    assert one(database, SEARCH_RESULTS, {"dataset_id": dataset, "search_name": "c"}) is None


HOSTILE: dict[str, Sequence[int]] = {
    "%": [4, 6, 7],
    "_": [5],
    "\\": [5],
    "'; DROP": [6],
    '"%s': [6],
    "b": [4, 5, 6, 7],
    "no such": [],
    "\0": [],
    "\ud800": [],
    "": range(8),
}
"""Texts, and the places of the rows that have them."""


def test_a_search_takes_every_sign_for_itself(database: Database, dataset: int) -> None:
    columns = ("search_name", "license_number")
    where = {"dataset_id": [dataset]}
    for text, places in HOSTILE.items():
        found = search(database, SEARCH_RESULTS, columns, text, limit=99, where=where)
        assert {*keys(found)} == {ROWS[each] for each in places}, text
        assert len(found) == len(places), text
        if len(found) > 1:
            rest = search(
                database, SEARCH_RESULTS, columns, text, limit=99, where=where, after=found[0]
            )
            assert rest == found[1:], text


def test_json_is_searched_as_text(database: Database, dataset: int) -> None:
    found = search(database, SEARCH_RESULTS, ("raw",), "12345678901234567890", limit=3)
    assert len(found) == 3


def test_the_rows_of_runs_are_listed_by_id(database: Database, dataset: int) -> None:
    runs = (database, SEARCH_RESULTS, ["b0", "b1"])
    found = written_rows(*runs, None)
    assert [each.label for each in found[-6:]] == [
        "/".join(part or "-" for part in ROWS[place]) for place in (0, 1, 3, 4, 6, 7)
    ]
    assert written_rows(*runs, found[3].id) == found[4:]


def test_rows_of_people_and_what_they_own(bench: Bench, database: Database) -> None:
    mails = [f"{place}@x.example" for place in range(3)]
    records = [person(f"p-{number}", emails=emails(*mails)) for number in range(5)]
    write(bench.source.folder, "a.json", records)
    assert bench.run(kind="people").exit_code == 0
    found: list[Row] = []
    while rows := page(database, PEOPLE, limit=2, after=found[-1] if found else None):
        found += rows
    assert sorted(row["neuron360_profile_id"] for row in found) == [f"p-{n}" for n in range(5)]
    assert all(one["id"] < other["id"] for one, other in pairwise(found))
    own = page(database, EMAILS, limit=9, where={"person_id": [found[2]["id"]]})
    assert [row["email"] for row in own] == mails
    assert (
        page(database, EMAILS, limit=9, where={"person_id": [found[2]["id"]]}, after=own[1])
        == (own[2:])
    )


def test_only_columns_of_the_table_and_values_of_their_types(
    database: Database, dataset: int
) -> None:
    with pytest.raises(LookupError, match="no column evil"):
        page(database, SEARCH_RESULTS, limit=1, where={"evil": [1]})
    with pytest.raises(ImporterError, match="bigint"):
        page(database, SEARCH_RESULTS, limit=1, where={"dataset_id": ["1; drop"]})
