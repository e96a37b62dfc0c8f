"""A Supabase on this machine: `@supabase/lite` (npm) over a PostgreSQL database.

For trying out the importer, and for its tests. `python -m imports.servers.local_supabase` (or
`make supabase_local`) runs one over the embedded PostgreSQL until Ctrl-C. Its REST API is that of
`@supabase/lite`, or (`--rest postgrest`) a real PostgREST behind a gateway like the hosted one.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import click

from imports.errors import ImporterError
from imports.files.private_file import make_folder
from imports.servers.local_lite import lite
from imports.servers.local_program import (
    LOOPBACK,
    LocalSupabaseError,
    Program,
    await_answer,
    free_port,
    node,
    status,
)

FOLDER: Final = Path(".importer/supabase")
DATABASE: Final = "supabase_local"
PREFERRED_PORT: Final = 54321  # where `supabase start` puts its API
_PROBES: Final = ("/rest/v1/import_target?select=id", "/storage/v1/bucket")
"""A request to each part: if both are answered, everything runs."""
_POLL: Final = 0.2
"""Seconds between two checks whether a program has ended."""


class Rest(StrEnum):
    """The server of /rest/v1."""

    LITE = "lite"
    POSTGREST = "postgrest"


@dataclass
class LocalSupabase:
    """One local Supabase. It can be stopped and started again, at the same URL.

    So can each of its programs: after `local.postgrest.kill()`, `local.start()` starts it again.
    """

    url: str
    secret_key: str = field(repr=False)
    publishable_key: str
    jwt_secret: str = field(repr=False)
    database_url: str
    folder: Path
    lite: Program
    postgrest: Program | None = None
    gateway: Program | None = None

    @property
    def programs(self) -> list[Program]:
        """All programs; clients connect to the last one."""
        return [each for each in (self.lite, self.postgrest, self.gateway) if each is not None]

    def start(self) -> None:
        """Starts the programs that do not run, and waits until all answer. Needs the schema."""
        try:
            for program in self.programs:
                program.launch()
            await_answer(
                f"The local Supabase ({self.url}, over {self.folder})",
                self.programs,
                self._answers,
            )
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stops all programs. The database stays."""
        for program in reversed(self.programs):
            program.stop()

    def kill(self) -> None:
        """Kills all programs; `stop` could wait for running requests."""
        for program in reversed(self.programs):
            program.kill()

    def wait(self) -> Program:
        """Waits until one of its programs ends by itself; returns it."""
        while True:
            for program in self.programs:
                if program.exit_code is not None:
                    return program
            time.sleep(_POLL)

    def _answers(self) -> bool:
        port = int(self.url.rpartition(":")[2])
        # Without our schema the answer is 404. A server with another key is not ours.
        return all(status(port, path, self.secret_key) in (200, 404) for path in _PROBES)


@contextlib.contextmanager
def serve(
    database_url: str, folder: Path, port: int | None = None, rest: Rest = Rest.LITE
) -> Iterator[LocalSupabase]:
    """Runs a local Supabase over a database, with our schema in it, until the block ends.

    Its configuration, keys, logs and stored objects live in `folder`.
    """
    # On demand: `--help` needs no driver.
    from imports.servers.hosted_database import prepare_database

    # Before the servers start: `@supabase/lite` reads the schema once.
    prepare_database(database_url)
    local = _configure(database_url, folder.absolute(), port or free_port(), rest)
    try:
        local.start()
        yield local
    finally:
        local.stop()


# --- its folder ------------------------------------------------------------------------------


def _configure(database_url: str, folder: Path, port: int, rest: Rest) -> LocalSupabase:
    keys = _keys(folder / "keys.json")
    connection = _connection(database_url)
    program = node()
    lite_port = port if rest is Rest.LITE else free_port()
    local = LocalSupabase(
        url=f"http://{LOOPBACK}:{port}",
        secret_key=keys["secret"],
        publishable_key=keys["publishable"],
        jwt_secret=keys["jwt"],
        database_url=database_url,
        folder=folder,
        lite=lite(folder, program, lite_port, connection, keys),
    )
    if rest is Rest.POSTGREST:
        from imports.servers.local_postgrest import gateway, postgrest

        local.postgrest = postgrest(folder, connection, keys["jwt"])
        local.gateway = gateway(folder, program, port, lite_port, keys["jwt"], keys)
    return local


def _keys(path: Path) -> dict[str, str]:
    """The keys of a folder: created once, so that exported variables stay valid."""
    found: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError):
        found = json.loads(path.read_text())
    keys = {
        "secret": f"sb_secret_{secrets.token_urlsafe(24)}",
        "publishable": f"sb_publishable_{secrets.token_urlsafe(24)}",
        "jwt": secrets.token_urlsafe(48),
        **found,
    }
    if keys != found:
        make_folder(path.parent)
        path.touch(mode=0o600)
        path.write_text(json.dumps(keys))
    return keys


def _connection(database_url: str) -> dict[str, str]:
    from psycopg2.extensions import parse_dsn

    parts: dict[str, Any] = parse_dsn(database_url)
    return {"dbname": "postgres", **{name: str(value) for name, value in parts.items() if value}}


# --- in the foreground -----------------------------------------------------------------------


def run(rest: Rest, port: int | None) -> int:
    """Runs the local Supabase over the embedded PostgreSQL until Ctrl-C; returns the exit code."""
    from imports.servers import embedded

    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        server = embedded.start()
        try:
            chosen = port or free_port(PREFERRED_PORT)
            with serve(_own_database(server.url), FOLDER, chosen, rest) as local:
                _announce(local)
                ended = local.wait()
                raise LocalSupabaseError(
                    f"{ended.name} ended by itself, with code {ended.exit_code}. See {ended.log}."
                )
        finally:
            embedded.release(server)
    except KeyboardInterrupt:
        click.echo("\nStopped. What was imported is kept.")
    except ImporterError as error:
        click.echo(error, err=True)
        return error.exit_code
    return 0


@click.command()
@click.option(
    "--rest",
    type=click.Choice([each.value for each in Rest]),
    default=Rest.LITE.value,
    help="The server of /rest/v1: @supabase/lite, or a real PostgREST.",
)
@click.option("--port", type=click.IntRange(1, 65_535), help="Default: 54321, if it is free.")
def main(rest: str, port: int | None) -> None:
    """Runs a Supabase on this machine until Ctrl-C."""
    sys.exit(run(Rest(rest), port))


def _own_database(server_url: str) -> str:
    """A database of its own, so that it shares nothing with imports into PostgreSQL."""
    from psycopg2.errors import DuplicateDatabase

    from imports.servers import embedded

    with contextlib.suppress(DuplicateDatabase):
        return embedded.create_database(server_url, DATABASE)
    return embedded.database_url(server_url, DATABASE)


def _announce(local: LocalSupabase) -> None:
    lines = (
        "A local Supabase is running. To import into it, in another terminal:",
        "",
        f"export SUPABASE_URL={local.url}",
        f"export SUPABASE_SECRET_KEY={local.secret_key}",
        "make import_scrape_states",
        "",
        "Ctrl-C ends it; what was imported is kept.",
    )
    click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
