"""What failed for good makes no run exit with 3 any more once it is acknowledged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imports.cli.acknowledge import acknowledge_failed
from imports.cli.report import render_report, render_verification
from imports.cli.status import read_status, render_status, status_json
from imports.run.report import RunReport
from tests.support import people
from tests.support.bench import Bench, one_backend
from tests.support.device_tests import BROKEN, add, add_many, run


def acknowledge(bench: Bench, *paths: str, **flags: Any) -> list[str]:
    settings = bench.settings(**flags)
    return acknowledge_failed(settings, settings.ledger_file, list(map(Path, paths)), None, "test")


def outcome(report: RunReport) -> tuple[int, int, int]:
    """The exit code, and how many failed and are acknowledged."""
    return report.exit_code, report.failures_total, report.acknowledged


@one_backend
def test_each_run_exits_with_3_until_it_is_acknowledged(bench: Bench) -> None:
    add_many(bench.source.folder, 3)
    bad = add(bench.source.folder, "bad", BROKEN)
    worse = add(bench.source.folder, "worse", BROKEN)
    for _ in range(4):
        report = run(bench)
    assert outcome(report) == (3, 2, 0)
    assert (
        "To acknowledge the failed ones, so that they no longer count:  " in report.next_commands[0]
    )
    assert " acknowledge --kind folders --tag test --all" in report.next_commands[0]

    acknowledge(bench, str(bad))
    report = run(bench)
    assert outcome(report) == (3, 1, 1)
    assert "Acknowledged: 1 (see status)" in render_report(report)

    acknowledge(bench)
    found = read_status(bench.state_file, bench.settings().ledger_file)
    text = render_status(found, bench.state_file)
    assert "failed: 0" in text
    assert "acknowledged: 2" in text
    assert "To retry the failed items" not in text, "the last run is told so, too"
    report = run(bench)
    assert outcome(report) == (0, 0, 2)
    assert "everything is already imported, except acknowledged items." in render_report(report)
    assert report.count("planning.acknowledged") == 2
    verified = bench.verify(kind="folders")
    assert (verified.clean, verified.failed, verified.acknowledged) == (True, 0, 2)
    assert "2 acknowledged as failed, so not compared" in render_verification(verified)[1]
    (scope,) = status_json(read_status(bench.state_file, bench.settings().ledger_file))["scopes"]
    assert (scope["success"], scope["failed"], scope["acknowledged"]) == (3, 0, 2)
    assert [each["file"] for each in scope["acknowledgements"]] == [str(bad), str(worse)]

    (bad / "notes.txt").write_text("a change that mends nothing")
    assert outcome(run(bench)) == (3, 1, 1)
    assert outcome(run(bench, retry_failed=True)) == (3, 2, 0)


@one_backend
def test_a_scan_does_not_fail_for_what_is_acknowledged(bench: Bench) -> None:
    add_many(bench.source.folder, 1)
    bench.source.folder.joinpath("to-nowhere").symlink_to("/nowhere/at/all")
    assert run(bench, scan_only=True).exit_code == 3
    acknowledge(bench)
    report = run(bench, scan_only=True)
    assert (report.exit_code, report.scanned.acknowledged if report.scanned else 0) == (0, 1)
    assert outcome(run(bench)) == (0, 0, 1)


@one_backend
def test_a_file_that_would_be_moved_away_stays_once_it_is_acknowledged(bench: Bench) -> None:
    log = bench.folder / "progress.csv"
    flags = {"kind": "people", "progress_csv": log}
    source = bench.source.folder
    people.write(source, "part.json", [people.person("p-1"), {}])
    assert outcome(bench.run(**flags, on_failure="keep")) == (3, 1, 0)
    acknowledge(bench, "part.json")
    assert outcome(bench.run(**flags, on_failure="keep")) == (0, 0, 1)
    assert outcome(bench.run(**flags)) == (0, 0, 1)
    assert people.files(source) == ["part.json"]
    (row,) = people.progress(log, source).values()
    assert row["status"] == "ACKNOWLEDGED"


@one_backend
def test_what_was_moved_away_needs_no_acknowledgement(bench: Bench) -> None:
    people.write(bench.source.folder, "part.json", [people.person("p-1"), {}])
    assert [outcome(bench.run(kind="people", no_progress_csv=True)) for _ in range(2)] == [
        (3, 1, 0),
        (0, 0, 0),
    ]
    lines = acknowledge(bench, "part.json")
    assert lines == [
        "part.json (people, tag test) does not count as failed.",
        "Nothing to acknowledge.",
    ]
