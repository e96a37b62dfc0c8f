"""The command `reset`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from imports.cli.group import cli
from imports.cli.options import SettingsCommand
from imports.cli.running import exit_with, running, settings_from
from imports.configuration.commands import Commands
from imports.kinds.wording import WORDINGS


@cli.command(cls=SettingsCommand, takes=Commands.RESET)
@click.option("--batch-id", metavar="ID", required=True, help="The run that is undone.")
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.option("--confirm", is_flag=True, help="Do not ask for the batch id to be typed.")
@click.option("--json", "as_json", is_flag=True, help="For programs: the result as JSON.")
@click.option(
    "--kind",
    type=click.Choice(list(WORDINGS)),
    help="The kind of the run; needed only if its ledger is lost.",
)
def reset(
    batch_id: str, dry_run: bool, confirm: bool, as_json: bool, kind: str | None, **flags: Any
) -> None:
    """Delete what a run wrote last: its rows, and the images that no other row names.

    It shows what it deletes, and asks for the batch id. Then the files can be imported again. Files
    that the run deleted or moved do not come back. If it is interrupted, the same command continues
    it.
    """
    from imports.cli.reset import check_way, reset_with
    from imports.cli.status import last_ledger
    from imports.loading import check_backend, refuse_env_files_in
    from imports.phases.resetting import open_reset, run_to_reset

    check_way(sys.stdin, sys.stderr, asks=not (dry_run or confirm), as_json=as_json)
    settings = settings_from("states", **flags)
    settings = replace(settings, db_path=last_ledger(settings))
    run = run_to_reset(settings, batch_id, kind)
    check_backend(run.settings)
    for each in run.runs:
        refuse_env_files_in(Path(each.source), settings)
    with (
        running(run.settings, sys.stderr if as_json else sys.stdout) as (display, stop),
        open_reset(run, stop, display) as opened,
    ):
        code = reset_with(opened, display, asks=not confirm, deletes=not dry_run, as_json=as_json)
    exit_with(code)
