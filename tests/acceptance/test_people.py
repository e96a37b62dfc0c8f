"""The kind `people` on the command line: a folder that is consumed, also killed and added to."""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.support.command import MODULE, MORTAL, Running, Workplace, wait_until
from tests.support.contents import held, until_somebody_waits
from tests.support.fault_points import FaultPoint
from tests.support.people import (
    BROKEN,
    COLUMNS,
    count,
    emails,
    files,
    job,
    page,
    person,
    person_ids,
    phones,
    problems,
    statuses,
    write,
)
from tests.support.target import Target

CSV = Path("data") / "supabase_upload_progress.csv"


@pytest.fixture
def source(folder: Path) -> Path:
    """As the document has it: below the folder `data` of the working folder."""
    source = folder / "data" / "neuron360" / "systematic_search_results"
    source.mkdir(parents=True)
    return source


def imported(source: Path, *options: object) -> list[object]:
    return ["people", source, "--tag", "T", *options]


def failed(source: Path) -> Path:
    return source.parent / "failed_uploads"


# The document's integration test


def test_a_valid_an_empty_and_a_broken_file(place: Workplace, target: Target, source: Path) -> None:
    write(source, "valid.json", [person("p-1", job("c-1")), person("p-2", job("c-1"))])
    write(source, "empty.json")
    write(source, "broken.json", BROKEN)
    ended = place.run(*imported(source, "--workers", 4), exit_code=3)
    assert person_ids(target.database_url) == {"p-1", "p-2"}
    assert count(target.database_url, "organisation.identities") == 1
    assert files(source) == []
    assert files(failed(source)) == ["broken.errors.json", "broken.json"]
    assert (failed(source) / "broken.json").read_bytes() == BROKEN
    ((index, id_, reason),) = problems(failed(source) / "broken.json")
    assert (index, id_) == (None, None)
    assert "is not JSON" in reason
    assert statuses(place.folder / CSV, source) == {
        "broken.json": ("FAILED", 0, 0),
        "empty.json": ("COMPLETED", 0, 0),
        "valid.json": ("COMPLETED", 2, 0),
    }
    for words in (
        "📥 Records: 2 inserted",
        "🗂️  Finished files: 2 deleted, 1 moved",
        "❌ Failed Items: 1",
        str(failed(source)),
    ):
        assert words in ended.out, ended.out
    assert "2 were deleted or moved after their import" in place.run("verify").out

    again = place.run(*imported(source))
    assert "Nothing to do" in again.out
    # Mended and put back, as it says.
    (failed(source) / "broken.json").unlink()
    write(source, "broken.json", [person("p-3")])
    place.run(*imported(source))
    assert statuses(place.folder / CSV, source)["broken.json"] == ("COMPLETED", 1, 0)
    assert person_ids(target.database_url) == {"p-1", "p-2", "p-3"}


# Killed


IN_PIECES = {"imports.phases.prepare:LARGE_BYTES": 10_000, "imports.phases.pieces:PIECE_RECORDS": 5}
PIECE = "imports.ledger:ImportQueue.record_piece"


def test_kill_inside_a_large_file(pg_place: Workplace, postgresql: Target, source: Path) -> None:
    """It goes on there; counted is each record once."""
    url = postgresql.database_url
    records: list[object] = [
        person(f"p-{number}", job(f"c-{number % 7}"), emails=emails(f"{number}@p.example"))
        for number in range(120)
    ]
    records[119] = {"profile_data": {}}
    write(source, "large.json", records)
    for number in (1, 8):
        point = FaultPoint(PIECE, "import", number, values=IN_PIECES)
        pg_place.killed_at(point, *imported(source, "--workers", 2))
        assert files(source) == ["large.json"]
    assert 35 <= count(url) < 119
    never = FaultPoint(PIECE, number=10**6, values=IN_PIECES).environment
    ended = pg_place.run(*imported(source), program=MORTAL, environment=never, exit_code=3)
    assert "119 inserted" in ended.out
    assert count(url) == 119
    assert files(source) == []
    assert [index for index, _, _ in problems(failed(source) / "large.json")] == [119]
    assert statuses(pg_place.folder / CSV, source) == {"large.json": ("FAILED", 119, 1)}


# Files that come while it runs


