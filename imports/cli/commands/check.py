"""The command `check`."""

from __future__ import annotations

from itertools import chain
from typing import Any

import click

from imports.cli.group import cli
from imports.cli.options import SettingsCommand
from imports.cli.printing import print_json, print_out
from imports.cli.running import exit_with, given
from imports.configuration.commands import Commands
from imports.display_text import shown

_MARKS = {"ok": "✓", "warning": "⚠", "error": "✗", "away": "✗"}


@cli.command(cls=SettingsCommand, takes=Commands.CHECK)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--fix", is_flag=True, help="Apply a missing schema, and create missing buckets.")
@click.option(
    "--read-only", is_flag=True, help="Store no test object: for a check that runs all the time."
)
def check(*, as_json: bool, fix: bool, read_only: bool, **flags: Any) -> None:
    """Check that the target and this machine are ready for an import.

    It checks the settings, ledger, disks, database, schema, rights, clock and buckets. It exits
    with 0 if imports work, 1 if something is wrong, and 75 if the target does not answer.
    """
    if fix and read_only:
        raise click.UsageError("--fix and --read-only exclude each other.")
    from imports.loading import check_backend, settings_and_origins
    from imports.run.checking.finding import exit_code
    from imports.run.checking.machine import check_machine, check_settings
    from imports.run.checking.target import check_target

    settings, origins = settings_and_origins(**given(flags))
    check_backend(settings)
    findings = []
    for found in chain(
        check_settings(settings, origins),
        check_machine(settings),
        check_target(settings, fix=fix, writes=not read_only),
    ):
        findings.append(found)
        if not as_json:
            print_out(shown(f"{_MARKS[found.result]} {found.check}: {found.text}"))
            if found.advice:
                print_out(shown(f"    {found.advice}"))
    code = exit_code(findings)
    if as_json:
        checks = [each._asdict() for each in findings]
        print_json({"exit_code": code, "checks": checks}, indented=True)
    exit_with(code)
