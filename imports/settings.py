"""Settings: flags, then the environment, then .env files, made into one frozen object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    StringConstraints,
    ValidationError,
)

from imports.errors import UsageError

DATA_FOLDER = Path(".importer")
"""Where the embedded PostgreSQL and the local images live, below the working folder."""

LEDGER_NAME = "upload_tracker.db"
PROGRESS_CSV = Path("data/supabase_upload_progress.csv")
"""Where the progress log is, for kinds whose sources are worked off."""

PREFIX = "IMPORTER_"
"""Every setting can also be given as a variable: IMPORTER_BATCH_SIZE is --batch-size."""

_VARIABLES: dict[str, tuple[str, ...]] = {
    "supabase_url": ("SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_URL"),
    "supabase_key": ("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_KEY"),
    "database_url": ("DATABASE_URL",),
}
"""The variables that have names of their own; of several the first that is set is taken."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Backend(StrEnum):
    """Where to: `auto` takes what is configured."""

    AUTO = "auto"
    SUPABASE = "supabase"
    POSTGRESQL = "postgresql"


class Disposal(StrEnum):
    """What becomes of a source file that is done with."""

    DELETE = "delete"
    MOVE = "move"
    KEEP = "keep"


class Settings(BaseModel):
    """Everything a run needs to know. The defaults are those of the command line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Text = "states"
    source: Path | None = None
    single_file: Path | None = None
    tag: Text | None = None
    backend: Backend = Backend.AUTO
    supabase_url: Text | None = None
    supabase_key: SecretStr | None = None
    database_url: SecretStr | None = None
    image_roots: tuple[Path, ...] = ()
    state_file: Path = Path("work_state.json")
    data_folder: Path = DATA_FOLDER
    batch_size: PositiveInt = 500
    max_workers: PositiveInt = 16
    max_concurrent_uploads: PositiveInt = 10
    max_retries: Annotated[int, Field(ge=0)] = 3
    retry_failed: bool = False
    batch_delay: Annotated[float, Field(ge=0, le=3600)] = 0.0
    patterns: tuple[Text, ...] = ()
    scan_only: bool = False
    no_status_files: bool = False
    if_exists: Literal["keep", "newer", "replace"] = "newer"
    on_success: Disposal | None = None
    on_failure: Literal[Disposal.MOVE, Disposal.KEEP] | None = None
    failed_dir: Path | None = None
    done_dir: Path | None = None
    progress_csv: Path | None = None
    no_progress_csv: bool = False
    watch: bool = False
    db_path: Path | None = None
    limit: PositiveInt | None = None
    description: str | None = None
    created_by: str | None = None
    force: bool = False
    restart: bool = False
    verify_writes: bool = False
    deep: bool = False
    debug_log: bool = False

    @property
    def ledger_file(self) -> Path:
        """The ledger: it lies beside the work state, where nothing else is said."""
        return self.db_path or self.state_file.parent / LEDGER_NAME

    @property
    def chosen_backend(self) -> Backend:
        """The backend, with `auto` resolved by what is configured."""
        if self.backend is not Backend.AUTO:
            return self.backend
        return Backend.SUPABASE if self.supabase_url else Backend.POSTGRESQL


def load_settings(
    *,
    production: bool = False,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    **flags: Any,
) -> Settings:
    """Settings from flags (None where not given), the environment and the .env files of a folder.

    `.env.local`, or `.env.production` with `production`, goes before `.env`.

    Raises:
        UsageError: if a value makes no sense, or what the backend needs is missing; the message
            names where it came from.
    """
    settings = read_settings(production=production, environment=environment, folder=folder, **flags)
    _check_backend(settings)
    return settings


def read_settings(
    *,
    production: bool = False,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    **flags: Any,
) -> Settings:
    """The same, for what needs no backend.

    Raises:
        UsageError: if a value makes no sense.
    """
    environment = os.environ if environment is None else environment
    folder = folder or Path()
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    layers = [(name, dotenv_values(folder / name)) for name in _env_files(production)]
    for name in Settings.model_fields:
        if (flag := flags.pop(name, None)) is not None:
            values[name], origins[name] = flag, f"--{name.replace('_', '-')}"
            continue
        for place, layer in [("", environment), *layers]:
            variable = next((each for each in _variables(name) if layer.get(each)), None)
            if variable is not None:
                values[name] = _from_text(name, layer[variable] or "")
                origins[name] = variable + (f" in {place}" if place else "")
                break
    try:
        return Settings(**values, **flags)
    except ValidationError as error:
        raise UsageError(_explain(error, origins)) from None


def _env_files(production: bool) -> tuple[str, str]:
    return (".env.production" if production else ".env.local", ".env")


def _variables(name: str) -> tuple[str, ...]:
    return _VARIABLES.get(name, (PREFIX + name.upper(),))


def _from_text(name: str, text: str) -> object:
    if name == "image_roots":
        return tuple(text.split(os.pathsep))
    return split_patterns(text) if name == "patterns" else text


def split_patterns(text: str) -> tuple[str, ...]:
    """Shell patterns out of a text with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _check_backend(settings: Settings) -> None:
    if settings.chosen_backend is Backend.SUPABASE:
        missing = [
            " or ".join(_VARIABLES[name])
            for name in ("supabase_url", "supabase_key")
            if getattr(settings, name) is None
        ]
        if missing:
            raise UsageError(
                f"The backend is supabase, but not set: {'; '.join(missing)}. Set them in the"
                " environment or in .env, or choose --backend postgresql."
            )
        key = settings.supabase_key.get_secret_value() if settings.supabase_key else ""
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise UsageError(
                "SUPABASE_SERVICE_ROLE_KEY has a space or a sign that no key has. Copy it anew."
            )
        if not (settings.supabase_url or "").startswith(("http://", "https://")):
            raise UsageError("SUPABASE_URL must begin with https:// (or http:// for a local one).")
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        if not url.startswith(("postgresql://", "postgres://")):
            raise UsageError("DATABASE_URL must begin with postgresql://.")
        _check_database_url(url)


def _check_database_url(url: str) -> None:
    """Refuses what libpq would misread; no message may show a part of the password."""
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    rest = url.split("://", 1)[1].split("?", 1)[0]
    try:
        host = parse_dsn(url).get("host", "")
        port = parse_dsn(url).get("port", "5432")
    except ProgrammingError:
        host, port = "@", ""
    if "@" in host or not port.isdigit() or "@" in rest.partition("/")[2]:
        raise UsageError(
            "DATABASE_URL cannot be read: it has no valid host and port. Signs like @ / % : # in"
            " the user or the password must be percent-encoded (@ is %40)."
        )


def _explain(error: ValidationError, origins: dict[str, str]) -> str:
    problems = [
        f"{origins.get(str(problem['loc'][0]), problem['loc'][0])}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    ]
    return "; ".join(problems)
