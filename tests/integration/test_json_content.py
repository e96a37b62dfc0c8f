"""What JSON can hold and few readers keep: on both backends, for each kind, in the database.

Numbers with all their digits, names that stand twice, half characters, deep nesting.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from imports.run.report import RunReport
from imports.source.json_text import MAX_DEPTH
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.device_tests import add as add_folder
from tests.support.people import age, files, problems


@pytest.fixture
def bench(any_bench: Bench) -> Bench:
    """Each of the backends, and `@supabase/lite`: this is what all of them do."""
    return any_bench


NUMBERS = [
    "123456789012345678901234567890",
    "18446744073709551616",
    "9007199254740993",
    "18446744073709551615",
    "-9223372036854775809",
    "0.1234567890123456789012345",
    "1e400",
    "-1.5E+310",
    "1e-400",
    "4.9406564584124654417656879286822e-324",
    "1" * 4000,
    "0.1",
    "12345.0",
]
LISTED = ", ".join(NUMBERS)
ROUNDED = "update {} set {} = jsonb_set({}, '{{{}}}', '[1]')"

HALF = rb"Sails \ud83d"
IN_TWO = "contains half of a surrogate pair (an emoji cut in two)"


def read_back(bench: Bench, expression: str, table: str) -> list[Decimal]:
    """The numbers of an array in the database, as its text has them."""
    (row,) = query(bench.url, f"select ({expression})::text from {table}")
    found: list[Decimal] = json.loads(row[0], parse_int=Decimal, parse_float=Decimal)
    return found


def search(more: str = "", metadata: str = "", license_: str = "") -> bytes:
    """A search with one licence; each argument is JSON that is put in behind the other members."""
    return (
        '{"metadata": {"search_timestamp": "2026-03-02T09:00:00", "pharmacy_name": "Belmar",'
        f' "state": "FL"{metadata}}},'
        f' "search_result": {{"licenses": [{{"license_number": "PH1"{license_}}}]}}{more}}}'
    ).encode()


def person(id_: str, more: str = "") -> str:
    return f'{{"profile_data": {{"profile_id": "{id_}"{more}}}}}'


def page(*persons: str, more: str = "") -> bytes:
    return f'{{"results": [{", ".join(persons)}]{more}}}'.encode()


def add_page(bench: Bench, name: str, content: bytes) -> Path:
    path = bench.source.write(name, content)
    age(path)
    return path


def people(bench: Bench, **flags: Any) -> RunReport:
    return bench.run(kind="people", no_progress_csv=True, **flags)


@pytest.fixture(params=["whole", "in pieces"])
def large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files as they are read as a whole, and as large ones are."""
    if request.param == "in pieces":
        monkeypatch.setattr("imports.phases.prepare.LARGE_BYTES", 10)
        monkeypatch.setattr("imports.phases.import_.FEW_ITEMS", 0)
        monkeypatch.setattr("imports.phases.verify.FEW_ITEMS", 0)


# Numbers


def test_a_search_keeps_all_digits_of_its_numbers(bench: Bench) -> None:
    bench.source.write("a_parse.json", search(f', "x": [{LISTED}]', f', "y": {{"z": [{LISTED}]}}'))
    report = bench.run(verify_writes=True)
    assert (report.exit_code, report.failures) == (0, [])
    expected = [Decimal(each) for each in NUMBERS]
    assert read_back(bench, "raw -> 'x'", "search_results") == expected
    assert read_back(bench, "meta -> 'y' -> 'z'", "search_results") == expected


def test_a_number_that_was_rounded_in_the_database_is_found_and_put_right(bench: Bench) -> None:
    bench.source.write("a_parse.json", search(', "x": [0.1234567890123456789012345, 1e5000]'))
    assert bench.run().exit_code == 0
    assert bench.verify().clean
    query(
        bench.url,
        "update search_results set raw = jsonb_set(raw, '{x}', '[0.12345678901234568, 1e5000]')",
    )
    report = bench.verify()
    assert [each.found for each in report.findings] == ["different"]
    assert "raw" in report.findings[0].detail
    bench.verify(repair=True)
    assert bench.verify().clean


