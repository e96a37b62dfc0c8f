"""How the command line is called, what it is told first, and what it never tells."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from imports.servers.local_supabase import LocalSupabase
from tests.support.command import CONSOLE_SCRIPT, MODULE, SCRIPT, Workplace
from tests.support.contents import count, held, until_somebody_waits
from tests.support.searches import search, write
from tests.support.target import Target

SECRET = "s3cr3t-pAssw0rd"


def with_password(url: str) -> str:
    """The same database; the server of the tests takes any password."""
    assert "postgres:@" in url
    return url.replace("postgres:@", f"postgres:{SECRET}@")


# Ways to call it


@pytest.mark.parametrize("program", [SCRIPT, (*MODULE, "states"), (*CONSOLE_SCRIPT, "states")])
def test_three_ways_to_call_it(
    pg_place: Workplace, postgresql: Target, small_source: Path, program: tuple[str, ...]
) -> None:
    options = [
        *("--states-dir", small_source, "--tag", "T", "--backend", "postgresql"),
        *("--batch-size", 5, "--max-workers", 2, "--max-concurrent-uploads", 2),
    ]
    pg_place.run(*options, program=program)
    assert count(postgresql.database_url) == 12


def test_help_and_version(bare_place: Workplace) -> None:
    for program in (MODULE, SCRIPT, CONSOLE_SCRIPT):
        assert "Exit codes:" in bare_place.run("--help", program=program).out
    assert "0.1" in bare_place.run("--version").out
    assert bare_place.files() == []


def test_a_small_import_imports_no_more_than_it_needs(
    pg_place: Workplace, small_source: Path
) -> None:
    program = (sys.executable, "-X", "importtime", "-m", "imports")
    done = pg_place.run("states", small_source, "--tag", "T", program=program)
    found = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert {"psycopg2", "imports.phases.import_"} <= found
    unused = ("pydantic", "httpx", "rich", "watchfiles", "tenacity", "dotenv", "multiprocessing")
    ours = ("kinds.folders", "kinds.people", "processes", "run.verification")
    assert not found & {*unused, *(f"imports.{name}" for name in ours)}


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["states", "SOURCE"], ["--tag"]),
        (["states", "--tag", "T"], ["--states-dir", "--single-file"]),
        (["states", "nowhere", "--tag", "T"], ["nowhere", "not a folder"]),
        (["states", "SOURCE", "--tag", " "], ["--tag"]),
        (["states", "SOURCE", "--states-dir", "/tmp", "--tag", "T"], ["different folders"]),
        (["states", "--tag", "T", "--single-file", "no.json"], ["no.json", "no such file"]),
        (["states", "SOURCE", "--tag", "T", "--batch-size", "0"], ["--batch-size"]),
        (["states", "SOURCE", "--tag", "T", "--batch-size", "many"], ["--batch-size"]),
        (["states", "SOURCE", "--tag", "T", "--max-workers", "-1"], ["--max-workers"]),
        (["states", "SOURCE", "--tag", "T", "--limit", "0"], ["--limit"]),
        (["states", "SOURCE", "--tag", "T", "--backend", "mysql"], ["--backend", "supabase"]),
        (["states", "SOURCE", "--tag", "T", "--state-file", "no/where.json"], ["--state-file"]),
        (["states", "SOURCE", "--tag", "T", "--nonsense"], ["--nonsense"]),
        (["states", "SOURCE", "--tag", "T", "--database-url", "mysql://x"], ["postgresql://"]),
        (["nonsense"], ["nonsense"]),
        (["verify"], ["work_state.json"]),
        (["acknowledge", "--tag", "T"], ["--all"]),
        (["acknowledge", "x", "--all", "--tag", "T"], ["--all"]),
        (["acknowledge", "--all"], ["--tag"]),
        (["acknowledge", "x", "--undo", "--note", "n"], ["--note"]),
        (["acknowledge", "x"], ["upload_tracker.db", "--db-path"]),
    ],
)
def test_wrong_usage(
    pg_place: Workplace, small_source: Path, arguments: list[str], words: list[str]
) -> None:
    given = [str(small_source) if each == "SOURCE" else each for each in arguments]
    told = pg_place.run(*given, exit_code=2)
    for word in words:
        assert word in told.err
    assert "Traceback" not in told.text
    assert not (pg_place.folder / "work_state.json").exists()


@pytest.mark.parametrize("option", ["--state-file", "--db-path", "--progress-csv"])
def test_a_device_is_refused_before_anything_is_made_beside_it(
    pg_place: Workplace, small_source: Path, option: str
) -> None:
    before = sorted(each.name for each in Path("/dev").iterdir())
    command = ("people", small_source, "--tag", "T")
    told = pg_place.run(*command, option, "/dev/full", exit_code=2)
    assert f"{option}: /dev/full is in a system folder, which cannot have files" in told.err
    assert sorted(each.name for each in Path("/dev").iterdir()) == before
    assert pg_place.files() == []


FULL = 'mount -t tmpfs -o size=16k full "$0" && head -c 16k /dev/zero >"$0/all"; exec "$@"'
"""A shell's words that run a program, for which a folder is a disk without any room."""


