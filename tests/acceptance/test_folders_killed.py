"""`kill -9` of an import of folders: the same command again ends as one that was never killed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import Workplace
from tests.support.contents import assets, count, counting, counting_images, stored_images
from tests.support.device_tests import add_many, ask_ledger, rows, states_of, status_files
from tests.support.target import Target

SIZES = {"postgresql": (700, 40), "supabase": (400, 20)}
"""Folders, and how many of them have an image. More than 600 are read by worker processes."""

BATCHES = (
    "SELECT count(*), sum(total_folders), sum(successful_uploads), sum(failed_uploads)"
    " FROM upload_batches"
)


def command(source: Path, tag: str = "killed") -> list[object]:
    return ["folders", source, "--tag", tag, "--batch-size", 25]


def kill_when(place: Workplace, source: Path, condition: Callable[[], bool]) -> bool:
    """Starts the command and kills it as soon as the condition holds; whether some is left."""
    if not place.killed_when(condition, *command(source)):
        return False
    # At its very end there is nothing left to be resumed.
    state = place.folder / "work_state.json"
    return not state.exists() or place.state["status"] != "completed"


def check_whole(place: Workplace, target: Target, source: Path) -> None:
    """All is as an uninterrupted run leaves it; that is asked of such a run, with another tag."""
    folders, images = SIZES[target.backend]
    url = target.database_url
    state, imported = place.state, place.counts("import")
    assert state["status"] == "completed"
    told = status_files(source)
    assert sorted(told) == [f"line-{n % 10}/Test{n:05}/success.json" for n in _by_line(folders)]
    batches = ask_ledger(place.folder / "upload_tracker.db", BATCHES)
    assert states_of(place.folder / "upload_tracker.db") == {"success": folders}
    assert count(url, "import_merges") == 0
    listed = {row["storage_path"]: row["content_hash"] for row in assets(url)}
    assert len(listed) == images
    assert stored_images(target, place.folder) == listed
    assert place.files("*.part") == []

    whole = Workplace(place.folder.with_name("whole"), place.environment)
    whole.folder.mkdir()
    (whole.folder / ".importer").mkdir()
    whole.run(*command(source, "whole"))
    assert rows(url, "killed") == rows(url, "whole")
    assert len(rows(url, "killed")) == folders
    names = ("inserted", "updated", "skipped", "unchanged", "total_imported", "failed_batches")
    expected = whole.counts("import")
    assert [imported[name] for name in names] == [expected[name] for name in names]
    assert imported["completed_batches"] == expected["completed_batches"] == folders // 25
    assert batches == ask_ledger(whole.folder / "upload_tracker.db", BATCHES)
    assert batches == [(folders // 25, folders, folders, 0)]


def _by_line(folders: int) -> list[int]:
    return sorted(range(folders), key=lambda number: (number % 10, number))


@pytest.fixture
def source(target: Target, tmp_path: Path) -> Path:
    folders, images = SIZES[target.backend]
    source = tmp_path / "data"
    add_many(source, folders, images=images)
    return source


def test_kill_at_many_moments_of_the_import(place: Workplace, target: Target, source: Path) -> None:
    chance = random.Random(3)
    folders, _ = SIZES[target.backend]
    kills = 0
    with counting(target.database_url, "device_test") as imported:
        for wanted in sorted(chance.sample(range(1, folders // 2), 3)):
            kills += kill_when(place, source, lambda wanted=wanted: imported() >= wanted)
    assert kills >= 2
    run_id = place.state["run_id"]
    last = place.run(*command(source))
    assert place.state["run_id"] == run_id
    assert "Resuming the run" in last.err
    check_whole(place, target, source)


def test_kill_at_random_moments_of_the_whole_run(
    place: Workplace, target: Target, source: Path
) -> None:
    chance = random.Random(7)
    with counting_images(target, place.folder) as images:
        killed = kill_when(place, source, lambda: images() >= 5)
    assert killed
    killed = kill_when(place, source, lambda: any(source.rglob("success.json")))
    assert killed
    for moment in [chance.uniform(0.15, 0.9) for _ in range(3)]:
        deadline = time.monotonic() + moment
        # One that came to its end is as good as the last one: none may be begun after it.
        killed = killed and kill_when(
            place, source, lambda deadline=deadline: time.monotonic() >= deadline
        )
    if killed:
        place.run(*command(source))
    check_whole(place, target, source)
