"""The progress log of a run, as the ledger has it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from imports.display_text import shown
from imports.items.source import Source
from imports.items.work_item import ItemState
from imports.kinds import kind_named
from imports.ledger import ItemProgress
from imports.run.consuming import progress_log as subject
from imports.run.consuming.progress_csv import ProgressRow, read_progress
from imports.run.consuming.progress_log import progress_log
from imports.settings import PROGRESS_CSV, Settings
from tests.support.session import PeopleBench

SOURCE = Source("/data", ("*.json",))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[PeopleBench]:
    bench = PeopleBench(tmp_path)
    yield bench
    bench.close()


def row(
    state: ItemState,
    records: int | None,
    succeeded: int = 0,
    refused: int = 0,
    began_at: float | None = 1_000.0,
    ended_at: float | None = None,
) -> ProgressRow:
    item = ItemProgress("a.json", state, records, succeeded, refused, began_at, ended_at)
    return subject._row(item, SOURCE)


def test_what_is_under_way_has_begun_and_not_ended() -> None:
    assert row(ItemState.PLANNED, 10) == ProgressRow(
        "/data/a.json", 10, 0, 0, None, "IN_PROGRESS", "1970-01-01T00:16:40.000+00:00", ""
    )


def test_what_is_acknowledged_is_not_called_failed() -> None:
    failed = ItemProgress("a.json", ItemState.FAILED, 3, 2, 1, 1_000.0, 1_001.0)
    assert subject._row(failed, SOURCE).status == "FAILED"
    assert subject._row(failed._replace(acknowledged=1), SOURCE).status == "ACKNOWLEDGED"


def test_what_is_done_has_its_counts_and_its_time() -> None:
    assert row(ItemState.IMPORTED, 10, 10, 0, 1_000.0, 1_002.3456) == ProgressRow(
        "/data/a.json",
        10,
        10,
        0,
        2.346,
        "COMPLETED",
        "1970-01-01T00:16:40.000+00:00",
        "1970-01-01T00:16:42.345+00:00",
    )


def test_a_failed_item_has_its_imported_records() -> None:
    found = row(ItemState.FAILED, 10, 9, 1, 1_000.0, 1_001.0)
    assert found[1:6] == (10, 9, 1, 1.0, "FAILED")


def test_the_end_of_an_earlier_import_is_none_of_one_under_way() -> None:
    found = row(ItemState.PLANNED, 10, 3, 1, 1_000.0, 900.0)
    assert (found.completed_at, found.processing_time_seconds) == ("", None)


@pytest.mark.parametrize(
    ("records", "state", "ended", "total"),
    [
        (None, ItemState.PLANNED, None, None),
        (None, ItemState.IMPORTED, 1_001.0, 7),
        (None, ItemState.FAILED, 1_001.0, 7),
        (0, ItemState.IMPORTED, 1_001.0, 0),
    ],
)
def test_how_many_a_large_file_has_is_known_at_its_end(
    records: int | None, state: ItemState, ended: float | None, total: int | None
) -> None:
    assert row(state, records, 5, 2, 1_000.0, ended).total_profiles == total


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    found = row(ItemState.IMPORTED, 1, 1, 0, 1_000.0, 900.0)
    assert found.processing_time_seconds == 0.0


def test_what_an_older_ledger_does_not_know_is_left_empty() -> None:
    found = row(ItemState.IMPORTED, None, began_at=None, ended_at=None)
    assert found[1:] == (None, 0, 0, None, "COMPLETED", "", "")


# Whether there is one


def wanted(bench: PeopleBench, kind: str = "people", only: str | None = None, **flags: Any) -> bool:
    found = Settings(kind=kind, **flags)
    scope = bench.session("x", only).scope
    log = progress_log(found, kind_named(kind), scope, SOURCE)
    if log is not None:
        log.close()
    return log is not None


def test_there_is_one_of_whole_sources_that_are_consumed_and_where_it_is_asked_for(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench.base)
    assert wanted(bench)
    assert not wanted(bench, "states")
    assert not wanted(bench, only="a.json")
    assert wanted(bench, only="a.json", progress_csv="p.csv")
    assert wanted(bench, "states", progress_csv="p.csv")
    assert not wanted(bench, no_progress_csv=True)
    assert not wanted(bench, progress_csv="p.csv", no_progress_csv=True)
    assert not wanted(bench, scan_only=True)
    assert not PROGRESS_CSV.parent.exists(), "nothing is written yet"


@pytest.mark.parametrize("name", ["p.csv", "p [1].csv", "*.csv"])
def test_what_killed_runs_left_half_written_is_removed(bench: PeopleBench, name: str) -> None:
    draft = bench.base / f".{name}.1234.part"
    other = bench.base / ".other.csv.1234.part"
    for path in (draft, other):
        path.write_text("half")
    assert wanted(bench, progress_csv=bench.base / name)
    assert not draft.exists()
    assert other.exists()


# Whole runs


def rows(bench: PeopleBench) -> dict[str, ProgressRow]:
    found = list(read_progress(bench.base / "p.csv"))
    by_path = {Path(each.file_path).relative_to(bench.folder).as_posix(): each for each in found}
    assert len(by_path) == len(found)
    return by_path


def run(bench: PeopleBench, run_name: str = "batch", **flags: object) -> None:
    bench.run(run_name, progress_csv=bench.base / "p.csv", **flags)


def test_a_run_ends_with_a_row_for_each_file(bench: PeopleBench) -> None:
    bench.add("good.json", "A", "B")
    bench.add("bad.json", "C", None)
    bench.add("empty.json")
    bench.write("broken.json", b"{")
    run(bench)
    found = rows(bench)
    assert {path: (each.status, *each[1:4]) for path, each in found.items()} == {
        "good.json": ("COMPLETED", 2, 2, 0),
        "bad.json": ("FAILED", 2, 1, 1),
        "empty.json": ("COMPLETED", 0, 0, 0),
        "broken.json": ("FAILED", 0, 0, 0),
    }
    for each in found.values():
        assert each.processing_time_seconds is not None
        began, ended = map(datetime.fromisoformat, (each.started_at, each.completed_at))
        assert began <= ended


def test_files_of_earlier_runs_keep_their_rows_and_mended_ones_get_new_ones(
    bench: PeopleBench,
) -> None:
    bench.add("good.json", "A")
    bench.add("bad.json", None)
    run(bench)
    first = rows(bench)
    bench.add("bad.json", "B")
    bench.add("new.json", "C")
    run(bench, "next")
    found = rows(bench)
    assert found["good.json"] == first["good.json"]
    assert {path: each.status for path, each in found.items()} == dict.fromkeys(
        ("good.json", "bad.json", "new.json"), "COMPLETED"
    )


@pytest.mark.parametrize("name", ["=1+1.json", "薬局 \U0001f469.json", 'a,"b".json', "a\nb.json"])
def test_files_of_any_name_have_a_row(bench: PeopleBench, name: str) -> None:
    bench.add(name, "A")
    run(bench)
    assert list(rows(bench)) == [shown(name)]
    with (bench.base / "p.csv").open(encoding="utf-8", newline="") as file:
        assert [len(line) for line in csv.reader(file)] == [8, 8]


def test_a_log_that_cannot_be_written_any_more_stops_nothing_and_gives_one_warning(
    bench: PeopleBench,
) -> None:
    bench.add("a.json", "A")
    session = bench.session(progress_csv=bench.base / "p.csv")
    # Something else has come in its place since the run began.
    (bench.base / "p.csv").mkdir()
    bench.go(session)
    assert bench.database.people == ["A"]
    assert bench.left() == []
    assert len([each for each in bench.said if "continues without it" in each]) == 1
