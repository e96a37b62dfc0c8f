"""Listing without importing, batches with a pause between them, and the ledger's views of it."""

from __future__ import annotations

import os
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from imports import ResilientImporter
from imports.cli.report import render_report
from imports.cli.status import read_status, render_status, status_json
from imports.items.phase import Phase
from tests.support.bench import Bench, one_backend
from tests.support.database import query
from tests.support.device_tests import (
    BATCHES_QUERY,
    BROKEN,
    add,
    add_many,
    ask_ledger,
    rows,
    run,
    states_of,
    status_files,
)
from tests.support.patience import within_seconds
from tests.support.stopper import Stopper

FOLDERS = 40
SUMS = "SELECT sum(total_folders), sum(successful_uploads), sum(failed_uploads) FROM upload_batches"


def ledger(bench: Bench) -> Path:
    return bench.settings().ledger_file


# --- scan only ---------------------------------------------------------------------------------


def test_a_scan_alone_imports_nothing(bench: Bench) -> None:
    source = bench.source.folder
    folders = add_many(source, FOLDERS, images=3)
    report = run(bench, scan_only=True)
    assert (report.exit_code, report.state.status) == (0, "completed")
    assert report.scanned is not None
    assert (report.scanned.total, report.scanned.new) == (FOLDERS, FOLDERS)
    assert "Scanned only: 40 folders to import." in render_report(report)
    assert "To import:" in report.next_commands[0]
    assert [bench.count(table) for table in ("datasets", "device_test", "image_assets")] == [0] * 3
    assert status_files(source) == {}
    assert states_of(ledger(bench)) == {"pending": FOLDERS}
    stamp = (folders[7] / "stats.json").stat().st_mtime
    (row,) = ask_ledger(
        ledger(bench),
        "SELECT folder_path, last_modified, file_count, length(file_hash), upload_status,"
        " upload_timestamp, error_message, retry_count, created_at <= updated_at, kind, tag"
        " FROM folder_status WHERE folder_name = 'Test00007'",
    )
    assert row[0] == str(source / "line-7/Test00007")
    assert row[1] == pytest.approx(stamp, abs=1e-6)
    assert row[2:] == (1, 32, "pending", None, None, 0, 1, "folders", "test")

    whole = run(bench)
    assert (whole.exit_code, whole.count("import.inserted")) == (0, FOLDERS)
    assert whole.count("upload.completed") == 3
    assert states_of(ledger(bench)) == {"success": FOLDERS}


@one_backend
def test_a_scan_after_an_import_tells_what_is_new(bench: Bench) -> None:
    folders = add_many(bench.source.folder, 10)
    add(bench.source.folder, "broken", BROKEN)
    run(bench)
    before = bench.versions()
    add(bench.source.folder, "new", {})
    os.utime(folders[3] / "stats.json", (0, 0))
    for _ in range(2):  # to scan again changes nothing
        report = run(bench, scan_only=True)
        assert (report.exit_code, bench.versions()) == (0, before)
        assert report.scanned is not None
        assert (report.scanned.unchanged, report.scanned.given_up) == (9, 1)
        assert "9 imported before, 1 failed before, 0 unreadable" in render_report(report)
        assert states_of(ledger(bench)) == {"success": 9, "pending": 2, "failed": 1}
    pending = ask_ledger(
        ledger(bench),
        "SELECT folder_name FROM folder_status WHERE upload_status = 'pending' ORDER BY 1",
    )
    assert pending == [("Test00003",), ("new",)]
    done = run(bench)
    assert done.count("import.inserted") + done.count("import.updated") == 2
    assert done.exit_code == 3
    assert done.failures[0].tries == 2


@one_backend
@pytest.mark.parametrize("flags", [{"force": True}, {"retry_failed": True}])
def test_a_scan_alone_resets_nothing(bench: Bench, flags: dict[str, Any]) -> None:
    add_many(bench.source.folder, 5)
    add(bench.source.folder, "broken", BROKEN)
    run(bench)
    report = run(bench, scan_only=True, **flags)
    assert report.scanned is not None
    assert (report.scanned.unchanged, report.scanned.given_up) == (5, 1)
    assert states_of(ledger(bench)) == {"success": 5, "failed": 1}
    assert "Given up" not in render_report(report)
    again = run(bench)
    assert (again.count("planning.unchanged"), again.failures[0].tries) == (5, 2)


