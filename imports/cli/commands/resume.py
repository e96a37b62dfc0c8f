"""The command `resume`."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from imports.cli.group import cli
from imports.cli.options import SettingsCommand, kind_option
from imports.cli.running import (
    exit_with,
    given,
    import_with,
    settings_from,
    tell_error,
)
from imports.configuration.commands import Commands
from imports.display_text import shown
from imports.run.streams import tell

if TYPE_CHECKING:
    from imports.settings import Settings


@cli.command(cls=SettingsCommand, takes=Commands.RESUME)
@kind_option
@click.option("--tag", help="Only runs with this tag.")
@click.option("--give-up", is_flag=True, help="Give the runs up: they cannot be resumed any more.")
def resume(kind: str | None, tag: str | None, give_up: bool, **flags: Any) -> None:
    """Resume every unfinished run, one after the other, the oldest first.

    Each run keeps its options. The exit code is the worst of all runs.
    """
    from imports.cli.resuming import give_up_runs, resumable_runs, resume_all
    from imports.cli.status import last_ledger
    from imports.loading import refuse_env_files_in

    settings = settings_from("states", **flags)
    settings = replace(settings, db_path=last_ledger(settings))
    runs = resumable_runs(settings, given(flags), kind, tag)
    if not runs:
        tell(shown(f"The ledger {settings.ledger_file} has no unfinished run."), sys.stdout)
    if give_up:
        for each in runs:
            tell(shown(f"Given up: {each.name}"), sys.stdout)
        give_up_runs(settings, runs)
        return

    def resume_one(settings: Settings, run_name: str) -> int:
        refuse_env_files_in(settings.imported, settings)
        return import_with(settings, run_name)

    exit_with(resume_all(runs, resume_one, lambda text: tell(shown(text), sys.stdout), tell_error))
