from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from imports.cli.main import cli
from imports.kinds import all_kinds
from imports.run import next_command
from imports.settings import Settings
from tests.support.reports import work_state


def arguments(line: str) -> list[str]:
    """The words of a command behind the program's name."""
    program = shlex.split(next_command.program())
    found = shlex.split(line)
    assert found[: len(program)] == program
    return found[len(program) :]


def words(*, retry_failed: bool = False, **settings: Any) -> list[str]:
    read = Settings(**settings)
    return arguments(next_command.import_again(read, retry_failed=retry_failed))


def resumed(*, retry_failed: bool = False, **state: object) -> list[str]:
    found = work_state(**{"source": "/data", "tag": "t", **state})
    line = next_command.resume(found, Path("work_state.json"), retry_failed=retry_failed)
    return arguments(line)


def understood(line: list[str]) -> tuple[str, dict[str, Any]]:
    """The command that the command line takes these words for, and its values."""
    name, command, rest = cli.resolve_command(cli.make_context("x", ["status"]), line)
    assert name is not None
    assert command is not None
    return name, command.make_context(name, rest).params


def test_the_command_continues_the_same_work() -> None:
    assert words(source="/my data", tag="it's") == ["states", "/my data", "--tag", "it's"]


def test_a_single_file_a_backend_and_another_work_state_stand_in_it() -> None:
    assert words(
        source="/data",
        single_file="/data/a_parse.json",
        tag="t",
        backend="postgresql",
        state_file="runs/a.json",
    ) == [
        "states",
        "--single-file",
        "/data/a_parse.json",
        "/data",
        "--tag",
        "t",
        "--backend",
        "postgresql",
        "--state-file",
        "runs/a.json",
    ]


def test_a_production_run_is_not_resumed_in_another_target() -> None:
    expected = ["states", "/data", "--tag", "t", "--production"]
    assert words(source="/data", tag="t", production=True) == expected
    assert resumed(parameters={"production": True}) == expected
    assert resumed(parameters={"staging": True}) == [*expected[:-1], "--staging"]


def test_the_ledger_and_the_patterns_stand_in_it() -> None:
    expected = ["--patterns", "stats.json,*.tif", "--db-path", "my ledger.db"]
    assert words(
        kind="folders",
        source="/data",
        tag="t",
        patterns=("stats.json", "*.tif"),
        db_path="my ledger.db",
    ) == ["folders", "/data", "--tag", "t", *expected]
    parameters = {"patterns": ["stats.json", "*.tif"], "db_path": "my ledger.db"}
    assert resumed(kind="folders", parameters=parameters) == [
        "folders",
        "/data",
        "--tag",
        "t",
        *expected,
    ]


def test_what_was_given_up_is_tried_again_by_a_flag() -> None:
    assert words(source="/data", tag="t", retry_failed=True)[-1] == "--retry-failed"
    assert "--retry-failed" not in words(source="/data", tag="t")
    assert resumed(retry_failed=True)[-1] == "--retry-failed"
    assert "--retry-failed" not in resumed()


@pytest.mark.parametrize(
    "parameters", [{}, {"patterns": [], "db_path": None, "image_roots": None, "backend": "auto"}]
)
def test_what_was_not_given_does_not_stand_in_it(parameters: dict[str, object]) -> None:
    assert resumed(parameters=parameters) == ["states", "/data", "--tag", "t"]


def test_the_command_has_everything_of_a_work_state() -> None:
    parameters = {"backend": "supabase", "image_roots": ["/a", "/b c"]}
    assert resumed(parameters=parameters) == [
        "states",
        "/data",
        "--tag",
        "t",
        "--backend",
        "supabase",
        "--image-root",
        "/a",
        "--image-root",
        "/b c",
    ]


def test_paths_of_a_work_state_are_relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = {"db_path": f"{tmp_path}/x/my.db", "image_roots": [f"{tmp_path}/a", "/b"]}
    there = [*("--image-root", f"{tmp_path}/a"), *("--image-root", "/b")]
    there += ["--db-path", f"{tmp_path}/x/my.db"]
    assert resumed(parameters=parameters)[4:] == there
    monkeypatch.chdir(tmp_path)
    here = [*("--image-root", "a"), *("--image-root", "/b"), *("--db-path", "x/my.db")]
    assert resumed(parameters=parameters)[4:] == here


@pytest.mark.parametrize("kind", sorted(all_kinds()))
@pytest.mark.parametrize("retry_failed", [False, True])
def test_a_suggested_command_can_be_typed(kind: str, retry_failed: bool) -> None:
    parameters = {"backend": "postgresql", "patterns": ["*.a", "*.b"], "db_path": "x.db"}
    for line in (
        words(kind=kind, source="/data", tag="t", retry_failed=retry_failed, **parameters),
        resumed(kind=kind, retry_failed=retry_failed, parameters=parameters),
    ):
        name, values = understood(line)
        assert name == kind
        assert (values["source"], values["tag"]) == (Path("/data"), "t")
        assert values["patterns"] == ("*.a", "*.b")
        assert values["db_path"] == Path("x.db")
        assert values["retry_failed"] is retry_failed


