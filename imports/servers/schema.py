"""The schema of a target: the migrations in `supabase/migrations`, and applying them.

Migrations are written by hand and applied once, in the order of their versions. The functions are
rendered from the tables into one generated file, the newest migration. It is applied whenever its
checksum differs from that of the target. All are recorded in
`supabase_migrations.schema_migrations`, as the Supabase CLI does, so that you can use
`supabase db push` and `schema apply` in turn.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import psycopg2.extensions

from imports.errors import SchemaError
from imports.servers.connecting import connect
from imports.servers.database_url import understood

if TYPE_CHECKING:
    from imports.servers.earlier_tables import Earlier, SetAside

FUNCTIONS = "functions"
"""The name of the generated migration."""

_NAME = re.compile(r"(\d{14})_(\w+)\.sql")
_CHECKSUM = re.compile(r"functions_checksum = '([0-9a-f]{64})';\s*\Z")
HISTORY = """\
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
  version text not null primary key, statements text[], name text
)"""
_LOCK = 5_103_880_517_432_011_001
"""An advisory lock: two runs must not apply the schema at once."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the schema; its version is the 14 digits at the beginning of its name."""

    version: str
    name: str
    sql: str

    @property
    def checksum(self) -> str | None:
        """The checksum at the end of the file with the functions; None for other files."""
        found = _CHECKSUM.search(self.sql) if self.name == FUNCTIONS else None
        return None if found is None else found[1]


@dataclass(frozen=True, slots=True)
class SchemaNeeded:
    """The version of the tables and the checksum of the functions that a target must have."""

    version: str
    functions: str


def folder() -> Path:
    """The folder of the migrations.

    Raises:
        SchemaError: if the installation lacks them.
    """
    package = Path(__file__).parents[1]
    for place in (package.parent / "supabase" / "migrations", package / "migrations"):
        if any(_NAME.fullmatch(path.name) for path in place.glob("*.sql")):
            return place
    raise SchemaError(
        f"No migrations were found beside {package}. The installation is incomplete: install again."
    )


def migrations(place: Path | None = None) -> list[Migration]:
    """All migrations in a folder, the oldest first; by default our own.

    Raises:
        SchemaError: if the installation lacks them.
    """
    return [
        Migration(match[1], match[2], path.read_text(encoding="utf-8"))
        for path in sorted((place or folder()).glob("*.sql"))
        if (match := _NAME.fullmatch(path.name))
    ]


def needed() -> SchemaNeeded:
    """The schema that this version of the importer needs.

    Raises:
        SchemaError: if the installation lacks it.
    """
    all_migrations = migrations()
    newest = max(each.version for each in all_migrations if each.name != FUNCTIONS)
    functions = all_migrations[-1].checksum
    if functions is None:
        raise SchemaError(
            f"The newest migration in {folder()} must be the generated functions. In a checkout,"
            " write them again with `resilient-importer schema export`; otherwise install again."
        )
    return SchemaNeeded(newest, functions)


def table_names() -> list[str]:
    """The qualified names of all tables that the migrations create.

    Raises:
        SchemaError: if the installation lacks them.
    """
    # On demand, as below.
    from imports.servers.earlier_tables import created_by

    created = created_by(each.sql for each in migrations())
    return [f"{schema}.{name}" for kind, schema, name in created if kind == "table"]


def apply_schema(database_url: str) -> list[str]:
    """Applies the migrations that the database lacks, each in its own transaction.

    Returns the names of those applied. Migrations that were applied without being recorded, in an
    SQL editor, are recorded: what they made is ours.

    Raises:
        SchemaError: if the database is too old, tables of other programs have the names of ours,
            or it refuses a migration.
        BackendError, BackendUnavailableError, UsageError: if it cannot be connected to.
    """
    with _connected(database_url) as connection:
        with _explained(connection) as cursor:
            found = _earlier(cursor)
        if found:
            from imports.servers.earlier_tables import in_the_way

            raise SchemaError(in_the_way(found))
        return [migration.name for migration in migrations() if _apply(connection, migration)]


