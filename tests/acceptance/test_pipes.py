"""A pipe in the place of a file: nobody waits for it, neither in a source nor beside the state."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.command import Workplace
from tests.support.people import age, page, person
from tests.support.searches import search, write


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Something for each kind."""
    folder = tmp_path / "pipes" / "source"
    write(folder / "day", "a", search("Good"))
    (folder / "day/stats.json").write_text('{"device_id": "D"}')
    (folder / "people").mkdir()
    (folder / "people/a.json").write_bytes(page(person("p-1")))
    age(folder / "people/a.json")
    return folder


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("work_state.json", ()),
        ("work_state.json.pid", ()),
        ("upload_tracker.db", ()),
        ("resilient_import.log", ()),
        ("resilient_import_debug.log", ("--debug-log",)),
        (".env", ()),
        (".env.local", ()),
    ],
)
def test_a_pipe_in_the_place_of_a_file_of_ours_is_refused(
    pg_place: Workplace, source: Path, name: str, arguments: tuple[str, ...]
) -> None:
    os.mkfifo(pg_place.folder / name)
    told = pg_place.run("folders", source, "--tag", "T", *arguments, exit_code=2)
    assert name in told.err
    assert "regular file" in told.err
    assert (pg_place.folder / name).is_fifo()


def test_a_pipe_in_the_place_of_the_progress_log_is_refused(
    pg_place: Workplace, source: Path
) -> None:
    os.mkfifo(pg_place.folder / "p.csv")
    people = source / "people"
    told = pg_place.run("people", people, "--tag", "T", "--progress-csv", "p.csv", exit_code=2)
    assert "p.csv" in told.err
    assert [path.name for path in people.iterdir()] == ["a.json"]


@pytest.mark.parametrize("kind", ["states", "folders", "people"])
def test_pipes_in_a_source_hold_nothing_up(pg_place: Workplace, source: Path, kind: str) -> None:
    for name in (
        *("day/b_parse.json", "day/x.png", "day/success.json", "day/.success.json.part"),
        *("day/failed.json", "day/.failed.json.part", "people/b.json", "people/a.errors.json"),
    ):
        os.mkfifo(source / name)
    where = source / "people" if kind == "people" else source
    done = pg_place.run(kind, where, "--tag", "T", exit_code=0 if kind == "folders" else 3)
    failed = {"states": "day/b_parse.json: is not a regular file", "people": "b.json: is not a"}
    assert failed.get(kind, "x.png") in done.out
    assert json.loads((pg_place.folder / "work_state.json").read_bytes())["status"] == "completed"