UNSHARE = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-rm")


@pytest.mark.skipif(
    os.system(f"{' '.join(UNSHARE)} true 2>/dev/null") != 0, reason="nobody may mount here"
)
@pytest.mark.parametrize(
    ("state_file", "ledger"), [("disk/state.json", "ledger.db"), ("state.json", "disk/ledger.db")]
)
def test_a_full_disk_under_the_work_state_or_the_ledger_is_no_wrong_usage(
    pg_place: Workplace, postgresql: Target, small_source: Path, state_file: str, ledger: str
) -> None:
    disk = pg_place.folder / "disk"
    disk.mkdir()
    program = (*UNSHARE, "sh", "-c", FULL, str(disk), *MODULE)
    files = ("--state-file", state_file, "--db-path", ledger)
    command = ("states", small_source, "--tag", "T", *files)
    told = pg_place.run(*command, program=program, exit_code=1)
    assert "No space left on device. The disk is full. Free space on that disk" in told.err
    assert "bug in the importer" not in told.text
    pg_place.run(*command)
    assert count(postgresql.database_url) == 12


def test_no_files(place: Workplace, tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source, "x", search()).rename(source / "x.json")
    told = place.run("states", source, "--tag", "T", exit_code=2)
    assert "No JSON files found" in told.err
    assert "_parse.json" in told.err
    # And that is no unfinished work which stands in the way of other work.
    write(tmp_path / "other", "x", search())
    place.run("states", tmp_path / "other", "--tag", "T")


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({}, ["SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"]),
        ({"SUPABASE_URL": "http://127.0.0.1:1"}, ["SUPABASE_SERVICE_ROLE_KEY"]),
        ({"SUPABASE_SERVICE_ROLE_KEY": SECRET}, ["SUPABASE_URL"]),
    ],
)
def test_supabase_without_credentials_never_takes_another_target(
    folder: Path,
    small_source: Path,
    database_url: str,
    environment: dict[str, str],
    names: list[str],
) -> None:
    place = Workplace(folder, {**environment, "DATABASE_URL": database_url})
    told = place.run("states", small_source, "--tag", "T", "--backend", "supabase", exit_code=2)
    for name in names:
        assert name in told.err
    assert SECRET not in told.text
    assert list(folder.iterdir()) == []
    assert count(database_url) == 0


# The target


def test_the_first_line_names_the_embedded_database(
    bare_place: Workplace, small_source: Path
) -> None:
    first, *_ = bare_place.run("states", small_source, "--tag", "T").out.splitlines()
    assert "embedded PostgreSQL" in first
    assert ".importer/postgresql" in first


NEW_DATABASE = "This run created a new, empty database"


def test_a_new_database_that_nobody_asked_for_is_told(
    bare_place: Workplace, small_source: Path
) -> None:
    """Under cron nobody sees the first line."""
    command = ("states", small_source, "--tag", "T")
    told = bare_place.run(*command)
    log = (bare_place.folder / "resilient_import.log").read_text()
    for text in (told.err, told.out, log):
        assert text.count(NEW_DATABASE) == 1
        assert "IMPORTER_BACKEND=embedded or --backend embedded" in text
    again = bare_place.run(*command)
    assert NEW_DATABASE not in again.text


def test_a_new_database_that_was_asked_for_needs_no_word(
    folder: Path, database_url: str, small_source: Path
) -> None:
    """It is asked for whatever else is configured, and `verify` finds it again."""
    place = Workplace(folder, {"DATABASE_URL": database_url})
    told = place.run("states", small_source, "--tag", "T", "--backend", "embedded")
    assert told.out.startswith("Target: embedded PostgreSQL in .importer/postgresql;")
    assert (told.err, NEW_DATABASE in told.out) == ("", False)
    assert "12 records and 4 images" in place.run("verify").out
    assert place.state["backend"] == "embedded"
    assert count(database_url) == 0


def test_on_a_terminal_the_first_line_is_enough(bare_place: Workplace, small_source: Path) -> None:
    told = bare_place.on_terminal("states", small_source, "--tag", "T")
    assert "embedded PostgreSQL" in told.out
    assert NEW_DATABASE not in told.out


def test_the_first_line_names_the_database(
    pg_place: Workplace, postgresql: Target, small_source: Path
) -> None:
    first, *_ = pg_place.run("states", small_source, "--tag", "T").out.splitlines()
    assert "PostgreSQL" in first
    assert "embedded" not in first
    assert postgresql.database_url.partition("?")[0].rpartition("/")[2] in first
    assert "DATABASE_URL" in first


