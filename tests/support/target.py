"""Where a test imports to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import httpx

from imports.local_supabase import LocalSupabase
from imports.schema import newest_version
from tests.support.command import wait_until
from tests.support.database import query


@dataclass(frozen=True)
class Target:
    """What the settings of an import need for one of the backends, and where its rows end up.

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
        return httpx.request(method, url, headers=headers, trust_env=False, **arguments)

    def empty(self) -> None:
        """Makes it like a new one, which nobody has imported into, once nobody does any more."""
        url = self.database_url
        wait_until(lambda: not query(url, _AT_WORK))
        tables = ", ".join(name for (name,) in query(url, _OUR_TABLES))
        query(url, f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
        query(
            url,
            "UPDATE import_target SET id = gen_random_uuid(), schema_version = %s",
            newest_version(),
        )
        if self.supabase_url is None:
            return
        if self.api("GET", "/storage/v1/bucket/imagecache").is_success:
            assert self.api("POST", "/storage/v1/bucket/imagecache/empty").is_success
            assert self.api("DELETE", "/storage/v1/bucket/imagecache").is_success


# A server finishes what a killed run has asked of it.
_AT_WORK = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'"
)
_OUR_TABLES = (
    "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
    " AND relnamespace = 'public'::regnamespace AND relname <> 'import_target'"
)