@pytest.mark.parametrize("kind", sorted(all_kinds()))
def test_a_command_for_a_single_item_is_one_that_can_be_typed(kind: str) -> None:
    for line in (
        words(kind=kind, source="/data", single_file="/data/a/b", tag="t"),
        resumed(kind=kind, single_file="a/b"),
    ):
        _, values = understood(line)
        assert (values["source"], values["tag"]) == (Path("/data"), "t")
        assert Path("/data/a/b") in (values.get("single_file"), values.get("path"))


CONSUMED = {
    "on_success": "move",
    "on_failure": "keep",
    "failed_dir": "/my failed",
    "done_dir": "/it's done",
    "progress_csv": "p q.csv",
    "no_progress_csv": True,
    "watch": True,
    "if_exists": "replace",
}


def test_the_parameters_of_a_disposal_are_stored_and_read() -> None:
    for line in (
        words(kind="people", source="/data", tag="t", **CONSUMED),
        resumed(kind="people", parameters=CONSUMED),
    ):
        _, values = understood(line)
        for name, value in CONSUMED.items():
            assert str(values[name]) == str(value), name


def test_what_is_usual_of_them_does_not_stand_in_it() -> None:
    usual = {"if_exists": "newer", "watch": False, "no_progress_csv": False, "on_success": None}
    assert words(kind="people", source="/data", tag="t", **usual) == resumed(
        kind="people", parameters=usual
    )
    assert resumed(kind="people", parameters=usual) == ["people", "/data", "--tag", "t"]


def test_a_work_state_of_an_older_version_knows_none_of_them() -> None:
    assert resumed(kind="people", parameters={}) == ["people", "/data", "--tag", "t"]


@pytest.mark.parametrize("kind", sorted(all_kinds()))
@pytest.mark.parametrize("single", [None, "a/b"])
def test_a_command_can_be_typed_with_any_variables_set(kind: str, single: str | None) -> None:
    """They are the same for all kinds, but not every kind has an option for each."""
    for line in (
        words(
            kind=kind,
            source="/data",
            single_file=single and f"/data/{single}",
            tag="t",
            **CONSUMED,
        ),
        resumed(kind=kind, single_file=single, parameters=CONSUMED),
    ):
        _, values = understood(line)
        assert values["tag"] == "t"


def test_it_has_no_secret() -> None:
    secrets = {"supabase_key": "the-key", "database_url": "postgresql://me:the-password@h/db"}
    line = " ".join(words(source="/data", tag="t", supabase_url="https://x", **secrets))
    assert "the-key" not in line
    assert "the-password" not in line


def test_verification_is_called_with_its_repair() -> None:
    assert next_command.verify(Path("work_state.json"), {}).endswith(" verify")
    repair = next_command.verify(Path("a b.json"), {}, repair=True)
    assert repair.endswith(" verify --repair --state-file 'a b.json'")


def test_without_its_script_the_program_is_called_through_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "my python"))
    assert next_command.program() == f"'{tmp_path}/my python' -m imports"


def test_the_script_is_named_as_the_user_can_type_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bin" / next_command.NAME
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script.with_name("python")))
    monkeypatch.chdir(tmp_path)
    assert next_command.program() == f"bin/{next_command.NAME}"
    monkeypatch.setenv("PATH", str(script.parent))
    assert next_command.program() == next_command.NAME
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("PATH", "")
    assert next_command.program() == str(script)


def test_a_project_that_the_environment_names_is_named_to_who_has_no_such_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMPORTER_PROJECT", str(tmp_path))
    settings = Settings(source=Path("/data"), tag="t", state_file=tmp_path / "work_state.json")
    line = next_command.import_again(settings)
    assert line.startswith(f"IMPORTER_PROJECT={tmp_path} ")
    assert line.endswith(" states /data --tag t")
    other = next_command.verify(tmp_path / "other.json", {})
    assert other.endswith(f" verify --state-file {tmp_path / 'other.json'}")


@pytest.mark.parametrize("elsewhere", [True, False])
def test_the_program_is_named_in_full_to_who_may_be_anywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, elsewhere: bool
) -> None:
    here = Path(sys.executable).with_name(next_command.NAME)
    monkeypatch.chdir("/")
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("IMPORTER_PROJECT", str(tmp_path) if elsewhere else ".")
    assert next_command.program() == (str(here) if elsewhere else str(here)[1:])


def test_outside_of_the_project_folder_a_command_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typed in another folder, or put into a crontab, it goes to the same target."""
    project = tmp_path / "my project"
    (project / "below").mkdir(parents=True)
    monkeypatch.setenv("IMPORTER_PROJECT", str(project))
    monkeypatch.chdir(project / "below")
    pinned, *rest = shlex.split(next_command.verify(project / "work_state.json", {}))
    assert pinned == f"IMPORTER_PROJECT={project}"
    assert rest[-1] == "verify"
    line = shlex.split(next_command.verify(project / "runs" / "a.json", {}))
    assert line[0] == pinned
    assert line[-2:] == ["--state-file", str(project / "runs" / "a.json")]
    monkeypatch.chdir(project)
    assert arguments(next_command.verify(Path("work_state.json"), {})) == ["verify"]
