"""Settings: flags, then the environment, then .env files, made into one frozen object."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from imports.configuration.env_file import read_env_file
from imports.configuration.project_folder import project_folder
from imports.configuration.values import (
    Reader,
    Secret,
    address,
    any_text,
    choice,
    file,
    number,
    optional,
    path,
    secret,
    several,
    switch,
    text,
    whole_number,
)
from imports.configuration.variables import unknown_variables, variables_of
from imports.errors import UsageError

DATA_FOLDER = Path(".importer")
"""Where the embedded PostgreSQL and the local images live, below the project folder."""

LEDGER_NAME = "upload_tracker.db"
PROGRESS_CSV = Path("data/supabase_upload_progress.csv")
"""Where the progress log is below it, for kinds whose sources are consumed."""

_log = logging.getLogger(__name__)


class Backend(StrEnum):
    """Where to: `auto` takes what is configured, `embedded` does not look at that.

    `postgresql` is the embedded one too, where no other is configured.
    """

    AUTO = "auto"
    SUPABASE = "supabase"
    POSTGRESQL = "postgresql"
    EMBEDDED = "embedded"


class Disposal(StrEnum):
    """What becomes of a source file that is done with."""

    DELETE = "delete"
    MOVE = "move"
    KEEP = "keep"


class SettingsError(UsageError):
    """Settings that make no sense: `problems` has what is wrong with each, by its name."""

    def __init__(self, problems: Mapping[str, str], origins: Mapping[str, str]) -> None:
        """`origins` says where settings came from, of those that came from somewhere."""
        super().__init__(
            "; ".join(f"{origins.get(name, name)}: {problem}" for name, problem in problems.items())
        )
        self.problems = problems


# No pydantic: it takes longer to import than a small import takes to run.
@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a run needs to know. The defaults are those of the command line.

    `project` is the project folder, an empty path if that is the working folder. Other paths are
    relative to the working folder. With `production`, .env.production was read.

    Values may be given as text, as a variable has them.

    Raises:
        SettingsError: if one makes no sense.
    """

    project: Path = Path()
    production: bool = False
    kind: str = "states"
    source: Path | None = None
    single_file: Path | None = None
    tag: str | None = None
    backend: Backend = Backend.AUTO
    supabase_url: str | None = None
    supabase_key: Secret | None = None
    database_url: Secret | None = None
    image_roots: tuple[Path, ...] = ()
    state_file: Path = Path("work_state.json")
    data_folder: Path = DATA_FOLDER
    batch_size: int = 500
    max_workers: int = 16
    max_concurrent_uploads: int = 10
    max_retries: int = 3
    max_wait: float = 120.0
    retry_failed: bool = False
    batch_delay: float = 0.0
    patterns: tuple[str, ...] = ()
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
    yes: bool = False
    db_path: Path | None = None
    limit: int | None = None
    description: str | None = None
    created_by: str | None = None
    force: bool = False
    restart: bool = False
    verify_writes: bool = False
    deep: bool = False
    debug_log: bool = False

    def __post_init__(self) -> None:
        """Reads every value that could be wrong."""
        problems = {}
        for each in fields(self):
            value = getattr(self, each.name)
            # A default is right, but for a path: something else may be in the place of a file.
            if value is each.default and not isinstance(value, Path):
                continue
            try:
                object.__setattr__(self, each.name, _READERS[each.name](value))
            except ValueError as error:
                problems[each.name] = str(error)
        if problems:
            raise SettingsError(problems, {})

    def absolute(self) -> Settings:
        """The same with absolute paths."""
        found = {name: getattr(self, name) for name in PATHS if name != "image_roots"}
        paths = {name: each.absolute() for name, each in found.items() if each is not None}
        roots = tuple(each.absolute() for each in self.image_roots)
        return replace(self, image_roots=roots, **paths)

    def as_json(self) -> dict[str, Any]:
        """Every setting as JSON can have it, without what is secret."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}

    @property
    def ledger_file(self) -> Path:
        """The ledger: it lies beside the work state, where nothing else is said."""
        return self.db_path or self.state_file.parent / LEDGER_NAME

    @property
    def imported(self) -> Path | None:
        """The folder that is imported: whatever lies in it may have come with the data."""
        single = self.single_file
        if single is not None and single.is_dir():
            return single
        return self.source or (None if single is None else single.parent)

    @property
    def chosen_backend(self) -> Backend:
        """The backend that is meant, by what is asked for and what is configured: never `auto`."""
        if self.backend in (Backend.SUPABASE, Backend.EMBEDDED):
            return self.backend
        if self.backend is Backend.AUTO and self.supabase_url:
            return Backend.SUPABASE
        return Backend.POSTGRESQL if self.database_url else Backend.EMBEDDED


_READERS: dict[str, Reader[Any]] = {
    "project": path,
    "production": switch,
    "kind": text,
    "source": optional(path),
    "single_file": optional(path),
    "tag": optional(text),
    "backend": choice(*Backend),
    "supabase_url": optional(address),
    "supabase_key": optional(secret),
    "database_url": optional(secret),
    "image_roots": several(path),
    "state_file": file,
    "data_folder": path,
    "batch_size": whole_number(1),
    "max_workers": whole_number(1),
    "max_concurrent_uploads": whole_number(1),
    "max_retries": whole_number(0),
    "max_wait": number(0, 86_400),
    "retry_failed": switch,
    "batch_delay": number(0, 3600),
    "patterns": several(text),
    "scan_only": switch,
    "no_status_files": switch,
    "if_exists": choice("keep", "newer", "replace"),
    "on_success": optional(choice(*Disposal)),
    "on_failure": optional(choice(Disposal.MOVE, Disposal.KEEP)),
    "failed_dir": optional(path),
    "done_dir": optional(path),
    "progress_csv": optional(file),
    "no_progress_csv": switch,
    "watch": switch,
    "yes": switch,
    "db_path": optional(file),
    "limit": optional(whole_number(1)),
    "description": optional(any_text),
    "created_by": optional(any_text),
    "force": switch,
    "restart": switch,
    "verify_writes": switch,
    "deep": switch,
    "debug_log": switch,
}


PATHS = frozenset(each.name for each in fields(Settings) if "Path" in str(each.type))
"""The settings that are paths."""


def _plain(value: object) -> object:
    if isinstance(value, (Path, Secret)):
        return str(value)
    if isinstance(value, StrEnum):
        return value.value
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def load_settings(
    *,
    production: bool = False,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    **flags: Any,
) -> Settings:
    """Settings from flags (None where not given), the environment and the project's .env files.

    `.env.local`, or `.env.production` with `production`, goes before `.env`. `folder` is the
    project folder, which is searched for by default. What a run leaves is there, unless a setting
    says another place. Paths in these files are relative to it.

    Raises:
        UsageError: if a value makes no sense, or what the backend needs is missing; the message
            names where it came from.
    """
    settings = read_settings(production=production, environment=environment, folder=folder, **flags)
    if settings.backend is Backend.EMBEDDED and flags.get("database_url") is not None:
        raise UsageError(
            "--database-url and the backend embedded exclude each other. Leave one of them out."
        )
    check_backend(settings)
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
    project = project_folder(environment) if folder is None else folder
    values: dict[str, Any] = {"project": project, "production": production}
    values |= {name: project / getattr(Settings, name) for name in ("state_file", "data_folder")}
    origins: dict[str, str] = {}
    layers: list[tuple[str, Mapping[str, str | None]]] = [("", environment)]
    layers += [(name, read_env_file(project / name)) for name in _env_files(production)]
    names = [each.name for each in fields(Settings)]
    for name in names:
        if name == "project":
            continue
        if (flag := flags.pop(name, None)) is not None:
            values[name], origins[name] = flag, f"--{name.replace('_', '-')}"
            continue
        for place, layer in layers:
            variable = next((each for each in variables_of(name) if layer.get(each)), None)
            if variable is not None:
                value = layer[variable] or ""
                # Copying brings blanks along. What is nothing else is refused by the reader.
                base = project if place else Path()
                values[name] = _from_text(name, value.strip() or value, base)
                origins[name] = variable + (f" in {place}" if place else "")
                if name == "supabase_key":
                    _tell_of_other_keys(variable, layer)
                break
    problems = dict.fromkeys(flags, "there is no such setting")
    problems |= unknown_variables(layers, names)
    try:
        settings = Settings(**values)
    except SettingsError as error:
        problems = {**error.problems, **problems}
    else:
        if not problems:
            refuse_env_files_in(settings.imported, project, production=production)
            return settings
    raise SettingsError(problems, origins)


def refuse_env_files_in(imported: Path | None, folder: Path, *, production: bool) -> None:
    """Makes sure that the .env files of a project folder did not come with the data.

    They could send it to another target.

    Raises:
        UsageError: if there are some, and they lie in the folder that is imported.
    """
    found = [name for name in _env_files(production) if os.path.lexists(folder / name)]
    if found and imported is not None and folder.resolve().is_relative_to(imported.resolve()):
        raise UsageError(
            f"{' and '.join(found)} in {folder.resolve()} would say where the data goes, and may"
            " have come with it: that folder is imported. Run from another folder that has"
            " your .env, or set the variables in the environment and move the file away."
        )


def _env_files(production: bool) -> tuple[str, str]:
    return (".env.production" if production else ".env.local", ".env")


def _tell_of_other_keys(variable: str, layer: Mapping[str, str | None]) -> None:
    """Says which key is taken, where there are several."""
    names = variables_of("supabase_key")
    others = [each for each in names if layer.get(each) and layer[each] != layer[variable]]
    if others:
        _log.warning("The key is that of %s; %s differs.", variable, " and ".join(others))


def _from_text(name: str, text: str, base: Path) -> object:
    """The value of a variable; `base` is what a path in it is relative to."""
    if name == "image_roots":
        return tuple(base / each for each in text.split(os.pathsep) if each.strip())
    if name in PATHS:
        return base / text if text.strip() else text
    return split_patterns(text) if name == "patterns" else text


def split_patterns(text: str) -> tuple[str, ...]:
    """Shell patterns out of a text with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def check_backend(settings: Settings) -> None:
    """Makes sure that everything is set that the backend needs.

    Raises:
        UsageError: if something is missing, or cannot be right.
    """
    if settings.chosen_backend is Backend.SUPABASE:
        missing = [
            " or ".join(variables_of(name))
            for name in ("supabase_url", "supabase_key")
            if getattr(settings, name) is None
        ]
        if missing:
            raise UsageError(
                f"The backend is supabase, but not set: {'; '.join(missing)}. Set them in the"
                " environment or in .env, or choose --backend embedded."
            )
        key = settings.supabase_key.get_secret_value() if settings.supabase_key else ""
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise UsageError(
                "The key (SUPABASE_SECRET_KEY or SUPABASE_SERVICE_ROLE_KEY) has a space or a sign"
                " that no key has. Copy it anew."
            )
        if not (settings.supabase_url or "").startswith(("http://", "https://")):
            raise UsageError("SUPABASE_URL must begin with https:// (or http:// for a local one).")
    if settings.database_url is not None and settings.chosen_backend is not Backend.EMBEDDED:
        # On demand: not every run has one.
        from imports.servers.database_url import understood

        understood(settings.database_url.get_secret_value())