def test_the_first_line_names_supabase(
    folder: Path, supabase: LocalSupabase, small_source: Path
) -> None:
    place = Workplace(
        folder,
        {"NEXT_PUBLIC_SUPABASE_URL": supabase.url, "SUPABASE_SERVICE_KEY": supabase.secret_key},
    )
    first, *_ = place.run("states", small_source, "--tag", "T").out.splitlines()
    assert f"Supabase at {supabase.url}" in first


def test_a_target_that_is_not_there(folder: Path, small_source: Path) -> None:
    for environment in (
        {"DATABASE_URL": f"postgresql://me:{SECRET}@127.0.0.1:1/x"},
        {"SUPABASE_URL": "http://127.0.0.1:1", "SUPABASE_SERVICE_ROLE_KEY": SECRET},
    ):
        place = Workplace(folder, environment)
        told = place.run("states", small_source, "--tag", "T", "--max-retries", "1", exit_code=75)
        assert "127.0.0.1" in told.err
        assert SECRET not in told.text
        assert "Traceback" not in told.text


def test_no_retries_are_no_retries(folder: Path, small_source: Path) -> None:
    place = Workplace(folder, {"DATABASE_URL": "postgresql://me@127.0.0.1:1/x"})
    told = place.run("states", small_source, "--tag", "T", "--max-retries", "0", exit_code=75)
    log = (folder / "resilient_import.log").read_text()
    assert "Again in" not in told.text + log
    assert log.count("Connection refused") == 1


def test_a_database_without_our_tables(
    folder: Path, empty_database_url: str, small_source: Path
) -> None:
    place = Workplace(folder, {"DATABASE_URL": empty_database_url})
    told = place.run("states", small_source, "--tag", "T", exit_code=1)
    assert "schema apply" in told.err
    place.run("schema", "apply")
    place.run("states", small_source, "--tag", "T")


def test_a_wrong_key(folder: Path, supabase: LocalSupabase, small_source: Path) -> None:
    for key in (SECRET, supabase.publishable_key):
        place = Workplace(folder, {"SUPABASE_URL": supabase.url, "SUPABASE_SERVICE_ROLE_KEY": key})
        told = place.run("states", small_source, "--tag", "T", exit_code=1)
        assert "SUPABASE_SERVICE_ROLE_KEY" in told.err
        assert key not in told.text
        log = (folder / "resilient_import.log").read_text()
        assert "Again in" not in told.text + log, "a refused key is not tried again"
    assert count(supabase.database_url) == 0


def test_a_supabase_that_goes_away_and_comes_back(
    folder: Path, own_supabase: LocalSupabase, medium_source: Path
) -> None:
    place = Workplace(folder, Target.of(own_supabase).environment)
    command = ["states", medium_source, "--tag", "T", "--batch-size", 5, "--max-retries", "1"]
    with place.started(*command) as running, held(own_supabase.database_url):
        until_somebody_waits(own_supabase.database_url)
        own_supabase.kill()
        told = running.finish(75)
    assert "To resume:" in told.out
    assert place.state["status"] == "interrupted"
    own_supabase.start()
    place.run(*command)
    assert (count(own_supabase.database_url), place.counts("import")["inserted"]) == (60, 60)


# Secrets


def test_no_secret_anywhere(
    folder: Path, target: Target, small_source: Path, tmp_path: Path
) -> None:
    environment = target.environment
    secrets = [target.supabase_key or SECRET]
    if target.backend == "postgresql":
        environment = {"DATABASE_URL": with_password(target.database_url)}
    place = Workplace(folder, environment)
    write(tmp_path / "source", "bad", b"{")
    ended = [
        place.run("states", small_source, "--tag", "T", "--debug-log", "--verify-writes"),
        place.run("status"),
        place.run("verify", "--repair"),
        place.run("states", tmp_path / "source", "--tag", "T", exit_code=3),
    ]
    if target.backend == "postgresql":
        ended += [
            place.run("schema", "apply"),
            place.run(
                *("states", small_source, "--tag", "T", "--database-url"),
                environment["DATABASE_URL"],
                environment={"DATABASE_URL": ""},
            ),
        ]
    for secret in secrets:
        assert all(secret not in each.text for each in ended)
        for path in place.files():
            assert secret.encode() not in path.read_bytes(), path


# Variables and .env files


def tag_of(place: Workplace, source: Path, *arguments: str, **environment: str) -> str:
    place.run("states", source, *arguments, environment=environment)
    tag: str = place.state["tag"]
    return tag


