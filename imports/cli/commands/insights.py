"""The commands below `insights`: they show, find and export what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from imports.cli.commands.import_source import add_subcommand
from imports.cli.options import FOLDER, SettingsCommand
from imports.cli.running import settings_from
from imports.configuration.commands import Commands

_MOST_FOUND = 250
"""So many insights a search ranks."""

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.command(cls=SettingsCommand, takes=Commands.READ)
@click.argument("contact")
@_JSON
def show(contact: str, *, as_json: bool, **flags: Any) -> None:
    """Show the insight of a contact that was written last, as Markdown."""
    from imports.cli.insights import show_contact

    show_contact(settings_from("insights", **flags), contact, as_json=as_json)


@click.command(cls=SettingsCommand, takes=Commands.READ)
@click.argument("text", nargs=-1, required=True)
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST_FOUND),
    default=20,
    show_default=True,
    help="The most to list.",
)
@_JSON
def search(text: tuple[str, ...], limit: int, *, as_json: bool, **flags: Any) -> None:
    """Find insights by words in any form, the best ones first.

    As in a web search: "a phrase", one `or` another, and -without.
    """
    from imports.cli.insights import search_text

    search_text(settings_from("insights", **flags), " ".join(text), limit, as_json=as_json)


@click.command(cls=SettingsCommand, takes=Commands.READ)
@click.argument("folder", type=FOLDER, metavar="DIR")
def export(folder: Path, **flags: Any) -> None:
    """Write a JSON and a Markdown file of each contact into a folder, over those of the same name.

    A contact has the insight of all its source groups, or else the one that was written last.
    """
    from imports.cli.insights import export_all

    export_all(settings_from("insights", **flags), folder)


for _command in (show, search, export):
    add_subcommand("insights", _command)
