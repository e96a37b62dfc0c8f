"""The target of a run: which database and image store the settings mean, opened."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imports.backends.database import Database, ImageStore, TargetIdentity
from imports.backends.local_images import LocalImages
from imports.backends.places import Places
from imports.backends.postgresql import PostgreSQLDatabase, location
from imports.backends.retry import RetryPolicy, with_retries
from imports.configuration.choices import Backend
from imports.errors import BackendError, SchemaError
from imports.files.private_file import tighten
from imports.servers.schema import apply_schema, needed
from imports.settings import Settings

if TYPE_CHECKING:
    from imports.servers.embedded import EmbeddedServer

MERGES_AT_ONCE = 4
"""Batches that are merged at the same time; more only wait for each other."""


@dataclass(slots=True)
class Target:
    """An open target. `location` says where it is, without a secret."""

    backend: Backend
    location: str
    identity: TargetIdentity
    database: Database
    store: ImageStore
    places: Places
    server: EmbeddedServer | None = None
    _closed: bool = field(default=False, init=False)

    @property
    def key(self) -> str:
        """What the ledger knows it by: the database's own id, and where images go."""
        return f"{self.identity.id}/{self.store.storage_type}"

    def close(self) -> None:
        """Closes all connections, and stops the embedded server that nobody else uses."""
        if self._closed:
            return
        self._closed = True
        self.database.close()
        self.store.close()
        self.places.close()
        if self.server is not None:
            _release(self.server)


def describe(settings: Settings) -> str:
    """Which target the settings mean, and where it is."""
    images = _below_project(settings, "imagecache")
    backend = settings.chosen_backend
    if backend is Backend.SUPABASE:
        rows = f", rows by COPY into its {_database(settings)}" if settings.database_url else ""
        return f"Supabase at {settings.supabase_url}{rows}"
    if backend is Backend.POSTGRESQL:
        return f"PostgreSQL, {_database(settings)}; images in {images}"
    return f"embedded PostgreSQL in {_below_project(settings, 'postgresql')}; images in {images}"


def _below_project(settings: Settings, name: str) -> Path:
    """A place in the data folder, by a name that is the same from every working folder.

    An unfinished run is known by what its target is called.
    """
    place, project = (
        Path(os.path.abspath(each)) for each in (settings.data_folder / name, settings.project)
    )
    return place.relative_to(project) if place.is_relative_to(project) else place


def reason(settings: Settings) -> str:
    """Why it is this target, for the first line that a run prints."""
    if settings.backend is not Backend.AUTO:
        return "as asked for"
    if settings.chosen_backend is Backend.EMBEDDED:
        return "nothing is configured"
    supabase = settings.chosen_backend is Backend.SUPABASE
    return "SUPABASE_URL is set" if supabase else "DATABASE_URL is set"


def new_by_default(settings: Settings, target: Target) -> str | None:
    """What to tell where a new database was made because none is configured; else None."""
    if target.server is None or not target.server.made or settings.backend is Backend.EMBEDDED:
        return None
    postgresql = settings.backend is Backend.POSTGRESQL
    unset = "DATABASE_URL is not" if postgresql else "neither SUPABASE_URL nor DATABASE_URL is"
    return (
        f"No target is configured ({unset} set): a new, empty database was made for this run, the"
        f" embedded PostgreSQL in {target.server.folder}. If that is meant, say so with"
        " IMPORTER_BACKEND=embedded or --backend embedded. Else set the variables, or set"
        " IMPORTER_PROJECT to the folder that has your .env."
    )


def open_target(settings: Settings, policy: RetryPolicy) -> Target:
    """Opens the target that the settings mean, and makes sure that it has our schema.

    Raises:
        BackendError, BackendUnavailableError, SchemaError, EmbeddedServerError: if it cannot.
    """
    if settings.chosen_backend is Backend.SUPABASE:
        return _open_supabase(settings, policy)
    server = None
    if settings.chosen_backend is Backend.EMBEDDED or settings.database_url is None:
        server = _start_embedded(settings)
        url = server.url
    else:
        url = settings.database_url.get_secret_value()
    database = PostgreSQLDatabase(url)
    images = settings.data_folder / "imagecache"
    tighten(images)
    store = LocalImages(images)
    places = Places(lambda bucket: LocalImages(settings.data_folder / bucket))
    try:
        identity = _identify(database, policy, own_url=url if server else None)
        policy.watch(database, partial(_revived, database, server) if server else database.identify)
        policy.watch(store, store.prepare)
        policy.watch(places, places.probe)
    except BaseException:
        database.close()
        if server is not None:
            _release(server)
        raise
    backend = settings.chosen_backend
    return Target(backend, describe(settings), identity, database, store, places, server)