def test_files_that_are_added_while_it_runs(place: Workplace, target: Target, source: Path) -> None:
    """One of them is written slowly: none is taken before it is whole."""
    names = (f"added/{number}.json" for number in itertools.count())
    written = ["first.json", "slow.json"]
    write(source, "first.json", [person("first.json")])
    slow = page(*(person(f"slow-{number}") for number in range(40)))
    step = len(slow) // 8

    def write_slowly() -> None:
        with (source / "slow.json").open("wb") as file:
            for start in range(0, len(slow), step):
                file.write(slow[start : start + step])
                file.flush()
                # Far less than a file must be at rest, and all of it far more.
                time.sleep(0.35)

    def add(stable: bool) -> None:
        name = next(names)
        written.append(name)
        write(source, name, [person(name, job("c-1"))], stable=stable)

    with place.started(*imported(source, "--workers", 4)) as running:
        thread = threading.Thread(target=write_slowly)
        thread.start()
        wait_until(lambda: "first.json" not in files(source) or running.ended)
        for number in range(6):
            add(stable=number % 2 == 0)
        thread.join()
        add(stable=False)
        running.finish(0)
    slow_ids = {f"slow-{number}" for number in range(40)}
    assert person_ids(target.database_url) == slow_ids | set(written) - {"slow.json"}
    assert files(source) == []
    assert files(failed(source)) == []
    assert statuses(place.folder / CSV, source) == {
        name: ("COMPLETED", 40 if name == "slow.json" else 1, 0) for name in sorted(written)
    }


def rests(running: Running) -> bool:
    """Whether a command waits for something: it takes no time of a processor."""
    process = psutil.Process(running.pid)
    before = process.cpu_times()
    time.sleep(0.4)
    return process.cpu_times()[:2] == before[:2]


