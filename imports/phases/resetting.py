"""A reset as a whole: which run it is of, its locks and its target, and both of its steps.

What it deletes, and in which order, is in `run/reset.py`.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from imports.backends.deleting import Written
from imports.backends.retry import RetryPolicy
from imports.backends.target import Target, embedded_folder
from imports.configuration.choices import Backend
from imports.errors import BackendUnavailableError, StateConflictError, UsageError
from imports.items.run_name import RUN_NAME
from imports.kinds import all_kinds, kind_named
from imports.kinds.kind import Kind
from imports.ledger import (
    KnownRun,
    LedgerFile,
    ResetPlaces,
    Scope,
    Undone,
    UndonePlaces,
    count_undone,
    known_run,
)
from imports.ledger.file import check_place, reading
from imports.ledger.kept import kept_states
from imports.ledger.work_state import DamagedStateError, WorkState, load_work_state
from imports.phases.putting import PlaceTarget
from imports.phases.reset_places import remove_placed
from imports.run.display import Display
from imports.run.lock import hold, write_run
from imports.run.opening import connected, interruption
from imports.run.provenance import refuse_foreign
from imports.run.reset import ResetReport, ResetTarget, count_run, reset_run
from imports.settings import Settings
from imports.workers.executors import Workers


@dataclass(frozen=True, slots=True)
class RunToReset:
    """A run, by its batch id, and the settings that open its target.

    `known` is what the ledger knows of it, None if it does not know the run. `was_into` is the
    target as its work state calls it, empty if that is lost.
    """

    name: str
    kind: Kind
    known: KnownRun | None
    settings: Settings
    was_into: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a reset would delete, and how many items it would make importable."""

    written: Written
    items: Undone
    places: UndonePlaces

    @property
    def nothing(self) -> bool:
        """Whether there is nothing of the run, in the target or in the ledger."""
        rows = sum(each.rows for each in self.written.tables.values())
        return not (rows or self.written.images or any(self.items) or self.places.images)


def run_to_reset(settings: Settings, run_name: str, kind: str | None) -> RunToReset:
    """The run with a batch id, as the ledger, or the work state, has it.

    `kind` is what the user says that it is of. It is needed if neither knows the run.

    Raises:
        UsageError: if nobody knows of what kind the run is, or it is of another kind.
    """
    with reading(settings.ledger_file) as connection:
        known = None if connection is None else known_run(connection, run_name)
        states = [] if connection is None else [each.state for each in kept_states(connection)]
    with contextlib.suppress(DamagedStateError):
        if (state := load_work_state(settings.state_file)) is not None:
            states.append(state)
    own = next((each for each in states if each.run_name == run_name), None)
    of_kind = known.kind if known is not None else own.kind if own is not None else kind
    if of_kind is None:
        raise _unknown(settings.ledger_file, run_name)
    if kind not in (None, of_kind):
        raise UsageError(f"The run {run_name} is of the kind {of_kind}, not {kind}.")
    target_id = known.target_id if known is not None else own.target_id if own is not None else ""
    into = next((each for each in states if each.target_id == target_id), None)
    if settings.backend is Backend.AUTO and into is not None and into.backend:
        settings = replace(settings, backend=Backend(into.backend))
    if settings.chosen_backend is Backend.EMBEDDED:
        _check_embedded(settings)
    return RunToReset(
        run_name, kind_named(of_kind), known, settings, into.target if into is not None else ""
    )


def _unknown(ledger: Path, run_name: str) -> UsageError:
    # Of a cycle, as rows have it, or of a batch, as `status` has it.
    begins = re.match(RUN_NAME, run_name)
    whole = "" if begins is None or begins[0] == run_name else f" Did you mean {begins[0]}?"
    return UsageError(
        f"The ledger {ledger} does not know the run {run_name}.{whole} `status` shows the last"
        " runs. If the run has another ledger, name it with --db-path. If its ledger is lost, say"
        " of what kind the run was with --kind: its rows and their images are found in the target."
    )


