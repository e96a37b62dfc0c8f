"""What the documents say of the program is there, and what is there is in the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from imports.cli.main import cli

ROOT = Path(__file__).parents[2]
NAMES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/rules.md",
    "docs/operating.md",
    "docs/earlier-commands.md",
    "docs/coming-from.md",
    "docs/airtable.md",
)

DOCUMENTS = [ROOT / name for name in NAMES]


def commands(
    group: click.Group, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
            continue
        yield " ".join((*words, name)), command
        for inner, below in getattr(command, "subcommands", {}).items():
            yield " ".join((*words, name, inner)), below


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_every_module_is_named_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = {name.rpartition("/")[2] for name in re.findall(r"`([\w/]+?)(?:\.py)?`", text)}
    modules = {path.stem for path in (ROOT / "imports").rglob("*.py")} - {"__init__"}
    assert modules - named == set()


def test_every_module_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    folders = ("imports", "benchmarks", ".")
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert any((ROOT / folder / name).is_file() for folder in folders), name


@pytest.mark.parametrize(("name", "command"), list(commands(cli)), ids=str)
def test_every_command_and_option_is_in_the_readme(name: str, command: click.Command) -> None:
    text = (ROOT / "README.md").read_text()
    if not name.startswith(("schema", "db")):
        assert f"`resilient-importer {name}" in text
    for option in command.get_params(click.Context(command, help_option_names=[])):
        if isinstance(option, click.Option) and not option.hidden:
            for flag in option.opts:
                assert re.search(rf"{flag}(?![\w-])", text), flag


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_in_a_document_leads_somewhere(path: Path) -> None:
    for place, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", path.read_text()):
        end = path.parent / place if place else path
        assert end.exists(), place
        assert not anchor or anchor in anchors(end), anchor
