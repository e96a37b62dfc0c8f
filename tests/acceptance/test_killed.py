"""`kill -9` at any moment, and the same command again: nothing is lost, nothing is there twice."""

from __future__ import annotations

import random
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import FILES, IMAGES, MEDIUM_IMAGES
from tests.support.command import Workplace, is_gone, wait_until
from tests.support.contents import (
    assets,
    count,
    held,
    results,
    somebody_waits,
    stored_images,
    until_somebody_waits,
)
from tests.support.device_tests import ask_ledger
from tests.support.fault_points import FaultPoint
from tests.support.target import Target

TRANSACTION = "imports.ledger:LedgerFile.transaction"
IMPORTED = "imports.ledger:ImportQueue.record_imported"
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


def noted(place: Workplace) -> int:
    """How many items the ledger calls imported."""
    sql = "SELECT count(*) FROM item WHERE state = 'imported'"
    return int(ask_ledger(place.folder / "upload_tracker.db", sql)[0][0])


def test_killed_at_random_transactions_of_the_ledger(
    place: Workplace, target: Target, large_source: Path
) -> None:
    """With worker processes. The ledger never knows more than the target."""
    chance = random.Random(5)
    points = [
        *(FaultPoint(TRANSACTION, number=each) for each in sorted(chance.sample(range(3, 16), 3))),
        *(FaultPoint(IMPORTED, "import", chance.randrange(2, 8)) for _ in range(2)),
    ]
    for point in points:
        place.killed_at(point, *command(large_source))
        assert noted(place) <= count(target.database_url)
    assert 0 < noted(place) < count(target.database_url)
    run_id = place.state["run_id"]
    last = place.run(*command(large_source))

    assert place.state["run_id"] == run_id
    assert "Resuming the run" in last.err
    assert place_counts(place) == UNINTERRUPTED
    check_whole(place, target, large_source)
    place.run("verify", "--deep")


@pytest.mark.parametrize(
    "begun", ["postgresql.new*/base", "postgresql/postmaster.pid", "imagecache"]
)
def test_kill_with_the_embedded_database(
    bare_place: Workplace, medium_source: Path, begun: str
) -> None:
    """While it is made, while it starts, and while it is used: it outlives a killed run."""
    place = bare_place
    importer = place.folder / ".importer"
    place.killed_when(lambda: any(importer.glob(begun)), *command(medium_source))
    assert any(importer.glob(begun))
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


def test_what_a_killed_run_leaves_half_written_is_cleared_away(
    pg_place: Workplace, postgresql: Target, large_source: Path
) -> None:
    """A kill in the middle of writing a file leaves its draft; the completed rerun does not."""
    stored = FaultPoint("imports.phases.upload:record_images", "upload")
    pg_place.killed_at(stored, *command(large_source))
    dead = psutil.Process().pid + 1_000_000
    image = next(iter((pg_place.folder / ".importer/imagecache").rglob("*.png")))
    image.rename(image.with_name(f".{image.name}.{dead}.0123.part"))
    (pg_place.folder / f".work_state.json.{dead}.part").write_text("{")
    pg_place.run(*command(large_source))

    assert pg_place.files("*.part") == []
    check_whole(pg_place, postgresql, large_source)
