"""Chooses the run: the unfinished one of the same source and target, or a new one."""

from __future__ import annotations

import os
from pathlib import Path

from imports.backends.target import Target
from imports.errors import StateConflictError
from imports.ledger import LedgerFile, RunLedger, RunRecord
from imports.ledger.kept import forget_state, keep_state, keeps, kept_states
from imports.ledger.work_state import (
    DamagedStateError,
    WorkState,
    keep_unusable,
    load_work_state,
)
from imports.run.display import Display
from imports.settings import LEDGER_NAME, Settings


def last_state(
    path: Path, ledger: LedgerFile, display: Display, *, untrusted: bool
) -> WorkState | None:
    """The work state in the file; an `untrusted` one only if the ledger knows its run.

    A file that cannot be used is renamed: the ledger has its work state.
    """
    runs = RunLedger(ledger)
    try:
        state = load_work_state(path)
        if state is None or not untrusted or runs.knows(_record_of(state)):
            return state
        problem = "belongs to a run that the ledger does not know"
    except DamagedStateError:
        problem = "is damaged"
    kept = keep_unusable(path)
    display.say(f"{path} {problem}; it was renamed to {kept.name}, and is rebuilt from the ledger.")
    return None


def take_over(
    found: WorkState | None, fresh: WorkState, ledger: LedgerFile, settings: Settings
) -> None:
    """Stores the file's work state in the ledger, before `fresh` overwrites the file.

    The ledger may lack it if the ledger was moved away, or if the file was copied here.

    Raises:
        StateConflictError: if it belongs to another ledger, which does not have it.
    """
    if found is None or not found.unfinished or RunLedger(ledger).was_reset(found.run_name):
        return
    own = (found.db_path or settings.state_file.parent / LEDGER_NAME).resolve()
    if own != ledger.path.resolve() and _work_of(found) != _work_of(fresh):
        if not keeps(own, found):
            raise StateConflictError(
                f"{settings.state_file} holds unfinished work: {found.kind} from {found.source},"
                f" tag {found.tag!r}, into {found.target}, with the ledger {own}, which does not"
                " have it. Resume that run to finish it, or name another --state-file."
            )
        return
    for kept in kept_states(ledger.connection, found.kind, found.tag):
        if _scope_of(kept.state) == _scope_of(found) and (
            kept.state.run_name != found.run_name or kept.state.last_update > found.last_update
        ):
            # The ledger has a later state.
            return
    runs = RunLedger(ledger)
    scope_id = runs.scope(found.kind, found.source, found.tag, found.target_id)
    if not runs.knows(_record_of(found)):
        runs.begin_run(
            scope_id,
            found.run_id,
            found.run_name,
            settings.state_file.resolve(),
            given_id=found.given_id,
        )
    keep_state(ledger, scope_id, found)


def state_to_resume(
    fresh: WorkState, ledger: LedgerFile, display: Display, *, scan_only: bool
) -> WorkState:
    """The work state of the unfinished run of the same source and target, or `fresh`."""
    earlier = _unfinished(fresh, ledger)
    found = next((each for each in earlier if each.target_id == fresh.target_id), None)
    if found is None:
        for each in earlier:
            if each.target == fresh.target:
                # The old database is gone, so its run cannot be resumed.
                display.say("The database is new: everything is imported again.")
                forget_state(ledger, each)
        return fresh
    if not found.total_files:
        # Its source had no items, as for a mistyped folder: there is nothing to resume.
        return fresh
    display.say(f"Resuming the run of {_started(found)}.")
    if fresh.given_id not in (None, found.given_id):
        display.say(
            f"⚠️  It keeps its batch id, {found.batch_id}. --restart begins a run with the batch id"
            f" {fresh.given_id}."
        )
    # The URL of its database may have changed.
    found.backend, found.target = fresh.backend, fresh.target
    found.status = "running"
    found.process_id = os.getpid()
    if not scan_only:
        found.parameters = fresh.parameters
    return found


def abandon_unfinished(
    fresh: WorkState, ledger: LedgerFile, display: Display, *, restart: bool
) -> WorkState | None:
    """Abandons the unfinished run of the same source and target, if needed; returns its state.

    It is needed with `restart`, or with `--force` if that run began without it: the items that it
    imported are imported again, and must not count twice.
    """
    for each in _unfinished(fresh, ledger):
        if each.target_id != fresh.target_id:
            continue
        if not restart:
            if not fresh.parameters.get("force") or each.parameters.get("force"):
                return None
            display.say(f"--force begins a new run: the run of {_started(each)} is abandoned.")
        forget_state(ledger, each)
        return each
    return None


def state_to_verify(
    found: WorkState | None, fresh: WorkState, ledger: LedgerFile, target: Target
) -> WorkState:
    """The work state of the last run of the same source; `found` is the one in the file.

    Raises:
        StateConflictError: if all such runs had another target.
    """
    last = [kept.state for kept in kept_states(ledger.connection, fresh.kind, fresh.tag)]
    if found is not None:
        last.insert(0, found)
    last = [each for each in last if _work_of(each) == _work_of(fresh)]
    for each in last:
        if each.target_id == target.key:
            return each
    if last:
        raise another_target(last[0], target.location)
    # No run is known: only the items of the ledger are verified.
    fresh.status = "completed"
    return fresh


def check_resumed(run_name: str, ledger: LedgerFile, target: Target) -> None:
    """Checks that a run is still unfinished, and that its target is the open one.

    Raises:
        StateConflictError: if not.
    """
    kept = [each.state for each in kept_states(ledger.connection)]
    found = next((each for each in kept if each.run_name == run_name and each.unfinished), None)
    if found is None:
        raise StateConflictError(f"The run {run_name} was finished or abandoned meanwhile.")
    if found.target_id != target.key:
        raise another_target(found, target.location)


def another_target(state: WorkState, location: str) -> StateConflictError:
    """The error if the settings name another target than that of a run."""
    return StateConflictError(
        f"The run of {state.kind} from {state.source} with the tag {state.tag!r} has the target"
        f" {state.target}, but the configured database is another one: {location}. Set the"
        " variables as they were for that run."
    )


def _unfinished(fresh: WorkState, ledger: LedgerFile) -> list[WorkState]:
    """The unfinished runs of the same source, with any target, the latest first."""
    kept = kept_states(ledger.connection, fresh.kind, fresh.tag)
    return [
        each.state
        for each in kept
        if each.state.unfinished and _work_of(each.state) == _work_of(fresh)
    ]


def _started(state: WorkState) -> str:
    return f"{state.start_time:%Y-%m-%d %H:%M:%S} UTC"


def _work_of(state: WorkState) -> tuple[str | None, ...]:
    return (state.kind, state.source, state.single_file, state.tag)


def _scope_of(state: WorkState) -> tuple[str | None, ...]:
    return (*_work_of(state), state.target_id)


def _record_of(state: WorkState) -> RunRecord:
    return RunRecord(
        run_id=state.run_id,
        run_name=state.run_name,
        kind=state.kind,
        source=state.source,
        tag=state.tag,
        target_id=state.target_id,
    )