def test_where_settings_come_from(folder: Path, database_url: str, small_source: Path) -> None:
    place = Workplace(folder, {})
    (folder / ".env").write_text(f"DATABASE_URL={database_url}\nIMPORTER_TAG=env\n")
    assert tag_of(place, small_source) == "env"
    (folder / ".env.local").write_text("IMPORTER_TAG='local'\nIMPORTER_BATCH_SIZE=3\n")
    (folder / ".env.production").write_text("IMPORTER_TAG=production\n")
    assert tag_of(place, small_source) == "local"
    assert place.counts("import")["completed_batches"] == 4
    assert tag_of(place, small_source, "--production") == "production"
    assert place.counts("import")["completed_batches"] == 1
    assert tag_of(place, small_source, IMPORTER_TAG="variable") == "variable"
    assert tag_of(place, small_source, "--tag", "flag", IMPORTER_TAG="variable") == "flag"
    assert count(database_url, "datasets") == 5
    assert not (folder / ".importer" / "postgresql").exists()


def test_a_bad_value_names_where_it_stands(
    folder: Path, database_url: str, small_source: Path
) -> None:
    place = Workplace(folder, {"DATABASE_URL": database_url})
    (folder / ".env").write_text("IMPORTER_BATCH_SIZE=many\n")
    told = place.run("states", small_source, "--tag", "T", exit_code=2)
    assert "IMPORTER_BATCH_SIZE in .env" in told.err


def test_supabase_goes_before_a_database(
    folder: Path, supabase: LocalSupabase, small_source: Path
) -> None:
    """With both, rows go straight into the project's database, and images into its bucket."""
    place = Workplace(folder, {})
    (folder / ".env.local").write_text(
        f"SUPABASE_URL={supabase.url}\nSUPABASE_SERVICE_ROLE_KEY={supabase.secret_key}\n"
    )
    (folder / ".env").write_text(f"DATABASE_URL={supabase.database_url}\n")
    first, *_ = place.run("states", small_source, "--tag", "T").out.splitlines()
    assert f"Supabase at {supabase.url}" in first
    assert "COPY" in first
    assert count(supabase.database_url) == 12
    assert count(supabase.database_url, "storage.objects") == 4


@pytest.mark.parametrize(
    "command",
    [
        ("states", "SOURCE", "--tag", "T"),
        ("folder", "SOURCE"),
        ("status",),
        ("verify",),
        ("schema", "apply"),
        ("db", "url"),
    ],
    ids=lambda command: command[0],
)
def test_a_bad_env_file_is_told_by_every_command(
    bare_place: Workplace, small_source: Path, command: tuple[str, ...]
) -> None:
    (bare_place.folder / ".env").write_bytes("A=1\n# schlüssel\n".encode("latin-1"))
    given = [str(small_source) if each == "SOURCE" else each for each in command]
    told = bare_place.run(*given, exit_code=2)
    assert told.err == "Error: .env, line 2: this is not UTF-8 text. Save the file as UTF-8.\n"


def test_a_proxy_or_certificates_that_cannot_be_used_are_told(
    folder: Path, small_source: Path
) -> None:
    supabase = {"SUPABASE_URL": "https://x.supabase.co", "SUPABASE_SECRET_KEY": SECRET}
    place = Workplace(folder, supabase)
    for name, value in (("ALL_PROXY", f"socks5://me:{SECRET}@p:1"), ("SSL_CERT_FILE", "no.pem")):
        told = place.run(
            "states", small_source, "--tag", "T", environment={name: value}, exit_code=2
        )
        assert name in told.err
        assert SECRET not in told.text
        assert "Traceback" not in told.text


# Sources that nobody names


def test_a_source_that_is_not_named_is_taken_from_the_usual_places(
    bare_place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = bare_place.folder / "home"
    monkeypatch.setitem(bare_place.environment, "HOME", str(home))
    command = ["annotations", "--tag", "T", "--scan-only"]
    told = bare_place.run(*command, exit_code=2).err
    assert (
        "There is no qwen_annotations.json in the working folder, in ~/Downloads or in ~." in told
    )
    for place in (home, home / "Downloads", bare_place.folder):
        place.mkdir(exist_ok=True)
        (place / "qwen_annotations.json").write_text("{}")
        folder = "" if place is bare_place.folder else f"{place}/"
        done = bare_place.run(*command)
        assert f"Source: {folder}qwen_annotations.json, since none was named" in done.out
    (home / "RRS_Dataset 2").mkdir()
    done = bare_place.run("recognitions", "--tag", "T", "--scan-only", exit_code=2)
    assert f"Source: {home}/RRS_Dataset 2, since none was named" in done.out
    missing = bare_place.folder / "missing.json"
    done = bare_place.run("annotations", missing, "--tag", "T", exit_code=2)
    assert f"The source {missing} does not exist." in done.err
