"""The output of `status`: the content of the ledger, and the last run from the work state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imports.cli.report import missing_images
from imports.cli.run_status import MOST_SHOWN, KnownRun, brief_lines, run_json, run_lines
from imports.display_text import shown, shown_lines
from imports.ledger.acknowledged import Acknowledgement
from imports.ledger.file import reading
from imports.ledger.kept import kept_states
from imports.ledger.places import absolute_places
from imports.ledger.summary import (
    BatchSummary,
    CauseSummary,
    ScopeSummary,
    Warned,
    summarise,
    warned_items,
)
from imports.ledger.whereabouts import Disposal, KnownFile, known_files
from imports.ledger.work_state import load_work_state
from imports.run import next_command
from imports.run.lock import holder
from imports.settings import LEDGER_NAME, Settings

_RULE = "=" * 60


@dataclass(frozen=True, slots=True)
class Status:
    """The selected scopes, the last run if it belongs to one of them, and all unfinished runs.

    `resume_all` is the command that resumes the unfinished runs. It is empty if there are fewer
    than two, or if one command cannot resume all (because only some need `--production`).
    """

    scopes: list[ScopeSummary] = field(default_factory=list)
    last_run: KnownRun | None = None
    unfinished: list[KnownRun] = field(default_factory=list)
    resume_all: str = ""


def last_ledger(settings: Settings) -> Path:
    """The ledger of the last run, unless the settings name another one."""
    if settings.db_path is None and (state := load_work_state(settings.state_file)) is not None:
        return state.db_path or settings.ledger_file
    return settings.ledger_file


def read_status(
    state_file: Path, ledger_file: Path, kind: str | None = None, tag: str | None = None
) -> Status:
    """The status of all scopes of a kind and a tag (None for all).

    Raises:
        ImporterError: if the ledger or the work state is damaged.
    """
    state = load_work_state(state_file)
    with reading(ledger_file) as connection:
        scopes = [] if connection is None else summarise(connection, kind, tag, MOST_SHOWN)
        kept = [] if connection is None else kept_states(connection, kind, tag)
    held_by = holder(ledger_file)
    runs = [
        KnownRun(each.state, _shown_file(each.state_file, state_file), held_by) for each in kept
    ]
    if state is None:
        # The work state may be lost.
        last = runs[0] if runs else None
    elif kind in (None, state.kind) and tag in (None, state.tag):
        last = KnownRun(state, state_file, held_by)
        same = [each for each in runs if each.state.run_name == state.run_name]
        runs = [last, *(each for each in runs if each not in same)]
    else:
        last = None
    unfinished = [each for each in runs if each.state.unfinished]
    if len(unfinished) < 2:
        return Status(scopes, last, unfinished)
    found = state_file.parent / LEDGER_NAME if state is None or not state.db_path else state.db_path
    named = None if found == ledger_file else ledger_file
    commands = {
        next_command.resume_all(state_file, each.state.parameters, named) for each in unfinished
    }
    return Status(scopes, last, unfinished, commands.pop() if len(commands) == 1 else "")


def _shown_file(path: Path, state_file: Path) -> Path:
    """The work state file of a run; as the user wrote it if it is `state_file`."""
    return state_file if path == state_file.resolve() else path


def read_warnings(
    ledger_file: Path, kind: str | None, tag: str | None, limit: int | None
) -> Iterator[Warned]:
    """Yields the items of a kind and a tag (None for all) with warnings; see `warned_items`.

    Raises:
        LedgerError: if the ledger is damaged.
    """
    with reading(ledger_file) as connection:
        if connection is not None:
            yield from warned_items(connection, kind, tag, limit)


def status_json(status: Status) -> dict[str, Any]:
    """The status as plain data, for programs."""
    return {
        "scopes": [
            {
                "kind": scope.kind,
                "source": scope.source,
                "tag": scope.tag,
                "total": scope.total,
                "success": scope.succeeded,
                "pending": scope.pending,
                "failed": scope.failed,
                "acknowledged": scope.acknowledged,
                "gone": scope.gone,
                "moved": scope.moved,
                "warned": scope.warned,
                "images_not_found": scope.lacking.not_found,
                "images_unusable": scope.lacking.unusable,
                "files_deleted": scope.files_deleted,
                "files_moved": scope.files_moved,
                "disposals": [_disposal_json(scope.source, each) for each in scope.disposals],
                "batches": [asdict(batch) for batch in scope.batches],
                "causes": [asdict(cause) for cause in scope.causes],
                "acknowledgements": [
                    _acknowledged_json(scope.source, each) for each in scope.acknowledgements
                ],
            }
            for scope in status.scopes
        ],
        "last_run": None if status.last_run is None else run_json(status.last_run),
        "unfinished": [run_json(each) for each in status.unfinished],
    }


def read_whereabouts(
    ledger_file: Path, file: Path, kind: str | None = None, tag: str | None = None
) -> list[KnownFile]:
    """What the ledger knows of a file; `file` is its path, or its path in its source.

    Raises:
        LedgerError: if the ledger is damaged.
    """
    places = [str(file), *absolute_places(file)]
    with reading(ledger_file) as connection:
        if connection is None:
            return []
        return known_files(connection, kind, tag, places, MOST_SHOWN)


def whereabouts_json(found: list[KnownFile]) -> list[dict[str, Any]]:
    """The history of a file as plain data, for programs."""
    return [
        asdict(each)
        | {
            "disposals": [_disposal_json(each.source, one) for one in each.disposals],
            "acknowledged": None
            if each.acknowledged is None
            else _acknowledged_json(each.source, each.acknowledged),
        }
        for each in found
    ]


def render_whereabouts(found: list[KnownFile], file: Path, ledger_file: Path) -> str:
    """The history of a file as text."""
    if not found:
        return shown(
            f"The ledger {ledger_file} does not know {file}. Give the path of a file, or its path"
            " in its source; for another ledger, use --db-path."
        )
    lines: list[str] = []
    for each in found:
        lines.append(f"{_place(each.source, each.path)} ({each.kind}, tag {each.tag})")
        if each.state is not None and each.at_source:
            why = "" if each.reason is None else f" in {each.phase}: {each.reason}"
            lines.append(f"  in the source when last listed: {each.state}{why}")
        if each.acknowledged is not None:
            lines.append(f"  {_acknowledged_words(each.acknowledged)}")
        lines += [f"  {_disposal_words(one)}" for one in each.disposals]
    return shown_lines(lines)


def _disposal_words(disposal: Disposal) -> str:
    done = {
        "deleted": "deleted",
        "moved": f"moved to {disposal.moved_to}",
        "gone": "missing: deleted by a run that was killed, or removed by somebody",
    }
    why = "imported" if disposal.reason is None else f"failed: {disposal.reason}"
    run = "" if disposal.run_name is None else f", run {disposal.run_name}"
    return f"{_timestamp(disposal.disposed_at)}  {done[disposal.what]} ({why}){run}"


def _acknowledged_words(found: Acknowledgement) -> str:
    why = "" if found.note is None else f": {found.note}"
    return f"{_timestamp(found.at)}  acknowledged by {found.by}{why}"


def _acknowledged_json(source: str, found: Acknowledgement) -> dict[str, Any]:
    return {
        "file": _place(source, found.path),
        "phase": found.phase,
        "reason": found.reason,
        "acknowledged_at": _timestamp(found.at),
        "acknowledged_by": found.by,
        "note": found.note,
    }


def _disposal_json(source: str, disposal: Disposal) -> dict[str, Any]:
    return {
        "file": _place(source, disposal.path),
        "what": disposal.what,
        "why": "imported" if disposal.reason is None else "failed",
        "reason": disposal.reason,
        "moved_to": disposal.moved_to,
        "disposed_at": _timestamp(disposal.disposed_at),
        "batch_id": disposal.run_name,
    }


def _place(source: str, path: str) -> str:
    return f"{source.rstrip('/')}/{path}"


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def render_status(
    status: Status, state_file: Path, kind: str | None = None, db_path: Path | None = None
) -> str:
    """The status as text, with the next commands; `kind` and `db_path` are the user's."""
    lines: list[str] = []
    for scope in status.scopes:
        lines += _scope_lines(scope)
        if scope.failed > scope.moved:
            lines.append(next_command.acknowledge(scope.kind, scope.tag, state_file, db_path))
        lines.append("")
    if status.last_run is not None:
        lines += run_lines(status.last_run)
    elif not lines:
        lines = [
            f"No run yet{'' if kind is None else f' of {kind}'} in {state_file} and its ledger."
            " Begin one:",
            f"  {next_command.program()} {kind or 'states'} DIR --tag TAG",
        ]
    others = [each for each in status.unfinished if each != status.last_run]
    if others:
        lines += ["", "Unfinished:" if status.last_run is None else "Also unfinished:"]
        for each in others:
            lines += brief_lines(each)
    if status.resume_all:
        lines += ["", f"To resume all, one after the other:  {status.resume_all}"]
    return shown_lines(lines).rstrip()


