"""The command `check`: what is wrong with a target or a machine, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imports.cli.main import main
from imports.loading import load_settings
from imports.run.checking.finding import Finding, Result, exit_code
from imports.run.checking.machine import check_machine
from imports.run.checking.target import check_target
from imports.servers.schema import needed
from tests.support.bench import Bench, one_backend
from tests.support.database import query
from tests.support.target import Target


def findings(
    bench: Bench, *, fix: bool = False, writes: bool = True, **flags: str
) -> list[Finding]:
    return list(check_target(bench.settings(**flags), fix=fix, writes=writes))


def of(found: list[Finding], check: str) -> list[tuple[str, str]]:
    return [(each.result.value, each.text) for each in found if each.check == check]


@contextmanager
def changed(bench: Bench, change: str, back: str) -> Iterator[None]:
    """The database with a change that is taken back."""
    query(bench.url, change)
    try:
        yield
    finally:
        query(bench.url, back)


def test_a_target_that_is_ready_has_nothing_to_look_at(bench: Bench) -> None:
    found = findings(bench, fix=True)
    assert {each.result for each in found} == {Result.OK}
    assert exit_code(found) == 0
    places = {each.check for each in found if "test object" in each.text}
    assert places == {"bucket imagecache", "bucket rrs-photos"}
    left = [file for file in bench.data_folder.rglob("*") if file.is_file()]
    assert left == []
    if bench.target.supabase_url is not None:
        assert query(bench.url, "SELECT name FROM storage.objects") == []


def test_buckets_that_are_missing_are_made_only_on_request(bench: Bench) -> None:
    found = findings(bench)
    missing = [("ok", "not there yet: the first import with images creates it")]
    assert of(found, "bucket imagecache") == of(found, "bucket rrs-photos") == missing
    findings(bench, fix=True)
    assert of(findings(bench, writes=False), "bucket imagecache") == [("ok", "private")]


@pytest.mark.parametrize("bench", ["supabase"], indirect=True)
def test_a_public_bucket_is_told_unless_it_is_wanted(bench: Bench) -> None:
    assert bench.api(
        "POST",
        "/storage/v1/bucket",
        json={"id": "rrs-photos", "name": "rrs-photos", "public": True},
    ).is_success
    found = findings(bench, writes=False)
    assert of(found, "bucket rrs-photos") == [("warning", "public")]
    assert exit_code(found) == 0
    wanted = list(check_target(bench.settings(public_bucket=True), fix=False, writes=False))
    assert of(wanted, "bucket rrs-photos") == [("ok", "public")]


def test_a_table_without_row_level_security_is_told(bench: Bench) -> None:
    with changed(
        bench,
        "ALTER TABLE search_results DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE search_results ENABLE ROW LEVEL SECURITY",
    ):
        found = findings(bench, writes=False)
    # Nobody else has the right to use it; on Supabase, that is one GRANT away.
    is_supabase = bench.target.supabase_url is not None
    text = "without row level security: public.search_results"
    assert of(found, "security") == [("error" if is_supabase else "warning", text)]
    assert exit_code(found) == (1 if is_supabase else 0)


def test_rights_of_others_are_told(bench: Bench) -> None:
    with changed(
        bench,
        "GRANT SELECT ON search_results TO public;"
        "GRANT EXECUTE ON FUNCTION importer_rows(jsonb) TO public",
        "REVOKE ALL ON search_results FROM public;"
        "REVOKE ALL ON FUNCTION importer_rows(jsonb) FROM public",
    ):
        found = findings(bench, writes=False)
    tables, functions = of(found, "security")
    assert tables[0] == "warning"
    assert tables[1].startswith("others have rights: public.search_results (public")
    assert functions == ("error", "others may call public.importer_rows(jsonb)")
    assert exit_code(found) == 1


def test_a_table_that_is_gone_is_told(bench: Bench) -> None:
    with changed(
        bench,
        "ALTER TABLE import_removals RENAME TO elsewhere",
        "ALTER TABLE elsewhere RENAME TO import_removals",
    ):
        found = findings(bench, writes=False)
    assert of(found, "tables") == [("error", "missing: public.import_removals")]
    assert exit_code(found) == 1


@pytest.mark.parametrize("bench", ["supabase"], indirect=True)
def test_a_right_that_our_role_lacks_is_told(bench: Bench) -> None:
    with changed(
        bench,
        "REVOKE INSERT, DELETE ON search_results FROM service_role",
        "GRANT INSERT, DELETE ON search_results TO service_role",
    ):
        found = findings(bench, writes=False)
    told = "service_role must not use public.search_results (insert, delete)"
    assert of(found, "rights") == [("error", told)]


def test_functions_of_another_version_are_told(bench: Bench) -> None:
    with changed(
        bench,
        "UPDATE import_target SET functions_checksum = 'another'",
        f"UPDATE import_target SET functions_checksum = '{needed().functions}'",
    ):
        found = findings(bench, writes=False)
    ((result, text),) = of(found, "schema")
    assert result == "error"
    assert text.startswith("The functions of the target are not those of this version")
    assert exit_code(found) == 1


def test_a_target_that_does_not_answer_is_away(bench: Bench) -> None:
    proxy = bench.proxied()
    proxy.close()
    found = findings(bench)
    assert [each.result for each in found] == [Result.AWAY]
    assert exit_code(found) == 75


def test_a_missing_schema_is_applied_on_request(empty_database_url: str, tmp_path: Path) -> None:
    target = Target("postgresql", empty_database_url)
    settings = load_settings(environment=target.environment, folder=tmp_path)
    found = list(check_target(settings, fix=False, writes=False))
    assert [(each.check, each.result) for each in found] == [("schema", Result.ERROR)]
    found = list(check_target(settings, fix=True, writes=False))
    assert exit_code(found) == 0
    assert ("ok", "applied engine") in of(found, "schema")


@one_backend
def test_the_command_tells_the_settings_without_secrets(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMPORTER_PROJECT", str(bench.folder))
    (bench.folder / ".env").write_text(f"DATABASE_URL={bench.url}\nIMPORTER_DATA_FOLDER=data\n")
    with pytest.raises(SystemExit) as ended:
        main(["check", "--json", "--read-only"])
    out = capsys.readouterr().out
    told = json.loads(out)
    assert (ended.value.code, told["exit_code"]) == (0, 0)
    assert bench.url not in out
    settings = {each["text"] for each in told["checks"] if each["check"] == "setting"}
    assert "database_url = ********** (from DATABASE_URL in .env)" in settings
    with pytest.raises(SystemExit):
        main(["check", "--read-only"])
    lines = capsys.readouterr().out.splitlines()
    assert any(each.startswith("✓ rights: ") for each in lines)


def test_a_project_without_a_database_gets_none(tmp_path: Path) -> None:
    settings = load_settings(environment={}, folder=tmp_path)
    found = list(check_target(settings, fix=False, writes=True))
    assert [(each.check, each.result) for each in found] == [("database", Result.WARNING)]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path: Path) -> None:
    # Like one without rights, which root has: the system refuses to look for it.
    folder = tmp_path / ("x" * 300) / "data"
    settings = load_settings(
        environment={}, folder=tmp_path, db_path=folder / "ledger.db", data_folder=folder
    )
    ledger, disk = check_machine(settings)
    assert (ledger.check, ledger.result) == ("ledger", Result.ERROR)
    assert "Name another with --db-path" in ledger.text
    assert (disk.check, disk.text.partition(":")[0]) == ("disk", str(tmp_path))
    (database,) = check_target(settings, fix=False, writes=False)
    assert database.result is Result.WARNING