def test_a_person_keeps_all_digits_of_its_numbers(bench: Bench, large: None) -> None:
    add_page(bench, "a.json", page(person("big", f', "extra": [{LISTED}]'), person("small")))
    report = people(bench, verify_writes=True, on_success="keep")
    assert (report.exit_code, report.failures) == (0, [])
    assert read_back(
        bench,
        "rest -> 'profile_data' -> 'extra'",
        "people.identities where neuron360_profile_id = 'big'",
    ) == [Decimal(each) for each in NUMBERS]
    assert bench.verify(kind="people", no_progress_csv=True).clean


def test_a_number_that_its_column_would_round_is_kept_beside_it(bench: Bench) -> None:
    gender = ', "profile_gender": {"gender": "f", "confidence_score": 0.1234567890123456789012}'
    add_page(bench, "a.json", page(person("p", gender)))
    assert people(bench, verify_writes=True).exit_code == 0
    ((stored,),) = query(bench.url, "select confidence_score from people.genders")
    assert stored == 0.12345678901234568
    ((kept,),) = query(
        bench.url,
        "select rest #>> '{profile_data,profile_gender,confidence_score}' from people.identities",
    )
    assert kept == "0.1234567890123456789012"


def test_stats_keep_all_digits_of_their_numbers(bench: Bench) -> None:
    add_folder(bench.source.folder, "a", f'{{"device_id": {NUMBERS[0]}, "x": [{LISTED}]}}'.encode())
    report = bench.run(kind="folders", verify_writes=True)
    assert (report.exit_code, report.failures) == (0, [])
    assert read_back(bench, "stats -> 'x'", "device_test") == [Decimal(each) for each in NUMBERS]
    assert query(bench.url, "select device_id from device_test") == [(NUMBERS[0],)]


@pytest.mark.parametrize("number", ["1e131072", "1e-16384", "1e99999999999999999999"])
def test_a_number_that_postgresql_cannot_hold_costs_its_file_alone(
    bench: Bench, number: str
) -> None:
    bench.source.write("a_parse.json", search(f', "x": {{"y": {number}}}'))
    bench.source.write("b_parse.json", search(', "x": [1e131071, 1e-16383]'))
    report = bench.run(verify_writes=True)
    assert report.exit_code == 3
    ((path, reason),) = [(each.path, each.reason) for each in report.failures]
    assert path == "a_parse.json"
    assert "x.y is a number that PostgreSQL cannot store" in reason or "too large" in reason
    assert bench.count() == 1


# Names that stand twice, half characters, depth


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


STATES = {
    "a name twice": (search(license_=', "license_number": "PH2"'), "licenses[0].license_number"),
    "a name twice at the top": (search(', "metadata": {}'), "metadata occurs twice"),
    "a name twice, escaped": (search(r', "search_\u0072esult": {}'), "search_result occurs twice"),
    "a name twice without NUL": (
        search(license_=r', "a": 1, "\u0000a": 2'),
        "search_result.licenses[0].a occurs twice",
    ),
    "half a character": (
        search(license_=f', "address": {{"street": "{HALF.decode()}"}}'),
        f"search_result.licenses[0].address.street {IN_TWO}",
    ),
    "half a character in a name": (
        search(license_=r', "\udc00": 1'),
        f"the name search_result.licenses[0].'\ufffd' {IN_TWO}",
    ),
    "too deep": (search(f', "x": {deep(MAX_DEPTH)}'), f"more than {MAX_DEPTH} levels deep"),
    "far too deep": (search(f', "x": {deep(100_000)}'), f"more than {MAX_DEPTH} levels deep"),
}


@pytest.mark.parametrize(("content", "reason"), STATES.values(), ids=STATES)
def test_a_search_with_a_flaw_fails_alone_with_the_place(
    bench: Bench, content: bytes, reason: str
) -> None:
    bench.source.write("a_parse.json", content)
    bench.source.write("b_parse.json", search(f', "x": {deep(MAX_DEPTH - 1)}'))
    report = bench.run(verify_writes=True)
    assert report.exit_code == 3
    ((path, told),) = [(each.path, each.reason) for each in report.failures]
    assert path == "a_parse.json"
    assert reason in told
    assert bench.count() == 1


