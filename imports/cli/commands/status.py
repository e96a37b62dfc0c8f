"""The command `status`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from imports.cli.group import cli
from imports.cli.options import FOLDER, SettingsCommand, kind_option
from imports.cli.printing import print_json, print_out
from imports.cli.running import tell_project
from imports.configuration.commands import Commands
from imports.display_text import shown


@cli.command(cls=SettingsCommand, takes=Commands.STATUS)
@kind_option
@click.option("--tag", help="Only items with this tag.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option(
    "--warnings",
    is_flag=True,
    help="List items with a warning, and records left out or guarded, one in each line (with"
    " --json, one object in each line).",
)
@click.option("--limit", type=click.IntRange(1), help="With --warnings: the most to list.")
@click.option(
    "--file",
    type=FOLDER,
    metavar="PATH",
    help="The history of this file: what a run did with it, which run, when and why.",
)
def status(
    kind: str | None,
    tag: str | None,
    as_json: bool,
    warnings: bool,
    limit: int | None,
    file: Path | None,
    **flags: Any,
) -> None:
    """Show what is imported, pending and failed, the last batches, and what to type next."""
    if limit is not None and not warnings:
        raise click.UsageError("--limit needs --warnings.")
    if warnings and file is not None:
        raise click.UsageError("--warnings and --file exclude each other.")
    if warnings:
        _show_warnings(flags, kind, tag, limit, as_json=as_json)
    elif file is not None:
        _show_whereabouts(flags, kind, tag, file, as_json=as_json)
    else:
        show_status_of(flags, kind, tag, as_json=as_json)


def show_status_of(
    flags: dict[str, Any], kind: str | None, tag: str | None, *, as_json: bool
) -> None:
    """Prints the status of a kind and a tag, None for all."""
    from imports.cli.status import last_ledger, read_status, render_status, status_json
    from imports.loading import read_settings

    # Not `settings_from`: the status needs no credentials of the target.
    taken = ("production", "staging", "state_file", "db_path")
    settings = read_settings(**{name: flags[name] for name in taken})
    tell_project(settings, sys.stderr)
    found = read_status(settings.state_file, last_ledger(settings), kind, tag)
    if as_json:
        print_json(status_json(found), indented=True)
    else:
        print_out(render_status(found, settings.state_file, kind, settings.db_path))


def _show_warnings(
    flags: dict[str, Any], kind: str | None, tag: str | None, limit: int | None, *, as_json: bool
) -> None:
    from imports.cli.status import last_ledger, read_warnings
    from imports.loading import read_settings

    ledger = last_ledger(read_settings(**flags))
    for warned in read_warnings(ledger, kind, tag, limit):
        if as_json:
            print_json(warned._asdict())
        else:
            print_out(shown(f"{warned.path}: {'; '.join(warned.warnings)}"))


def _show_whereabouts(
    flags: dict[str, Any], kind: str | None, tag: str | None, file: Path, *, as_json: bool
) -> None:
    from imports.cli.status import (
        last_ledger,
        read_whereabouts,
        render_whereabouts,
        whereabouts_json,
    )
    from imports.loading import read_settings

    ledger = last_ledger(read_settings(**flags))
    found = read_whereabouts(ledger, file, kind, tag)
    if as_json:
        print_json(whereabouts_json(found), indented=True)
    else:
        print_out(render_whereabouts(found, file, ledger))
