"""The command `acknowledge`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from imports.cli.group import cli
from imports.cli.options import FOLDER, SettingsCommand, kind_option
from imports.cli.printing import print_out
from imports.cli.running import tell_project
from imports.configuration.commands import Commands
from imports.display_text import shown_lines


@cli.command(cls=SettingsCommand, takes=Commands.ACKNOWLEDGE)
@click.argument("paths", nargs=-1, type=FOLDER, metavar="[PATH]...")
@click.option("--tag", help="Only items with this tag.")
@kind_option
@click.option(
    "--all", "everything", is_flag=True, help="All failed items with the tag, instead of PATHs."
)
@click.option("--note", metavar="TEXT", help="The reason, which `status` shows.")
@click.option("--undo", is_flag=True, help="Undo it: they count as failed again.")
def acknowledge(
    paths: tuple[Path, ...],
    tag: str | None,
    kind: str | None,
    everything: bool,
    note: str | None,
    undo: bool,
    **flags: Any,
) -> None:
    """Acknowledge failed files: they no longer count as failed.

    No run retries them, or exits with 3 because of them, until they change or --retry-failed is
    given. PATH is the path of a file (or a folder, for kinds that import folders), or its path in
    its source.
    """
    from imports.cli.acknowledge import acknowledge_failed
    from imports.cli.status import last_ledger
    from imports.loading import read_settings

    if bool(paths) is everything:
        raise click.UsageError("Give the paths of failed files, or --all.")
    if everything and tag is None:
        raise click.UsageError("--all needs a --tag.")
    if undo and note is not None:
        raise click.UsageError("--note is the reason for an acknowledgement; it excludes --undo.")
    settings = read_settings(**flags)
    tell_project(settings, sys.stderr)
    lines = acknowledge_failed(
        settings, last_ledger(settings), paths, kind, tag, note=note, undo=undo
    )
    print_out(shown_lines(lines))
