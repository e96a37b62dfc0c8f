"""The other commands, and the files that a user finds after a run."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psycopg2
import pytest

from imports.ledger.work_state import as_json, from_json
from tests.support.command import ROOT, Workplace
from tests.support.contents import count, held, until_somebody_waits
from tests.support.database import query
from tests.support.searches import search, write
from tests.support.target import Target

PHASES = ["planning", "sha256", "upload", "import"]


# status


def test_status_before_any_run(bare_place: Workplace) -> None:
    shown = bare_place.run("status").out
    assert "No run yet" in shown
    assert "--tag" in shown
    assert bare_place.files() == []


def test_status_after_a_run(place: Workplace, small_source: Path) -> None:
    place.run("states", small_source, "--tag", "T")
    shown = place.run("status").out
    assert str(small_source) in shown
    assert "tag T" in shown
    assert "completed" in shown
    assert "inserted 12" in shown
    assert "verify" in shown.splitlines()[-1]


def test_status_while_a_run_is_under_way_and_after_it_was_killed(
    pg_place: Workplace, postgresql: Target, medium_source: Path
) -> None:
    url = postgresql.database_url
    with held(url), pg_place.started("states", medium_source, "--tag", "T") as running:
        until_somebody_waits(url)
        shown = pg_place.run("status").out
        assert "running in phase import" in shown
        assert "unfinished 60" in shown
        running.kill()
    shown = pg_place.run("status").out
    assert "To resume:" in shown
    assert f"states {medium_source} --tag T" in shown


def test_what_is_acknowledged_makes_no_run_fail(pg_place: Workplace, tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source, "good", search())
    bad = source / "bad_parse.json"
    bad.write_text("{")
    command = ("states", source, "--tag", "T")
    pg_place.run(*command, exit_code=3)
    told = pg_place.run("acknowledge", bad, "--note", "the board's own error").out
    assert told.startswith(f"Acknowledged: 1 (states from {source}, tag T, into PostgreSQL, ")
    assert "\n  bad_parse.json: " in told
    assert "Acknowledged: 1 (see status)" in pg_place.run(*command, exit_code=0).out
    (scope,) = orjson.loads(pg_place.run("status", "--json").out)["scopes"]
    assert (scope["failed"], scope["acknowledged"]) == (0, 1)
    assert scope["acknowledgements"][0]["note"] == "the board's own error"
    told = pg_place.run("acknowledge", "--tag", "T", "--all", "--undo").out
    assert told.startswith("Counted as failed again: 1 ")
    pg_place.run(*command, exit_code=3)


def test_status_with_failures(pg_place: Workplace, tmp_path: Path) -> None:
    write(tmp_path / "source", "bad", b"{")
    write(tmp_path / "source", "good", search())
    pg_place.run("states", tmp_path / "source", "--tag", "T", exit_code=3)
    shown = pg_place.run("status").out
    assert "failed 1" in shown
    assert "bad_parse.json" in shown
    assert "not JSON" in shown


def test_a_backend_that_was_asked_for_is_in_what_to_type_next(
    folder: Path, small_source: Path, database_url: str, tmp_path: Path
) -> None:
    """Where SUPABASE_URL is set as well, `auto` would lead elsewhere."""
    place = Workplace(
        folder,
        {
            "DATABASE_URL": database_url,
            "SUPABASE_URL": "http://127.0.0.1:1",
            "SUPABASE_SERVICE_ROLE_KEY": "x",
        },
    )
    place.run("states", small_source, "--tag", "T", "--backend", "postgresql", "--limit", "3")
    place.run("verify")
    write(tmp_path / "failing", "bad", b"{")
    place.run(
        *("states", tmp_path / "failing", "--tag", "T", "--backend", "postgresql"),
        exit_code=3,
    )
    assert "--backend postgresql" in place.run("status").out.splitlines()[-1]


# schema


def test_schema_print_is_what_an_sql_editor_takes(
    bare_place: Workplace, empty_database_url: str, small_source: Path
) -> None:
    sql = bare_place.run("schema", "print").out
    query(empty_database_url, sql)
    bare_place.run(
        *("states", small_source, "--tag", "T", "--database-url"),
        empty_database_url,
    )
    assert count(empty_database_url) == 12


def test_schema_apply(folder: Path, empty_database_url: str) -> None:
    place = Workplace(folder, {"DATABASE_URL": empty_database_url})
    names = sorted(path.stem for path in (ROOT / "supabase" / "migrations").glob("*.sql"))
    first = place.run("schema", "apply").out
    applied = [line.split()[1] for line in first.splitlines() if line.startswith("applied")]
    assert applied == [name.partition("_")[2] for name in names]
    second = place.run("schema", "apply").out
    assert "applied" not in second
    assert "up to date" in second
    recorded = query(
        empty_database_url,
        "SELECT version || '_' || name FROM supabase_migrations.schema_migrations ORDER BY 1",
    )
    assert [row[0] for row in recorded] == names
    open_tables = query(
        empty_database_url,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind = 'r' AND NOT relrowsecurity",
    )
    assert open_tables == []


def test_schema_apply_over_the_api_alone(folder: Path) -> None:
    place = Workplace(
        folder, {"SUPABASE_URL": "http://127.0.0.1:1", "SUPABASE_SERVICE_ROLE_KEY": "x"}
    )
    told = place.run("schema", "apply", exit_code=1)
    assert "schema print" in told.err
    assert "DATABASE_URL" in told.err


# db


def test_the_embedded_database(bare_place: Workplace, small_source: Path) -> None:
    place = bare_place
    assert "db start" in place.run("db", "url", exit_code=1).err
    assert "not running" in place.run("db", "stop").out
    place.run("states", small_source, "--tag", "T")
    place.run("db", "url", exit_code=1)

    url = place.run("db", "start").out.strip()
    assert place.run("db", "url").out.strip() == url
    assert count(url) == 12
    place.run("states", small_source, "--tag", "other")
    assert count(url) == 24
    assert place.run("db", "start").out.strip() == url
    assert "is stopped" in place.run("db", "stop").out
    with pytest.raises(psycopg2.OperationalError):
        query(url, "SELECT 1")


# work_state.json


def check_work_state(state: dict[str, Any], source: Path) -> None:
    """Every field that was promised, with a value that makes sense."""
    UUID(state["run_id"])
    assert re.fullmatch(r"batch_\d{8}_\d{6}_\w+", state["batch_id"])
    assert (state["source"], state["tag"]) == (str(source), "T")
    assert state["dataset_id"] == 1
    assert state["backend"] in ("supabase", "postgresql")
    assert state["target"]
    assert (state["total_files"], state["total_images"]) == (12, 4)
    start, last = (datetime.fromisoformat(state[name]) for name in ("start_time", "last_update"))
    assert start <= last
    assert start.tzinfo is not None
    assert state["current_phase"] == "import"
    assert list(state["phases"]) == PHASES
    for phase in state["phases"].values():
        assert phase["status"] == "completed"
        assert 0 <= phase["duration_seconds"] < 30
    assert state["phases"]["sha256"]["processed"] == 4
    upload = state["phases"]["upload"]
    assert (upload["completed"], upload["failed"], upload["skipped"]) == (4, 0, 0)
    imported = state["phases"]["import"]
    assert imported["total_imported"] == 12
    assert (imported["completed_batches"], imported["failed_batches"]) == (3, 0)
    assert (state["failed_items"], state["work_items"], state["work_items_remaining"]) == (
        [],
        [],
        0,
    )
    assert state["parameters"]["batch_size"] == 5
    assert state["parameters"]["max_workers"] == 16


def test_work_state(place: Workplace, target: Target, small_source: Path) -> None:
    place.run("states", small_source, "--tag", "T", "--batch-size", 5)
    state = place.state
    check_work_state(state, small_source)
    assert state["backend"] == target.backend
    assert query(target.database_url, "SELECT id::text FROM import_target") == [
        (state["target_id"].partition("/")[0],)
    ]
    batches = query(target.database_url, "SELECT DISTINCT batch_id FROM search_results")
    assert batches == [(state["batch_id"],)]


def test_the_example_of_a_work_state(pg_place: Workplace, small_source: Path) -> None:
    example = orjson.loads((ROOT / "work_state.json.example").read_bytes())
    assert as_json(from_json(example)) == example
    pg_place.run("states", small_source, "--tag", "T")
    real = pg_place.state
    assert list(example) == list(real)
    assert list(example["parameters"]) == list(real["parameters"])
    for name in PHASES:
        assert list(example["phases"][name]) == list(real["phases"][name])


def test_a_failed_item_in_the_work_state(pg_place: Workplace, tmp_path: Path) -> None:
    write(tmp_path / "source", "bad", b"")
    write(tmp_path / "source", "good", search())
    pg_place.run("states", tmp_path / "source", "--tag", "T", exit_code=3)
    (failed,) = pg_place.state["failed_items"]
    assert failed == {
        "path": "bad_parse.json",
        "phase": "planning",
        "reason": "is empty",
        "tries": 1,
    }


# The summary


def test_the_summary(place: Workplace, small_source: Path) -> None:
    shown = place.run("states", small_source, "--tag", "Aug-04-scrape").out
    for words in (
        "📊 Import Progress: Aug-04-scrape (Dataset ID: 1)",
        "⏱️  Elapsed: 0m",
        f"Backend: {place.state['backend']}",
        "📁 Total Files: 12  |  Images: 4",
        "✅ PLANNING: completed",
        "✅ SHA256: completed",
        "✅ UPLOAD: completed",
        "✅ IMPORT: completed",
        "12 inserted, 0 updated, 0 skipped, 0 unchanged",
        "4 uploaded, 0 already stored, 0 missing",
        "✅ Failed Items: 0",
        "All done.",
    ):
        assert words in shown
