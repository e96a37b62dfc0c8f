"""`kill -9` at any moment, and the same command again: nothing is lost, nothing is there twice."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import FILES, IMAGES, MEDIUM_IMAGES
from tests.support.command import Running, Workplace, wait_until
from tests.support.contents import (
    assets,
    count,
    counting,
    counting_images,
    held,
    results,
    somebody_waits,
    stored_images,
    until_somebody_waits,
)
from tests.support.target import Target

UNINTERRUPTED = {
    "inserted": FILES,
    "updated": 0,
    "skipped": 0,
    "unchanged": 0,
    "total_imported": FILES,
    "completed_batches": FILES // 25,
    "failed_batches": 0,
}


def command(source: Path) -> list[object]:
    return ["states", source, "--tag", "killed", "--batch-size", 25]


def check_whole(place: Workplace, target: Target, source: Path) -> None:
    """Rows and images are what the source says, each once, and nothing else lies about."""
    rows = results(target.database_url)
    numbers = sorted(row["license_number"] for row in rows)
    assert numbers == [f"PH{number:08d}" for number in range(FILES)]
    assert len({row["image_hash"] for row in rows if row["image_hash"]}) == IMAGES
    assert sum(row["image_hash"] is not None for row in rows) == IMAGES
    listed = {row["storage_path"]: row["content_hash"] for row in assets(target.database_url)}
    assert len(listed) == IMAGES
    assert stored_images(target, place.folder) == listed
    assert count(target.database_url, "datasets") == 1
    assert count(target.database_url, "import_merges") == 0
    assert place.files("*.part") == []


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_kill_at_many_moments_of_the_import(
    place: Workplace, target: Target, large_source: Path, tmp_path: Path
) -> None:
    chance = random.Random(2)
    kills = 0
    with counting(target.database_url) as rows:
        for wanted in sorted(chance.sample(range(1, FILES // 2), 3)):
            kills += place.killed_when(
                lambda wanted=wanted: rows() >= wanted, *command(large_source)
            )
    assert kills >= 2
    run_id = place.state["run_id"]
    last = place.run(*command(large_source))

    assert place.state["run_id"] == run_id
    assert "Resuming the run" in last.err
    assert {name: place.counts("import")[name] for name in UNINTERRUPTED} == UNINTERRUPTED
    check_whole(place, target, large_source)
    place.run("verify", "--deep")


def test_kill_at_random_moments_of_the_whole_run(
    place: Workplace, target: Target, large_source: Path
) -> None:
    chance = random.Random(5)
    kills = 0
    for moment in [chance.uniform(0.1, 0.5) for _ in range(4)]:
        deadline = time.monotonic() + moment
        kills += place.killed_when(
            lambda deadline=deadline: time.monotonic() >= deadline, *command(large_source)
        )
    assert kills, "all of them came too late"
    place.run(*command(large_source))

    check_whole(place, target, large_source)
    assert place.state["status"] == "completed"


def test_kill_while_images_are_uploaded(
    place: Workplace, target: Target, large_source: Path
) -> None:
    with counting_images(target, place.folder) as images:
        killed = [
            place.killed_when(lambda wanted=wanted: images() >= wanted, *command(large_source))
            for wanted in (3, 40)
        ]
    assert killed[0]
    place.run(*command(large_source))

    upload = place.counts("upload")
    assert upload["failed"] == 0
    assert upload["completed"] + upload["skipped"] == IMAGES
    assert {name: place.counts("import")[name] for name in UNINTERRUPTED} == UNINTERRUPTED
    check_whole(place, target, large_source)


@pytest.mark.parametrize(
    "begun", ["postgresql.new*/base", "postgresql/postmaster.pid", "imagecache"]
)
def test_kill_with_the_embedded_database(
    bare_place: Workplace, medium_source: Path, begun: str
) -> None:
    """While it is made, while it starts, and while it is used: it outlives a killed run."""
    place = bare_place
    importer = place.folder / ".importer"
    assert place.killed_when(lambda: any(importer.glob(begun)), *command(medium_source))
    place.run(*command(medium_source))
    place.run("verify", "--deep")

    assert not (place.folder / ".importer/postgresql/postmaster.pid").exists()
    images = [path for path in place.files() if ".importer/imagecache/" in str(path)]
    assert len(images) == MEDIUM_IMAGES
    assert place.files("*.part") == []


def test_workers_end_soon_after_their_killed_parent(
    pg_place: Workplace, postgresql: Target, large_source: Path
) -> None:
    with held(postgresql.database_url), pg_place.started(*command(large_source)) as running:
        until_somebody_waits(postgresql.database_url)
        workers = running.descendants()
        assert len(workers) >= 2
        running.kill()
        wait_until(lambda: all(is_gone(worker) for worker in workers))
    wait_until(lambda: not somebody_waits(postgresql.database_url))


def test_the_next_command_waits_for_nobody(
    pg_place: Workplace, postgresql: Target, large_source: Path
) -> None:
    with held(postgresql.database_url), pg_place.started(*command(large_source)) as running:
        until_somebody_waits(postgresql.database_url)
        running.kill()
    again = pg_place.run(*command(large_source))

    log = (pg_place.folder / "resilient_import.log").read_text()
    assert "Waiting" not in again.text + log
    assert "Again in" not in again.text + log
    assert place_counts(pg_place) == UNINTERRUPTED
    check_whole(pg_place, postgresql, large_source)


def place_counts(place: Workplace) -> dict[str, int]:
    return {name: place.counts("import")[name] for name in UNINTERRUPTED}


def test_a_kill_between_the_commit_and_the_ledger_counts_nothing_twice(
    pg_place: Workplace, postgresql: Target, large_source: Path
) -> None:
    """The ledger is held while batches are committed, so the killed run cannot note them."""
    url = postgresql.database_url
    with pg_place.started(*command(large_source)) as running:
        with counting(url) as ask:
            wait_until(lambda: ask() >= 150, pause=0.001)
            hold(running)
            rows = ask()
        with sqlite3.connect(pg_place.folder / "upload_tracker.db") as ledger:
            noted = ledger.execute("select count(*) from item where state = 'imported'").fetchone()
        ledger.close()
        running.kill()
    assert noted[0] <= rows, "the ledger must not be ahead of the database"
    pg_place.run(*command(large_source))
    assert place_counts(pg_place) == UNINTERRUPTED
    check_whole(pg_place, postgresql, large_source)


def hold(running: Running) -> None:
    """Stops the process where it stands."""
    psutil.Process(running.pid).suspend()


def test_what_a_killed_run_leaves_half_written_is_cleared_away(
    pg_place: Workplace, postgresql: Target, large_source: Path
) -> None:
    """A kill in the middle of writing a file leaves its draft; the completed rerun does not."""
    with (
        held(postgresql.database_url, "image_assets"),  # so that nothing is noted as uploaded
        counting_images(postgresql, pg_place.folder) as images,
    ):
        pg_place.killed_when(lambda: images() >= IMAGES, *command(large_source))
    dead = psutil.Process().pid + 1_000_000
    image = next(iter((pg_place.folder / ".importer/imagecache").rglob("*.png")))
    image.rename(image.with_name(f".{image.name}.{dead}.0123.part"))
    (pg_place.folder / f".work_state.json.{dead}.part").write_text("{")
    pg_place.run(*command(large_source))

    assert pg_place.files("*.part") == []
    check_whole(pg_place, postgresql, large_source)
