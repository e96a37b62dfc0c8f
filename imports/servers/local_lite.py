"""`@supabase/lite` (npm): storage, auth, and a REST API like PostgREST's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from imports.servers.hosted_database import STORAGE
from imports.servers.local_program import NODE_MODULES, LocalSupabaseError, Program

SCHEMAS: Final = ("public",)

_LITE: Final = NODE_MODULES / "@supabase/lite/dist/cli/index.js"


def lite(
    folder: Path, node: str, port: int, connection: Mapping[str, str], keys: Mapping[str, str]
) -> Program:
    """`@supabase/lite` on `port`, over a database."""
    if not _LITE.exists():
        raise LocalSupabaseError(
            f"{_LITE} is missing. Run `make setup` in {NODE_MODULES.parent}, which installs it."
        )
    _write_configuration(folder, port, connection["dbname"])
    command = [node, str(_LITE), "--no-telemetry", "start", "--no-admin"]
    environment = _environment({**connection, "user": STORAGE}, keys)
    return Program("lite", command, environment, folder)


def _write_configuration(folder: Path, port: int, database: str) -> None:
    config = folder / "supabase" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
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


def _environment(connection: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "SUPABASE_", "LITE_", "EXPERIMENTAL_", "DATABASE_URL"))
    }
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    return {
        **inherited,
        **{names[part]: value for part, value in connection.items() if part in names},
        "SUPABASE_SECRET_KEY": keys["secret"],
        "SUPABASE_PUBLISHABLE_KEY": keys["publishable"],
        "SUPABASE_JWT_SECRET": keys["jwt"],
        "EXPERIMENTAL_STORAGE": "1",
        # No telemetry about this machine.
        "LITE_TELEMETRY": "0",
        "DO_NOT_TRACK": "1",
    }