def _open_supabase(settings: Settings, policy: RetryPolicy) -> Target:
    from imports.backends.supabase import SupabaseDatabase
    from imports.backends.supabase_images import SupabaseImages

    if settings.supabase_url is None or settings.supabase_key is None:
        raise BackendError("The settings for Supabase are not whole.")
    url, key = settings.supabase_url.rstrip("/"), settings.supabase_key.get_secret_value()
    with contextlib.ExitStack() as opened:
        store = SupabaseImages(url, key, settings.max_concurrent_uploads)
        opened.callback(store.close)
        database: Database = SupabaseDatabase(url, key, MERGES_AT_ONCE)
        opened.callback(database.close)
        identity = _identify(database, policy, own_url=None)
        if settings.database_url is not None:
            database.close()
            database = PostgreSQLDatabase(settings.database_url.get_secret_value())
            opened.callback(database.close)
            if _identify(database, policy, own_url=None).id != identity.id:
                raise BackendError(
                    "SUPABASE_URL and DATABASE_URL lead to different databases. Set DATABASE_URL"
                    " to the project's own, or remove it: rows then go over the API."
                )
        policy.watch(database, database.identify)
        places = Places(partial(SupabaseImages, url, key, settings.max_concurrent_uploads))
        policy.watch(store, store.prepare)
        policy.watch(places, places.probe)
        opened.pop_all()
    return Target(Backend.SUPABASE, describe(settings), identity, database, store, places)


def _identify(database: Database, policy: RetryPolicy, *, own_url: str | None) -> TargetIdentity:
    """Who the database is. One that is our own (`own_url`) gets the schema it lacks."""
    try:
        identity = with_retries(policy, database.identify)
        problem = _wrong_schema(identity)
        if problem is None:
            return identity
    except SchemaError as error:
        if own_url is None:
            raise
        problem = str(error)
    if own_url is None:
        raise SchemaError(problem)
    apply_schema(own_url)
    return with_retries(policy, database.identify)


def _wrong_schema(identity: TargetIdentity) -> str | None:
    """What is wrong with the tables or the functions of a target, and what to do; else None."""
    need = needed()
    has = identity.schema_version or "none"
    if (identity.schema_version or "") < need.version:
        return (
            f"The schema of the target is of version {has}. This program needs {need.version}."
            " Apply it with DATABASE_URL set and `resilient-importer schema apply`, or with"
            " `supabase db push`."
        )
    if identity.functions == need.functions:
        return None
    if has > need.version:
        return (
            "A later version of this program uses the target, and has replaced its functions: the"
            f" schema is of version {has}, this program's of {need.version}. Update this program."
        )
    return (
        "The functions of the target are not those of this version of the program. Replace them"
        " with DATABASE_URL set and `resilient-importer schema apply`, or with `supabase db push`,"
        " or paste what `resilient-importer schema print --functions` prints into the SQL editor."
    )


def _revived(database: Database, server: EmbeddedServer) -> TargetIdentity:
    """Who the embedded database is; a server that was killed is started again: nobody else does."""
    from imports.servers import embedded

    embedded.revive(server.folder)
    return database.identify()


@contextlib.contextmanager
def schema_database(settings: Settings) -> Iterator[tuple[str, str]]:
    """The PostgreSQL to which the settings would apply the schema: its URL, and what it is called.

    Raises:
        SchemaError: if there is none.
    """
    backend = settings.chosen_backend
    if settings.database_url is not None and backend is not Backend.EMBEDDED:
        yield settings.database_url.get_secret_value(), _database(settings)
        return
    if backend is Backend.SUPABASE:
        raise SchemaError(
            "Tables cannot be made over Supabase's API. Set DATABASE_URL to the project's"
            " database and run this again, or use `supabase db push`, or paste what"
            " `resilient-importer schema print` prints into the SQL editor."
        )
    server = _start_embedded(settings)
    try:
        yield server.url, f"the embedded PostgreSQL in {server.folder}"
    finally:
        _release(server)


def _start_embedded(settings: Settings) -> EmbeddedServer:
    # On demand: a run that has a DATABASE_URL does without.
    from imports.servers import embedded

    return embedded.start(embedded_folder(settings.data_folder))


def leave_at_once(settings: Settings) -> None:
    """Before this process ends without closing its target: has the embedded server stopped then.

    It stays where somebody else uses it.
    """
    if settings.chosen_backend is Backend.EMBEDDED:
        from imports.servers import embedded

        embedded.release_afterwards(embedded_folder(settings.data_folder))


def _release(server: EmbeddedServer) -> None:
    from imports.servers import embedded

    embedded.release(server)


def embedded_folder(data_folder: Path) -> Path:
    """Where the embedded PostgreSQL keeps its data."""
    return data_folder / "postgresql"


def _database(settings: Settings) -> str:
    return location(settings.database_url.get_secret_value()) if settings.database_url else ""
