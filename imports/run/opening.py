"""Opening a session: lock, target, ledger and work state in order, and which run goes on."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from imports.backends.target import Target, open_target
from imports.disposal import check_writable
from imports.errors import (
    BackendUnavailableError,
    ImporterError,
    InterruptedRunError,
    LedgerError,
    StateConflictError,
    UsageError,
)
from imports.kinds import kind_named
from imports.kinds.kind import Kind
from imports.ledger import (
    DisposalLedger,
    GrowingLedger,
    ImageLedger,
    ImportQueue,
    ItemLedger,
    LackingLedger,
    LedgerFile,
    ListingLedger,
    RunLedger,
    RunRecord,
    Scope,
)
from imports.ledger.file import check_place
from imports.progress import Display
from imports.retry import RetryPolicy, with_retries
from imports.run.disposal import disposal_plan
from imports.run.lock import hold, say_run
from imports.run.progress_log import progress_log
from imports.run.provenance import lies_in, token_inside
from imports.run.session import RunSession
from imports.run.source import find_source, source_of
from imports.settings import Backend, Settings
from imports.spool import Spool
from imports.status_files import StatusFiles
from imports.waiting import Waiting
from imports.whole_file import remove_drafts
from imports.work_item import Source
from imports.work_state import (
    DamagedStateError,
    WorkState,
    as_json,
    from_json,
    keep_unusable,
    load_work_state,
    new_run_ids,
    save_work_state,
)
from imports.workers import Workers, in_a_thread


def interruption(error: ImporterError, stop: threading.Event) -> ImporterError:
    """What ended a run: the user, where a target that stayed away was waited for no longer."""
    if stop.is_set() and isinstance(error, BackendUnavailableError):
        return InterruptedRunError(
            f"The run was stopped while it waited: {error} The same command resumes it."
        )
    return error


def open_session(
    settings: Settings, stop: threading.Event, display: Display, *, last_run: bool = False
) -> RunSession:
    """Opens what a run needs; with `last_run` it is the last one, also if that is finished.

    Raises:
        ImporterError: of the class that says what is in the way.
    """
    began_at = time.monotonic()
    kind = kind_named(settings.kind)
    folder, single_item = find_source(settings, kind)
    policy = RetryPolicy(settings.max_retries, stop, settings.max_wait, display.say)
    with contextlib.ExitStack() as resources:
        _hold_state_file(settings.state_file, resources)
        waiting = Waiting(policy, display)
        resources.callback(waiting.close)
        waiting.start()
        imported = (settings.imported or folder).resolve()
        token = token_inside(settings, imported)
        _hold_ledger(settings.ledger_file, resources)
        disposal = None if last_run else disposal_plan(settings, kind, folder, single_item)
        if disposal is not None:
            check_writable([str(folder), *disposal.folders])
        try:
            target = in_a_thread(open_target, settings, policy)
        except BackendUnavailableError as error:
            raise interruption(error, stop) from error
        resources.callback(target.close)
        ledger = LedgerFile(settings.ledger_file, token)
        resources.callback(ledger.close)
        if disposal is not None:
            ledger.bring_to_disk()
        runs = RunLedger(ledger)
        doubtful = lies_in(settings.state_file, imported)
        found = _load(settings.state_file, runs, display, doubtful=doubtful)
        fresh = _fresh_state(settings, kind, folder, single_item, target)
        if settings.restart and found is not None and not found.finished:
            with_retries(policy, target.database.forget_merges, found.rows_batch_id)
        if last_run and found is not None:
            state = _same_target(found, target)
        else:
            state = _chosen_state(settings, found, fresh, display)
        scope_id = runs.scope(kind.name, str(folder), state.tag, target.key)
        scope = Scope(ledger, scope_id, state.batch_id, single_item)
        runs.begin_run(
            scope_id,
            state.run_id,
            state.batch_id,
            settings.state_file.resolve(),
            deletes=single_item is None and disposal is not None and disposal.deletes,
            only_verified=last_run,
        )
        say_run(settings.ledger_file, state.batch_id)
        source = source_of(settings, kind, folder)
        progress = None if last_run else progress_log(settings, kind, scope, source)
        if progress is not None:
            resources.callback(progress.close)
            progress.update(now=True)
        workers = Workers(settings.max_workers)
        resources.callback(workers.close)
        return RunSession(
            settings=settings,
            kind=kind,
            source=source,
            single_item=single_item,
            target=target,
            policy=policy,
            display=display,
            workers=workers,
            ledger=ledger,
            runs=runs,
            scope=scope,
            listing=ListingLedger(scope),
            items=ItemLedger(scope),
            growing=GrowingLedger(scope),
            queue=ImportQueue(scope),
            images=ImageLedger(scope),
            lacking=LackingLedger(scope),
            spool=Spool(
                settings.data_folder / "spool" / state.batch_id, target.database.row_format
            ),
            status_files=_status_files(settings, kind, source, state),
            disposal=disposal,
            disposals=DisposalLedger(scope),
            progress=progress,
            state=state,
            resumed=found is not None and state is found,
            began_at=began_at,
            _resources=resources.pop_all(),
        )


def _status_files(
    settings: Settings, kind: Kind, source: Source, state: WorkState
) -> StatusFiles | None:
    if not kind.items_are_folders or settings.no_status_files:
        return None
    return StatusFiles(source, state.batch_id, state.tag, state.target)


def last_work(settings: Settings) -> Settings:
    """The settings for the work of the last run, as its work state has it.

    Raises:
        UsageError: if there was none.
    """
    state = load_work_state(settings.state_file)
    if state is None:
        raise UsageError(f"There is no {settings.state_file}: there was no run to verify.")
    source = Path(state.source)
    return replace(
        settings,
        kind=state.kind,
        source=source,
        single_file=source / state.single_file if state.single_file else None,
        tag=state.tag,
        backend=Backend(state.backend or "auto"),
        image_roots=settings.image_roots
        or tuple(map(Path, state.parameters.get("image_roots") or ())),
        patterns=tuple(state.parameters.get("patterns") or ()),
        no_status_files=bool(state.parameters.get("no_status_files")),
        db_path=settings.db_path or _ledger_of(state),
    )


def _ledger_of(state: WorkState) -> Path | None:
    """The ledger that a work state names: it is there, or it is not made now."""
    if state.db_path is not None and not state.db_path.is_file():
        raise UsageError(
            f"The ledger of the last run, {state.db_path}, is not there. Name it with --db-path."
        )
    return state.db_path


def _hold_state_file(path: Path, resources: contextlib.ExitStack) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"The folder of the work state {path} does not exist.")
    hold(path, "The work state", "--state-file", resources)
    remove_drafts(path)


def _hold_ledger(path: Path, resources: contextlib.ExitStack) -> None:
    """Two runs must not share a ledger, whatever they are over.

    A listing writes it for longer than another run would wait, and what one run finds out of an
    image, by its path, another one relies on.
    """
    check_place(path)
    hold(path, "The ledger", "--db-path and --state-file", resources)


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
    if not settings.scan_only:
        found.parameters = fresh.parameters
    return found


def _work_of(state: WorkState) -> tuple[str | None, ...]:
    return (state.kind, state.source, state.single_file, state.tag, state.target)


def _load(path: Path, runs: RunLedger, display: Display, *, doubtful: bool) -> WorkState | None:
    """The work state; one that is doubtful only if the ledger knows its run."""
    try:
        state = load_work_state(path)
        if state is None or not doubtful or runs.knows(_record_of(state)):
            return state
        problem = "is of a run that the ledger does not know"
    except DamagedStateError:
        problem = "is damaged"
    kept = keep_unusable(path)
    display.say(f"{path} {problem}; it was kept as {kept.name} and is rebuilt from the ledger.")
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
        cycle=1 + runs.counts(last.batch_id).get("cycles", 0),
    )
    try:
        from_json(as_json(rebuilt))
    except msgspec.ValidationError as error:
        raise LedgerError(
            f"The ledger names its last run as none of ours is named: {error}. Move it away and"
            " run again: what the target already has is found there."
        ) from error
    # At once: whoever is refused now must be refused again.
    save_work_state(rebuilt, path)
    return rebuilt


def _record_of(state: WorkState) -> RunRecord:
    return RunRecord(
        run_id=state.run_id,
        batch_id=state.batch_id,
        kind=state.kind,
        source=state.source,
        tag=state.tag,
        target_id=state.target_id,
        started_at=state.start_time.timestamp(),
        completed=state.finished,
    )


def _parameters(settings: Settings) -> dict[str, object]:
    """The settings, for the record; nothing secret is in them."""
    left_out = {"supabase_key", "database_url", "supabase_url", "source", "tag", "kind"}
    return {name: value for name, value in settings.as_json().items() if name not in left_out}
