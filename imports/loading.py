"""Loading settings: from flags, the environment and .env files, in this order of precedence."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imports.configuration.choices import Backend
from imports.configuration.env_file import read_env_file
from imports.configuration.project_folder import project_folder
from imports.configuration.values import from_text
from imports.configuration.variables import unknown_variables
from imports.errors import SettingsError, UsageError
from imports.settings import OPTIONS, Settings

_log = logging.getLogger(__name__)

_IN_PROJECT = ("state_file", "data_folder", "airtable_config")
"""Files and folders that are in the project folder by default."""


def load_settings(
    *,
    production: bool = False,
    staging: bool = False,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    **flags: Any,
) -> Settings:
    """Settings from flags (None if not given), the environment and the project's .env files.

    `.env.local` takes precedence over `.env`; with `production`, `.env.production` does instead,
    with `staging`, `.env.staging`. `folder` is the project folder; by default the importer searches
    for it. A run writes its files there, unless a setting names another place. Paths in .env files
    are relative to it.

    Raises:
        UsageError: if a value is invalid, or a setting that the backend needs is missing; the
            message names the flag, variable or file.
    """
    settings = read_settings(
        production=production, staging=staging, environment=environment, folder=folder, **flags
    )
    if settings.backend is Backend.EMBEDDED and flags.get("database_url") is not None:
        raise UsageError(
            "--database-url and the backend embedded exclude each other. Use only one of them."
        )
    check_backend(settings)
    return settings


def read_settings(
    *,
    production: bool = False,
    staging: bool = False,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    **flags: Any,
) -> Settings:
    """Settings without a check of the backend; see `load_settings`.

    Raises:
        UsageError: if a value is invalid.
    """
    return settings_and_origins(
        production=production, staging=staging, environment=environment, folder=folder, **flags
    )[0]


def settings_and_origins(
    *,
    production: bool = False,
    staging: bool = False,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    **flags: Any,
) -> tuple[Settings, Mapping[str, str]]:
    """The settings of `read_settings`, and where those that are set come from, by their names.

    An origin is a flag, or a variable with its file.
    """
    if production and staging:
        raise UsageError("--production and --staging exclude each other. Use only one of them.")
    environment = os.environ if environment is None else environment
    project = project_folder(environment) if folder is None else folder
    values: dict[str, Any] = {"project": project, "production": production, "staging": staging}
    values |= {name: project / OPTIONS[name].default for name in _IN_PROJECT}
    origins: dict[str, str] = {}
    layers: list[tuple[str, Mapping[str, str | None]]] = [("", environment)]
    names = _env_files(production=production, staging=staging)
    if production or staging:
        _check_named_file(project / names[0], environment, flags)
    layers += [(name, read_env_file(project / name)) for name in names]
    for name, option in OPTIONS.items():
        if name == "project":
            continue
        if (flag := flags.pop(name, None)) is not None:
            values[name], origins[name] = flag, option.flags[0]
            continue
        for place, layer in layers:
            variable = next((each for each in option.variables if layer.get(each)), None)
            if variable is not None:
                value = layer[variable] or ""
                # A copied value may have blanks around it. The reader refuses a blank value.
                base = project if place else Path()
                values[name] = from_text(option.read, value.strip() or value, base)
                origins[name] = variable + (f" in {place}" if place else "")
                if name == "supabase_key":
                    _warn_of_other_keys(variable, layer)
                break
    problems = dict.fromkeys(flags, "there is no such setting")
    problems |= unknown_variables(layers, OPTIONS.values())
    try:
        settings = Settings(**values)
    except SettingsError as error:
        problems = {**error.problems, **problems}
    else:
        if not problems:
            refuse_env_files_in(settings.imported, settings)
            return settings, origins
    raise SettingsError(problems, origins)


def refuse_env_files_in(imported: Path | None, settings: Settings) -> None:
    """Checks that none of the .env files that settings were read from came with imported data.

    Such a file could send the data to another target.

    Raises:
        UsageError: if the project folder is in the imported folder, and has an .env file.
    """
    folder = settings.project
    names = _env_files(production=settings.production, staging=settings.staging)
    found = [name for name in names if os.path.lexists(folder / name)]
    if found and imported is not None and folder.resolve().is_relative_to(imported.resolve()):
        raise UsageError(
            f"{' and '.join(found)} in {folder.resolve()} would choose the target, but may have"
            " come with the data: it is in the imported folder. Run from another folder that has"
            " your .env, or set the variables in the environment and move the file away."
        )


def _check_named_file(file: Path, environment: Mapping[str, str], flags: Mapping[str, Any]) -> None:
    """Checks that the .env file that an option names exists, unless the target is given otherwise.

    Raises:
        UsageError: if not. With `.env` alone, the data could go to the target of a test.
    """
    targets = ("supabase_url", "database_url", "backend")
    given = any(flags.get(name) is not None for name in targets) or any(
        environment.get(variable) for name in targets for variable in OPTIONS[name].variables
    )
    if not (given or os.path.lexists(file)):
        option = file.name.replace(".env.", "--")
        raise UsageError(
            f"{option} reads {file.name}, which does not exist in {file.parent.resolve()}. Create"
            f" it there, or set SUPABASE_URL or DATABASE_URL, or leave out {option}."
        )


def _env_files(*, production: bool, staging: bool) -> tuple[str, str]:
    environment = "production" if production else "staging" if staging else "local"
    return (f".env.{environment}", ".env")


def _warn_of_other_keys(variable: str, layer: Mapping[str, str | None]) -> None:
    """Warns which key is used, if there are several different ones."""
    names = OPTIONS["supabase_key"].variables
    others = [each for each in names if layer.get(each) and layer[each] != layer[variable]]
    if others:
        _log.warning("Using the key in %s; %s differs.", variable, " and ".join(others))


def check_backend(settings: Settings) -> None:
    """Checks the settings that the backend needs.

    Raises:
        UsageError: if one is missing or invalid.
    """
    if settings.chosen_backend is Backend.SUPABASE:
        missing = [
            " or ".join(OPTIONS[name].variables)
            for name in ("supabase_url", "supabase_key")
            if getattr(settings, name) is None
        ]
        if missing:
            raise UsageError(
                f"The backend is supabase, but these are not set: {'; '.join(missing)}. Set them"
                " in the environment or in .env, or choose --backend embedded."
            )
        key = settings.supabase_key.get_secret_value() if settings.supabase_key else ""
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise UsageError(
                "The key (SUPABASE_SECRET_KEY or SUPABASE_SERVICE_ROLE_KEY) has a space or another"
                " character that no key has. Copy it again."
            )
        if not (settings.supabase_url or "").startswith(("http://", "https://")):
            raise UsageError("SUPABASE_URL must begin with https:// (or http:// for a local one).")
    if settings.database_url is not None and settings.chosen_backend is not Backend.EMBEDDED:
        # On demand: not every run has a database URL.
        from imports.servers.database_url import understood

        understood(settings.database_url.get_secret_value())