def test_verification_after_a_scan(bench: Bench) -> None:
    """The scan's work state has no dataset yet."""
    add_many(bench.source.folder, 6, images=2)
    run(bench)
    run(bench, scan_only=True)
    found = bench.verify(kind="folders", deep=True)
    assert (found.found, found.records, found.images) == ({}, 6, 2)
    query(bench.url, "DELETE FROM device_test WHERE folder_name = 'Test00001'")
    run(bench, scan_only=True)
    assert bench.verify(kind="folders", repair=True).clean
    assert len(rows(bench.url)) == 6
    assert bench.count("datasets") == 1


@one_backend
def test_verification_of_what_was_only_scanned(bench: Bench) -> None:
    add_many(bench.source.folder, 6)
    run(bench, scan_only=True)
    found = bench.verify(kind="folders")
    assert (found.found, found.left, found.repairable) == ({}, 6, False)


@one_backend
def test_a_scan_keeps_the_parameters_of_an_interrupted_run(bench: Bench) -> None:
    add_many(bench.source.folder, 20)
    stopper = Stopper(Phase.IMPORT, 1)
    settings = bench.settings(kind="folders", batch_size=5, max_workers=1)
    first = ResilientImporter(settings, stopper, stopper.stop).run()
    assert first.exit_code == 130
    scan = run(bench, scan_only=True, batch_size=7, patterns=("stats.json",))
    assert scan.state.parameters == first.state.parameters
    whole = run(bench, batch_size=4)
    assert (whole.exit_code, whole.count("import.inserted")) == (0, 20)
    assert whole.state.parameters["batch_size"] == 4


def test_a_scan_leaves_an_interrupted_run_to_be_resumed(bench: Bench) -> None:
    source = bench.source.folder
    add_many(source, FOLDERS, images=2)
    stopper = Stopper(Phase.IMPORT, 2)
    settings = bench.settings(kind="folders", batch_size=5, max_workers=1)
    first = ResilientImporter(settings, stopper, stopper.stop).run()
    imported = first.count("import.inserted")
    assert (first.exit_code, 0 < imported < FOLDERS) == (130, True)

    add(source, "new", {"device_id": "new"})
    scan = run(bench, scan_only=True)
    assert scan.state.status == "interrupted"
    assert scan.state.run_id == first.state.run_id
    assert len(rows(bench.url)) == imported
    assert states_of(ledger(bench)) == {"success": imported, "pending": FOLDERS + 1 - imported}

    whole = run(bench)
    assert (whole.exit_code, whole.state.run_id) == (0, first.state.run_id)
    assert whole.count("import.inserted") == FOLDERS + 1 == len(rows(bench.url))
    assert bench.verify(kind="folders", deep=True).clean


@one_backend
def test_a_scan_of_files(bench: Bench) -> None:
    bench.source.add_many(5)
    report = bench.run(scan_only=True)
    assert "Scanned only: 5 files" in render_report(report)
    assert bench.count() == bench.count("datasets") == 0
    assert bench.run().count("import.inserted") == 5


# --- batches -----------------------------------------------------------------------------------


@one_backend
def test_batches_add_up(bench: Bench) -> None:
    add_many(bench.source.folder, FOLDERS)
    add(bench.source.folder, "broken", BROKEN)
    began = time.time()
    report = run(bench, batch_size=15)
    (sums,) = ask_ledger(ledger(bench), SUMS)
    assert sums == (FOLDERS, FOLDERS, 0)
    last = ask_ledger(ledger(bench), BATCHES_QUERY)
    assert sorted(row[1:] for row in last) == [(10, 0), (15, 0), (15, 0)]
    names = {row[0] for row in last}
    assert names == {f"batch {n} of {report.state.run_name}" for n in (1, 2, 3)}
    for start, end, status in ask_ledger(
        ledger(bench), "SELECT start_time, end_time, status FROM upload_batches"
    ):
        assert began <= start <= end <= time.time()
        assert status == "completed"
    assert run(bench).count("planning.unchanged") == FOLDERS
    assert ask_ledger(ledger(bench), SUMS) == [sums]