def set_aside_earlier(database_url: str) -> SetAside:
    """Moves tables of other programs that have the names of ours to schemas of their own.

    Raises:
        SchemaError: if the database refuses to move one; none is moved then.
        BackendError, BackendUnavailableError, UsageError: if it cannot be connected to.
    """
    from imports.servers.earlier_tables import set_aside

    with _connected(database_url) as connection, _explained(connection) as cursor:
        return set_aside(cursor, _earlier(cursor))


@contextlib.contextmanager
def _connected(database_url: str) -> Iterator[psycopg2.extensions.connection]:
    connection = connect(understood(database_url), psycopg2.extensions.connection)
    with contextlib.closing(connection):
        if connection.server_version < 150_000:
            raise SchemaError(
                f"The server is PostgreSQL {connection.server_version // 10_000};"
                " 15 or later is needed (UNIQUE NULLS NOT DISTINCT)."
            )
        yield connection


@contextlib.contextmanager
def _explained(
    connection: psycopg2.extensions.connection,
) -> Iterator[psycopg2.extensions.cursor]:
    """A transaction that looks at tables of other programs."""
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
            yield cursor
    except psycopg2.Error as error:
        raise SchemaError(
            "Tables of other programs may have the names of ours, and cannot be read or moved:"
            f" {_first_line(error)}. Nothing was changed. Connect as the role that owns them."
        ) from error


def _earlier(cursor: psycopg2.extensions.cursor) -> list[Earlier]:
    """What is in the way of the migrations that the database lacks; see `apply_schema`."""
    missing = [each for each in migrations() if not _is_recorded(cursor, each)]
    present = _version(cursor)
    unrecorded = [each for each in missing if each.version <= present]
    if unrecorded:
        cursor.execute(HISTORY)
    for each in unrecorded:
        _record(cursor, each)
    # On demand: most runs only ask what this version needs.
    from imports.servers.earlier_tables import earlier_tables

    return earlier_tables(cursor, [each.sql for each in missing if each.version > present])


def _is_recorded(cursor: psycopg2.extensions.cursor, migration: Migration) -> bool:
    cursor.execute("select to_regclass('supabase_migrations.schema_migrations')")
    if cursor.fetchone() == (None,):
        return False
    cursor.execute(
        "select from supabase_migrations.schema_migrations where version = %s",
        (migration.version,),
    )
    return cursor.rowcount == 1


def _version(cursor: psycopg2.extensions.cursor) -> str:
    """The version of the tables that the database says it has; nothing if they are not ours."""
    cursor.execute(
        "select from pg_attribute where attrelid = to_regclass('public.import_target')"
        " and attname = 'schema_version'"
    )
    if not cursor.rowcount:
        return ""
    cursor.execute("select schema_version from public.import_target")
    row = cursor.fetchone()
    return "" if row is None or row[0] is None else str(row[0])


def _apply(connection: psycopg2.extensions.connection, migration: Migration) -> bool:
    """Applies a migration if the database lacks it; returns whether it did."""
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
            cursor.execute(HISTORY)
            if _has(cursor, migration):
                return False
            cursor.execute(migration.sql)
            _record(cursor, migration)
            return True
    except psycopg2.Error as error:
        raise SchemaError(
            f"Migration {migration.version}_{migration.name} was refused:"
            f" {_first_line(error)}. Nothing of it was applied."
        ) from error


def _record(cursor: psycopg2.extensions.cursor, migration: Migration) -> None:
    cursor.execute(
        "insert into supabase_migrations.schema_migrations (version, statements, name)"
        " values (%s, %s, %s)"
        " on conflict (version) do update set statements = excluded.statements",
        (migration.version, [migration.sql], migration.name),
    )


def _has(cursor: psycopg2.extensions.cursor, migration: Migration) -> bool:
    """Whether a migration is recorded, and its functions, if it has any, have the same checksum."""
    recorded = _is_recorded(cursor, migration)
    if not recorded or migration.checksum is None:
        return recorded
    cursor.execute(
        "select from public.import_target where functions_checksum = %s", (migration.checksum,)
    )
    return cursor.rowcount == 1


def _first_line(error: psycopg2.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
