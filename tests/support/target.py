"""The targets of tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import httpx

from imports.kinds import all_kinds
from imports.servers.local_supabase import LocalSupabase
from imports.servers.schema import needed
from tests.support.command import wait_until
from tests.support.database import asking


@dataclass(frozen=True)
class Target:
    """A target for one of the backends: its settings, and the database with its rows.

    For Supabase, `database_url` is for looking at rows only. Given to the importer as well, it
    would make it COPY straight into the database.
    """

    backend: str
    database_url: str
    supabase_url: str | None = None
    supabase_key: str | None = None

    @classmethod
    def of(cls, local: LocalSupabase) -> Self:
        """A local Supabase, over its API."""
        return cls("supabase", local.database_url, local.url, local.secret_key)

    @property
    def environment(self) -> dict[str, str]:
        """The environment that makes the command line import to this target."""
        if self.supabase_url is None or self.supabase_key is None:
            return {"DATABASE_URL": self.database_url}
        return {"SUPABASE_URL": self.supabase_url, "SUPABASE_SERVICE_ROLE_KEY": self.supabase_key}

    def api(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Asks the Supabase, with its secret key."""
        key = self.supabase_key or ""
        headers = {
            "apikey": key,
            "authorization": f"Bearer {key}",
            **arguments.pop("headers", {}),
        }
        url = f"{self.supabase_url}{path}"
        # No TLS is used here, and loading all certificates takes long.
        options: dict[str, Any] = {"trust_env": False, "verify": False}
        return httpx.request(method, url, headers=headers, **options, **arguments)

    def empty(self) -> None:
        """Empties the target, after the last import has ended."""
        with asking(self.database_url) as connection, connection.cursor() as cursor:

            def ask(sql: str, *parameters: object) -> list[tuple[Any, ...]]:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall()

            wait_until(lambda: not ask(_AT_WORK))
            if filled := [name for (name,) in ask(_FILLED)]:
                deletes = (f"DELETE FROM {table}" for table in filled)
                cursor.execute(";".join([_WITHOUT_CHECKS, *deletes]))
                # So that new rows are stored in order again.
                cursor.execute(f"VACUUM {', '.join(filled)}")
            ask(_RESTART_NUMBERS)
            need = needed()
            ask(_RENEW_TARGET, need.version, need.functions)
            ((stores_images,),) = ask("SELECT to_regclass('storage.buckets') IS NOT NULL")
            buckets = ask("SELECT id FROM storage.buckets") if stores_images else []
        for (bucket,) in buckets:
            assert self.api("POST", f"/storage/v1/bucket/{bucket}/empty").is_success
            assert self.api("DELETE", f"/storage/v1/bucket/{bucket}").is_success


# A server completes the requests of a killed run.
_AT_WORK = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'"
)
_SCHEMAS = sorted({table.schema for kind in all_kinds().values() for table in kind.group.tables})
_OURS = f"relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN {(*_SCHEMAS, 'public')})"
# TRUNCATE gives each table, and each of its indexes, a new file, also where there is nothing in it;
# and of all tables that refer to one another. Most tests fill a few.
_FILLED = (
    "SELECT oid::regclass::text FROM pg_class"
    f" WHERE relkind = 'r' AND {_OURS} AND relname <> 'import_target'"
    " AND pg_relation_size(oid) > 0"
)
_WITHOUT_CHECKS = "SET LOCAL session_replication_role = replica"
_RESTART_NUMBERS = (
    "SELECT setval(pg_class.oid, seqstart, false) FROM pg_class JOIN pg_sequence ON seqrelid = oid"
    f" WHERE {_OURS}"
)
_RENEW_TARGET = (
    "UPDATE import_target SET id = gen_random_uuid(), schema_version = %s, functions_checksum = %s"
    " RETURNING id"
)