def test_watching_goes_on_until_it_is_interrupted(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    url = postgresql.database_url
    write(source, "a.json", [person("p-1")])
    with pg_place.started(*imported(source, "--watch")) as running:
        wait_until(lambda: "Waiting for new files" in running.err)
        assert files(source) == []
        write(source, "sub/b.json", [person("p-2")])
        wait_until(lambda: count(url) == 2)
        write(source, "c.json", [person("p-3")], stable=False)
        wait_until(lambda: count(url) == 3 and files(source) == [])
        done = ("COMPLETED", 1, 0)
        wait_until(lambda: statuses(pg_place.folder / CSV, source).get("c.json") == done)
        wait_until(lambda: rests(running))
        running.interrupt()
        ended = running.finish(0)
    assert "3 inserted" in ended.out
    assert "3 deleted, 0 moved" in ended.out
    assert pg_place.state["status"] == "completed"


def test_watching_an_empty_source_ends_well(pg_place: Workplace, source: Path) -> None:
    with pg_place.started(*imported(source, "--watch")) as running:
        wait_until(lambda: "Waiting for new files" in running.err and rests(running))
        running.interrupt(signal.SIGTERM)
        ended = running.finish(0)
    assert "Nothing to do" in ended.out
    assert "Traceback" not in ended.text


# Usage


def test_two_runs_at_once(pg_place: Workplace, postgresql: Target, source: Path) -> None:
    write(source, "a.json", [person("p-1")])
    url = postgresql.database_url
    with ExitStack() as both:
        holding = both.enter_context(ExitStack())
        holding.enter_context(held(url, "import_merges"))
        running = both.enter_context(pg_place.started(*imported(source)))
        until_somebody_waits(url)
        told = pg_place.run(*imported(source), exit_code=11)
        assert f"process {running.pid}" in told.err
        assert files(source) == ["a.json"]
        holding.close()
        running.finish(0)
    assert files(source) == []


def read_only(folder: Path) -> tuple[str, ...]:
    """The program, where it cannot write to a folder; the administrator's can write to any."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        return MODULE
    mounted = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", mounted, str(folder), *MODULE)


def can_mount() -> bool:
    if os.geteuid() != 0:
        return True
    return (
        shutil.which("unshare") is not None and os.system("unshare --mount true 2>/dev/null") == 0
    )


@pytest.mark.skipif(not can_mount(), reason="nothing here is read-only to the administrator")
@pytest.mark.parametrize("what", ["source", "failed"])
def test_folders_that_cannot_be_written_to_are_refused_before_anything_starts(
    pg_place: Workplace, postgresql: Target, source: Path, what: str
) -> None:
    write(source, "a.json", [person("p-1")])
    locked = source if what == "source" else pg_place.folder / "locked"
    locked.mkdir(exist_ok=True)
    options = [] if what == "source" else ["--failed-dir", locked]
    program = read_only(locked)
    try:
        told = pg_place.run(*imported(source, *options), program=program, exit_code=2)
        assert str(locked) in told.err
        assert "--on-success keep" in told.err
        assert "Traceback" not in told.text
        assert files(source) == ["a.json"]
        assert count(postgresql.database_url) == 0
        assert not (pg_place.folder / "work_state.json").exists()
        if what == "source":
            # What is only read may be anywhere.
            keep = ["--on-success", "keep", "--on-failure", "keep"]
            pg_place.run(*imported(source, *keep), program=program)
            assert count(postgresql.database_url) == 1
    finally:
        locked.chmod(0o755)
    assert files(source) == ["a.json"]


def test_a_progress_log_that_is_something_else_is_left_alone(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    write(source, "a.json", [person("p-1")])
    other = pg_place.folder / "figures.csv"
    other.write_text("year,income\n2025,17\n")
    told = pg_place.run(*imported(source, "--progress-csv", other), exit_code=2)
    assert "--progress-csv" in told.err
    assert other.read_text() == "year,income\n2025,17\n"
    assert (files(source), count(postgresql.database_url)) == (["a.json"], 0)
    # Another place, or none at all.
    pg_place.run(*imported(source, "--no-progress-csv"))
    assert not (pg_place.folder / CSV).exists()
    place_of_it = pg_place.folder / "new" / "log.csv"
    write(source, "a.json", [person("p-1")])
    pg_place.run(*imported(source, "--progress-csv", place_of_it))
    with place_of_it.open(newline="") as stream:
        assert next(csv.reader(stream)) == COLUMNS
    assert statuses(place_of_it, source) == {"a.json": ("COMPLETED", 1, 0)}


def test_options_by_name_and_by_variable(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    write(source, "a.json", [person("p-1", job("c-1", company_phones=phones("1")))])
    write(source, "bad/b.json", BROKEN)
    done = pg_place.folder / "done"
    options = ["--on-success", "move", "--done-dir", done, "--on-failure", "keep"]
    pg_place.run(*imported(source, *options), exit_code=3)
    assert (files(source), files(done)) == (["bad/b.json"], ["a.json"])
    bad = pg_place.folder / "bad"
    environment = {"IMPORTER_FAILED_DIR": str(bad), "IMPORTER_ON_SUCCESS": "keep"}
    write(source, "c.json", [person("p-2")])
    pg_place.run(*imported(source), environment=environment, exit_code=3)
    assert (files(source), files(bad)) == (["c.json"], ["bad/b.errors.json", "bad/b.json"])
    wrong = ["--on-failure", "delete"]
    assert wrong[0] in pg_place.run(*imported(source, *wrong), exit_code=2).err


def test_where_a_file_is_can_be_asked_the_next_morning(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    """By its name in the source, by its path, for people and for programs; and the log has it."""
    write(source, "a.json", [person("p-1")])
    write(source, "sub/b.json", BROKEN)
    pg_place.run(*imported(source), exit_code=3)
    moved_to = source.parent / "failed_uploads" / "sub" / "b.json"
    told = pg_place.run("status", "--file", source / "a.json").out
    assert f"{source}/a.json (people, tag" in told
    assert "deleted (imported), run batch_" in told
    told = pg_place.run("status", "--file", "sub/b.json", "--json").out
    (known,) = json.loads(told)
    (disposal,) = known["disposals"]
    assert (disposal["what"], disposal["moved_to"]) == ("moved", str(moved_to))
    assert disposal["reason"] == known["reason"]
    assert moved_to.exists()
    (scope,) = json.loads(pg_place.run("status", "--json").out)["scopes"]
    assert (scope["files_deleted"], scope["files_moved"]) == (1, 1)
    assert {each["file"] for each in scope["disposals"]} == {
        str(source / "a.json"),
        str(source / "sub" / "b.json"),
    }
    assert "does not know" in pg_place.run("status", "--file", "c.json").out
    log = (pg_place.folder / "resilient_import.log").read_text()
    assert f"{source}/a.json was deleted: imported" in log
    assert f"{source}/sub/b.json was moved to {moved_to}: " in log