def _scope_lines(scope: ScopeSummary) -> list[str]:
    lines = [
        _RULE,
        f"STATUS REPORT: {scope.kind} from {scope.source}, tag {scope.tag}",
        _RULE,
        f"Total tracked: {scope.total:,}",
        "",
        "Status breakdown:",
        f"  success: {scope.succeeded:,}",
        f"  pending: {scope.pending:,}",
        f"  failed: {scope.failed:,}",
    ]
    if scope.acknowledged:
        lines.append(f"  acknowledged: {scope.acknowledged:,} (failed, but no longer counted)")
    if scope.gone or scope.moved:
        lines.append(
            f"No longer in the source: {scope.gone:,} that succeeded, {scope.moved:,} that failed"
        )
    if scope.lacking.images:
        lines.append(f"Images still missing: {missing_images(scope.lacking)}")
    if scope.left_out or scope.guarded:
        lines.append(
            f"Records left out: {scope.left_out:,}, guarded: {scope.guarded:,}"
            " (--warnings lists them)"
        )
    if scope.warned:
        what = "With a warning, imported or pending" if scope.pending else "Imported with a warning"
        lines.append(f"{what}: {scope.warned:,} (--warnings lists them)")
    if scope.disposals:
        lines += [
            f"Files deleted: {scope.files_deleted:,}, moved: {scope.files_moved:,}"
            " (for one of them: status --file PATH); the last ones:"
        ]
        lines += [f"  {each.path}: {_disposal_words(each)}" for each in scope.disposals[:3]]
    if scope.batches:
        lines += ["", "Recent batches:", *map(_batch_line, scope.batches)]
    if scope.causes:
        lines += ["", "Most frequent failures:"]
        for cause in scope.causes:
            lines += _cause_lines(cause)
    if scope.acknowledgements:
        lines += ["", "Acknowledged:"]
        for each in scope.acknowledgements:
            lines += [f"  {each.path}: {each.reason}", f"      {_acknowledged_words(each)}"]
        if (more := scope.acknowledged - len(scope.acknowledgements)) > 0:
            lines.append(f"  … and {more:,} more (for one of them: status --file PATH)")
    return lines


def _batch_line(batch: BatchSummary) -> str:
    rate = f", {batch.items / batch.seconds:,.0f}/s" if batch.seconds > 0 else ""
    reset = "" if batch.reset_at is None else f"; reset on {_timestamp(batch.reset_at)}"
    return (
        f"  {batch.name}: {batch.items - batch.failed:,}/{batch.items:,} successful,"
        f" {batch.seconds:.1f} s{rate}{reset}"
    )


def _cause_lines(cause: CauseSummary) -> list[str]:
    return [
        f"  {cause.items:,} × {cause.cause}",
        f"      example: {cause.path}: {cause.reason} ({cause.phase}, tried {cause.tries}×)",
    ]
