"""What an edited work state or a file that came with the data makes a run do: nothing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Workplace
from tests.support.contents import count
from tests.support.searches import png, search, write
from tests.support.target import Target

STATE = "work_state.json"
LEDGER = "upload_tracker.db"


def fill(folder: Path) -> Path:
    (folder / "shots").mkdir(parents=True)
    (folder / "shots" / "a.png").write_bytes(png())
    write(folder, "a", search("Belmar", number="PH1", image="shots/a.png"))
    write(folder, "b", search("Cedar", number="PH2"))
    return folder


@pytest.fixture
def source(pg_place: Workplace) -> Path:
    return fill(pg_place.folder / "source")


def change_state(folder: Path, **changes: Any) -> None:
    path = folder / STATE
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))


@pytest.fixture
def victim(pg_place: Workplace) -> Path:
    file = pg_place.folder / "victim" / "thesis.txt"
    (file.parent / "sub").mkdir(parents=True)
    file.write_text("years of work")
    return file


@pytest.mark.parametrize("form", ["absolute", "relative"])
def test_a_batch_id_that_is_a_path_removes_nothing(
    pg_place: Workplace, source: Path, victim: Path, form: str
) -> None:
    pg_place.run("states", source, "--tag", "t")
    path = victim.parent / "sub"
    id_ = str(path) if form == "absolute" else f"../../{path.relative_to(pg_place.folder)}"
    change_state(pg_place.folder, batch_id=id_, status="interrupted")
    again = pg_place.run("states", source, "--tag", "t", "--force")
    assert f"{STATE} is damaged; it was kept as" in again.err
    assert victim.read_text() == "years of work"
    assert (victim.parent / "sub").is_dir()


def test_a_damaged_state_is_told_by_the_commands_that_only_look(
    pg_place: Workplace, source: Path
) -> None:
    pg_place.run("states", source, "--tag", "t")
    change_state(pg_place.folder, batch_id="/")
    for command in ("status", "verify"):
        assert "is not a work state" in pg_place.run(command, exit_code=1).err


def test_a_ledger_that_names_no_run_of_ours_is_told(
    pg_place: Workplace, source: Path, victim: Path
) -> None:
    pg_place.run("states", source, "--tag", "t")
    with closing(sqlite3.connect(pg_place.folder / LEDGER)) as connection, connection:
        connection.execute(
            "update work_state set state = json_set(state, '$.batch_id', ?)",
            (str(victim.parent / "sub"),),
        )
    (pg_place.folder / STATE).write_text("{")
    told = pg_place.run("states", source, "--tag", "t", exit_code=1)
    assert "has a work state of a form that no run gives it" in told.err
    assert victim.exists()


def test_a_path_in_the_ledger_that_leads_out_of_the_source_deletes_nothing(
    pg_place: Workplace, victim: Path
) -> None:
    source = pg_place.folder / "people"
    source.mkdir()
    pg_place.run("people", source, "--tag", "t", "--no-progress-csv")
    status = victim.stat()
    with closing(sqlite3.connect(pg_place.folder / LEDGER)) as connection, connection:
        connection.execute(
            "insert into item (scope_id, path, size, mtime_ns, file_count, digest, state,"
            " updated_at, ended_at) select id, '../victim/thesis.txt', ?, ?, 1, ?, 'imported',"
            " 9e9, 9e9 from scope",
            (
                status.st_size,
                status.st_mtime_ns,
                f"{status.st_ino:x}.{status.st_ctime_ns:x}",
            ),
        )
    told = pg_place.run("people", source, "--tag", "t", "--no-progress-csv", exit_code=1)
    assert "outside of the source" in told.err
    assert victim.read_text() == "years of work"


def test_verify_makes_no_ledger_where_a_state_says_that_one_is(
    pg_place: Workplace, source: Path
) -> None:
    pg_place.run("states", source, "--tag", "t")
    elsewhere = pg_place.folder / "elsewhere.db"
    change_state(pg_place.folder, parameters={"db_path": str(elsewhere)})
    assert "--db-path" in pg_place.run("verify", exit_code=2).err
    assert not elsewhere.exists()


# The working folder is the source


def test_a_run_from_within_its_source_goes_on_with_its_own_files(
    pg_place: Workplace, postgresql: Target
) -> None:
    fill(pg_place.folder)
    for inserted in (2, 0, 0):
        finished = pg_place.run("states", ".", "--tag", "t")
        assert f"{inserted} inserted" in finished.out or not inserted
    write(pg_place.folder, "c", search("Dale", number="PH3"))
    assert "1 inserted" in pg_place.run("states", ".", "--tag", "t").out
    pg_place.run("verify")
    assert count(postgresql.database_url) == 3


def made_elsewhere(place: Workplace) -> Path:
    """The files of a run of somebody else, in a folder with data."""
    folder = fill(place.folder.parent / "shipped")
    other = Workplace(folder, place.environment | {"XDG_STATE_HOME": str(place.folder / "other")})
    other.run("states", ".", "--tag", "t")
    return folder


@pytest.mark.parametrize("shipped", [LEDGER, ".importer", f"{LEDGER} {STATE} .importer"])
def test_files_of_ours_that_came_with_the_data_are_not_used(
    pg_place: Workplace, shipped: str
) -> None:
    folder = made_elsewhere(pg_place)
    for name in {STATE, LEDGER, ".importer"} - set(shipped.split()):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    place = Workplace(folder, pg_place.environment)
    told = place.run("states", ".", "--tag", "t", exit_code=2)
    assert shipped.split()[0] in told.err
    assert "--state-file" in told.err
    logs = {f"{STATE}.lock", "resilient_import.log"}
    # SQLite makes these to read, too.
    made = logs | {f"{LEDGER}-wal", f"{LEDGER}-shm"}
    left = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path: content for path, content in left.items() if path.name not in made} == {
        path: content for path, content in before.items() if path.name not in made
    }
    # What the message says, works.
    pg_place.run("states", folder, "--tag", "t")


@pytest.mark.parametrize("own_ledger", [True, False])
def test_a_state_that_the_own_ledger_does_not_know_is_set_aside(
    pg_place: Workplace, postgresql: Target, own_ledger: bool
) -> None:
    shipped = made_elsewhere(pg_place) / STATE
    content = json.loads(shipped.read_bytes()) | {
        "source": str(pg_place.folder),
        "status": "interrupted",
    }
    fill(pg_place.folder)
    if own_ledger:
        pg_place.run("states", ".", "--tag", "t")
    (pg_place.folder / STATE).write_text(json.dumps(content))
    finished = pg_place.run("states", ".", "--tag", "t")
    assert f"{STATE} is of a run that the ledger does not know; it was kept as" in finished.err
    assert "Resuming" not in finished.text
    assert pg_place.state["batch_id"] != content["batch_id"]


def test_what_a_run_was_killed_at_while_it_made_it_is_its_own(pg_place: Workplace) -> None:
    fill(pg_place.folder)
    (pg_place.folder / LEDGER).touch()
    (pg_place.folder / ".importer").mkdir()
    (pg_place.folder / ".importer" / ".token.1.part").touch()
    pg_place.run("states", ".", "--tag", "t")
    pg_place.run("states", ".", "--tag", "t")


def test_a_ledger_that_was_copied_over_the_own_one_is_not_used(pg_place: Workplace) -> None:
    fill(pg_place.folder)
    pg_place.run("states", ".", "--tag", "t")
    shutil.copy(made_elsewhere(pg_place) / LEDGER, pg_place.folder / LEDGER)
    assert LEDGER in pg_place.run("states", ".", "--tag", "t", exit_code=2).err


def test_a_single_item_needs_no_files_outside_of_its_source(pg_place: Workplace) -> None:
    """Its source may be the working folder, where an earlier run of another one has its ledger."""
    for name in ("data/a", "other/b"):
        (pg_place.folder / name).mkdir(parents=True)
        (pg_place.folder / name / "stats.json").write_text(json.dumps({"device_id": name}))
    (pg_place.folder / ".env").write_text("IMPORTER_CREATED_BY=me\n")
    pg_place.run("folders", "data", "--tag", "t")
    pg_place.run("folder", "other/b")


@pytest.mark.parametrize("kind", ["states", "people", "folders"])
def test_an_env_file_in_the_data_sends_it_nowhere(pg_place: Workplace, kind: str) -> None:
    fill(pg_place.folder)
    (pg_place.folder / ".env").write_text("DATABASE_URL=postgresql://attacker@127.0.0.1:1/db\n")
    place = Workplace(pg_place.folder, {})
    told = place.run(kind, ".", "--tag", "t", exit_code=2)
    assert ".env" in told.err
    assert not (pg_place.folder / LEDGER).exists()


@pytest.mark.parametrize("name", ["resilient_import.log", f"{STATE}.pid", f".{STATE}.1.part"])
def test_a_link_in_place_of_a_file_of_ours_is_not_written_through(
    pg_place: Workplace, source: Path, victim: Path, name: str
) -> None:
    (pg_place.folder / name).symlink_to(victim)
    # A draft has another name each time: what is called like an old one is only cleared away.
    code = 0 if name.endswith(".part") else 2
    told = pg_place.run("states", source, "--tag", "t", exit_code=code)
    assert victim.read_text() == "years of work"
    # A draft is swept away; what somebody put under another name of ours stays, and is named.
    assert not code or (name in told.err and (pg_place.folder / name).is_symlink())


# Who may read it


@pytest.mark.parametrize("umask", [0o022, 0o000])
@pytest.mark.parametrize("kind", ["states", "people", "folders"])
def test_what_a_run_writes_is_for_its_owner(pg_place: Workplace, kind: str, umask: int) -> None:
    source = fill(pg_place.folder / "source")
    given = set(pg_place.folder.rglob("*"))
    code = 0 if kind == "folders" else 3
    (pg_place.folder / ".importer" / "imagecache").mkdir(parents=True)
    for name in (LEDGER, STATE, "resilient_import.log", ".importer/imagecache"):
        path = pg_place.folder / name
        path.exists() or path.touch()
        path.chmod(0o755 if path.is_dir() else 0o644)  # as an earlier version left them
    (pg_place.folder / STATE).unlink()
    (pg_place.folder / ".importer").chmod(0o755)
    before = os.umask(umask)
    try:
        write(source, "bad", b'{"results": [{}]}')
        (source / "bad_parse.json").chmod(0o640)
        os.utime(source / "bad_parse.json", (1_700_000_000, 1_700_000_000))
        pg_place.run(kind, source, "--tag", "t", "--debug-log", exit_code=code)
    finally:
        os.umask(before)
    public = {"success.json", "failed.json", "data", ".importer"}
    moved = pg_place.folder / "failed_uploads" / "bad_parse.json"
    open_ = {
        str(path.relative_to(pg_place.folder)): oct(path.stat().st_mode)
        for path in {*pg_place.folder.rglob("*")} - given
        if path.name not in public
        and path.stat().st_mode & 0o077
        and path.parts[-2:] != ("source", "bad_parse.json")
        and path != moved
    }
    assert open_ == {}
    if kind == "people":
        assert stat.S_IMODE(moved.stat().st_mode) == 0o640, "a moved file keeps its mode"
