"""What merging does to rows: invariants 3, 5 and 6."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from imports.backends.database import Database, MergeAnswer, Rows
from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingDatabase
from imports.backends.target import open_target
from imports.kinds.states import SEARCH_RESULTS, STATES
from imports.run.report import RunReport
from imports.tables.row_format import encoder
from tests.support.bench import TABLES, Bench
from tests.support.database import query
from tests.support.source import document, license_, png


@pytest.fixture
def bench(any_bench: Bench) -> Bench:
    """Each of the backends, and `@supabase/lite`: this is what all of them do."""
    return any_bench


OLDER, MIDDLE, NEWER = "2025-08-01T10:00:00", "2025-08-02T10:00:00", "2025-08-03T10:00:00"
MOMENT = datetime(2025, 8, 1, tzinfo=UTC)


def outcomes(report: RunReport) -> dict[str, int]:
    names = ("inserted", "updated", "skipped", "unchanged")
    return {
        name: report.count(f"import.{name}") for name in names if report.count(f"import.{name}")
    }


def test_insert(bench: Bench) -> None:
    bench.source.add("a", licenses=[license_("PH1"), license_("PH2", license_status="Closed")])
    report = bench.run()

    assert report.exit_code == 0
    assert outcomes(report) == {"inserted": 2}
    row = bench.rows(
        "search_name, search_state, search_ts, license_number, license_status, license_name,"
        " license_type, address, city, state, zip, issue_date::text, expiration_date::text,"
        " result_status, image_hash, batch_id"
    )[0]
    assert row == (
        *("Belmar", "FL", datetime(2025, 8, 4, 14, 3, 10, tzinfo=UTC), "PH1", "Active"),
        *("BELMAR PHARMACY", "Pharmacy", "123 Main St", "Tampa", "FL", "33601"),
        *("2020-01-15", "2027-02-28", "found", None, report.state.run_name),
    )
    meta, raw = bench.rows("meta, raw")[1]
    assert meta == document()["metadata"]
    assert raw == {
        "search_result": {
            "licenses": [license_("PH2", license_status="Closed")],
            "result_status": "found",
        }
    }
    assert bench.count("import_merges") == 0


def test_the_dataset_has_what_was_said_of_it(bench: Bench) -> None:
    bench.source.add("a")
    report = bench.run(tag="Aug", description="the first", created_by="ada")
    bench.run(tag="Aug", description="another", created_by="bob", force=True)
    assert query(bench.url, "SELECT id, kind, tag, description, created_by FROM datasets") == [
        (report.state.dataset_id, "states", "Aug", "the first", "ada")
    ]


@pytest.mark.parametrize("order", [(OLDER, NEWER), (NEWER, OLDER)], ids=["rising", "falling"])
def test_the_later_search_wins_across_runs(bench: Bench, order: tuple[str, str]) -> None:
    first, second = order
    bench.source.add("a", ts=first, licenses=[license_(license_status=first)])
    assert outcomes(bench.run()) == {"inserted": 1}
    before = bench.versions()
    bench.source.add("b", ts=second, licenses=[license_(license_status=second)])
    report = bench.run()

    assert bench.rows() == [("PH1", NEWER)]
    if second == NEWER:
        assert outcomes(report) == {"updated": 1}
        assert bench.rows("batch_id, updated_at > created_at") == [(report.state.run_name, True)]
    else:
        assert outcomes(report) == {"skipped": 1}
        assert bench.versions() == before


@pytest.mark.parametrize("batch_size", [1, 500])
def test_the_later_search_wins_across_files(bench: Bench, batch_size: int) -> None:
    orders = [(OLDER, MIDDLE, NEWER), (NEWER, MIDDLE, OLDER), (MIDDLE, NEWER, OLDER)]
    for number, order in enumerate(orders):
        for place, ts in enumerate(order):
            bench.source.add(
                f"{place}/{number}",
                name=f"N{number}",
                ts=ts,
                licenses=[license_(f"PH{number}", license_status=ts)],
            )
    found = outcomes(bench.run(batch_size=batch_size))

    assert bench.rows() == [("PH0", NEWER), ("PH1", NEWER), ("PH2", NEWER)]
    assert found.pop("inserted") == 3
    # In one batch the losers are never written; one by one it hangs on who comes first.
    assert found == {"skipped": 6} if batch_size == 500 else sum(found.values()) == 6


def test_one_by_one_in_order_every_step_is_told(bench: Bench) -> None:
    for place, ts in enumerate((MIDDLE, OLDER, NEWER, NEWER)):
        status = "last" if place == 3 else ts
        bench.source.add(f"{place}", ts=ts, licenses=[license_(license_status=status)])
    report = bench.run(batch_size=1, max_workers=1)
    # The two of the same time are one search, and go in one batch.
    assert outcomes(report) == {"inserted": 1, "skipped": 2, "updated": 1}
    assert bench.rows() == [("PH1", "last")]
    assert report.duplicates == [["2_parse.json", "3_parse.json"]]


@pytest.mark.parametrize("batch_size", [1, 500])
def test_of_the_same_search_the_later_path_wins(bench: Bench, batch_size: int) -> None:
    for place in "bac":
        bench.source.add(place, licenses=[license_(license_status=place)])
    bench.source.add_many(10)
    assert bench.run(batch_size=batch_size).count("import.inserted") == 11
    assert bench.rows()[-1] == ("PH1", "c")


def test_the_same_time_with_other_content_updates(bench: Bench) -> None:
    bench.source.add("a", licenses=[license_(license_status="Active")])
    bench.run()
    bench.source.add("a", licenses=[license_(license_status="Closed!")])
    assert outcomes(bench.run()) == {"updated": 1}
    assert bench.rows() == [("PH1", "Closed!")]


def test_a_change_in_the_metadata_alone_updates(bench: Bench) -> None:
    bench.source.add("a", scraper_version="1")
    bench.run()
    bench.source.add("a", scraper_version="2.0")
    assert outcomes(bench.run()) == {"updated": 1}
    assert bench.rows("meta ->> 'scraper_version'") == [("2.0",)]


def test_no_licence_number_is_one_row(bench: Bench) -> None:
    bench.source.add("1", ts=OLDER, licenses=[license_(None, license_status="one")])
    bench.source.add("2", ts=NEWER, licenses=[])
    bench.source.add("3", ts=MIDDLE, licenses=[license_("  ", license_status="three")])
    bench.source.add("4", state="GA", licenses=[])
    report = bench.run()
    assert outcomes(report) == {"inserted": 2, "skipped": 2}
    assert bench.rows("search_state, license_number, license_status", "1") == [
        ("FL", None, None),
        ("GA", None, None),
    ]
    before = bench.versions()
    assert outcomes(bench.run(force=True)) == {"unchanged": 2, "skipped": 2}
    assert bench.versions() == before


def test_every_outcome_in_one_batch(bench: Bench) -> None:
    numbers = {"same": MIDDLE, "older": MIDDLE, "newer": MIDDLE, "other": MIDDLE}
    for number, ts in numbers.items():
        bench.source.add(number, name=number, ts=ts, licenses=[license_(number)])
    bench.run()
    bench.source.add("older", name="older", ts=OLDER, licenses=[license_("older")])
    bench.source.add("newer", name="newer", ts=NEWER, licenses=[license_("newer")])
    bench.source.add("other", name="other", ts=MIDDLE, licenses=[license_("other", zip="1")])
    bench.source.add("new", name="new", ts=OLDER, licenses=[license_("new"), license_("new 2")])
    report = bench.run(force=True)
    assert outcomes(report) == {"inserted": 2, "updated": 2, "skipped": 1, "unchanged": 1}
    assert report.count("import.total_imported") == 4


# --- Database.merge by itself ------------------------------------------------------------------


@contextmanager
def opened(bench: Bench) -> Iterator[tuple[RetryingDatabase, int]]:
    target = open_target(bench.settings(), RetryPolicy(0))
    try:
        yield target.database, target.database.dataset_id("states", "test", None, None)
    finally:
        target.close()


def rows_of(database: Database, dataset_id: int, *licenses: tuple[str | None, int, str]) -> Rows:
    """Rows with these licence numbers, days and statuses."""
    encode = encoder(SEARCH_RESULTS, database.row_format)
    encoded = [
        encode(
            (
                *("Belmar", "FL", MOMENT + timedelta(days=day), number, status),
                *(None,) * (len(SEARCH_RESULTS.columns) - 5),
            )
        )
        for number, day, status in licenses
    ]
    run = {
        "dataset_id": dataset_id,
        "batch_id": "batch_test",
        "if_exists": "newer",
        "repair": False,
    }
    return Rows(STATES.group, run, {0: encoded})


def test_a_repeated_request_gets_the_same_answer_and_writes_nothing(bench: Bench) -> None:
    with opened(bench) as (database, dataset_id):
        database.merge(uuid4(), rows_of(database, dataset_id, ("A", 1, "x"), (None, 5, "x")))
        request = uuid4()
        rows = rows_of(
            database,
            dataset_id,
            *(("A", 2, "y"), (None, 4, "older"), ("B", 1, "loses"), ("B", 2, "wins")),
        )
        answer = database.merge(request, rows)
        assert answer == MergeAnswer({0: "USSI"})
        before = bench.versions()
        assert database.merge(request, rows) == answer
        assert bench.versions() == before
        assert database.merge(uuid4(), rows).outcomes == {0: "=SS="}
        assert bench.versions() == before
        assert bench.rows() == [("A", "y"), ("B", "wins"), (None, "x")]

        assert bench.count("import_merges") == 3
        database.forget_merges("another batch")
        assert bench.count("import_merges") == 3
        database.forget_merges("batch_test")
        assert bench.count("import_merges") == 0


def test_a_request_that_comes_twice_at_once_is_merged_once(bench: Bench) -> None:
    with opened(bench) as (database, dataset_id):
        rows = rows_of(database, dataset_id, *((str(each), 1, "x") for each in range(200)))
        request = uuid4()
        answers: list[MergeAnswer] = []

        def merge() -> None:
            answers.append(database.merge(request, rows))

        run_at_once([merge] * 4)
        assert answers == [MergeAnswer({0: "I" * 200})] * 4
        assert bench.count() == 200


def test_overlapping_merges_neither_deadlock_nor_duplicate(bench: Bench) -> None:
    numbers = [None, *(f"PH{number:03}" for number in range(60))]
    found: Counter[str] = Counter()
    lock = threading.Lock()
    with opened(bench) as (database, dataset_id):

        def merge(seed: int) -> None:
            chance = random.Random(seed)
            for turn in range(12):
                keys = chance.sample(numbers, 45)
                day = chance.randrange(1000)
                rows = rows_of(
                    database, dataset_id, *((key, day, f"{seed}/{turn}/{day}") for key in keys)
                )
                answer = database.retrying(3).merge(uuid4(), rows)
                with lock:
                    found.update(answer.outcomes[0])
                    for key in keys:
                        latest[key] = max(latest.get(key, -1), day)

        latest: dict[str | None, int] = {}
        run_at_once([lambda seed=seed: merge(seed) for seed in range(4)])
    assert found["I"] == len(latest) == bench.count()
    assert sum(found.values()) == 4 * 12 * 45
    stored = {
        number: (ts - MOMENT).days
        for number, ts in bench.rows("license_number, search_ts", "license_number")
    }
    assert stored == latest


def run_at_once(functions: list) -> None:  # type: ignore[type-arg]
    """Runs functions in threads; what one raises is raised."""
    problems: list[BaseException] = []
    barrier = threading.Barrier(len(functions))

    def run(function) -> None:  # type: ignore[no-untyped-def]
        barrier.wait()
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            problems.append(error)

    threads = [threading.Thread(target=run, args=(each,), daemon=True) for each in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "it hangs"
    if problems:
        raise problems[0]


# --- the same on both backends -----------------------------------------------------------------

AWKWARD = [
    "tab\there, newline\nhere, return\rhere",
    "back\\slash, \\N, \\., \\t and \\\\",
    'quotes \' " ` and {braces,"} and $1 %s %(x)s',
    "ünïcödé, 漢字, 🏥, \u2028 and a BOM \ufeff",
    "NUL \0 inside",
    "  spaces around  ",
    "\\u0000 as text",
    "\x01\x1f\x7f control",
    "a" * 100_000,
]


def fill_awkward(bench: Bench) -> None:
    for number, text in enumerate(AWKWARD):
        bench.source.add(
            f"texts/{number}",
            name=text[:200],
            licenses=[
                license_(
                    text[:200],
                    license_status=text,
                    address={"street": text, "suite": "Suite 1", "city": "", "zip_code": 33601},
                    extra={text[:50]: [text, None, True, 1.5, -3, 1e20, {"deep": [[]]}]},
                )
            ],
        )
    dates = ["2/28/2027", "08/05/1997", "Dec 31 2025", "2025-01-02T03:04:05Z", "Not On File"]
    dates += ["2/30/2024", "0001-01-01", "9999-12-31", "", None]  # type: ignore[list-item]
    bench.source.add(
        "dates",
        name="Dates",
        licenses=[license_(f"D{number}", issue_date=each) for number, each in enumerate(dates)],
    )
    times = ["2025-08-04T14:03:10.123456", "2025-08-04T14:03:10+05:30", "2025-08-04", "soon", None]
    for number, ts in enumerate(times):
        bench.source.add(f"times/{number}", name=f"Times {number}", ts=ts)
    bench.source.add("numbers", name="Numbers", licenses=[license_(4711, zip=1.0)])  # type: ignore[arg-type]
    bench.source.add("empty", name="Empty", licenses=[])
    bench.source.add("twice/1", name="Twice", ts=OLDER, licenses=[license_(), license_(None)])
    bench.source.add("twice/2", name="Twice", ts=NEWER, licenses=[license_(), license_(None)])
    bench.source.add("image", name="Image", image="pictures/a.png")
    bench.source.write("pictures/a.png", png(1))
    bench.source.write(
        "bom_parse.json", b"\xef\xbb\xbf" + json.dumps(document(name="Bom")).encode()
    )
    bench.source.write("broken_parse.json", b"{")


def test_both_backends_end_with_the_same_contents(
    postgresql_bench: Bench, supabase_bench_shared: Bench
) -> None:
    contents = []
    for bench in (postgresql_bench, supabase_bench_shared):
        fill_awkward(bench)
        report = bench.run()
        assert report.exit_code == 3
        assert [failure.path for failure in report.failures] == ["broken_parse.json"]
        found = (
            outcomes(report),
            {name: value for name, value in report.counts.items() if name.startswith("cleaned.")},
        )
        tables = [
            query(
                bench.url,
                f"SELECT * FROM (SELECT {columns_of(bench, table)} FROM {table}) AS one"
                f" ORDER BY one::text",
            )
            for table in TABLES
        ]
        contents.append((found, tables))
    assert contents[0][1] == contents[1][1]
    assert contents[0][0] == contents[1][0]
    rows = contents[0][1][TABLES.index("search_results")]
    assert len(rows) == len(AWKWARD) + 10 + 5 + 1 + 1 + 2 + 1 + 1


def columns_of(bench: Bench, table: str) -> str:
    """The columns that do not hang on when and whither a row was written."""
    left_out = {
        "id",
        "batch_id",
        "inserted_by",
        "created_at",
        "updated_at",
        "first_seen",
        "storage_type",
    }
    names = query(
        bench.url,
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " ORDER BY attname",
        table,
    )
    return ", ".join(name for (name,) in names if name not in left_out)


def test_texts_arrive_as_they_are(bench: Bench, tmp_path: Path) -> None:
    for number, text in enumerate(AWKWARD):
        bench.source.add(f"{number}", name=f"{number}", licenses=[license_(license_status=text)])
    bench.run()
    stored = bench.rows("license_status, raw -> 'search_result' -> 'licenses' -> 0", "search_name")
    for text, (status, raw) in zip(AWKWARD, stored, strict=True):
        assert status == text.replace("\0", "").strip()
        assert raw["license_status"] == text.replace("\0", "")
