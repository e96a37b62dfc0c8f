"""What the first line of a run says. Opening targets is for the integration tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imports.backends.target import describe, reason
from imports.settings import Settings

SUPABASE = {"supabase_url": "https://x.supabase.co", "supabase_key": "the-key"}
DATABASE = {"database_url": "postgresql://me:the-password@db.example:5433/mydb?sslmode=require"}


def told(**settings: Any) -> str:
    found = Settings(**settings)
    line = f"{describe(found)} ({reason(found)})"
    assert "the-key" not in line
    assert "the-password" not in line
    return line


def test_the_embedded_database_is_named_by_its_folder() -> None:
    line = told()
    assert "embedded PostgreSQL in .importer/postgresql" in line
    assert "images in .importer/imagecache" in line
    assert "(nothing is configured)" in line


def test_what_is_in_the_project_folder_is_called_alike_from_everywhere() -> None:
    """An unfinished run is resumed from wherever the project is found."""
    project = Path("/srv/project")
    assert told(project=project, data_folder=project / ".importer") == told()
    assert "in /data/postgresql;" in told(project=project, data_folder=Path("/data"))


def test_a_data_folder_that_is_named_is_called_alike_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    line = told(data_folder=tmp_path / "store")
    assert line == told(data_folder="store")
    monkeypatch.chdir(tmp_path / "below")
    assert line == told(project=tmp_path, data_folder=tmp_path / "store")
    assert line == told(project=tmp_path, data_folder="../store")


def test_the_embedded_one_that_is_asked_for_does_not_look_at_what_is_configured() -> None:
    line = told(backend="embedded", **SUPABASE, **DATABASE)
    assert line.startswith("embedded PostgreSQL in .importer/postgresql;")
    assert told(backend="postgresql", **SUPABASE).startswith("embedded PostgreSQL in ")


def test_a_database_is_named_by_host_and_name() -> None:
    line = told(**DATABASE)
    assert "db.example" in line
    assert "mydb" in line
    assert "(DATABASE_URL is set)" in line


def test_supabase_is_named_by_its_url() -> None:
    line = told(**SUPABASE)
    assert "Supabase at https://x.supabase.co" in line
    assert "COPY" not in line
    assert "(SUPABASE_URL is set)" in line


def test_supabase_with_its_database_says_that_rows_go_there_straight() -> None:
    line = told(**SUPABASE, **DATABASE)
    assert "Supabase at https://x.supabase.co" in line
    assert "COPY" in line
    assert "db.example" in line


@pytest.mark.parametrize("backend", ["supabase", "postgresql", "embedded"])
def test_what_was_asked_for_needs_no_other_reason(backend: str) -> None:
    assert told(backend=backend, **SUPABASE, **DATABASE).endswith("(as configured)")
