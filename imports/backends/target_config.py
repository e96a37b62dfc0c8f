"""How to connect to a target, as plain data, and the connections of this process to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from imports.backends.database import Database, ImageStore, TargetIdentity
from imports.backends.local_images import LocalImages
from imports.backends.operations import Operations
from imports.backends.places import Places
from imports.backends.postgresql import PostgreSQLDatabase
from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingDatabase, RetryingStore
from imports.configuration.values import Secret
from imports.errors import BackendError

MERGES_AT_ONCE = 4
"""Batches that are merged at the same time; more would only wait for each other."""


@dataclass(frozen=True, slots=True)
class Supabase:
    """How to connect to a Supabase."""

    url: str
    key: Secret

    def parts(self) -> tuple[str, str]:
        """The URL and the key."""
        return self.url, self.key.get_secret_value()


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """How a run connects to its target; workers get this instead of connections.

    Rows go into the database `database_url`, or through the API of `supabase` if that is None.
    Images go into `supabase`, or into the folder `images` if that is None. `embedded` is the folder
    of an embedded server, which is restarted if it was killed. With `public_buckets`, the buckets
    of places are created as public.

    Each opened target has its own `id`, so runs in one process do not share connections.
    """

    database_url: Secret | None
    images: Path
    supabase: Supabase | None = None
    uploads_at_once: int = 1
    embedded: Path | None = None
    max_retries: int = 0
    max_wait: float = 0.0
    public_buckets: bool = False
    id: str = field(default_factory=lambda: uuid4().hex)


class OpenTarget(NamedTuple):
    """The connections to a target. Thread-safe."""

    database: RetryingDatabase
    store: RetryingStore
    places: Places

    def close(self) -> None:
        """Closes all connections."""
        self.database.close()
        self.store.close()
        self.places.close()


_open: dict[str, OpenTarget] = {}
_opening = threading.Lock()


def opened(config: TargetConfig) -> OpenTarget:
    """The connections of this process to a target; the first call opens them.

    They stay open until `close`, or until the process ends. The coordinator adds its own with
    `keep`; these use its stop event and its display.
    """
    found = _open.get(config.id)
    if found is not None:
        return found
    with _opening:
        found = _open.get(config.id)
        if found is None:
            found = connect(config, RetryPolicy(config.max_retries, max_wait=config.max_wait))
            watch(config, found)
            _open[config.id] = found
    return found


def keep(config: TargetConfig, target: OpenTarget) -> None:
    """Makes `opened` return these connections from now on."""
    _open[config.id] = target


def close(config: TargetConfig) -> None:
    """Closes the connections of this process to a target, if there are any."""
    found = _open.pop(config.id, None)
    if found is not None:
        found.close()


def connect(config: TargetConfig, policy: RetryPolicy) -> OpenTarget:
    """New connections to a target, with the retries of a policy. Sends no request yet.

    Raises:
        UsageError: if the URL of the database is invalid.
    """
    operations = Operations()
    if config.database_url is not None:
        database: Database = PostgreSQLDatabase(config.database_url.get_secret_value())
    else:
        database = api_database(config)
    open_bucket = partial(_bucket, config, policy, operations)
    return OpenTarget(
        RetryingDatabase(database, policy, operations),
        open_bucket(config.images.name),
        Places(open_bucket),
    )


def _bucket(
    config: TargetConfig, policy: RetryPolicy, operations: Operations, name: str
) -> RetryingStore:
    """The store of a bucket. A local bucket is a folder beside the folder `images`."""
    store: ImageStore
    if config.supabase is None:
        store = LocalImages(config.images.with_name(name))
    else:
        # On demand: its libraries are slow to import.
        from imports.backends.supabase_images import SupabaseImages

        public = config.public_buckets and name != config.images.name
        connections = config.uploads_at_once
        store = SupabaseImages(*config.supabase.parts(), connections, name, public=public)
    found = RetryingStore(store, policy, operations)
    found.watch(store.prepare)
    return found


def api_database(config: TargetConfig) -> Database:
    """The database of a target, through the API of its Supabase.

    Raises:
        BackendError: if the target has no Supabase.
    """
    if config.supabase is None:
        raise BackendError("The target has neither a database URL nor a Supabase.")
    from imports.backends.supabase import SupabaseDatabase

    return SupabaseDatabase(*config.supabase.parts(), MERGES_AT_ONCE)


def watch(config: TargetConfig, target: OpenTarget) -> None:
    """Sets the probe, which tells whether the database answers other requests."""
    probe = target.database.unwrapped.identify
    target.database.watch(
        probe if config.embedded is None else partial(_revived, probe, config.embedded)
    )


def _revived(identify: Callable[[], TargetIdentity], folder: Path) -> TargetIdentity:
    """Identifies the embedded database; restarts its server if that was killed."""
    from imports.servers import embedded

    embedded.revive(folder)
    return identify()