def test_stats_with_a_flaw_fail_alone_with_the_place(bench: Bench) -> None:
    flaws = {
        "twice": (b'{"a": [{"b": 1, "b": 2}]}', "stats.json a[0].b occurs twice"),
        "half": (b'{"a": {"b": ["%s"]}}' % HALF, f"stats.json a.b[0] {IN_TWO}"),
        "deep": (f'{{"a": {deep(MAX_DEPTH)}}}'.encode(), "stats.json is nested more than"),
    }
    for name, (content, _) in flaws.items():
        add_folder(bench.source.folder, name, content)
    add_folder(bench.source.folder, "good", f'{{"a": {deep(MAX_DEPTH - 1)}}}'.encode())
    report = bench.run(kind="folders", verify_writes=True)
    assert report.exit_code == 3
    told = {each.path: each.reason for each in report.failures}
    assert set(told) == set(flaws)
    for name, (_, reason) in flaws.items():
        assert reason in told[name]
    assert query(bench.url, "select folder_path from device_test") == [("good",)]


BAD: dict[str, tuple[str, str]] = {
    "twice": (
        person("p-1", ', "profile_emails": [{"email": "a@x"}], "profile_emails": []'),
        "profile_data.profile_emails occurs twice",
    ),
    "whole": (
        '{"profile_data": {"profile_id": "p-0"}, "profile_data": {"profile_id": "p-1"}}',
        "profile_data occurs twice",
    ),
    "half": (
        person("p-1", f', "profile_summary": "{HALF.decode()}"'),
        f"profile_data.profile_summary {IN_TWO}",
    ),
    "deep": (
        person("p-1", f', "x": {deep(MAX_DEPTH - 3)}'),
        f"is nested more than {MAX_DEPTH} levels deep",
    ),
    "far too deep": (
        person("p-1", f', "x": {deep(50_000)}'),
        f"is nested more than {MAX_DEPTH} levels deep",
    ),
    "beyond": (
        person("p-1", ', "x": 1e131072'),
        "profile_data.x is a number that PostgreSQL cannot store",
    ),
}


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD)
def test_a_flaw_costs_its_person_and_not_the_page(
    bench: Bench, large: None, bad: str, reason: str
) -> None:
    good = person("p-2", f', "x": {deep(MAX_DEPTH - 4)}')
    path = add_page(bench, "a.json", page(person("p-0"), bad, good))
    report = people(bench)
    assert report.exit_code == 3
    assert query(bench.url, "select neuron360_profile_id from people.identities order by 1") == [
        ("p-0",),
        ("p-2",),
    ]
    (failed,) = [
        each for each in path.parent.parent.glob("failed_uploads/*") if "errors" not in each.name
    ]
    ((index, id_, told),) = problems(failed)
    assert (index, id_) == (1, "p-1")
    assert reason in told


PAGES: dict[str, Callable[[], tuple[bytes, str]]] = {
    "twice": lambda: (page(person("p"), more=', "results": []'), "results occurs twice"),
    "escaped": lambda: (page(person("p"), more=r', "\u0072esults": []'), "results occurs twice"),
    "beside": lambda: (
        page(person("p"), more=', "query": {"a": [{"b": 1, "b": 2}]}'),
        "query.a[0].b occurs twice",
    ),
    "half": lambda: (page(person("p"), more=r', "query": ["\ud800"]'), f"query[0] {IN_TWO}"),
    "deep": lambda: (page(person("p"), more=f', "q": {deep(MAX_DEPTH)}'), "is nested more than"),
}


@pytest.mark.parametrize("made", PAGES.values(), ids=PAGES)
def test_a_flaw_outside_of_the_persons_fails_the_page_and_nothing_is_deleted(
    bench: Bench, large: None, made: Callable[[], tuple[bytes, str]]
) -> None:
    content, reason = made()
    path = add_page(bench, "a.json", content)
    report = people(bench)
    assert report.exit_code == 3
    assert reason in report.failures[0].reason
    assert files(path.parent) == []
    moved = path.parent.parent / "failed_uploads" / "a.json"
    assert moved.read_bytes() == content