def test_a_batch_counts_what_failed_in_it(bench: Bench) -> None:
    add_many(bench.source.folder, 9, images=9)
    for number in (2, 5):
        add(bench.source.folder, f"line-{number}/Test{number:05}", BROKEN)
    run(bench, batch_size=3, max_workers=1)
    assert ask_ledger(ledger(bench), SUMS) == [(9, 7, 2)]
    found = ask_ledger(ledger(bench), "SELECT failed_uploads FROM upload_batches ORDER BY batch_id")
    assert found == [(1,), (1,), (0,)]


@one_backend
def test_a_delay_between_batches(bench: Bench) -> None:
    """They come one after the other then, however many workers there are."""
    delay = 0.05
    add_many(bench.source.folder, 20)
    report = run(bench, batch_size=5, batch_delay=delay, max_workers=8)
    assert (report.exit_code, report.count("import.completed_batches")) == (0, 4)
    times = ask_ledger(
        ledger(bench), "SELECT start_time, end_time FROM upload_batches ORDER BY batch_id"
    )
    pauses = [after[0] - before[1] for before, after in pairwise(times)]
    assert len(pauses) == 3
    assert min(pauses) >= delay * 0.9


@one_backend
def test_no_delay_behind_the_last_batch(bench: Bench) -> None:
    add_many(bench.source.folder, 5)
    stop = threading.Event()
    patience = threading.Timer(8, stop.set)
    patience.start()
    settings = bench.settings(kind="folders", batch_size=5, batch_delay=600)
    report = ResilientImporter(settings, stop=stop).run()
    patience.cancel()
    assert (report.exit_code, report.count("import.inserted")) == (0, 5)


@one_backend
def test_a_stop_is_heard_in_the_delay(bench: Bench) -> None:
    add_many(bench.source.folder, 20)
    stopper = Stopper(Phase.IMPORT, 1)
    settings = bench.settings(kind="folders", batch_size=5, batch_delay=600)
    with within_seconds(60):
        report = ResilientImporter(settings, stopper, stopper.stop).run()
    assert (report.exit_code, report.count("import.inserted")) == (130, 5)
    assert run(bench).count("import.inserted") == 20


# --- status ------------------------------------------------------------------------------------


@one_backend
def test_the_status(bench: Bench) -> None:
    add_many(bench.source.folder, 12)
    for number in range(3):
        add(bench.source.folder, f"broken {number}", b'{"a": %d,}' % 10**number)
    run(bench, batch_size=5)
    add(bench.source.folder, "new", {})
    run(bench, scan_only=True, max_retries=1)
    bench.source.add_many(2)
    bench.run(tag="other")

    status = read_status(bench.state_file, ledger(bench))
    assert [(each.kind, each.tag, each.total) for each in status.scopes] == [
        ("states", "other", 2),
        ("folders", "test", 16),
    ]
    only = read_status(bench.state_file, ledger(bench), "folders", "test")
    (scope,) = only.scopes
    assert (scope.succeeded, scope.pending, scope.failed) == (12, 1, 3)
    assert sum(batch.items for batch in scope.batches) == 12
    (cause,) = scope.causes
    assert (cause.items, cause.path, cause.tries) == (3, "broken 0", 1)
    assert only.last_run is None
    shown = render_status(only, bench.state_file)
    for words in (
        f"STATUS REPORT: folders from {bench.source.folder}, tag test",
        "Total tracked: 16",
        "  success: 12",
        "  pending: 1",
        "  failed: 3",
        "Recent batches:",
        "5/5 successful",
        "3 × stats.json is not JSON",
        "example: broken 0: stats.json is not JSON",
    ):
        assert words in shown, words
    plain = status_json(only)["scopes"]
    assert [each["success"] for each in plain] == [12]
    assert plain[0]["causes"][0]["items"] == 3
    assert read_status(bench.state_file, ledger(bench), "people").scopes == []
