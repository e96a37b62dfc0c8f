"""Functions that changed get a new version; no version that a database may have is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imports.cli import schema_export
from imports.cli.schema_export import export_functions
from imports.errors import SchemaError
from imports.servers.schema import folder, migrations
from imports.tables.functions import functions_file


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A copy of our migrations."""
    copy = tmp_path / "supabase" / "migrations"
    shutil.copytree(folder(), copy)
    return copy


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> str:
    """What the functions are after a change."""
    content = functions_file([])
    monkeypatch.setattr(schema_export, "rendered", lambda: content)
    return content


def names(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_what_has_not_changed_is_not_written(place: Path) -> None:
    before = names(place)
    newest = place / before[-1]
    stamp = newest.stat().st_mtime_ns
    export = export_functions(place=place)
    assert (export.path, export.written) == (newest, False)
    assert (names(place), newest.stat().st_mtime_ns) == (before, stamp)


def test_a_change_gets_a_later_version_and_the_earlier_one_stays_as_an_empty_file(
    place: Path, changed: str
) -> None:
    """`supabase db push` applies a version once, and refuses to lack one that a database has."""
    before = migrations(place)
    export = export_functions(place=place)
    after = migrations(place)
    assert [each.version for each in after[:-1]] == [each.version for each in before]
    assert (after[-1].sql, after[-1].checksum is not None) == (changed, True)
    assert export.path.name == f"{after[-1].version}_functions.sql"
    stub = after[-2]
    assert (stub.name, stub.checksum) == ("functions", None)
    assert all(line.startswith("--") for line in stub.sql.splitlines())
    assert not export_functions(place=place).written


def test_a_migration_that_came_later_makes_them_the_newest_again(place: Path) -> None:
    (place / "29991231235959_tables.sql").write_text("select 1;\n")
    export = export_functions(place=place)
    assert export.written
    assert names(place)[-1] == export.path.name == "29991231235960_functions.sql"


def test_what_nobody_has_pushed_yet_may_keep_its_version(place: Path, changed: str) -> None:
    before = names(place)
    export = export_functions(same_version=True, place=place)
    assert names(place) == before
    assert (place / before[-1]).read_text() == changed
    assert export.written


def test_a_check_writes_nothing(place: Path, changed: str) -> None:
    before = [each.sql for each in migrations(place)]
    assert changed not in before
    assert export_functions(check=True, place=place).written
    assert [each.sql for each in migrations(place)] == before


def test_an_installation_is_not_written_to(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="checkout"):
        export_functions(place=tmp_path / "imports" / "migrations")
