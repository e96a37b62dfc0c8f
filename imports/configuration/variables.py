"""The variables of settings, and finding misspelt ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from imports.configuration.option import PREFIX, Option
from imports.configuration.project_folder import VARIABLE as PROJECT

_SUGGESTIONS = {"IMPORTER_STATES_DIR": "IMPORTER_SOURCE"}
"""Plausible variables, named after flags of single kinds, and the variables that exist."""

# Kubernetes sets these in every container beside a service that is called `importer`.
_OF_OTHERS = re.compile(r"IMPORTER_(SERVICE_HOST|(SERVICE_)?PORT(_\w+)?)")


def unknown_variables(
    layers: Iterable[tuple[str, Mapping[str, str | None]]], options: Iterable[Option]
) -> Iterator[tuple[str, str]]:
    """Yields each variable with our prefix that is not one of the options, and its problem.

    A layer is a place and its variables; the place of the environment is "".
    """
    options = list(options)
    known = {variable for option in options for variable in option.variables}
    for place, layer in layers:
        for name in layer:
            if not name.startswith(PREFIX) or _OF_OTHERS.fullmatch(name):
                continue
            if place and name == PROJECT:
                yield f"{name} in {place}", "must be in the environment: it selects this file"
            elif name not in known:
                meant = _nearest(name, known, options)
                yield (
                    f"{name} in {place}" if place else name,
                    "there is no such variable" + (f"; did you mean {meant}?" if meant else ""),
                )


def _nearest(name: str, known: set[str], options: Iterable[Option]) -> str | None:
    # On demand: misspelt variables are rare.
    from difflib import get_close_matches

    flag = "--" + name.removeprefix(PREFIX).lower().replace("_", "-")
    for option in options:
        if flag in option.flags:
            return (*option.variables, flag)[0]
    if name in _SUGGESTIONS:
        return _SUGGESTIONS[name]
    # Compared without the common prefix.
    bare = {each.removeprefix(PREFIX): each for each in known}
    close = get_close_matches(name.removeprefix(PREFIX), bare, 1)
    return bare[close[0]] if close else None
