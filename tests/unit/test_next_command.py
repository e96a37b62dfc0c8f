from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from imports import next_command
from imports.settings import Settings


def words(**settings: object) -> list[str]:
    line = next_command.import_again(Settings.model_validate(settings))
    program = shlex.split(next_command.program())
    found = shlex.split(line)
    assert found[: len(program)] == program
    return found[len(program) :]


def test_the_command_goes_on_with_the_same_work() -> None:
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


def test_no_secret_stands_in_it() -> None:
    secrets = {"supabase_key": "the-key", "database_url": "postgresql://me:the-password@h/db"}
    line = " ".join(words(source="/data", tag="t", supabase_url="https://x", **secrets))
    assert "the-key" not in line
    assert "the-password" not in line


def test_verification_is_called_with_its_repair() -> None:
    assert next_command.verify(Path("work_state.json")).endswith(" verify")
    repair = next_command.verify(Path("a b.json"), repair=True)
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
