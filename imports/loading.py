"""Loading settings: flags, then the environment, then .env files, made into one `Settings`."""

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
    values |= {name: project / OPTIONS[name].default for name in ("state_file", "data_folder")}
    origins: dict[str, str] = {}
    layers: list[tuple[str, Mapping[str, str | None]]] = [("", environment)]
    layers += [(name, read_env_file(project / name)) for name in _env_files(production)]
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
                # Copying brings blanks along. What is nothing else is refused by the reader.
                base = project if place else Path()
                values[name] = from_text(option.read, value.strip() or value, base)
                origins[name] = variable + (f" in {place}" if place else "")
                if name == "supabase_key":
                    _tell_of_other_keys(variable, layer)
                break
    problems = dict.fromkeys(flags, "there is no such setting")
    problems |= unknown_variables(layers, OPTIONS.values())
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
    names = OPTIONS["supabase_key"].variables
    others = [each for each in names if layer.get(each) and layer[each] != layer[variable]]
    if others:
        _log.warning("The key is that of %s; %s differs.", variable, " and ".join(others))


def check_backend(settings: Settings) -> None:
    """Makes sure that everything is set that the backend needs.

    Raises:
        UsageError: if something is missing, or cannot be right.
    """
    if settings.chosen_backend is Backend.SUPABASE:
        missing = [
            " or ".join(OPTIONS[name].variables)
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
