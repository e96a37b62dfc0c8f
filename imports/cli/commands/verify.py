"""The command `verify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from imports.cli.group import cli
from imports.cli.options import FOLDER, SettingsCommand, kind_option
from imports.cli.running import running, settings_from
from imports.configuration.commands import Commands
from imports.display_text import shown_lines
from imports.run.streams import tell, tell_apart


@cli.command(cls=SettingsCommand, takes=Commands.VERIFY)
@click.option("--repair", is_flag=True, help="Import missing and different records again.")
@click.option("--tag", help="The last run with this tag, instead of the last of all runs.")
@kind_option
@click.option("--source", type=FOLDER, help="The last run over this source.")
def verify(
    repair: bool, tag: str | None, kind: str | None, source: Path | None, **flags: Any
) -> None:
    """Compare the target of the last run with its files.

    --tag, --kind and --source choose among the last runs.
    """
    from imports.cli.report import render_verification
    from imports.loading import refuse_env_files_in
    from imports.resilient_importer import ResilientImporter
    from imports.run import next_command
    from imports.run.last_work import last_work
    from imports.run.report_builder import EXIT_SOME_FAILED

    settings = last_work(settings_from("states", **flags), tag, kind, source)
    refuse_env_files_in(settings.imported, settings)
    with running(settings) as (display, stop):
        with ResilientImporter(settings, display, stop) as importer:
            report = importer.verify_again(repair=repair)
            state = importer.session.state
        display.close()
        lines = render_verification(report)
        if state.unfinished:
            lines.append(f"To resume:  {next_command.resume(state, settings.state_file)}")
        if report.repairable and not repair:
            named = {"--tag": tag, "--kind": kind, "--source": source}
            chosen = [part for name, value in named.items() if value for part in (name, str(value))]
            command = next_command.verify(
                settings.state_file, settings.as_json(), *chosen, repair=True
            )
            lines.append(f"To repair the differences:  {command}")
        tell(shown_lines(lines), sys.stdout)
        if not report.clean:
            tell_apart(shown_lines(lines))
    if not report.clean:
        raise click.exceptions.Exit(EXIT_SOME_FAILED)
