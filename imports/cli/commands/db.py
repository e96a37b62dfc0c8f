"""The commands of `db`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from imports.cli.group import CommandGroup, cli
from imports.cli.printing import print_out
from imports.cli.running import tell_project


@cli.group(cls=CommandGroup)
def db() -> None:
    """The embedded PostgreSQL in .importer/."""


@db.command("start")
def db_start() -> None:
    """Start the server, and keep it running until `db stop`."""
    from imports.servers import embedded

    server = embedded.start(_embedded_folder())
    embedded.keep(server.folder)
    print_out(server.url)


@db.command("stop")
@click.option("--force", is_flag=True, help="Stop it even if it is in use.")
def db_stop(force: bool) -> None:
    """Stop the server, unless a run or another program uses it."""
    from imports.servers import embedded

    stopped = embedded.stop(_embedded_folder(), force=force)
    click.echo("The embedded PostgreSQL is stopped." if stopped else "It was not running.")


@db.command("url")
def db_url() -> None:
    """Print the URL of the server, for psql and other programs."""
    from imports.errors import EmbeddedServerError
    from imports.servers import embedded

    url = embedded.running_url(_embedded_folder())
    if url is None:
        raise EmbeddedServerError(
            "The embedded PostgreSQL is not running. Start it: resilient-importer db start"
        )
    print_out(url)


def _embedded_folder() -> Path:
    from imports.backends.target import embedded_folder
    from imports.loading import read_settings

    settings = read_settings()
    tell_project(settings, sys.stderr)
    return embedded_folder(settings.data_folder)
