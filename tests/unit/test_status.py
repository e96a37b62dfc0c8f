from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from imports.status import render_status
from imports.work_state import FailedItem
from tests.support.reports import work_state

FILE = Path("work_state.json")


def test_where_there_was_no_run_the_first_command_is_offered() -> None:
    text = render_status(None, FILE)
    assert "No run yet" in text
    assert "work_state.json" in text
    assert " states DIR --tag TAG" in text


def test_the_last_run_is_told_with_its_counts_and_target() -> None:
    text = render_status(work_state(work_items_remaining=12), FILE)
    for part in (
        "/data/2025-08-04",
        "Aug-04-scrape",
        "Dataset ID: 32",
        "PostgreSQL, mydb at db.example",
        "batch_20251118_120000_1a2b3c",
        "Files: 515, not yet finished 12, failed 0",
    ):
        assert part in text
    (line,) = [line for line in text.splitlines() if line.strip().startswith("sha256")]
    assert line.split() == ["sha256", "completed", "2.3s", "processed", "514"]


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (timedelta(seconds=5), "5 s ago"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=2), "2 d ago"),
        (timedelta(seconds=-100), "0 s ago"),
    ],
)
def test_its_age_is_told(age: timedelta, shown: str) -> None:
    assert shown in render_status(work_state(last_update=datetime.now(UTC) - age), FILE)


def test_a_finished_run_can_be_verified() -> None:
    assert render_status(work_state(), FILE).splitlines()[-1].endswith(" verify")


@pytest.mark.parametrize("status", ["running", "interrupted", "failed"])
def test_an_unfinished_run_can_be_resumed_by_its_own_command(status: str) -> None:
    state = work_state(status=status, source="/data/my scrape", tag="it's")
    last = render_status(state, FILE).splitlines()[-1]
    assert last.startswith("To resume:  ")
    assert last.endswith(""" states '/data/my scrape' --tag 'it'"'"'s'""")


def test_another_state_file_stands_in_the_command() -> None:
    last = render_status(work_state(status="interrupted"), Path("runs/a.json")).splitlines()[-1]
    assert last.endswith(" --state-file runs/a.json")
    assert "--state-file" not in render_status(work_state(), FILE)


def test_a_run_over_one_file_is_resumed_over_that_file() -> None:
    state = work_state(status="interrupted", single_file="FL/a_parse.json")
    assert "--single-file /data/2025-08-04/FL/a_parse.json" in render_status(state, FILE)


def test_failures_are_told_the_first_ones_with_what_tries_them_again() -> None:
    failed = [
        FailedItem(path=f"FL/{number}.json", phase="import", reason="refused", tries=2)
        for number in range(30)
    ]
    text = render_status(work_state(failed_items=failed, failed_items_total=300), FILE)
    assert "failed 300" in text
    assert "failed: FL/0.json: refused (import, tried 2×)" in text
    assert text.count("failed: ") == 10
    assert "290 more failed" in text
    assert text.splitlines()[-1].startswith("To try the failed ones again:  ")
