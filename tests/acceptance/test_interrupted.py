"""Ctrl-C and SIGTERM: the first ends in good order, the second at once."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import FILES, MEDIUM_FILES, MEDIUM_IMAGES
from tests.support.command import MODULE, Workplace, wait_until
from tests.support.contents import count, held, results, until_somebody_waits
from tests.support.searches import generate
from tests.support.target import Target

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def command(source: Path, batch_size: int = 5) -> list[object]:
    return ["states", source, "--tag", "stopped", "--batch-size", batch_size]


def imported_by_the_ledger(place: Workplace) -> int:
    with contextlib.closing(sqlite3.connect(place.folder / "upload_tracker.db")) as ledger:
        row = ledger.execute("select count(*) from item where state = 'imported'").fetchone()
        return int(row[0])


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_finishes_the_batches_in_flight(
    place: Workplace, target: Target, medium_source: Path, number: signal.Signals
) -> None:
    url = target.database_url
    with place.started(*command(medium_source)) as running:
        with held(url):
            until_somebody_waits(url)
            running.interrupt(number)
            wait_until(lambda: "Stopping" in running.err)
            assert not running.ended
        stopped = running.finish(130)

    assert 0 < count(url) < MEDIUM_FILES
    assert imported_by_the_ledger(place) == count(url)
    assert "Traceback" not in stopped.text
    state = place.state
    assert (state["status"], state["current_phase"]) == ("interrupted", "import")
    assert state["phases"]["import"]["status"] == "interrupted"
    assert state["phases"]["import"]["inserted"] == count(url)
    assert state["work_items_remaining"] == MEDIUM_FILES - count(url)
    assert len(state["work_items"]) == min(1_000, MEDIUM_FILES - count(url))
    assert "To resume:" in stopped.out
    assert f"states {medium_source} --tag stopped" in stopped.out

    status = place.run("status").out
    assert "interrupted" in status
    assert "To resume:" in status
    again = place.run(*command(medium_source))
    assert "Resuming the run" in again.err
    assert (place.counts("import")["inserted"], count(url)) == (MEDIUM_FILES, MEDIUM_FILES)
    assert place.state["run_id"] == state["run_id"]
    assert sum(row["image_hash"] is not None for row in results(url)) == MEDIUM_IMAGES


def test_what_it_says_to_type_resumes(
    pg_place: Workplace, postgresql: Target, medium_source: Path
) -> None:
    url = postgresql.database_url
    with pg_place.started(*command(medium_source)) as running:
        with held(url):
            until_somebody_waits(url)
            running.interrupt()
            wait_until(lambda: "Stopping" in running.err)
        stopped = running.finish(130)
    line = next(each for each in stopped.out.splitlines() if "To resume:" in each)
    words = line.partition("To resume:")[2]
    pg_place.run("-c", words, program=("/bin/sh",))

    assert count(url) == MEDIUM_FILES
    assert pg_place.state["status"] == "completed"


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_ends_it_at_once(
    pg_place: Workplace, postgresql: Target, medium_source: Path, number: signal.Signals
) -> None:
    url = postgresql.database_url
    with held(url), pg_place.started(*command(medium_source)) as running:
        until_somebody_waits(url)
        running.interrupt(number)
        wait_until(lambda: "Stopping" in running.err)

        def once_more() -> bool:
            # One within 50 ms of the first is taken for the first: `timeout` sends each twice.
            running.interrupt(number)
            return running.ended

        wait_until(once_more, pause=0.06)
        running.finish(130)  # while what it is at is still held
    pg_place.run(*command(medium_source))
    assert (pg_place.counts("import")["inserted"], count(url)) == (MEDIUM_FILES, MEDIUM_FILES)


def test_ctrl_c_while_images_are_uploaded(
    place: Workplace, target: Target, medium_source: Path
) -> None:
    """Held at the note of the uploaded images, the last step of the phase."""
    with place.started(*command(medium_source)) as running:
        with held(target.database_url, "image_assets"):
            until_somebody_waits(target.database_url)
            running.interrupt()
            wait_until(lambda: "Stopping" in running.err)
        running.finish(130)
    assert place.state["current_phase"] == "upload"
    assert count(target.database_url) == 0
    place.run(*command(medium_source))

    assert count(target.database_url) == MEDIUM_FILES
    assert count(target.database_url, "image_assets") == MEDIUM_IMAGES
    assert place.files("*.part") == []


def test_worker_processes_leave_ctrl_c_to_their_parent(
    pg_place: Workplace, postgresql: Target, tmp_path: Path
) -> None:
    url = postgresql.database_url
    files = 1_200  # more than the work state lists
    generate(tmp_path / "states", files)
    with pg_place.started(*command(tmp_path / "states", 25)) as running:
        with held(url):
            until_somebody_waits(url)
            assert len(running.descendants()) >= 2
            running.interrupt()
            wait_until(lambda: "Stopping" in running.err)
        stopped = running.finish(130)
    assert stopped.said_of_its_stop(), stopped.err
    assert imported_by_the_ledger(pg_place) == count(url) < files
    assert len(pg_place.state["work_items"]) == 1_000
    assert pg_place.state["work_items_remaining"] == files - count(url)


@pytest.mark.parametrize("begun", ["postgresql.new*/base", "postgresql/postmaster.pid", "spool"])
def test_ctrl_c_with_the_embedded_database(
    bare_place: Workplace, large_source: Path, begun: str
) -> None:
    """While it is made, while it starts, and while it is used: the signal goes to it too."""
    place = bare_place
    with place.started(*command(large_source, 25)) as running:
        wait_until(lambda: running.ended or any((place.folder / ".importer").glob(begun)))
        running.interrupt()
        stopped = running.finish()
    assert "Traceback" not in stopped.text, stopped.text
    assert stopped.code == 130, stopped.text
    assert not (place.folder / ".importer/postgresql/postmaster.pid").exists()
    place.run(*command(large_source, 25))
    assert place.state["status"] == "completed"


def test_ctrl_c_at_any_moment_tells_no_traceback(
    pg_place: Workplace, postgresql: Target, large_source: Path
) -> None:
    """Also while worker processes start, who get the signal too."""
    chance = random.Random(4)
    codes = []
    for moment in [0.35, 0.45, *(chance.uniform(0.2, 0.9) for _ in range(2))]:
        with pg_place.started(*command(large_source, 25), program=MODULE) as running:
            deadline = time.monotonic() + moment
            wait_until(lambda deadline=deadline: running.ended or time.monotonic() > deadline)
            if not running.ended:
                running.interrupt()
            ended = running.finish()
        codes.append(ended.code)
        assert "Traceback" not in ended.text, ended.text
        assert ended.code in (0, 130), ended.text
    pg_place.run(*command(large_source, 25))

    assert 130 in codes
    assert count(postgresql.database_url) == FILES
