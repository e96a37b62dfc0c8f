"""What failed is tried again by so many runs, and every failure is remembered."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from imports import ResilientImporter
from imports.cli.report import render_report
from imports.items.phase import Phase
from imports.run.display import SilentDisplay
from tests.integration.conftest import Waits
from tests.support.bench import Bench, one_backend
from tests.support.database import query
from tests.support.device_tests import (
    BROKEN,
    FAILED_QUERY,
    add,
    add_many,
    ask_ledger,
    rows,
    run,
    status_file,
)
from tests.support.source import png
from tests.support.stopper import Stopper

ERRORS = "SELECT folder_path, phase, error_message, batch_id, failed_at FROM folder_errors"


def tries(bench: Bench) -> list[int]:
    """How many runs have tried each failed folder, by its name."""
    found = ask_ledger(
        bench.settings().ledger_file,
        "SELECT retry_count FROM folder_status WHERE upload_status = 'failed' ORDER BY folder_name",
    )
    return [row[0] for row in found]


@pytest.fixture
def failing(bench: Bench) -> Path:
    """Two folders that fail, in planning and in the import, among some that do not."""
    add_many(bench.source.folder, 5)
    add(bench.source.folder, "with image", BROKEN, {"a.png": png(1)})
    return add(bench.source.folder, "without", BROKEN)


@one_backend
def test_three_runs_try_and_no_more(bench: Bench, failing: Path) -> None:
    for number in (1, 2, 3):
        report = run(bench)
        assert (report.exit_code, report.failures_total) == (3, 2)
        assert report.count("planning.to_import") == (7 if number == 1 else 2)
        assert report.count("planning.given_up") == 0
        assert [each.tries for each in report.failures] == [number, number]
    before = bench.versions()
    for _ in range(2):
        report = run(bench)
        assert (report.exit_code, report.failures_total) == (3, 2)
        assert (report.count("planning.to_import"), report.count("planning.given_up")) == (0, 2)
        shown = render_report(report)
        assert "Given up: 2 that failed too often" in shown
        assert "--retry-failed" in report.next_commands[-1]
        assert "Done, with problems." in shown
    assert bench.versions() == before
    assert tries(bench) == [3, 3]


@one_backend
def test_both_ways_to_try_all_the_same(bench: Bench, failing: Path) -> None:
    for _ in range(4):
        run(bench)
    assert tries(bench) == [3, 3]
    assert run(bench, retry_failed=True).count("planning.to_import") == 2
    assert tries(bench) == [4, 4]
    assert run(bench, max_retries=4).count("planning.given_up") == 2
    assert run(bench, max_retries=6).count("planning.to_import") == 2
    assert run(bench, max_retries=6).count("planning.to_import") == 2
    assert run(bench, max_retries=6).count("planning.given_up") == 2
    assert tries(bench) == [6, 6]
    assert run(bench, force=True).count("planning.to_import") == 7
    assert tries(bench) == [7, 7]
    single = run(bench, single_file=failing)
    assert (single.exit_code, single.count("planning.to_import")) == (3, 1)
    assert sorted(tries(bench)) == [7, 8]


@one_backend
@pytest.mark.parametrize("most", [0, 1])
def test_a_lower_limit(bench: Bench, failing: Path, most: int) -> None:
    assert run(bench, max_retries=most).count("planning.to_import") == 7
    report = run(bench, max_retries=most)
    assert (report.exit_code, report.count("planning.given_up")) == (3, 2)
    assert tries(bench) == [1, 1]


@one_backend
def test_a_change_of_its_files_begins_anew(bench: Bench, failing: Path) -> None:
    for _ in range(4):
        run(bench)
    (failing / "notes.txt").write_text("a change that mends nothing")
    report = run(bench)
    assert (report.count("planning.to_import"), report.count("planning.given_up")) == (1, 1)
    assert tries(bench) == [3, 1]
    (failing / "stats.json").write_text("{}")
    report = run(bench)
    assert (report.exit_code, report.count("import.inserted")) == (3, 1)
    assert report.count("planning.given_up") == 1
    assert status_file(failing)["status"] == "success"
    assert tries(bench) == [3]


def test_what_the_target_refused_goes_in_once_it_does_not(bench: Bench, waits: Waits) -> None:
    add_many(bench.source.folder, 10)
    query(
        bench.url,
        "ALTER TABLE device_test ADD CONSTRAINT proper CHECK (device_id <> 'D-00003')",
    )
    try:
        for number in (1, 2):
            report = run(bench)
            (failure,) = report.failures
            assert (failure.path, failure.phase) == ("line-3/Test00003", "import")
            assert (failure.tries, len(rows(bench.url))) == (number, 9)
            assert "proper" in failure.reason
        failed = status_file(bench.source.folder / failure.path, "failed")
        assert failed["reason"] == failure.reason
    finally:
        query(bench.url, "ALTER TABLE device_test DROP CONSTRAINT proper")
    report = run(bench)
    assert (report.exit_code, report.count("import.inserted"), len(rows(bench.url))) == (0, 1, 10)
    # Its failures are still told.
    assert len(ask_ledger(bench.settings().ledger_file, ERRORS)) == 2


@one_backend
def test_every_failure_is_remembered(bench: Bench, failing: Path) -> None:
    began = time.time()
    run_names = [run(bench).state.run_name for _ in range(4)]
    ledger = bench.settings().ledger_file
    found = ask_ledger(ledger, f"{ERRORS} ORDER BY failed_at, folder_path")
    source = bench.source.folder
    assert [row[:2] for row in found if row[1] == "planning"] == [
        (str(source / "without"), "planning")
    ] * 3
    assert [row[:2] for row in found if row[1] == "import"] == [
        (str(source / "with image"), "import")
    ] * 3
    assert {row[3] for row in found} == set(run_names[:3])
    assert all("not JSON" in row[2] and began <= row[4] <= time.time() for row in found)
    failed = dict(ask_ledger(ledger, FAILED_QUERY))
    assert set(failed) == {"with image", "without"}
    assert all("not JSON" in reason for reason in failed.values())


@one_backend
def test_a_run_that_is_resumed_is_one_try(bench: Bench) -> None:
    add_many(bench.source.folder, 30)
    add(bench.source.folder, "broken", BROKEN)
    for _ in range(4):
        stopper = Stopper(Phase.IMPORT, 1)
        settings = bench.settings(kind="folders", batch_size=2, max_workers=1, limit=None)
        report = ResilientImporter(settings, stopper, stopper.stop).run()
        assert report.exit_code == 130
    report = run(bench)
    assert (report.exit_code, [each.tries for each in report.failures]) == (3, [1])
    assert report.count("import.inserted") == 30


@one_backend
def test_files_that_fail_are_given_up_too(bench: Bench) -> None:
    bench.source.add_many(2)
    bench.source.write("bad_parse.json", b"{")
    assert [bench.run().count("planning.given_up") for _ in range(4)] == [0, 0, 0, 1]
    report = bench.run()
    assert (report.exit_code, report.failures[0].tries) == (3, 3)
    bench.source.add("bad", name="Mended")
    assert bench.run().exit_code == 0


@one_backend
def test_what_failed_does_not_hold_up_the_others(bench: Bench) -> None:
    """It is tried behind what never failed."""
    add_many(bench.source.folder, 4)
    query(bench.url, "ALTER TABLE device_test ADD CONSTRAINT none CHECK (false) NOT VALID")
    try:
        assert run(bench).failures_total == 4
    finally:
        query(bench.url, "ALTER TABLE device_test DROP CONSTRAINT none")
    add(bench.source.folder, "zz new", {})
    display = SilentDisplay()
    ResilientImporter(bench.settings(kind="folders", batch_size=1, max_workers=1), display).run()
    order = query(bench.url, "SELECT folder_name FROM device_test ORDER BY id LIMIT 1")
    assert order == [("zz new",)]
