"""The schema of a target: the migrations in `supabase/migrations`, and applying them.

They are recorded in `supabase_migrations.schema_migrations` as the Supabase CLI does, so that
`supabase db push` and `schema apply` can take turns.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import psycopg2.extensions

from imports.backends.connecting import connect
from imports.backends.database_url import understood
from imports.errors import SchemaError

_NAME = re.compile(r"(\d{14})_(\w+)\.sql")
HISTORY = """\
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
  version text not null primary key, statements text[], name text
)"""
_LOCK = 5_103_880_517_432_011_001
"""An advisory lock, so that two runs do not apply the schema at once."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the schema; its version is the 14 digits that its name begins with."""

    version: str
    name: str
    sql: str


def migrations() -> list[Migration]:
    """All migrations, the oldest first.

    Raises:
        SchemaError: if the installation lacks them.
    """
    package = Path(__file__).parent
    for folder in (package.parent / "supabase" / "migrations", package / "migrations"):
        found = [
            Migration(match[1], match[2], path.read_text(encoding="utf-8"))
            for path in sorted(folder.glob("*.sql"))
            if (match := _NAME.fullmatch(path.name))
        ]
        if found:
            return found
    raise SchemaError(
        f"No migrations were found beside {package}. The installation is not whole: install again."
    )


def newest_version() -> str:
    """The version that a target must have."""
    return migrations()[-1].version


def apply_schema(database_url: str) -> list[str]:
    """Applies the migrations that the database lacks, each in its own transaction.

    Returns the names of those applied.

    Raises:
        SchemaError: if the database is too old, or refuses one of them.
        BackendError, BackendUnavailableError, UsageError: if it cannot be connected to.
    """
    connection = connect(understood(database_url), psycopg2.extensions.connection)
    with contextlib.closing(connection):
        if connection.server_version < 150_000:
            raise SchemaError(
                f"The server is PostgreSQL {connection.server_version // 10_000};"
                " 15 or later is needed (UNIQUE NULLS NOT DISTINCT)."
            )
        return [migration.name for migration in migrations() if _apply_once(connection, migration)]


def _apply_once(connection: psycopg2.extensions.connection, migration: Migration) -> bool:
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
            cursor.execute(HISTORY)
            cursor.execute(
                "select from supabase_migrations.schema_migrations where version = %s",
                (migration.version,),
            )
            if cursor.rowcount:
                return False
            cursor.execute(migration.sql)
            cursor.execute(
                "insert into supabase_migrations.schema_migrations (version, statements, name)"
                " values (%s, %s, %s)",
                (migration.version, [migration.sql], migration.name),
            )
            return True
    except psycopg2.Error as error:
        raise SchemaError(
            f"Migration {migration.version}_{migration.name} was refused:"
            f" {_first_line(error)}. Nothing of it was applied."
        ) from error


def _first_line(error: psycopg2.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
