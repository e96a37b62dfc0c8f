"""Opens a session: locks, target, ledger and work state, in this order."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from imports.backends.retry import RetryPolicy
from imports.backends.target import Target, new_database_notice, open_target
from imports.configuration.option import Kept
from imports.errors import BackendUnavailableError, ImporterError, InterruptedRunError, UsageError
from imports.files.whole_file import remove_drafts
from imports.items.source import Source
from imports.kinds import kind_named
from imports.kinds.kind import Kind
from imports.ledger import (
    DisposalLedger,
    ExemptLedger,
    GrowingLedger,
    ImageLedger,
    ImportQueue,
    ItemLedger,
    KnownLedger,
    LackingLedger,
    LedgerFile,
    ListingLedger,
    PlacementLedger,
    RunLedger,
    Scope,
)
from imports.ledger.file import check_place
from imports.ledger.work_state import WorkState, new_run_ids
from imports.run.consuming.disposal_plan import disposal_plan
from imports.run.consuming.progress_log import progress_log
from imports.run.display import Display
from imports.run.lock import hold, write_run
from imports.run.provenance import lies_in, token_inside
from imports.run.session import RunSession
from imports.run.source import find_source, source_of
from imports.run.spool import Spool
from imports.run.streams import on_terminal
from imports.run.unfinished import (
    abandon_unfinished,
    check_resumed,
    last_state,
    state_to_resume,
    state_to_verify,
    take_over,
)
from imports.run.waiting import Waiting
from imports.settings import OPTIONS, Settings
from imports.source.backups import ADVICE, Backups
from imports.source.moving import check_writable
from imports.source.status_files import StatusFiles
from imports.workers.executors import Workers, in_a_thread


def interruption(error: ImporterError, stop: threading.Event) -> ImporterError:
    """The error that ended a run: the interruption, if the user stopped a wait for the target."""
    if stop.is_set() and isinstance(error, BackendUnavailableError):
        return InterruptedRunError(
            f"The run was stopped while it waited for the target: {error} The same command resumes"
            " it."
        )
    return error


def connected(
    settings: Settings, policy: RetryPolicy, display: Display, resources: contextlib.ExitStack
) -> Target:
    """Opens the target; the display shows what the run waits for. Both end with `resources`.

    Raises:
        ImporterError: if the target cannot be opened.
    """
    waiting = Waiting(policy, display)
    resources.callback(waiting.close)
    waiting.start()
    try:
        target = in_a_thread(open_target, settings, policy)
    except BackendUnavailableError as error:
        raise interruption(error, policy.stop) from error
    resources.callback(target.close)
    return target


def open_session(
    settings: Settings,
    stop: threading.Event,
    display: Display,
    *,
    last_run: bool = False,
    resumed: str | None = None,
) -> RunSession:
    """Opens the resources of a run; with `last_run`, of the last run, even if it is finished.

    With `resumed`, only the unfinished run of this batch id is opened.

    Raises:
        ImporterError: if the run cannot begin; its class says why.
    """
    began_at = time.monotonic()
    kind = kind_named(settings.kind)
    folder, single_item = find_source(settings, kind)
    policy = RetryPolicy(settings.max_retries, stop, settings.max_wait, display.say)
    with contextlib.ExitStack() as resources:
        _hold_state_file(settings.state_file, resources)
        imported = (settings.imported or folder).resolve()
        token = token_inside(settings, imported)
        _hold_ledger(settings.ledger_file, resources)
        disposal = None if last_run else disposal_plan(settings, kind, folder, single_item)
        if disposal is not None:
            check_writable([str(folder), *disposal.folders])
        target = connected(settings, policy, display, resources)
        ledger = LedgerFile(settings.ledger_file, token)
        resources.callback(ledger.close)
        if disposal is not None:
            ledger.bring_to_disk()
        runs = RunLedger(ledger)
        untrusted = lies_in(settings.state_file, imported)
        found = last_state(settings.state_file, ledger, display, untrusted=untrusted)
        fresh = _fresh_state(settings, kind, folder, single_item, target)
        take_over(found, fresh, ledger, settings)
        if resumed is not None:
            check_resumed(resumed, ledger, target)
        if last_run:
            state = state_to_verify(found, fresh, ledger, target)
        else:
            if not settings.scan_only:
                left = abandon_unfinished(fresh, ledger, display, restart=settings.restart)
                if left is not None:
                    target.database.forget_merges(left.rows_batch_id)
            state = state_to_resume(fresh, ledger, display, scan_only=settings.scan_only)
            _check_batch_id(state, settings, kind)
        scope_id = runs.scope(kind.name, str(folder), state.tag, target.key)
        scope = Scope(ledger, scope_id, state.run_name, single_item)
        runs.begin_run(
            scope_id,
            state.run_id,
            state.run_name,
            settings.state_file.resolve(),
            given_id=state.given_id,
            deletes=single_item is None and disposal is not None and disposal.deletes,
            only_verified=last_run,
        )
        write_run(settings.ledger_file, state.run_name)
        placements = PlacementLedger(scope, target.key)
        if placements.is_used:
            # The copy of a place's earlier image is removed once the ledger has the item.
            ledger.bring_to_disk()
        placements.commit()
        items = ItemLedger(scope)
        if state is fresh and not last_run and not settings.scan_only:
            items.list_planned()
        source = source_of(settings, kind, folder)
        progress = None if last_run else progress_log(settings, kind, scope, source)
        if progress is not None:
            resources.callback(progress.close)
            progress.update(now=True)
        workers = Workers(settings.max_workers)
        resources.callback(workers.close)
        session = RunSession(
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
            items=items,
            growing=GrowingLedger(scope),
            queue=ImportQueue(scope),
            images=ImageLedger(scope),
            placements=placements,
            known=KnownLedger(scope, target.key),
            lacking=LackingLedger(scope),
            exempt=ExemptLedger(scope),
            spool=Spool(
                settings.data_folder / "spool" / state.run_name, target.database.row_format
            ),
            status_files=_status_files(settings, kind, source, state),
            backups=_backups(settings, source),
            disposal=disposal,
            disposals=DisposalLedger(scope),
            progress=progress,
            state=state,
            resumed=state is not fresh,
            began_at=began_at,
            _resources=resources.pop_all(),
            # The file keeps the state of the last run, even if an earlier one is verified.
            writes_file=not last_run or found is None or found.run_name == state.run_name,
        )
    if not on_terminal() and (new := new_database_notice(settings, target)):
        session.notice(new)
    return session


def _check_batch_id(state: WorkState, settings: Settings, kind: Kind) -> None:
    """Refuses a given batch id if it decides what happens to rows of earlier runs."""
    if state.given_id and kind.group.judges_age and settings.if_exists != "newer":
        raise UsageError(
            f"--batch-id and --if-exists {settings.if_exists} exclude each other: rows of an"
            " earlier run with the same batch id would count as rows of this run. Use only one."
        )


def _status_files(
    settings: Settings, kind: Kind, source: Source, state: WorkState
) -> StatusFiles | None:
    if not kind.status_files or settings.no_status_files:
        return None
    return StatusFiles(source, state.batch_id, state.tag, state.target, kind.status_file)


def _backups(settings: Settings, source: Source) -> Backups | None:
    """Where imported files are copied to; None if they are not."""
    if settings.backup_dir is None or settings.scan_only:
        return None
    folder = str(settings.backup_dir.resolve())
    if Path(source.folder).is_relative_to(folder):
        raise UsageError(
            f"Files of {source.folder} cannot be copied to {folder}: that is the source, or a"
            " parent of it. Name another folder with --backup-dir."
        )
    check_writable([folder], ADVICE)
    return Backups(folder, source)


def _hold_state_file(path: Path, resources: contextlib.ExitStack) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"The folder of the work state {path} does not exist.")
    hold(path, "The work state", "--state-file", resources)
    remove_drafts(path)


def _hold_ledger(path: Path, resources: contextlib.ExitStack) -> None:
    """Locks the ledger: two runs must not use it at once, even for different sources.

    A listing writes it for longer than another run would wait, and runs share what they know of an
    image by its path.
    """
    check_place(path)
    hold(path, "The ledger", "--db-path and --state-file", resources)


def _fresh_state(
    settings: Settings, kind: Kind, folder: Path, single_item: str | None, target: Target
) -> WorkState:
    now = datetime.now(UTC)
    run_id, run_name = new_run_ids()
    return WorkState(
        run_id=run_id,
        run_name=run_name,
        given_id=settings.batch_id,
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


def _parameters(settings: Settings) -> dict[str, object]:
    """The settings for the work state, without secrets and with absolute paths."""
    values = settings.absolute().as_json()
    return {name: value for name, value in values.items() if OPTIONS[name].kept is not Kept.NOT}
