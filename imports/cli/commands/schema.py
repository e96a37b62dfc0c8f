"""The commands of `schema`."""

from __future__ import annotations

from typing import Any

import click

from imports.cli.group import cli
from imports.cli.options import SettingsCommand
from imports.cli.printing import print_out
from imports.cli.running import settings_from
from imports.configuration.commands import Commands
from imports.display_text import shown


@cli.group()
def schema() -> None:
    """The tables and functions that a target needs."""


@schema.command("apply", cls=SettingsCommand, takes=Commands.SCHEMA)
def schema_apply(**flags: Any) -> None:
    """Apply the migrations that the PostgreSQL at DATABASE_URL, or the embedded one, lacks."""
    from imports.backends.target import apply_missing_schema

    applied, place = apply_missing_schema(settings_from("states", **flags))
    for name in applied:
        print_out(f"applied {name}")
    print_out(shown(f"The schema of {place} is up to date."))


@schema.command("print")
@click.option("--functions", "only_functions", is_flag=True, help="Only the functions.")
def schema_print(*, only_functions: bool) -> None:
    """Print the migrations, for Supabase's SQL editor.

    The functions alone are for a database that has the tables.
    """
    from imports.servers.schema import migrations

    for migration in migrations():
        if migration.checksum is not None or not only_functions:
            print_out(f"-- {migration.version}_{migration.name}\n\n{migration.sql}")


@schema.command("export")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if it would.")
@click.option("--same-version", is_flag=True, help="Keep the version of the file.")
def schema_export(*, check: bool, same_version: bool) -> None:
    """Write the functions, which are rendered from the tables, as the newest migration.

    For those who change the importer, in a checkout. They get a new version where they changed,
    so that `supabase db push` applies them. Keep the version where it has applied none of it yet.
    """
    from imports.cli.schema_export import export_functions
    from imports.errors import SchemaError

    export = export_functions(check=check, same_version=same_version)
    if check and export.written:
        raise SchemaError(
            "The functions in supabase/migrations are out of date. Write them anew with"
            " `resilient-importer schema export`."
        )
    print_out(shown(f"{'wrote' if export.written else 'up to date:'} {export.path}"))
