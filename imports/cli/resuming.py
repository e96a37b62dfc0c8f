"""Resuming the unfinished runs of a ledger: one after the other, the oldest first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imports.configuration.choices import Backend
from imports.configuration.option import Kept
from imports.errors import (
    BackendUnavailableError,
    ImporterError,
    InterruptedRunError,
    LockedError,
    UsageError,
)
from imports.ledger.file import LedgerFile, reading
from imports.ledger.kept import KeptState, forget_state, kept_states
from imports.ledger.work_state import WorkState
from imports.loading import check_backend
from imports.run.lock import hold
from imports.settings import LEDGER_NAME, OPTIONS, Settings

_WORST = (0, 3, 75, 11, 2, 1, 130)
"""Exit codes, the worst last: 75 is temporary, 2 and 1 are not, 130 is the user's decision."""

_FOR_ALL = frozenset(
    each.exit_code for each in (InterruptedRunError, BackendUnavailableError, LockedError)
)


@dataclass(frozen=True, slots=True)
class Resumable:
    """An unfinished run: its state, and the settings that resume it, or why it cannot be."""

    state: WorkState
    settings: Settings | UsageError

    @property
    def name(self) -> str:
        """Its name in messages."""
        single = f", {self.state.single_file} alone" if self.state.single_file else ""
        return f"{self.state.kind} from {self.state.source}{single}, tag {self.state.tag}"


def resumable_runs(
    settings: Settings, given: dict[str, Any], kind: str | None, tag: str | None
) -> list[Resumable]:
    """The unfinished runs of a kind and a tag (None for all) in the ledger, the oldest first.

    Each keeps its settings, except for the target and for the settings `given` now. Runs with
    `--watch` come last, since they do not end by themselves.

    Raises:
        LedgerError: if the ledger cannot be read.
    """
    with reading(settings.ledger_file) as connection:
        kept = [] if connection is None else kept_states(connection, kind, tag)
    found = [
        Resumable(each.state, _settings_of(each, settings, given))
        for each in reversed(kept)
        if each.state.unfinished
    ]
    return sorted(found, key=lambda each: bool(each.state.parameters.get("watch")))


def _settings_of(kept: KeptState, today: Settings, given: dict[str, Any]) -> Settings | UsageError:
    state, source = kept.state, Path(kept.state.source)
    names = {name for name, each in OPTIONS.items() if each.kept >= Kept.TO_RESUME}
    values = {name: value for name, value in state.parameters.items() if name in names}
    values |= {name: value for name, value in given.items() if name in names}
    state_file = _state_file(kept, today)
    beside = (state_file.parent / LEDGER_NAME).resolve()
    try:
        settings = replace(
            today,
            **values,
            kind=state.kind,
            source=source,
            tag=state.tag,
            single_file=source / state.single_file if state.single_file else None,
            state_file=state_file,
            db_path=None if beside == today.ledger_file.resolve() else today.ledger_file,
        )
        begun = state.parameters.get("backend", Backend.AUTO)
        meant = today.chosen_backend if begun == Backend.AUTO else None
        if today.backend is Backend.AUTO and state.backend not in ("", meant):
            settings = replace(settings, backend=Backend(state.backend))
        check_backend(settings)
    except UsageError as error:
        return error
    return settings


def _state_file(kept: KeptState, today: Settings) -> Path:
    """The work state of the run; today's if it is the same file, or its folder is missing."""
    file = kept.state_file
    if file == today.state_file.resolve() or not file.parent.is_dir():
        return today.state_file
    return file


def resume_all(
    runs: list[Resumable],
    run: Callable[[Settings, str], int],
    say: Callable[[str], None],
    fail: Callable[[ImporterError], None],
) -> int:
    """Resumes runs with `run`, which takes settings and a batch id and returns an exit code.

    Returns the worst exit code. `fail` prints the error of a run that cannot be resumed; the others
    are still resumed, unless they would fail, too: if the user stopped the run, the target does not
    answer, or another process uses the ledger.
    """
    codes = [0]
    for number, each in enumerate(runs, 1):
        say(f"[{number}/{len(runs)}] {each.name}")
        try:
            if isinstance(each.settings, UsageError):
                raise each.settings
            codes.append(run(each.settings, each.state.run_name))
        except ImporterError as error:
            fail(error)
            codes.append(error.exit_code)
        left = len(runs) - number
        if left and codes[-1] in _FOR_ALL:
            say(f"Not tried: {left:,} more. The same command resumes them.")
            break
    return max(codes, key=_WORST.index)


def give_up_runs(settings: Settings, runs: list[Resumable]) -> None:
    """Gives runs up, even if their source or target is missing; imported data stays.

    Raises:
        LockedError: if another process uses the ledger.
    """
    with ExitStack() as resources:
        hold(settings.ledger_file, "The ledger", "--db-path", resources)
        ledger = LedgerFile(settings.ledger_file)
        resources.callback(ledger.close)
        for each in runs:
            forget_state(ledger, each.state)