def _check_embedded(settings: Settings) -> None:
    """Makes sure that a reset does not create a database."""
    folder = embedded_folder(settings.data_folder)
    if not folder.exists():
        raise UsageError(
            f"There is no embedded PostgreSQL in {folder}: nothing to reset. Name the target of"
            " the run with --backend, or set the variables as they were for it."
        )


class Reset:
    """A reset whose target is open, and whose ledger and work state are locked."""

    def __init__(
        self, run: RunToReset, target: Target, ledger: LedgerFile, on: ResetTarget
    ) -> None:
        """Works on what is open already; `on` is the part of the target that has the run."""
        self.run = run
        self.target = target
        self._ledger = ledger
        self._on = on

    def find(self) -> Found:
        """Counts what `delete` would delete; nothing changes."""
        written = count_run(self._on, self._ledger, self.run.kind.group, self.run.name)
        return Found(written, *count_undone(self._ledger, self.run.name))

    def delete(self) -> ResetReport:
        """Deletes it. It may be interrupted, and repeated.

        Raises:
            BackendUnavailableError: if the target does not answer any more.
            InterruptedRunError: if it was asked to stop.
            LedgerError: if the ledger cannot be written.
        """
        known, places = self.run.known, None
        if known is not None:
            scope = Scope(self._ledger, known.scope_id, self.run.name)
            places = ResetPlaces(scope, self.target.key)
            # Afterwards it is not known any more which items were imported.
            places.commit()
        try:
            report = reset_run(self._on, self._ledger, self.run.kind.group, self.run.name)
            if places is not None:
                at_places = PlaceTarget(self.target.config, trusts_sizes=True)
                columns = [
                    each for kind in all_kinds().values() for each in kind.group.named_places
                ]
                remove_placed(self._on, at_places, places, columns, report)
        except BackendUnavailableError as error:
            raise interruption(error, self._on.database.policy.stop) from error
        _forget_state_file(self.run)
        return report


@contextlib.contextmanager
def open_reset(run: RunToReset, stop: threading.Event, display: Display) -> Iterator[Reset]:
    """Locks the ledger and the work state, and opens the target of a run.

    Raises:
        LockedError: if another run uses the ledger.
        StateConflictError: if the target is not that of the run.
        ImporterError: if the target cannot be opened.
    """
    settings = run.settings
    policy = RetryPolicy(settings.max_retries, stop, settings.max_wait, display.say)
    with contextlib.ExitStack() as resources:
        hold(settings.state_file, "The work state", "--state-file", resources)
        check_place(settings.ledger_file)
        hold(settings.ledger_file, "The ledger", "--db-path", resources)
        refuse_foreign(settings.ledger_file)
        target = connected(settings, policy, display, resources)
        if run.known is not None and run.known.target_id != target.key:
            raise _another_target(run, target.location)
        ledger = LedgerFile(settings.ledger_file)
        resources.callback(ledger.close)
        write_run(settings.ledger_file, run.name)
        workers = Workers(settings.max_concurrent_uploads)
        resources.callback(workers.close)
        on = ResetTarget(target.database, target.store, workers.for_waiting(), display.mention)
        yield Reset(run, target, ledger, on)


def _another_target(run: RunToReset, location: str) -> StateConflictError:
    was = run.was_into or "another database, or another image store"
    return StateConflictError(
        f"The run {run.name} was into {was}; what is configured now is another target:"
        f" {location}. Set the variables as they were for that run. Nothing was deleted."
    )


def _forget_state_file(run: RunToReset) -> None:
    """Removes the checkpoint of a run that was reset: nothing continues it."""
    path = run.settings.state_file
    if _is_of(path, run.name):
        path.unlink(missing_ok=True)


def _is_of(path: Path, run_name: str) -> bool:
    state: WorkState | None = None
    with contextlib.suppress(DamagedStateError):
        state = load_work_state(path)
    return state is not None and state.run_name == run_name
