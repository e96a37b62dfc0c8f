"""One record that the target refuses stands alone: invariant 4."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.conftest import Waits
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.source import license_

# The local Supabase answers a broken CHECK with HTTP 500 and no SQLSTATE (a real one with 400 and
# 23514): the importer then finds out by trying. Hence `waits` where a CHECK is broken.
pytestmark = pytest.mark.usefixtures("waits")


@contextmanager
def constraint(bench: Bench, check: str) -> Iterator[None]:
    query(bench.url, f"ALTER TABLE search_results ADD CONSTRAINT proper CHECK ({check})")
    try:
        yield
    finally:
        query(bench.url, "ALTER TABLE search_results DROP CONSTRAINT proper")


@contextmanager
def trigger(bench: Bench, condition: str, code: str) -> Iterator[None]:
    """Refuses rows with an SQLSTATE."""
    query(
        bench.url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE 'no such thing as %', NEW.license_number USING ERRCODE = '{code}'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON search_results"
        f" FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()",
    )
    try:
        yield
    finally:
        query(bench.url, "DROP FUNCTION refuse CASCADE")


@pytest.mark.parametrize("batch_size", [7, 500])
def test_one_bad_record_among_a_hundred(bench: Bench, batch_size: int) -> None:
    bench.source.add_many(99)
    bench.source.add("day/0042b", name="Bad", licenses=[license_("BAD")])
    with constraint(bench, "license_number <> 'BAD'"):
        report = bench.run(batch_size=batch_size)

    assert report.exit_code == 3
    assert report.state.status == "completed"
    assert report.count("import.inserted") == 99 == bench.count()
    (failure,) = report.failures
    assert (failure.path, failure.phase) == ("day/0042b_parse.json", "import")
    assert "Bad/FL/BAD" in failure.reason
    assert 'violates check constraint "proper"' in failure.reason
    assert [each.path for each in report.state.failed_items] == ["day/0042b_parse.json"]

    before = dict(bench.rows("license_number, xmin::text"))
    again = bench.run()
    assert again.exit_code == 0
    assert (again.count("import.inserted"), again.failures_total) == (1, 0)
    after = dict(bench.rows("license_number, xmin::text"))
    del after["BAD"]
    assert after == before


def test_what_is_refused_is_not_asked_again(bench: Bench, waits: Waits) -> None:
    bench.source.add_many(20)
    with trigger(bench, "NEW.license_number = 'PH0007'", "22007"):
        report = bench.run()
    assert waits == []
    (failure,) = report.failures
    assert (failure.path, failure.tries) == ("day/0007_parse.json", 1)
    assert "no such thing as PH0007" in failure.reason
    assert (report.exit_code, report.count("import.inserted"), bench.count()) == (3, 19, 19)


def test_several_bad_records_in_one_batch(bench: Bench) -> None:
    bench.source.add_many(60)
    with constraint(bench, "right(license_number, 1) <> '7'"):
        report = bench.run()
    assert report.exit_code == 3
    assert [each.path for each in report.failures] == [
        f"day/{number:04}_parse.json" for number in (7, 17, 27, 37, 47, 57)
    ]
    assert report.count("import.inserted") == 54 == bench.count()


def test_all_records_bad(bench: Bench, waits: Waits) -> None:
    bench.source.add_many(9)
    with trigger(bench, "true", "22007"):
        report = bench.run()
    assert waits == []
    assert (report.exit_code, report.failures_total, bench.count()) == (3, 9, 0)
    assert bench.run().count("import.inserted") == 9


def test_a_file_with_a_good_and_a_bad_licence(bench: Bench) -> None:
    bench.source.add_many(5)
    bench.source.add("two", licenses=[license_("BAD"), license_("GOOD")])
    with constraint(bench, "license_number <> 'BAD'"):
        report = bench.run()
    (failure,) = report.failures
    assert (failure.path, failure.tries) == ("two_parse.json", 1)
    assert "Belmar/FL/BAD" in failure.reason
    assert "GOOD" not in failure.reason
    assert report.count("import.inserted") == 6
    assert ("GOOD", "Active") in bench.rows()

    again = bench.run()
    assert again.exit_code == 0
    assert (again.count("import.inserted"), again.count("import.unchanged")) == (1, 1)


def test_a_failure_is_tried_once_more_in_each_run(bench: Bench) -> None:
    bench.source.add("bad", licenses=[license_("BAD")])
    with constraint(bench, "license_number <> 'BAD'"):
        assert bench.run().failures[0].tries == 1
        report = bench.run()
    assert (report.exit_code, report.failures[0].tries) == (3, 2)


def test_a_value_too_big_for_an_index(bench: Bench) -> None:
    bench.source.add_many(10)
    # Random, since PostgreSQL would press another one small.
    number = random.Random(1).randbytes(5_000).hex()
    bench.source.add("big", name="Big", licenses=[license_(number)])
    report = bench.run()
    assert report.exit_code == 3
    (failure,) = report.failures
    assert failure.path == "big_parse.json"
    assert "index" in failure.reason
    assert report.count("import.inserted") == 10 == bench.count()
    assert len(failure.reason) < 1_000, "nobody reads a reason of 20 KB"


def test_a_statement_that_is_cut_short_is_made_smaller(postgresql_bench: Bench) -> None:
    bench = postgresql_bench
    bench.source.add_many(8)
    query(
        bench.url,
        # As if the server cancelled what takes long.
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF (SELECT count(*) FROM arrived) > 2 THEN"
        "  RAISE 'canceling statement due to statement timeout' USING ERRCODE = '57014';"
        " END IF; RETURN NULL; END $$;"
        "CREATE TRIGGER slow AFTER INSERT ON search_results"
        " REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION slow()",
    )
    report = bench.run()
    assert (report.exit_code, report.count("import.inserted")) == (0, 8)
    assert bench.count() == 8


def test_bad_files_of_every_sort_stop_nobody(bench: Bench) -> None:
    bench.source.add_many(3)
    bad = {
        "empty": b"",
        "json": b"{not json",
        "list": b"[]",
        "name": b'{"metadata": {"state": "FL"}, "search_result": {}}',
        "state": b'{"metadata": {"pharmacy_name": "X", "state": " "}, "search_result": {}}',
        "utf16": "\ufeff{}".encode("utf-16-le"),
    }
    for name, content in bad.items():
        bench.source.write(f"bad/{name}_parse.json", content)
    report = bench.run()
    assert report.exit_code == 3
    assert [each.path for each in report.failures] == [f"bad/{name}_parse.json" for name in bad]
    reasons = " ".join(each.reason for each in report.failures)
    assert all(word in reasons for word in ("empty", "not JSON", "an array", "UTF-16"))
    assert {"metadata.pharmacy_name is missing", "metadata.state is missing"} <= {
        each.reason for each in report.failures
    }
    assert bench.count() == 3
