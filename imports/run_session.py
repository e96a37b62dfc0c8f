"""A run's open things: the lock, the ledger, the target and the work state, opened in order."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from filelock import FileLock, Timeout

from imports.backends.target import Target, open_target
from imports.errors import InterruptedRunError, LockedError, StateConflictError, UsageError
from imports.kinds import kind_named
from imports.kinds.kind import Kind
from imports.ledger import ImageLedger, ItemLedger, LedgerFile, RunLedger
from imports.phases.prepare import PrepareJob
from imports.progress import Display
from imports.report import phase_counts
from imports.retry import RetryPolicy, with_retries
from imports.settings import Backend, Settings
from imports.spool import Spool
from imports.work_item import Phase
from imports.work_state import (
    MOST_LISTED,
    DamagedStateError,
    FailedItem,
    ListedWork,
    PhaseState,
    WorkState,
    load_work_state,
    new_run_ids,
    remove_drafts,
    save_work_state,
    set_aside,
)
from imports.workers import Workers, in_a_thread

P = ParamSpec("P")
R = TypeVar("R")

SECONDS_BETWEEN_CHECKPOINTS = 1.0


@dataclass(slots=True)
class RunSession:
    """Everything that a run holds open. Used by the coordinator's thread alone."""

    settings: Settings
    kind: Kind
    folder: Path
    single_item: str | None
    target: Target
    policy: RetryPolicy
    display: Display
    workers: Workers
    ledger: LedgerFile
    runs: RunLedger
    items: ItemLedger
    images: ImageLedger
    spool: Spool
    state: WorkState
    began_at: float
    _resources: contextlib.ExitStack
    _checkpointed_at: float = field(default=0.0, init=False)

    def add_counts(self, counts: dict[str, int]) -> None:
        """Adds to the run's counts."""
        self.runs.add_counts(self.state.batch_id, counts)

    def counts(self) -> dict[str, int]:
        """The run's counts, by name."""
        return self.runs.counts(self.state.batch_id)

    def ask(self, operation: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Asks the target something, with retries, in a thread: Ctrl-C is heard meanwhile."""
        ready = partial(with_retries, self.policy, operation, *args, **kwargs)
        return self.workers.for_waiting().submit(ready).result()

    def run_values(self) -> dict[str, object]:
        """The values that all rows of this run share."""
        return {"dataset_id": self.state.dataset_id, "batch_id": self.state.batch_id}

    def batches(self) -> Iterator[PrepareJob]:
        """The queued items, a batch at a time."""
        row_format = self.target.database.row_format
        for items in self.items.queued_batches(self.settings.batch_size):
            yield PrepareJob(self.kind.name, str(self.folder), row_format, items)

    def advance(self, phase: Phase, count: int) -> None:
        """Shows that some more items are done, and checkpoints if it is time to."""
        self.display.advance(phase, count)
        self.checkpoint()

    def raise_if_stopping(self) -> None:
        """Ends the run, if it was asked to stop.

        Raises:
            InterruptedRunError: if it was.
        """
        if self.policy.stop.is_set():
            raise InterruptedRunError("The run was stopped. The same command resumes it.")

    def checkpoint(self, *, now: bool = False) -> None:
        """Brings the work state to disk: at once, or if the last time was a while ago."""
        moment = time.monotonic()
        if not now and moment - self._checkpointed_at < SECONDS_BETWEEN_CHECKPOINTS:
            return
        self._checkpointed_at = moment
        state = self.state
        counts = self.counts()
        for phase in Phase:
            if phase in state.phases:
                found = state.phases[phase]
                state.phases[phase] = PhaseState.model_validate(
                    {
                        **phase_counts(counts, phase),
                        "status": found.status,
                        "duration_seconds": round(found.duration_seconds, 3),
                    }
                )
        state.work_items_remaining, unfinished = self.items.unfinished(MOST_LISTED)
        state.work_items = [ListedWork(path=path, state=name) for path, name in unfinished]
        state.failed_items_total, failures = self.items.failures(MOST_LISTED)
        state.failed_items = [
            FailedItem(path=each.path, phase=each.phase, reason=each.reason, tries=each.tries)
            for each in failures
        ]
        state.last_update = datetime.now(UTC)
        save_work_state(state, self.settings.state_file)

    def close(self) -> None:
        """Closes everything, the lock last."""
        self._resources.close()


def open_session(
    settings: Settings, stop: threading.Event, display: Display, *, last_run: bool = False
) -> RunSession:
    """Opens what a run needs; with `last_run` it is the last one, also if that is finished.

    Raises:
        ImporterError: of the class that says what is in the way.
    """
    began_at = time.time()
    kind = kind_named(settings.kind)
    folder, single_item = _source(settings)
    policy = RetryPolicy(settings.max_retries, stop)
    with contextlib.ExitStack() as resources:
        _lock(settings.state_file, resources)
        target = in_a_thread(open_target, settings, policy)
        resources.callback(target.close)
        ledger = LedgerFile(settings.ledger_file)
        resources.callback(ledger.close)
        runs = RunLedger(ledger)
        found = _load(settings.state_file, runs, display)
        fresh = _fresh_state(settings, kind, folder, single_item, target)
        if settings.restart and found is not None and not found.finished:
            with_retries(policy, target.database.forget_merges, found.batch_id)
        if last_run and found is not None:
            state = _same_target(found, target)
        else:
            state = _chosen_state(settings, found, fresh, display)
        scope_id = runs.scope(kind.name, str(folder), state.tag, target.key)
        runs.begin_run(scope_id, state.run_id, state.batch_id, settings.state_file.resolve())
        workers = Workers(settings.max_workers)
        resources.callback(workers.close)
        session = RunSession(
            settings=settings,
            kind=kind,
            folder=folder,
            single_item=single_item,
            target=target,
            policy=policy,
            display=display,
            workers=workers,
            ledger=ledger,
            runs=runs,
            items=ItemLedger(ledger, scope_id, state.batch_id, single_item),
            images=ImageLedger(ledger, scope_id, state.batch_id),
            spool=Spool(
                settings.data_folder / "spool" / state.batch_id, target.database.row_format
            ),
            state=state,
            began_at=began_at,
            _resources=resources.pop_all(),
        )
    session.checkpoint(now=True)
    return session


def last_work(settings: Settings) -> Settings:
    """The settings for the work of the last run, as its work state has it.

    Raises:
        UsageError: if there was none.
    """
    state = load_work_state(settings.state_file)
    if state is None:
        raise UsageError(f"There is no {settings.state_file}: there was no run to verify.")
    source = Path(state.source)
    return settings.model_copy(
        update={
            "kind": state.kind,
            "source": source,
            "single_file": source / state.single_file if state.single_file else None,
            "tag": state.tag,
            "backend": Backend(state.backend or "auto"),
            "image_roots": settings.image_roots
            or tuple(map(Path, state.parameters.get("image_roots", ()))),
        }
    )


def _source(settings: Settings) -> tuple[Path, str | None]:
    """The source folder, and the path of the single item below it."""
    if settings.tag is None:
        raise UsageError("The dataset's tag is missing: name it with --tag.")
    single = settings.single_file
    if single is not None and not single.is_file():
        raise UsageError(f"--single-file {single}: there is no such file.")
    if settings.source is None:
        if single is None:
            raise UsageError(
                "The source is missing: name its folder (--states-dir), or one --single-file."
            )
        folder = single.resolve().parent
    else:
        folder = settings.source.resolve()
        if not folder.is_dir():
            raise UsageError(f"The source {settings.source} is not a folder.")
    if single is None:
        return folder, None
    if not single.resolve().is_relative_to(folder):
        raise UsageError(f"--single-file {single} is not below the source {folder}.")
    return folder, single.resolve().relative_to(folder).as_posix()


def _lock(state_file: Path, resources: contextlib.ExitStack) -> None:
    if not state_file.parent.is_dir():
        raise UsageError(f"The folder of the work state {state_file} does not exist.")
    lock = FileLock(f"{state_file}.lock", timeout=0)
    # Not in the lock file, which everybody who tries it empties.
    holder = state_file.with_name(f"{state_file.name}.pid")
    try:
        lock.acquire()
    except Timeout:
        try:
            who = f"process {int(holder.read_text())}"
        except (OSError, ValueError):
            who = "another process"
        raise LockedError(
            f"{state_file} is in use by {who}. Wait for it to end, or name another --state-file."
        ) from None
    except OSError as error:
        raise UsageError(
            f"The work state {state_file} cannot be locked: {error.strerror}."
            " Name another place with --state-file."
        ) from error
    resources.callback(lock.release)
    holder.write_text(str(os.getpid()))
    resources.callback(holder.unlink, missing_ok=True)
    remove_drafts(state_file)


def _fresh_state(
    settings: Settings, kind: Kind, folder: Path, single_item: str | None, target: Target
) -> WorkState:
    now = datetime.now(UTC)
    run_id, batch_id = new_run_ids()
    return WorkState(
        run_id=run_id,
        batch_id=batch_id,
        process_id=os.getpid(),
        kind=kind.name,
        source=str(folder),
        single_file=single_item,
        tag=settings.tag or "",
        backend=target.backend,
        target=target.location,
        target_id=target.key,
        start_time=now,
        last_update=now,
        parameters=_parameters(settings),
    )


def _same_target(found: WorkState, target: Target) -> WorkState:
    if found.target_id != target.key:
        raise StateConflictError(
            f"The last run was into {found.target}; what is configured now is another database:"
            f" {target.location}. Set the variables as they were for that run."
        )
    return found


def _chosen_state(
    settings: Settings, found: WorkState | None, fresh: WorkState, display: Display
) -> WorkState:
    """The work state to go on with: that of an unfinished run, or a new one."""
    rebuilt = found is not None and not found.target
    if found is None or found.finished or settings.restart:
        return fresh
    if not rebuilt and not found.total_files:
        # Nothing was found in its source: a mistyped folder is no unfinished work.
        return fresh
    if rebuilt:
        # Rebuilt from the ledger, which knows the target by its id alone.
        found.backend, found.single_file = fresh.backend, fresh.single_file
        found.target = fresh.target if found.target_id == fresh.target_id else "another target"
    if _work_of(found) != _work_of(fresh):
        raise StateConflictError(
            f"{settings.state_file} holds unfinished work: {found.kind} from {found.source},"
            f" tag {found.tag!r}, into {found.target}. Run that again to finish it, or give it"
            " up with --restart, or keep both with another --state-file."
        )
    if found.target_id != fresh.target_id:
        display.say("The database is a new one: everything is imported again.")
        return fresh
    display.say(f"Resuming the run of {found.start_time:%Y-%m-%d %H:%M:%S} UTC.")
    found.status = "running"
    found.process_id = os.getpid()
    found.parameters = fresh.parameters
    return found


def _work_of(state: WorkState) -> tuple[str | None, ...]:
    return (state.kind, state.source, state.single_file, state.tag, state.target)


def _load(path: Path, runs: RunLedger, display: Display) -> WorkState | None:
    try:
        return load_work_state(path)
    except DamagedStateError:
        kept = set_aside(path)
    display.say(f"{path} is damaged; it was kept as {kept.name} and is rebuilt from the ledger.")
    last = runs.last_run(path.resolve())
    if last is None or last.completed:
        return None
    rebuilt = WorkState(
        run_id=last.run_id,
        batch_id=last.batch_id,
        process_id=os.getpid(),
        kind=last.kind,
        source=last.source,
        tag=last.tag,
        backend="",
        target="",
        target_id=last.target_id,
        start_time=datetime.fromtimestamp(last.started_at, UTC),
        last_update=datetime.now(UTC),
    )
    # At once: whoever is refused now must be refused again.
    save_work_state(rebuilt, path)
    return rebuilt


def _parameters(settings: Settings) -> dict[str, object]:
    """The settings, for the record; nothing secret is in them."""
    return settings.model_dump(
        mode="json",
        exclude={"supabase_key", "database_url", "supabase_url", "source", "tag", "kind"},
    )
