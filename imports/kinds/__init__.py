"""The kinds of source that can be imported. A new kind is a module here and a migration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imports.errors import UsageError
from imports.kinds.wording import WORDINGS

if TYPE_CHECKING:
    from imports.kinds.kind import Kind
    from imports.tables.table import TableGroup


def kind_named(name: str) -> Kind:
    """The kind with this name; workers look up their kind with it.

    Raises:
        UsageError: if there is no such kind.
    """
    # On demand: a run has one kind.
    if name == "states":
        from imports.kinds.states import STATES

        return STATES
    if name == "folders":
        from imports.kinds.folders import FOLDERS

        return FOLDERS
    if name == "people":
        from imports.kinds.people.kind import PEOPLE

        return PEOPLE
    if name == "recognitions":
        from imports.kinds.recognitions.kind import RECOGNITIONS

        return RECOGNITIONS
    if name == "annotations":
        from imports.kinds.annotations.kind import ANNOTATIONS

        return ANNOTATIONS
    if name == "insights":
        from imports.kinds.insights.kind import INSIGHTS

        return INSIGHTS
    raise UsageError(f"There is no kind {name!r}. The kinds are: {', '.join(sorted(WORDINGS))}.")


def all_groups() -> list[TableGroup]:
    """The groups of tables of every kind: those that imports fill, and those of their clients."""
    kinds = all_kinds().values()
    return [group for kind in kinds for group in (kind.group, *kind.client_groups)]


def all_kinds() -> dict[str, Kind]:
    """Every kind, by its name."""
    return {name: kind_named(name) for name in WORDINGS}
