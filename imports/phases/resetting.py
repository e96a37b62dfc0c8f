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
from imports.backends.target import Target, embedded_folder, lacks_database
from imports.configuration.choices import Backend
from imports.errors import BackendUnavailableError, StateConflictError, UsageError
from imports.items.run_name import RUN_NAME, without_cycle
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
    known_runs,
)
from imports.ledger.file import check_place, reading
from imports.ledger.kept import kept_states
from imports.ledger.resets import likely_ids
from imports.ledger.work_state import DamagedStateError, WorkState, load_work_state
from imports.phases.putting import PlaceTarget
from imports.phases.reset_places import remove_placed
from imports.run.display import Display
from imports.run.lock import hold, write_run
from imports.run.opening import connected, interruption
from imports.run.provenance import refuse_foreign
from imports.run.reset import BatchToReset, ResetReport, ResetTarget, count_batch, reset_batch
from imports.settings import Settings
from imports.workers.executors import Workers


@dataclass(frozen=True, slots=True)
class RunToReset:
    """A run, by its batch id, and the settings that open its target.

    `runs` are the runs of the ledger with this batch id; several if a user gave it to them, none if
    the ledger does not know it. `was_into` is the target as the work state calls it, empty if that
    is lost.
    """

    name: str
    kind: Kind
    runs: tuple[KnownRun, ...]
    settings: Settings
    was_into: str = ""

    @property
    def known(self) -> KnownRun | None:
        """The last one that the ledger knows."""
        return self.runs[-1] if self.runs else None

    @property
    def batch(self) -> BatchToReset:
        """What a reset of rows has to know."""
        names = tuple(each.run_name for each in self.runs)
        return BatchToReset(self.name, names, self.kind.group)


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
        UsageError: if nobody knows of what kind the run is, or it is of another kind, or runs of
            several kinds have the batch id.
    """
    with reading(settings.ledger_file) as connection:
        runs = [] if connection is None else known_runs(connection, run_name)
        likely = [] if runs or connection is None else likely_ids(connection, run_name)
        states = [] if connection is None else [each.state for each in kept_states(connection)]
    with contextlib.suppress(DamagedStateError):
        if (state := load_work_state(settings.state_file)) is not None:
            states.append(state)
    own = next((each for each in states if each.batch_id == run_name), None)
    kinds = list(dict.fromkeys(each.kind for each in runs))
    kinds = kinds or ([own.kind] if own is not None else [])
    if not kinds and (kind is None or likely):
        raise _unknown(settings.ledger_file, run_name, likely)
    if kind is not None and kind not in (kinds or [kind]):
        raise UsageError(f"The run {run_name} is of the kind {' and '.join(kinds)}, not {kind}.")
    if kind is None and len(kinds) > 1:
        raise UsageError(
            f"Runs of the kinds {' and '.join(kinds)} have the batch id {run_name}. Choose one with"
            " --kind."
        )
    of_kind = kind or kinds[0]
    runs = [each for each in runs if each.kind == of_kind]
    target_ids = {each.target_id for each in runs} or {own.target_id if own is not None else ""}
    into = next((each for each in states if {each.target_id} == target_ids), None)
    if settings.backend is Backend.AUTO and into is not None and into.backend:
        settings = replace(settings, backend=Backend(into.backend))
    if lacks_database(settings):
        raise UsageError(
            f"There is no embedded PostgreSQL in {embedded_folder(settings.data_folder)}: nothing"
            " to reset. Name the target of the run with --backend, or set the variables as they"
            " were for it."
        )
    return RunToReset(
        run_name,
        kind_named(of_kind),
        tuple(runs),
        settings,
        into.target if into is not None else "",
    )


def _unknown(ledger: Path, run_name: str, likely: list[str]) -> UsageError:
    # Of a cycle, as rows have it, or of a batch, as `status` has it.
    begins = re.match(RUN_NAME, run_name)
    meant = likely or [without_cycle(run_name) if begins is None else begins[0]]
    whole = "" if meant == [run_name] else f" Did you mean {' or '.join(meant)}?"
    return UsageError(
        f"The ledger {ledger} does not know the run {run_name}.{whole} `status` shows the last"
        " runs. If the run has another ledger, name it with --db-path. If its ledger is lost, say"
        " of what kind the run was with --kind: its rows and their images are found in the target."
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
        batch = self.run.batch
        written = count_batch(self._on, self._ledger, batch)
        return Found(written, *count_undone(self._ledger, batch.run_names))

    def delete(self) -> ResetReport:
        """Deletes it. It may be interrupted, and repeated.

        Raises:
            BackendUnavailableError: if the target does not answer any more.
            InterruptedRunError: if it was asked to stop.
            LedgerError: if the ledger cannot be written.
        """
        known, batch, places = self.run.known, self.run.batch, None
        if known is not None:
            scope = Scope(self._ledger, known.scope_id, known.run_name)
            places = ResetPlaces(scope, self.target.key, batch.run_names)
            # Afterwards it is not known any more which items were imported.
            places.commit()
        try:
            report = reset_batch(self._on, self._ledger, batch)
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
        into = tuple(each for each in run.runs if each.target_id == target.key)
        if run.runs and not into:
            raise _another_target(run, target.location)
        run = replace(run, runs=into)
        ledger = LedgerFile(settings.ledger_file)
        resources.callback(ledger.close)
        write_run(settings.ledger_file, run.name if run.known is None else run.known.run_name)
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
    if _is_of(path, run):
        path.unlink(missing_ok=True)


def _is_of(path: Path, run: RunToReset) -> bool:
    state: WorkState | None = None
    with contextlib.suppress(DamagedStateError):
        state = load_work_state(path)
    if state is None:
        return False
    known = {each.run_name for each in run.runs}
    return state.run_name in known if known else state.batch_id == run.name
