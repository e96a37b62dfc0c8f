"""Rows without a date that can be read: never older, never newer, and never lost in silence."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from imports.backends.database import Database, Rows
from imports.backends.retry import RetryPolicy
from imports.backends.target import open_target
from imports.kinds.states import SEARCH_RESULTS, STATES
from imports.phases.merging import UNDECIDED
from imports.run.report import RunReport
from imports.source.cleaning import Tally, clean_timestamp
from imports.tables.row_format import encoder
from imports.tables.sql import UNJUDGED
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.people import EARLIER, LATER, emails, files, person, problems, write
from tests.support.source import license_

OLDER, NEWER = "2025-08-01T10:00:00", "2025-08-03T10:00:00"
UNREADABLE = [None, "soon", "2025-08-01 10:00:00 EST", "08/02/2025", ""]


def outcomes(report: RunReport) -> dict[str, int]:
    names = ("inserted", "updated", "skipped", "unchanged", "refused")
    return {
        name: report.count(f"import.{name}") for name in names if report.count(f"import.{name}")
    }


def add(bench: Bench, path: str, ts: str | None, status: str | None = None) -> None:
    """A search for the one licence PH1, which says its own path unless told otherwise."""
    bench.source.add(path, ts=ts, licenses=[license_(license_status=status or path)])


def statuses(bench: Bench) -> list[str]:
    return [status for _, status in bench.rows()]


def undecided(report: RunReport) -> list[str]:
    """The files that failed; each of them because it is undecided."""
    assert report.exit_code == (3 if report.failures else 0)
    for each in report.failures:
        assert each.reason.endswith(UNDECIDED)
    return [each.path for each in report.failures]


# --- states --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ts", UNREADABLE)
def test_a_search_without_a_date_goes_in_with_a_warning_that_names_it(
    bench: Bench, ts: str | None
) -> None:
    add(bench, "a", ts)
    report = bench.run()
    assert (report.exit_code, outcomes(report)) == (0, {"inserted": 1})
    assert bench.rows("search_ts") == [(None,)]
    ((path, warning),) = report.warnings
    assert path == "a_parse.json"
    assert warning.startswith("metadata.search_timestamp")
    assert ts is None or repr(ts) in warning
    assert bench.verify().clean


@pytest.mark.parametrize(
    ("first", "second"),
    [(OLDER, "soon"), (None, OLDER), ("soon", None), ("soon", NEWER)],
    ids=["dated there", "undated there", "both undated", "undated there, mended"],
)
def test_nothing_is_overwritten_where_nobody_knows_what_is_newer(
    bench: Bench, first: str | None, second: str | None
) -> None:
    add(bench, "first", first)
    bench.run()
    before = bench.versions()["search_results"]
    add(bench, "second", second)
    for _ in range(2):
        report = bench.run()
        assert undecided(report) == ["second_parse.json"]
        assert outcomes(report) == {"refused": 1}
        assert bench.versions()["search_results"] == before
    # The one that is in, is in: also when it is imported again beside the other one.
    forced = bench.run(force=True)
    assert undecided(forced) == ["second_parse.json"]
    assert outcomes(forced) == {"unchanged": 1, "refused": 1}
    verified = bench.verify()
    assert verified.clean
    assert verified.records == 1, "what failed is not spoken for"

    bench.run(if_exists="replace", retry_failed=True)
    assert statuses(bench) == ["second"]


def test_keep_leaves_what_an_earlier_import_wrote_whatever_its_date(bench: Bench) -> None:
    add(bench, "first", None)
    bench.run()
    add(bench, "second", NEWER)
    assert undecided(bench.run()) == ["second_parse.json"]
    kept = bench.run(if_exists="keep")
    assert (kept.exit_code, outcomes(kept)) == (0, {"skipped": 1})
    add(bench, "third", None)
    assert outcomes(bench.run(if_exists="keep")) == {"skipped": 1}
    assert statuses(bench) == ["first"]


def test_what_says_the_same_without_a_date_is_unchanged(bench: Bench) -> None:
    add(bench, "a", None, "x")
    bench.run()
    before = bench.versions()["search_results"]
    add(bench, "b", None, "x")
    add(bench, "c", None, "x")
    report = bench.run()
    assert (report.exit_code, outcomes(report)) == (0, {"unchanged": 2})
    assert bench.versions()["search_results"] == before
    assert outcomes(bench.run(force=True)) == {"unchanged": 3}


def test_a_file_whose_date_is_mended_needs_a_word_of_its_user(bench: Bench) -> None:
    add(bench, "a", "2025-08-01 10:00:00 EST")
    bench.run()
    add(bench, "a", "2025-08-01 10:00:00-05:00")
    assert undecided(bench.run()) == ["a_parse.json"]
    replaced = bench.run(if_exists="replace")
    assert (replaced.exit_code, outcomes(replaced)) == (0, {"updated": 1})
    assert bench.rows("search_ts is null") == [(False,)]
    assert bench.verify().clean


@pytest.mark.parametrize("batch_size", [1, 500])
@pytest.mark.parametrize("workers", [1, 16])
def test_who_wins_in_a_run_hangs_on_no_worker(bench: Bench, batch_size: int, workers: int) -> None:
    """The newest dated search of each licence, else the first file of those without a date."""
    chance = random.Random(batch_size + workers)
    expected, failing = {}, set()
    for number in range(12):
        names = [f"{chance.randrange(10**6):06}" for _ in range(4)]
        dates = {name: chance.choice([None, None, OLDER, NEWER]) for name in names}
        for name, ts in dates.items():
            path = f"{name}/{number}"
            bench.source.add(
                path,
                name=f"N{number}",
                ts=ts,
                licenses=[license_(f"PH{number:02}", license_status=path)],
            )
        dated = [name for name in names if dates[name]]
        winner = max(dated, key=lambda name: (dates[name], name)) if dated else min(names)
        expected[f"PH{number:02}"] = f"{winner}/{number}"
        failing |= {
            f"{name}/{number}_parse.json" for name in names if not dates[name] and name != winner
        }
    report = bench.run(batch_size=batch_size, max_workers=workers)
    assert dict(bench.rows()) == expected
    assert set(undecided(report)) == failing
    again = bench.run(batch_size=batch_size, max_workers=workers, force=True)
    assert dict(bench.rows()) == expected
    assert set(undecided(again)) == failing
    assert bench.verify().clean


@pytest.mark.parametrize("batch_size", [1, 500])
def test_replace_takes_the_newest_of_the_run_in_whatever_batches(
    bench: Bench, batch_size: int
) -> None:
    """Also where the newest says what is there already."""
    add(bench, "newer", NEWER)
    bench.run()
    add(bench, "older", OLDER)
    # One batch after the other: else it hangs on the workers how often the row is written.
    report = bench.run(if_exists="replace", force=True, batch_size=batch_size, max_workers=1)
    assert report.exit_code == 0
    assert statuses(bench) == ["newer"]
    assert report.count("import.unchanged") == 1
    # Alone, an older one replaces what an earlier run wrote, as it was asked to.
    assert outcomes(bench.run(single_file=bench.source.folder / "older_parse.json")) == {
        "skipped": 1
    }
    single = bench.run(single_file=bench.source.folder / "older_parse.json", if_exists="replace")
    assert outcomes(single) == {"updated": 1}
    assert statuses(bench) == ["older"]


def test_verification_calls_what_was_replaced_neither_clean_nor_repairable(bench: Bench) -> None:
    add(bench, "dated", OLDER)
    bench.run()
    add(bench, "undated", None)
    decided = bench.run(if_exists="replace", verify_writes=True)
    assert outcomes(decided) == {"updated": 1}
    report = bench.verify()
    assert (report.found, report.repairable) == ({"undecided": 1}, False)
    assert [each.path for each in report.findings] == ["dated_parse.json"]
    before = bench.versions()["search_results"]
    assert not bench.verify(repair=True).clean
    assert bench.versions()["search_results"] == before


# --- the merge by itself -------------------------------------------------------------------------


@contextmanager
def opened(bench: Bench) -> Iterator[tuple[Database, int]]:
    target = open_target(bench.settings(), RetryPolicy(0))
    try:
        yield target.database, target.database.dataset_id("states", "test", None, None)
    finally:
        target.close()


def rows_of(
    database: Database,
    dataset_id: int,
    *searches: tuple[str | None, str],
    run_name: str = "batch",
    if_exists: str = "newer",
) -> Rows:
    """Rows of one licence with these timestamps and statuses."""
    encode = encoder(SEARCH_RESULTS, database.row_format)
    tally: Tally = Tally()
    encoded = [
        encode(
            (
                *("Belmar", "FL", clean_timestamp(ts, tally), "PH1", status),
                *(None,) * (len(SEARCH_RESULTS.columns) - 5),
            )
        )
        for ts, status in searches
    ]
    run = {"dataset_id": dataset_id, "batch_id": run_name}
    return Rows(STATES.group, {**run, "if_exists": if_exists, "repair": False}, {0: encoded})


A, B, D, E = (None, "a"), (None, "b"), (OLDER, "d"), (NEWER, "e")
MERGES: list[tuple[list[tuple[str | None, str]], str, str]] = [
    # What is there, what comes, the letters; what is there afterwards is the first written.
    ([], "a", "I"),
    ([], "ab", "I?"),
    ([], "aa", "I="),
    ([], "aba", "I?="),
    ([], "ad", "?I"),
    ([], "daeb", "S?I?"),
    ([A], "a", "="),
    ([A], "b", "?"),
    ([A], "d", "?"),
    ([A], "da", "?="),
    ([A], "ba", "?="),
    ([A], "de", "??"),
    ([A], "bb", "??"),
    ([D], "a", "?"),
    ([D], "aad", "??="),
    ([D], "ea", "U?"),
    ([E], "da", "S?"),
]
SEARCHES = {"a": A, "b": B, "d": D, "e": E}


@pytest.mark.parametrize(("there", "coming", "letters"), MERGES)
def test_a_merge_tells_of_each_row_what_became_of_it(
    bench: Bench, there: list[tuple[str | None, str]], coming: str, letters: str
) -> None:
    with opened(bench) as (database, dataset_id):
        if there:
            database.merge(uuid4(), rows_of(database, dataset_id, *there, run_name="before"))
        request = uuid4()
        rows = rows_of(database, dataset_id, *(SEARCHES[each] for each in coming))
        assert database.merge(request, rows).outcomes == {0: letters}
        written = [each for each, letter in zip(coming, letters, strict=True) if letter in "IU"]
        assert statuses(bench) == (written or [there[0][1]])
        before = bench.versions()["search_results"]
        assert database.merge(request, rows).outcomes == {0: letters}, "the same request"
        assert bench.versions()["search_results"] == before


@pytest.mark.parametrize("if_exists", ["keep", "replace"])
def test_a_run_decides_against_earlier_ones_and_never_against_itself(
    bench: Bench, if_exists: str
) -> None:
    letters = {"keep": "SS", "replace": "U?"}[if_exists]
    with opened(bench) as (database, dataset_id):
        for there in (A, D):
            query(bench.url, "DELETE FROM search_results")
            database.merge(uuid4(), rows_of(database, dataset_id, there, run_name="before"))
            rows = rows_of(database, dataset_id, B, (None, "c"), if_exists=if_exists)
            assert database.merge(uuid4(), rows).outcomes == {0: letters}
            assert database.merge(uuid4(), rows).outcomes == {0: letters.replace("U", "=")}


def test_merges_at_the_same_time_lose_nothing_that_they_do_not_tell(bench: Bench) -> None:
    """Whatever another merge wrote meanwhile: one goes in, each other one is said to be left."""
    chance = random.Random(10)
    with opened(bench) as (database, dataset_id):
        for turn in range(30):
            query(bench.url, "DELETE FROM search_results")
            several = [[f"{turn}/{each}"] for each in range(4)]
            answers: dict[str, str] = {}

            def merge(names: list[str], ts: str | None, answers: dict[str, str] = answers) -> None:
                rows = rows_of(database, dataset_id, *((ts, name) for name in names))
                (letters,) = database.merge(uuid4(), rows).outcomes.values()
                answers.update(zip(names, letters, strict=True))

            run_at_once(
                [
                    lambda names=names, ts=ts: merge(names, ts)  # type: ignore[misc]
                    for names, ts in zip(
                        several, chance.sample([None, None, None, OLDER], 4), strict=True
                    )
                ]
            )
            assert sorted(answers.values()) == ["?", "?", "?", "I"]
            (winner,) = statuses(bench)
            assert answers[winner] == "I"
            assert UNJUDGED not in answers.values()


def run_at_once(functions: list[Callable[[], None]]) -> None:
    """Runs functions in threads; what one raises is raised."""
    problems_: list[BaseException] = []
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], None]) -> None:
        barrier.wait()
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            problems_.append(error)

    threads = [threading.Thread(target=run, args=(each,), daemon=True) for each in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    if problems_:
        raise problems_[0]


# --- people --------------------------------------------------------------------------------------


def run_people(bench: Bench, **flags: Any) -> RunReport:
    return bench.run(**{"kind": "people", "no_progress_csv": True, **flags})


def someone(words: str, modified: Any = None, profile_id: Any = "p", **fields: Any) -> Any:
    return person(
        profile_id, modified=modified, headline=words, emails=emails(f"{words}@x"), **fields
    )


def headlines(bench: Bench) -> list[str]:
    return [
        each
        for (each,) in query(
            bench.url,
            "SELECT headline FROM people.profiles JOIN people.emails USING (person_id)"
            " WHERE email = headline || '@x' ORDER BY 1",
        )
    ]


@pytest.fixture
def source(bench: Bench) -> Path:
    return bench.source.folder


@pytest.mark.parametrize("value", ["soon", "2025-03-01 10:00:00 EST", 2018, "08/02/2025"])
@pytest.mark.parametrize("where", ["profile", "resume"])
def test_a_person_whose_date_cannot_be_read_fails_and_the_file_is_kept(
    bench: Bench, source: Path, value: object, where: str
) -> None:
    write(source, "old.json", [someone("old", EARLIER)])
    run_people(bench)
    dates = {"modified": value} if where == "profile" else {"modified": LATER}
    resume = {"resume_last_modified_date": value} if where == "resume" else {}
    write(source, "new.json", [someone("good", LATER, "q"), someone("new", resume=resume, **dates)])
    report = run_people(bench)
    assert (report.exit_code, outcomes(report)) == (3, {"inserted": 1, "refused": 1})
    assert headlines(bench) == ["good", "old"]
    moved = bench.source.folder.parent / "failed_uploads" / "new.json"
    assert moved.exists()
    name = "profile_data.profile" if where == "profile" else "resume_data.resume"
    assert problems(moved) == [
        (1, "p", f"{name}_last_modified_date cannot be read as a date: {value!r}")
    ]


@pytest.mark.parametrize("value", [None, "", "N/A", "not available"])
@pytest.mark.parametrize("dated", ["there", "coming", "neither"])
def test_a_person_without_a_date_never_vanishes(
    bench: Bench, source: Path, value: str | None, dated: str
) -> None:
    old = LATER if dated == "there" else value
    new = EARLIER if dated == "coming" else value
    write(source, "old.json", [someone("old", old)])
    run_people(bench)
    write(source, "new.json", [someone("new", new)])
    report = run_people(bench)
    assert undecided(report) == ["new.json"]
    assert headlines(bench) == ["old"]
    failed = bench.source.folder.parent / "failed_uploads"
    assert files(failed) == ["new.errors.json", "new.json"]
    assert files(source) == []

    again = {"source": failed, "single_file": failed / "new.json"}
    assert undecided(run_people(bench, **again)) == ["new.json"]
    assert outcomes(run_people(bench, **again, if_exists="keep")) == {"skipped": 1}
    assert headlines(bench) == ["old"]
    assert outcomes(run_people(bench, **again, if_exists="replace")) == {"updated": 1}
    assert headlines(bench) == ["new"]
    assert outcomes(run_people(bench, **again)) == {"unchanged": 1}


ORDERS = [*permutations([("u", None), ("v", None), ("d", EARLIER), ("e", LATER)])][::5]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(each for each, _ in order))
@pytest.mark.parametrize("how", ["one page", "one batch", "batches"])
def test_of_the_versions_of_a_person_in_a_run_one_goes_in_and_each_other_is_told(
    bench: Bench, source: Path, order: list[tuple[str, str | None]], how: str
) -> None:
    records = [someone(words, modified) for words, modified in order]
    if how == "one page":
        write(source, "page.json", [*records, someone("u"), someone("other", LATER, "q")])
    else:
        for number, record in enumerate(records):
            write(source, f"{number}.json", [record])
        write(source, "8.json", [someone("u")])
        write(source, "9.json", [someone("other", LATER, "q")])
    report = run_people(bench, batch_size=1 if how == "batches" else 500)
    assert report.exit_code == 3
    # The newest of those that have a date; those without are never skipped.
    assert headlines(bench) == ["e", "other"]
    found = outcomes(report)
    assert found.pop("refused") == 3
    assert found.pop("skipped", 0) + found.pop("updated", 0) == 1
    assert found == {"inserted": 2}
    if how != "one page":
        undated = [f"{number}.json" for number, (_, ts) in enumerate(order) if ts is None]
        assert undecided(report) == sorted([*undated, "8.json"])


def test_the_same_person_without_a_date_twice_is_unchanged(bench: Bench, source: Path) -> None:
    write(source, "a.json", [someone("u"), someone("u")])
    write(source, "b.json", [someone("u")])
    report = run_people(bench)
    assert (report.exit_code, files(source)) == (0, [])
    assert outcomes(report) == {"inserted": 1, "unchanged": 2}


def test_an_id_that_comes_as_a_whole_number_with_a_fraction_is_the_same_one(
    bench: Bench, source: Path
) -> None:
    write(source, "a.json", [someone("old", EARLIER, "12345")])
    write(source, "b.json", [someone("new", LATER, 12345.0)])
    report = run_people(bench)
    assert report.exit_code == 0
    assert headlines(bench) == ["new"]
    assert query(bench.url, "SELECT neuron360_profile_id FROM people.identities") == [("12345",)]
