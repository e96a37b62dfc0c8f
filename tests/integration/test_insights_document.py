"""Every block of code in docs/insights.md runs, on both backends."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from imports.cli.main import cli
from tests.support.airtable import toml_for
from tests.support.airtable_server import KEY, airtable
from tests.support.bench import Bench
from tests.support.database import query

TEXT = (Path(__file__).parents[2] / "docs" / "insights.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_blocks_of_python_and_sql_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in bench.target.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("IMPORTER_PROJECT", str(bench.folder))
    monkeypatch.setattr("logging.basicConfig", lambda **more: None)
    monkeypatch.chdir(bench.folder)
    folder = Path("output/structured_insights")
    folder.mkdir(parents=True)
    for number in range(3):
        document: dict[str, Any] = {
            "metadata": {"contact_id": f"CNT-12345{number}", "eni_source_type": "recurroo"},
            "insights": {"investing": "Preferences for investments. [N/A,ENI-1]"},
        }
        (folder / f"CNT-12345{number}_ENI-1.json").write_text(json.dumps(document))
    (folder / "broken.json").write_text("{")
    names: dict[str, Any] = {}
    with airtable() as server:
        monkeypatch.setenv("AIRTABLE_API_KEY", KEY)
        Path("airtable.toml").write_text(toml_for(server))
        for contact in ("CNT-test123", "CNT-123"):
            server.add_member(contact)
        clients = {}
        for block in blocks("python"):
            exec(compile(block, "docs/insights.md", "exec"), names)
            if "client" in names:
                clients[id(names["client"])] = names["client"]
        assert server.notes().keys() == {"CNT-test123", "CNT-123"}
    shown = capsys.readouterr().out
    assert "3 insights imported" in shown
    assert re.search(r"^CNT-123450: .*\*\*investments\*\*", shown, re.MULTILINE)
    assert "Invalid: output/structured_insights/broken.json - [" in shown
    assert "Validation errors: ['metadata.record_count is -1, less than 0']" in shown
    assert "Database status: True" in shown
    assert "Success rate: " in shown
    assert names["summary"]["errors"] == {"CNT-456": "Validation error"}
    assert names["total_insights"] == names["completed_insights"] == 6
    assert len(list(Path("backups/migration").iterdir())) == 3
    for block in blocks("sql"):
        query(bench.url, block)
    for client in clients.values():
        client.close()


def test_the_lines_of_a_shell_and_the_commands_of_the_tables_are_ours() -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    lines += re.findall(r"`(resilient-importer [^`]+)`", TEXT)
    assert len(lines) > 10
    for line in lines:
        words = shlex.split(line)
        if words[0] == "export":
            assert words[1].startswith("SUPABASE_")
            continue
        command: click.Command = cli
        for word in words[1:]:
            inner = getattr(command, "commands", getattr(command, "subcommands", {}))
            if word in inner:
                command = inner[word]
            elif word.startswith("--"):
                options = {
                    each
                    for param in command.get_params(click.Context(command))
                    for each in param.opts
                }
                assert word in options, line
        assert command is not cli, line
