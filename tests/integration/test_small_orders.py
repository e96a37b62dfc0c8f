"""Derivations, guards, parents and records of several tables: what a kind may ask of the merge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from imports.backends.database import Database, MergeAnswer, Rows
from imports.backends.retry import RetryPolicy
from imports.backends.target import open_target
from imports.errors import DataRefusedError
from imports.items.records import ExemptRecords
from imports.run.report import RunReport
from imports.tables.row_format import encoder
from tests.support.bench import Bench
from tests.support.command import wait_until
from tests.support.database import connected, query
from tests.support.small_kinds import orders
from tests.support.small_kinds.installing import Install
from tests.support.small_kinds.orders import GROUP, SMALL_ORDERS

Order = tuple[int, int | None, int] | tuple[int, int | None, int, str]


@pytest.fixture
def bench(bench: Bench, small_kinds: Install, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """With the kind, and customers 1 and 2."""
    small_kinds(bench, GROUP, orders.DDL, orders.DROP)
    monkeypatch.setattr("imports.kinds.states.STATES", SMALL_ORDERS)
    query(bench.url, "INSERT INTO small_customers VALUES (1, 1), (1, 2)")
    return bench


@pytest.fixture
def database(bench: Bench) -> Iterator[Database]:
    target = open_target(bench.settings(), RetryPolicy(0))
    yield target.database
    target.close()


def rows_of(database: Database, *some: Order) -> Rows:
    """The rows of orders: number, customer, total, and perhaps a note."""
    encode = [encoder(table, database.row_format) for table in GROUP.tables]
    by_table = {0: [encode[0](each[:3]) for each in some]}
    if notes := [encode[1]((each[0], each[3])) for each in some if len(each) == 4]:
        by_table[1] = notes
    run = {"dataset_id": 1, "batch_id": "batch_test", "if_exists": "newer", "repair": False}
    return Rows(GROUP, run, by_table)


def add(bench: Bench, name: str, *some: Order) -> None:
    names = ("number", "customer", "total", "note")
    content = {"orders": [dict(zip(names, each, strict=False)) for each in some]}
    path = bench.source.folder / f"{name}_parse.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def stored(bench: Bench, columns: str = "number, customer, total") -> list[tuple[Any, ...]]:
    return query(bench.url, f"SELECT {columns} FROM small_orders ORDER BY number")


def totals(bench: Bench) -> dict[int, int]:
    return dict(query(bench.url, "SELECT customer, total FROM small_totals"))


def calls(bench: Bench) -> list[list[int]]:
    return [row[0] for row in query(bench.url, "SELECT numbers FROM small_calls ORDER BY ctid")]


def counts(report: RunReport) -> dict[str, int]:
    names = ("inserted", "updated", "skipped", "unchanged", "guarded", "left_out", "refused")
    return {
        name: report.count(f"import.{name}") for name in names if report.count(f"import.{name}")
    }


# Derivation


def test_a_derivation_gets_the_keys_of_what_was_written_and_its_rows_are_counted(
    bench: Bench, database: Database
) -> None:
    first = rows_of(database, (1, 1, 10), (2, 2, 20), (3, 2, 5))
    assert database.merge(uuid4(), first) == MergeAnswer({0: "III"}, {"small_totals": 2})
    assert (totals(bench), calls(bench)) == ({1: 10, 2: 25}, [[1, 2, 3]])

    second = rows_of(database, (1, 1, 10), (2, 2, 21), (4, 1, 1))
    assert database.merge(uuid4(), second) == MergeAnswer({0: "=UI"}, {"small_totals": 2})
    assert (totals(bench), calls(bench)[1:]) == ({1: 11, 2: 26}, [[2, 4]])

    assert database.merge(uuid4(), second) == MergeAnswer({0: "==="})
    assert len(calls(bench)) == 2, "it is not called for nothing"
    assert query(bench.url, "SELECT DISTINCT batch_id FROM small_calls") == [("batch_test",)]


def test_a_repeated_request_gets_the_same_answer_and_derives_nothing(
    bench: Bench, database: Database
) -> None:
    request, rows = uuid4(), rows_of(database, (1, 1, 10, "x"))
    answer = database.merge(request, rows)
    assert answer == MergeAnswer({0: "I", 1: "I"}, {"small_totals": 1})
    assert database.merge(request, rows) == answer
    assert len(calls(bench)) == 1


def test_an_error_in_a_derivation_is_an_error_of_the_batch(
    bench: Bench, database: Database
) -> None:
    with pytest.raises(DataRefusedError, match="owes more"):
        database.merge(uuid4(), rows_of(database, (1, 1, 10), (2, 2, 2000)))
    assert (stored(bench), totals(bench), calls(bench)) == ([], {}, [])


def test_the_record_that_a_derivation_refuses_stands_alone(bench: Bench) -> None:
    add(bench, "a", (1, 1, 10), (2, 2, 20))
    add(bench, "b", (3, 2, 2000))
    add(bench, "c", (4, 2, 1))
    report = bench.run()
    assert (report.exit_code, [failure.path for failure in report.failures]) == (
        3,
        ["b_parse.json"],
    )
    assert "owes more" in report.failures[0].reason
    assert counts(report) == {"inserted": 3, "refused": 1}
    assert totals(bench) == {1: 10, 2: 21}
    assert [row[0] for row in stored(bench)] == [1, 2, 4]
    assert report.count("import.derived.small_totals") == 3, "of the merges that went in"


def test_merges_at_the_same_time_derive_from_the_rows_of_all(
    bench: Bench, database: Database
) -> None:
    batches = [
        rows_of(database, *((each * 10 + turn, 1 + each % 2, 1) for each in range(10)))
        for turn in range(6)
    ]
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda rows: database.merge(uuid4(), rows), batches))
    assert {answer.outcomes[0] for answer in answers} == {"I" * 10}
    assert totals(bench) == {1: 30, 2: 30}


# Guard


def test_a_guarded_row_is_never_touched(bench: Bench, database: Database) -> None:
    database.merge(uuid4(), rows_of(database, (1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 1, 4)))
    query(bench.url, "UPDATE small_orders SET edited = 'by ann' WHERE number IN (1, 2)")
    query(bench.url, "UPDATE small_orders SET edited = 'at night  by a robot' WHERE number = 3")
    before = stored(bench, "number, xmin::text")[:2]
    again = rows_of(database, (1, 1, 1), (2, 1, 22), (3, 1, 33), (4, 1, 44))
    answer = database.merge(uuid4(), again)
    assert answer.outcomes == {0: "=GUU"}
    assert stored(bench, "number, xmin::text")[:2] == before
    assert totals(bench) == {1: 1 + 2 + 33 + 44}


def test_a_guarded_row_that_differs_is_counted_and_verified(bench: Bench) -> None:
    add(bench, "a", (1, 1, 10))
    add(bench, "b", (2, 1, 20))
    bench.run()
    query(bench.url, "UPDATE small_orders SET edited = 'by ann', total = 5 WHERE number = 1")
    report = bench.run(force=True)
    assert (report.exit_code, counts(report)) == (0, {"guarded": 1, "unchanged": 1})
    assert report.guarded == ExemptRecords(1, [("a_parse.json", "order 1")])
    verified = bench.verify(repair=True)
    assert (verified.clean, verified.records, verified.guarded) == (True, 2, 1)
    assert stored(bench, "number, total") == [(1, 5), (2, 20)]

    query(bench.url, "UPDATE small_orders SET edited = null")
    assert bench.verify().found == {"different": 1}
    assert bench.verify(repair=True).clean
    assert stored(bench, "number, total") == [(1, 10), (2, 20)]


def test_a_row_that_is_edited_while_it_is_merged_is_guarded(
    bench: Bench, database: Database
) -> None:
    """The merge waits for whoever edits it, and sees the edited row only after it has begun."""
    database.merge(uuid4(), rows_of(database, (1, 1, 1), (2, 1, 2)))
    again = rows_of(database, (1, 1, 11), (2, 1, 22))
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )
    with connected(bench.url) as person, person.cursor() as cursor, ThreadPoolExecutor() as others:
        cursor.execute(
            "BEGIN; UPDATE small_orders SET total = 5, edited = 'by ann' WHERE number = 1"
        )
        answer = others.submit(database.merge, uuid4(), again)
        wait_until(lambda: query(bench.url, waiting))
        cursor.execute("COMMIT")
        assert answer.result().outcomes == {0: "GU"}
    assert stored(bench, "number, total") == [(1, 5), (2, 22)]


# Parents


def test_a_row_without_its_parent_is_left_out(bench: Bench, database: Database) -> None:
    some = rows_of(database, (1, 1, 1), (2, 9, 2), (3, None, 3))
    assert database.merge(uuid4(), some).outcomes == {0: "ILI"}
    assert stored(bench) == [(1, 1, 1), (3, None, 3)], "NULL refers to nobody"
    assert calls(bench) == [[1, 3]]
    assert database.merge(uuid4(), rows_of(database, (2, 9, 2))) == MergeAnswer({0: "L"})
    query(bench.url, "INSERT INTO small_customers VALUES (1, 9)")
    assert database.merge(uuid4(), some).outcomes == {0: "=I="}


def test_of_rows_of_one_key_one_that_has_its_parent_goes_in(
    bench: Bench, database: Database
) -> None:
    answer = database.merge(uuid4(), rows_of(database, (1, 1, 10), (1, 9, 20), (1, 2, 30)))
    assert answer.outcomes == {0: "SLI"}
    assert stored(bench) == [(1, 2, 30)]


def test_a_row_whose_parent_comes_with_it_goes_in_and_without_it_neither(
    bench: Bench, database: Database
) -> None:
    answer = database.merge(uuid4(), rows_of(database, (1, 1, 1, "x"), (2, 9, 2, "y")))
    assert answer.outcomes == {0: "IL", 1: "IL"}
    assert query(bench.url, "SELECT number FROM small_notes") == [(1,)]


def test_what_is_left_out_comes_in_when_its_parent_is_there(bench: Bench) -> None:
    add(bench, "a", (1, 1, 10), (2, 9, 20, "with a note"), (3, 8, 30))
    add(bench, "b", (4, 1, 40))
    report = bench.run()
    assert (report.exit_code, report.failures) == (0, [])
    assert counts(report) == {"inserted": 2, "left_out": 2}
    first = [("a_parse.json", "order 2"), ("a_parse.json", "order 3")]
    assert report.left_out == ExemptRecords(2, first)
    verified = bench.verify(repair=True)
    assert (verified.clean, verified.left_out) == (True, 2)

    again = bench.run()
    assert counts(again) == {"unchanged": 1, "left_out": 2}, "its item is tried by each run"
    assert (again.count("planning.to_import"), again.count("planning.unchanged")) == (1, 1)

    query(bench.url, "INSERT INTO small_customers VALUES (1, 9)")
    assert bench.verify().found == {"missing": 1}, "now it is"
    third = bench.run()
    assert counts(third) == {"inserted": 1, "unchanged": 1, "left_out": 1}
    assert third.left_out == ExemptRecords(1, [("a_parse.json", "order 3")])
    assert [row[0] for row in stored(bench)] == [1, 2, 4]
    assert query(bench.url, "SELECT number FROM small_notes") == [(2,)]
    query(bench.url, "INSERT INTO small_customers VALUES (1, 8)")
    assert counts(bench.run()) == {"inserted": 1, "unchanged": 2}
    assert bench.run().nothing_to_do


# Several root tables


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ("DELETE FROM small_notes; DELETE FROM small_orders", "inserted"),
        ("DELETE FROM small_notes", "updated"),
        ("UPDATE small_notes SET note = 'another'", "updated"),
        ("UPDATE small_orders SET total = 1", "updated"),
        (
            "UPDATE small_orders SET total = 1, edited = 'by ann'; DELETE FROM small_notes",
            "guarded",
        ),
        ("SELECT", "unchanged"),
    ],
)
def test_a_record_of_several_tables_has_its_most_telling_outcome(
    bench: Bench, change: str, outcome: str
) -> None:
    add(bench, "a", (1, 1, 10, "first"))
    assert counts(bench.run()) == {"inserted": 1}
    query(bench.url, change)
    assert counts(bench.run(force=True)) == {outcome: 1}
