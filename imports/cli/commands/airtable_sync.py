"""The command `airtable-sync`."""

from __future__ import annotations

import sys
from typing import Any

import click

from imports.cli.group import cli
from imports.cli.options import SettingsCommand
from imports.cli.printing import print_json, print_out
from imports.cli.running import exit_with, given, running, settings_from, tell_project
from imports.configuration.commands import Commands
from imports.display_text import shown_lines


@cli.command("airtable-sync", cls=SettingsCommand, takes=Commands.AIRTABLE)
@click.option("--contact", "contacts", multiple=True, metavar="ID", help="Only this contact.")
@click.option(
    "--since",
    metavar="TIME",
    help="Only contacts whose insights changed in this time: 90m, 24h or 7d.",
)
@click.option("--all", "everything", is_flag=True, help="All contacts.")
@click.option("--force", is_flag=True, help="Also send notes that have not changed.")
@click.option(
    "--dry-run", is_flag=True, help="Only show what would be sent; no request to Airtable."
)
@click.option("--check", is_flag=True, help="Only compare airtable.toml with the base.")
@click.option("--json", "as_json", is_flag=True, help="For programs: the result as JSON.")
def airtable_sync(
    contacts: tuple[str, ...],
    since: str | None,
    everything: bool,
    force: bool,
    dry_run: bool,
    check: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Send the insights of contacts to Airtable, as a note for each.

    By default those that are new or have changed since the last sync, and those that failed. The
    key is in AIRTABLE_API_KEY; base, tables and fields are in airtable.toml. If it is interrupted,
    the same command continues it.
    """
    from imports.airtable.config import read_config
    from imports.backends.target import check_database
    from imports.cli.airtable_sync import check_base, duration, sync_base

    if sum([bool(contacts), since is not None, everything]) > 1:
        raise click.UsageError("--contact, --since and --all exclude each other.")
    if check and (contacts or since or everything or force or dry_run):
        raise click.UsageError("--check sends nothing: give it without other selections.")
    if since is not None and duration(since) is None:
        raise click.UsageError(f"--since {since}: give a number with m, h or d, such as 24h.")
    if check:
        from imports.loading import read_settings

        # Not `settings_from`: it asks only Airtable.
        settings = read_settings(**given(flags))
        tell_project(settings, sys.stderr)
        result = check_base(settings, read_config(settings.airtable_config))
    else:
        settings = settings_from("insights", **flags)
        config = read_config(settings.airtable_config)
        check_database(settings)
        with running(settings, sys.stderr if as_json else sys.stdout) as (display, stop):
            result = sync_base(
                settings,
                config,
                stop,
                display,
                contacts=contacts,
                since=since,
                everything=everything,
                force=force,
                dry_run=dry_run,
            )
    if as_json:
        print_json(result.plain, indented=True)
    else:
        print_out(shown_lines(result.lines))
    exit_with(result.exit_code)
