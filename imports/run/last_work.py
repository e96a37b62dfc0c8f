"""The last run, or the last one with a tag, as settings that verify it."""

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
    """The settings for the work of the last run, as its work state has it.

    With a tag, a kind or a source: of the last run that fits, over a whole source if there is one.

    Raises:
        UsageError: if there was none, or if those that fit are of several kinds or sources.
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
        raise UsageError(f"There is no {settings.state_file}: there was no run to verify.")
    folder = Path(last.source)
    return replace(
        settings,
        kind=last.kind,
        source=folder,
        single_file=folder / last.single_file if last.single_file else None,
        tag=last.tag,
        backend=Backend(last.backend or "auto"),
        **_taken_over(last, settings),
    )


def _taken_over(last: WorkState, settings: Settings) -> dict[str, Any]:
    """How the run read its source, but for what the verification is told anew."""
    values = {}
    for name, option in OPTIONS.items():
        told = option.commands & Commands.VERIFY and getattr(settings, name) != option.default
        if option.kept is Kept.TO_VERIFY and not told:
            began_with = last.parameters.get(name)
            values[name] = option.default if began_with is None else began_with
    return values


def _kept(settings: Settings, kind: str | None, tag: str | None) -> list[WorkState]:
    with reading(settings.ledger_file) as connection:
        found = [] if connection is None else kept_states(connection, kind, tag)
    if settings.backend is not Backend.AUTO:
        asked_for = ("", settings.backend, settings.chosen_backend)
        found = [each for each in found if each.state.backend in asked_for]
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
            f"The ledger {settings.ledger_file} keeps no run with {' and '.join(wanted)}. `status`"
            " shows what there is."
        )
    works = list(dict.fromkeys(f"{each.kind} from {each.source}" for each in found))
    if len(works) > 1:
        raise UsageError(
            f"There is more than one that fits: {'; '.join(works)}. Choose with --tag, --kind or"
            " --source."
        )
    return found[0]


def _ledger_of(state: WorkState) -> Path | None:
    """The ledger that a work state names: it is there, or it is not made now."""
    if state.db_path is not None and not state.db_path.is_file():
        raise UsageError(
            f"The ledger of the last run, {state.db_path}, is not there. Name it with --db-path."
        )
    return state.db_path
