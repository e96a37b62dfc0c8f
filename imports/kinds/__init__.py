"""The kinds of source that can be imported. A new one is a module here and a migration."""

from __future__ import annotations

from imports.errors import UsageError
from imports.kinds.kind import Kind


def all_kinds() -> dict[str, Kind]:
    """Every kind, by its name."""
    from imports.kinds import folders, people, states

    kinds = (states.STATES, folders.FOLDERS, people.PEOPLE)
    return {kind.name: kind for kind in kinds}


def kind_named(name: str) -> Kind:
    """The kind of this name; workers look theirs up with it.

    Raises:
        UsageError: if there is none.
    """
    kinds = all_kinds()
    if name not in kinds:
        raise UsageError(f"There is no kind {name!r}. The kinds are: {', '.join(sorted(kinds))}.")
    return kinds[name]
