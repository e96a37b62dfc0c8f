"""Opening the target of a run: the database and the image store that the settings define."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imports.backends.database import TargetIdentity
from imports.backends.places import Places
from imports.backends.postgresql import location
from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingDatabase, RetryingStore
from imports.backends.target_config import (
    OpenTarget,
    Supabase,
    TargetConfig,
    api_database,
    close,
    connect,
    keep,
    watch,
)
from imports.configuration.choices import Backend
from imports.configuration.values import Secret
from imports.errors import BackendError, SchemaError, UsageError
from imports.files.private_file import tighten
from imports.servers.schema import apply_schema, needed
from imports.settings import Settings

if TYPE_CHECKING:
    from imports.servers.embedded import EmbeddedServer


@dataclass(slots=True)
class Target:
    """An open target. `location` describes it without secrets; workers get its `config`."""

    backend: Backend
    location: str
    identity: TargetIdentity
    config: TargetConfig
    connections: OpenTarget
    server: EmbeddedServer | None = None
    _closed: bool = field(default=False, init=False)

    @property
    def database(self) -> RetryingDatabase:
        """The database for the rows."""
        return self.connections.database

    @property
    def store(self) -> RetryingStore:
        """The store for the images."""
        return self.connections.store

    @property
    def places(self) -> Places:
        """The buckets for images with places of their own."""
        return self.connections.places

    @property
    def key(self) -> str:
        """Its key in the ledger: the id in the database and the type of the image store."""
        return f"{self.identity.id}/{self.store.storage_type}"

    def close(self) -> None:
        """Closes all connections, and stops the embedded server if no other process uses it."""
        if self._closed:
            return
        self._closed = True
        close(self.config)
        if self.server is not None:
            _release(self.server)


def describe(settings: Settings) -> str:
    """The target in the settings, with its location, for messages."""
    images = _below_project(settings, "imagecache")
    backend = settings.chosen_backend
    if backend is Backend.SUPABASE:
        rows = f", rows by COPY into its {_database(settings)}" if settings.database_url else ""
        return f"Supabase at {settings.supabase_url}{rows}"
    if backend is Backend.POSTGRESQL:
        return f"PostgreSQL, {_database(settings)}; images in {images}"
    return f"embedded PostgreSQL in {_below_project(settings, 'postgresql')}; images in {images}"


def _below_project(settings: Settings, name: str) -> Path:
    """A path in the data folder; it does not depend on the working folder.

    The description of the target identifies an unfinished run.
    """
    place, project = (
        Path(os.path.abspath(each)) for each in (settings.data_folder / name, settings.project)
    )
    return place.relative_to(project) if place.is_relative_to(project) else place


def reason(settings: Settings) -> str:
    """Why this target was chosen, for the first line that a run prints."""
    if settings.backend is not Backend.AUTO:
        return "as configured"
    if settings.chosen_backend is Backend.EMBEDDED:
        return "nothing is configured"
    supabase = settings.chosen_backend is Backend.SUPABASE
    return "SUPABASE_URL is set" if supabase else "DATABASE_URL is set"


def new_database_notice(settings: Settings, target: Target) -> str | None:
    """The message if a new database was created because none is configured; else None."""
    if target.server is None or not target.server.made or settings.backend is Backend.EMBEDDED:
        return None
    postgresql = settings.backend is Backend.POSTGRESQL
    unset = "DATABASE_URL is not" if postgresql else "neither SUPABASE_URL nor DATABASE_URL is"
    return (
        f"No target is configured ({unset} set). This run created a new, empty database: the"
        f" embedded PostgreSQL in {target.server.folder}. If you want that, set"
        " IMPORTER_BACKEND=embedded or --backend embedded. Otherwise set the variables, or set"
        " IMPORTER_PROJECT to the folder that has your .env."
    )


def open_target(settings: Settings, policy: RetryPolicy) -> Target:
    """Opens the target in the settings, and checks that it has our schema.

    Raises:
        BackendError, BackendUnavailableError, SchemaError, EmbeddedServerError: if that fails.
    """
    server = None
    with contextlib.ExitStack() as resources:
        if settings.chosen_backend is Backend.EMBEDDED:
            server = _start_embedded(settings)
            resources.callback(_release, server)
        config = _config(settings, server)
        connections = connect(config, policy)
        resources.callback(connections.close)
        identity = _identify(config, connections.database, server)
        watch(config, connections)
        keep(config, connections)
        resources.pop_all()
    return Target(
        settings.chosen_backend, describe(settings), identity, config, connections, server
    )


def _config(settings: Settings, server: EmbeddedServer | None) -> TargetConfig:
    """How to connect to the target in the settings; `server` is the embedded server, if used."""
    supabase = None
    images = settings.data_folder / "imagecache"
    if settings.chosen_backend is Backend.SUPABASE:
        if settings.supabase_url is None or settings.supabase_key is None:
            raise BackendError("The settings for Supabase are incomplete.")
        supabase = Supabase(settings.supabase_url.rstrip("/"), settings.supabase_key)
    else:
        tighten(images)
    return TargetConfig(
        settings.database_url if server is None else Secret(server.url),
        images,
        supabase,
        settings.max_concurrent_uploads,
        None if server is None else server.folder,
        settings.max_retries,
        settings.max_wait,
        settings.public_bucket,
    )


def _identify(
    config: TargetConfig, database: RetryingDatabase, server: EmbeddedServer | None
) -> TargetIdentity:
    """Checks the schema, and identifies the database. An embedded one gets a missing schema."""
    if config.supabase is not None and config.database_url is not None:
        api = RetryingDatabase(api_database(config), database.policy, database.operations)
        with contextlib.closing(api):
            project = _checked(api.identify())
        identity = _checked(database.identify())
        if identity.id != project.id:
            raise BackendError(
                "SUPABASE_URL and DATABASE_URL name different databases. Set DATABASE_URL to the"
                " project's database, or remove it: rows then go through the API."
            )
        return identity
    try:
        return _checked(database.identify())
    except SchemaError:
        if server is None:
            raise
    apply_schema(server.url)
    return database.identify()


def _checked(identity: TargetIdentity) -> TargetIdentity:
    """Returns the identity of a database with our schema.

    Raises:
        SchemaError: if its schema is another one.
    """
    problem = _wrong_schema(identity)
    if problem is not None:
        raise SchemaError(problem)
    return identity


def _wrong_schema(identity: TargetIdentity) -> str | None:
    """The error message if the tables or functions of a target are not ours; else None."""
    need = needed()
    has = identity.schema_version or "none"
    if (identity.schema_version or "") < need.version:
        return (
            f"The schema of the target has version {has}. This program needs {need.version}."
            " Set DATABASE_URL and run `resilient-importer schema apply`, or run"
            " `supabase db push`."
        )
    if identity.functions == need.functions:
        return None
    if has > need.version:
        return (
            "A later version of this program uses the target, and has replaced its functions: the"
            f" schema has version {has}, this program's has {need.version}. Update this program."
        )
    return (
        "The functions of the target are not those of this version of the program. To replace"
        " them, set DATABASE_URL and run `resilient-importer schema apply`, or run `supabase db"
        " push`, or paste the output of `resilient-importer schema print --functions` into the SQL"
        " editor."
    )


@contextlib.contextmanager
def schema_database(settings: Settings) -> Iterator[tuple[str, str]]:
    """The PostgreSQL for `schema apply`: its URL and its description.

    Raises:
        SchemaError: if the settings have none.
    """
    backend = settings.chosen_backend
    if settings.database_url is not None and backend is not Backend.EMBEDDED:
        yield settings.database_url.get_secret_value(), _database(settings)
        return
    if backend is Backend.SUPABASE:
        raise SchemaError(
            "Supabase's API cannot create tables. Set DATABASE_URL to the project's database and"
            " run this again, or run `supabase db push`, or paste the output of"
            " `resilient-importer schema print` into the SQL editor."
        )
    server = _start_embedded(settings)
    try:
        yield server.url, f"the embedded PostgreSQL in {server.folder}"
    finally:
        _release(server)


def _start_embedded(settings: Settings) -> EmbeddedServer:
    # On demand: a run with a DATABASE_URL does not need it.
    from imports.servers import embedded

    return embedded.start(embedded_folder(settings.data_folder))


def stop_server_after_exit(settings: Settings) -> None:
    """Starts a process that stops the embedded server after this process has ended.

    For an exit without closing the target. The server continues if another process uses it.
    """
    if settings.chosen_backend is Backend.EMBEDDED:
        from imports.servers import embedded

        embedded.release_afterwards(embedded_folder(settings.data_folder))


def _release(server: EmbeddedServer) -> None:
    from imports.servers import embedded

    embedded.release(server)


def lacks_database(settings: Settings) -> bool:
    """Whether the target is an embedded PostgreSQL that opening would create."""
    is_embedded = settings.chosen_backend is Backend.EMBEDDED
    # In a folder that this user may not look into, there is none either.
    return is_embedded and not os.path.exists(embedded_folder(settings.data_folder))  # noqa: PTH110


def check_database(settings: Settings) -> None:
    """Checks that there is a database to read; see `lacks_database`.

    Raises:
        UsageError: if not.
    """
    if lacks_database(settings):
        raise UsageError(
            f"There is no embedded PostgreSQL in {embedded_folder(settings.data_folder)}. Name the"
            " target with --backend, or set the variables as they were for the import."
        )


def embedded_folder(data_folder: Path) -> Path:
    """The folder for the data of the embedded PostgreSQL."""
    return data_folder / "postgresql"


def _database(settings: Settings) -> str:
    return location(settings.database_url.get_secret_value()) if settings.database_url else ""
