"""The commands of `schema`."""

from __future__ import annotations

from typing import Any

import click

from imports.cli.group import CommandGroup, cli
from imports.cli.options import SettingsCommand
from imports.cli.printing import print_out
from imports.cli.running import settings_from
from imports.configuration.commands import Commands
from imports.display_text import shown


@cli.group(cls=CommandGroup)
def schema() -> None:
    """The tables and functions that a target needs."""


@schema.command("apply", cls=SettingsCommand, takes=Commands.SCHEMA)
@click.option(
    "--set-aside",
    is_flag=True,
    help="Move other programs' tables with the same names to the schema before_importer.",
)
def schema_apply(*, set_aside: bool, **flags: Any) -> None:
    """Apply the missing migrations to the PostgreSQL at DATABASE_URL, or to the embedded one.

    If tables of other programs have the same names, the command fails and changes nothing.
    """
    from imports.backends.target import schema_database
    from imports.servers.schema import apply_schema, set_aside_earlier

    with schema_database(settings_from("states", **flags)) as (url, place):
        if set_aside:
            earlier = set_aside_earlier(url)
            for each, new_schema in earlier.moved:
                print_out(shown(f"moved {each} to {new_schema}.{each.name}"))
            for function in earlier.functions:
                print_out(shown(f"⚠️  {function} names one of these: it will use our table now."))
        for name in apply_schema(url):
            print_out(f"applied {name}")
    print_out(shown(f"The schema of {place} is up to date."))


@schema.command("print")
@click.option("--functions", "only_functions", is_flag=True, help="Only the functions.")
def schema_print(*, only_functions: bool) -> None:
    """Print the migrations, for Supabase's SQL editor.

    Use --functions for a database that already has the tables.
    """
    from imports.servers.schema import migrations

    for migration in migrations():
        if migration.checksum is not None or not only_functions:
            print_out(f"-- {migration.version}_{migration.name}\n\n{migration.sql}")


@schema.command("export")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the file is out of date.")
@click.option("--same-version", is_flag=True, help="Keep the version of the file.")
def schema_export(*, check: bool, same_version: bool) -> None:
    """Write the functions, which are rendered from the tables, as the newest migration.

    For developers of the importer, in a checkout. Changed functions get a new version, so that
    `supabase db push` applies them. Use --same-version if it has not applied the file yet.
    """
    from imports.cli.schema_export import export_functions
    from imports.errors import SchemaError

    export = export_functions(check=check, same_version=same_version)
    if check and export.written:
        raise SchemaError(
            "The functions in supabase/migrations are out of date. Update them with"
            " `resilient-importer schema export`."
        )
    print_out(shown(f"{'wrote' if export.written else 'up to date:'} {export.path}"))
