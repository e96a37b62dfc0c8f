"""The settings that verify the last run, or the last one with a tag, kind or source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from imports.configuration.choices import Backend
from imports.configuration.commands import Commands
from imports.configuration.option import Kept
from imports.errors import UsageError
from imports.ledger.file import reading
from imports.ledger.kept import kept_states
from imports.ledger.work_state import WorkState, load_work_state
from imports.settings import OPTIONS, Settings


def last_work(
    settings: Settings,
    tag: str | None = None,
    kind: str | None = None,
    source: Path | None = None,
) -> Settings:
    """The settings of the last run, from its work state.

    With a tag, a kind or a source: of the last matching run, if possible of a whole source.

    Raises:
        UsageError: if there is no such run, or if the matching runs have several kinds or sources.
    """
    last = load_work_state(settings.state_file)
    if last is not None and settings.db_path is None:
        settings = replace(settings, db_path=_ledger_of(last))
    if tag is not None or kind is not None or source is not None:
        last = _chosen(settings, tag, kind, source)
    elif last is None:
        # The file may be lost.
        last = next(iter(_kept(settings, None, None)), None)
    if last is None:
        raise UsageError(f"There is no {settings.state_file}: no run to verify. Import first.")
    folder = Path(last.source)
    return replace(
        settings,
        kind=last.kind,
        source=folder,
        single_file=folder / last.single_file if last.single_file else None,
        tag=last.tag,
        backend=Backend(last.backend or "auto"),
        **_source_options(last, settings),
    )


def _source_options(last: WorkState, settings: Settings) -> dict[str, Any]:
    """The options with which the run read its source, except those that the verification has."""
    values = {}
    for name, option in OPTIONS.items():
        given = option.commands & Commands.VERIFY and getattr(settings, name) != option.default
        if option.kept is Kept.TO_VERIFY and not given:
            began_with = last.parameters.get(name)
            values[name] = option.default if began_with is None else began_with
    return values


def _kept(settings: Settings, kind: str | None, tag: str | None) -> list[WorkState]:
    with reading(settings.ledger_file) as connection:
        found = [] if connection is None else kept_states(connection, kind, tag)
    if settings.backend is not Backend.AUTO:
        backends = ("", settings.backend, settings.chosen_backend)
        found = [each for each in found if each.state.backend in backends]
    return [each.state for each in found]


def _chosen(
    settings: Settings, tag: str | None, kind: str | None, source: Path | None
) -> WorkState:
    found = [
        each
        for each in _kept(settings, kind, tag)
        if source is None or Path(each.source) == source.resolve()
    ]
    found = [each for each in found if each.single_file is None] or found
    if not found:
        wanted = [f"the tag {tag!r}"] if tag is not None else []
        wanted += [f"the kind {kind}"] if kind is not None else []
        wanted += [f"the source {source}"] if source is not None else []
        raise UsageError(
            f"The ledger {settings.ledger_file} has no run with {' and '.join(wanted)}. `status`"
            " shows the existing runs."
        )
    works = list(dict.fromkeys(f"{each.kind} from {each.source}" for each in found))
    if len(works) > 1:
        raise UsageError(
            f"Several runs match: {'; '.join(works)}. Choose one with --tag, --kind or --source."
        )
    return found[0]


def _ledger_of(state: WorkState) -> Path | None:
    """The ledger that a work state names. It must exist."""
    if state.db_path is not None and not state.db_path.is_file():
        raise UsageError(
            f"The ledger of the last run, {state.db_path}, does not exist. Name it with --db-path."
        )
    return state.db_path
