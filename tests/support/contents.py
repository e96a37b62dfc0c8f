"""The content of a target: its rows, its images, and whether anything was written to it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.support.command import wait_until
from tests.support.database import asking, connected, query
from tests.support.target import Target

_TABLES = (
    "import_target",
    "import_merges",
    "datasets",
    "image_assets",
    "search_results",
    "device_test",
)


def results(url: str) -> list[dict[str, Any]]:
    """All rows of search_results, without what differs from run to run."""
    found = query(
        url,
        "SELECT to_jsonb(r) - '{id,dataset_id,batch_id,inserted_by,created_at,updated_at}'::text[]"
        " FROM public.search_results r ORDER BY search_name, search_state, license_number",
    )
    return [row[0] for row in found]


def assets(url: str) -> list[dict[str, Any]]:
    """All rows of image_assets, without what differs from run to run and between backends."""
    found = query(
        url,
        "SELECT to_jsonb(a) - '{first_seen,storage_type}'::text[]"
        " FROM public.image_assets a ORDER BY content_hash",
    )
    return [row[0] for row in found]


def count(url: str, table: str = "search_results") -> int:
    return int(query(url, f"SELECT count(*) FROM {table}")[0][0])


def versions(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """The transaction that wrote each row of each table, and the row's position."""
    return {
        table: query(url, f"SELECT ctid::text, xmin::text FROM public.{table} ORDER BY 1")
        for table in _TABLES
    }


def stored_images(target: Target, folder: Path) -> dict[str, str]:
    """The images that the target of a working folder has: path and hash of the content."""
    if target.supabase_url is None:
        cache = folder / ".importer" / "imagecache"
        return {
            path.relative_to(cache).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in cache.rglob("*")
            if path.is_file()
        }
    names = [
        row[0]
        for row in query(
            target.database_url, "SELECT name FROM storage.objects WHERE bucket_id = 'imagecache'"
        )
    ]
    with httpx.Client(headers={"apikey": target.supabase_key or ""}, trust_env=False) as client:
        base = f"{target.supabase_url}/storage/v1/object/imagecache"
        return {
            name: hashlib.sha256(
                client.get(f"{base}/{name}").raise_for_status().content
            ).hexdigest()
            for name in names
        }


@contextlib.contextmanager
def held(url: str, table: str = "search_results") -> Iterator[None]:
    """Locks a table against writes until the block ends."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"BEGIN; LOCK TABLE public.{table} IN SHARE MODE")
        yield
        cursor.execute("ROLLBACK")


_WAITING = "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation'"


def somebody_waits(url: str) -> bool:
    """Whether a transaction waits for a locked table."""
    return bool(query(url, _WAITING))


def until_somebody_waits(url: str) -> None:
    """Returns as soon as a transaction waits."""

    def ask() -> bool:
        cursor.execute(_WAITING)
        return cursor.rowcount > 0

    with asking(url) as connection, connection.cursor() as cursor:
        wait_until(ask)
