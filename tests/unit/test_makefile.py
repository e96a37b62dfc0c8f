"""What `make` would do. Nothing is done."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    "import_scrape_states": "STATES_DIR",
    "import_scrape_states_local": "STATES_DIR",
    "import_folders": "FOLDERS_DIR",
    "import_people": "PEOPLE_DIR",
    "import_recognitions": "RECOGNITIONS_DIR",
    "import_insights": "INSIGHTS_DIR",
}
CONFIGURED = {"SUPABASE_URL": "https://x.supabase.co", "DATABASE_URL": "postgresql://db/x"}


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--dry-run", "--assume-old=.venv/.installed", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **CONFIGURED, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def commands(*arguments: str, **environment: str) -> str:
    """What would be called, as one line."""
    done = make(*arguments, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return " ".join(done.stdout.replace("\\\n", " ").split())


@pytest.mark.parametrize(("command", "source"), SOURCES.items())
def test_the_examples_go_into_the_embedded_database_whatever_is_configured(
    command: str, source: str
) -> None:
    text = commands(command)
    assert f"The examples go into the embedded PostgreSQL; a source of yours ({source}=…)" in text
    assert text.count("--backend") == text.count("--backend embedded") == 1


@pytest.mark.parametrize(("command", "source"), SOURCES.items())
@pytest.mark.parametrize("place", ["command line", "environment"])
def test_a_source_of_the_users_goes_where_is_configured(
    command: str, source: str, place: str
) -> None:
    given = {source: "/data/x"}
    text = (
        commands(command, f"{source}=/data/x")
        if place != "environment"
        else commands(command, **given)
    )
    assert '"/data/x"' in text
    assert "examples" not in text
    if command.endswith("_local"):
        assert '--backend "postgresql"' in text
    else:
        # What IMPORTER_BACKEND says is not hidden.
        assert "--backend" not in text


@pytest.mark.parametrize("command", ["import_scrape_states", "import_folders", "import_people"])
def test_a_target_that_is_asked_for_is_taken_for_the_examples_too(command: str) -> None:
    for text in (
        commands(command, "BACKEND=supabase"),
        commands(command, BACKEND="supabase"),
    ):
        assert text.count("--backend") == text.count('--backend "supabase"') == 1
        assert "The examples go" not in text
    assert commands(command, "ARGS=--backend supabase").count("--backend") == 1
    assert "--backend embedded" not in commands(command, "ARGS=--database-url postgresql://h/d")


@pytest.mark.parametrize("option", ["--states-dir", "--single-file"])
def test_a_source_among_the_arguments_goes_where_is_configured(option: str) -> None:
    text = commands("import_scrape_states", f"ARGS={option} '/data/my files'")
    assert "--backend" not in text
    assert "The examples go" not in text


@pytest.mark.parametrize(("command", "source"), SOURCES.items())
def test_an_empty_source_is_no_source(command: str, source: str) -> None:
    done = make(command, f"{source}=")
    assert done.returncode == 2
    assert f"{source} is empty" in done.stderr


@pytest.mark.parametrize("name", ["STATE_DIR", "BACHSIZE", "TAG", "LIMIT"])
def test_a_variable_that_is_none_is_refused(name: str) -> None:
    done = make("import_scrape_states", f"{name}=x", "IMPORT_TAG=t")
    assert done.returncode == 2
    assert f"There is no variable {name}. There are: STATES_DIR " in done.stderr
    assert done.stdout == ""


def test_variables_for_programs_are_passed_on() -> None:
    given = (
        "SUPABASE_URL=x",
        "IMPORTER_YES=1",
        "PGPASSWORD=x",
        "HTTPS_PROXY=x",
        "SHELL=/bin/sh",
        "LC_ALL=C",
    )
    commands("status", *given, "ARGS=--json --tag 'a b'", "PYTHON=python3")


def test_every_variable_is_in_the_help() -> None:
    text = (ROOT / "Makefile").read_text()
    variables = text.partition("VARIABLES := ")[2].partition("PASSED_ON")[0].replace("\\", "")
    helped = commands("help")
    for name in variables.split():
        assert f"{name}=" in helped, name


def test_a_reset_needs_a_batch_id() -> None:
    assert 'reset --batch-id "batch_1" --dry-run' in commands(
        "reset", "BATCH_ID=batch_1", "ARGS=--dry-run"
    )
    refused = make("reset")
    assert (refused.returncode, "BATCH_ID is empty" in refused.stderr) == (2, True)
