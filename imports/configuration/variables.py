"""The variables of settings, and finding misspelt ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from imports.configuration.project_folder import VARIABLE as PROJECT

PREFIX = "IMPORTER_"
"""Every setting can also be given as a variable: IMPORTER_BATCH_SIZE is --batch-size."""

_OWN_NAMES: dict[str, tuple[str, ...]] = {
    "supabase_url": ("SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_URL"),
    "supabase_key": (
        "SUPABASE_SECRET_KEY",
        "SUPABASE_SERVICE_ROLE_KEY",
        "SUPABASE_SERVICE_KEY",
    ),
    "database_url": ("DATABASE_URL",),
    # No variable: it selects the file that has the variables.
    "production": (),
}
"""Settings whose variables have other names; the first variable that is set counts."""

_MEANT = {
    "IMPORTER_STATES_DIR": "IMPORTER_SOURCE",
    "IMPORTER_WORKERS": "IMPORTER_MAX_WORKERS",
    "IMPORTER_PRODUCTION": "--production",
}
"""Likely wrong names, and what their user means."""

# Kubernetes sets these in every container beside a service that is called `importer`.
_OF_OTHERS = re.compile(r"IMPORTER_(SERVICE_HOST|(SERVICE_)?PORT(_\w+)?)")


def variables_of(setting: str) -> tuple[str, ...]:
    """The variables of a setting; the first that is set counts."""
    return _OWN_NAMES.get(setting, (PREFIX + setting.upper(),))


def unknown_variables(
    layers: Iterable[tuple[str, Mapping[str, str | None]]], settings: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Variables with our prefix that belong to no setting: yields each name and its problem.

    A layer is a place and its variables; the place of the environment is "".
    """
    known = {variable for setting in settings for variable in variables_of(setting)}
    for place, layer in layers:
        for name in layer:
            if not name.startswith(PREFIX) or _OF_OTHERS.fullmatch(name):
                continue
            if place and name == PROJECT:
                yield f"{name} in {place}", "must be in the environment: this file is found by it"
            elif name not in known:
                meant = _nearest(name, known)
                yield (
                    f"{name} in {place}" if place else name,
                    "there is no such variable" + (f"; did you mean {meant}?" if meant else ""),
                )


def _nearest(name: str, known: set[str]) -> str | None:
    # On demand: misspelt variables are rare.
    from difflib import get_close_matches

    if name in _MEANT:
        return _MEANT[name]
    # Compared without the common prefix.
    bare = {each.removeprefix(PREFIX): each for each in known}
    close = get_close_matches(name.removeprefix(PREFIX), bare, 1)
    return bare[close[0]] if close else None
