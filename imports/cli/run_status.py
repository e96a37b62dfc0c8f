"""A run for `status`, from its work state and the lock of its ledger: as text and as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imports.ledger.work_state import WorkState, as_json
from imports.run import next_command
from imports.run.lock import Holder

MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run: its work state, and the holder of the lock on its ledger.

    The work state has what the run wrote last; the lock shows whether the run is still running.
    """

    state: WorkState
    state_file: Path
    holder: Holder | None = None

    @property
    def is_live(self) -> bool:
        """Whether a process is running it now."""
        return self.holder is not None and self.holder.run_name == self.state.run_name

    @property
    def status(self) -> str:
        """The status in the work state; `killed` if that is `running` but no process is."""
        if self.state.status == "running" and not self.is_live:
            return "killed"
        return self.state.status

    @property
    def resume(self) -> str | None:
        """The command that resumes it; None if it is finished or running."""
        if self.state.finished or self.is_live:
            return None
        return next_command.resume(self.state, self.state_file)


def run_json(run: KnownRun) -> dict[str, Any]:
    """A run as plain data, for programs, without the lists of its items."""
    left_out = {"work_items", "failed_items", "parameters"}
    found = {name: value for name, value in as_json(run.state).items() if name not in left_out}
    for phase in found["phases"].values():
        phase["status"] = _phase_status(run, phase["status"])
    process_id = run.holder.process_id if run.holder is not None and run.is_live else None
    return found | {"status": run.status, "process_id": process_id, "resume": run.resume}


def run_lines(run: KnownRun) -> list[str]:
    """A run as text, with the next command."""
    state = run.state
    age = datetime.now(UTC) - state.last_update
    lines = [
        f"{state.kind} from {state.source}, tag {state.tag}"
        f" (Dataset ID: {state.dataset_id or '-'})",
        f"Target: {state.target}",
        f"Run {state.batch_id}: {_status_words(run)}, last update {_ago(age.total_seconds())} ago",
        f"Total: {state.total_files:,}, unfinished {state.work_items_remaining:,},"
        f" failed {state.failed_items_total:,}"
        if state.listed
        else "Total: not yet known, the source is not yet listed",
    ]
    for name, phase in state.phases.items():
        counts = ", ".join(f"{key} {value:,}" for key, value in phase.counts.items())
        status = _phase_status(run, phase.status)
        lines.append(f"  {name:<9}{status:<12}{phase.duration_seconds:7.1f}s  {counts}".rstrip())
    lines += [
        f"  failed: {failed.path}: {failed.reason} ({failed.phase}, tried {failed.tries}×)"
        for failed in state.failed_items[:MOST_SHOWN]
    ]
    if state.failed_items_total > MOST_SHOWN:
        lines.append(f"  … and {state.failed_items_total - MOST_SHOWN:,} more failed")
    return [*lines, *_next(run)]


def brief_lines(run: KnownRun) -> list[str]:
    """A run that is not the last one, in one line, and the command that resumes it."""
    state = run.state
    age = datetime.now(UTC) - state.last_update
    single = f", {state.single_file} alone" if state.single_file else ""
    left = f"unfinished {state.work_items_remaining:,} of {state.total_files:,}"
    lines = [
        f"  {state.kind} from {state.source}{single}, tag {state.tag}, into {state.target}:"
        f" {_status_words(run)},"
        f" {_ago(age.total_seconds())} ago; {left if state.listed else 'not yet listed'}"
    ]
    return lines if run.resume is None else [*lines, f"    To resume:  {run.resume}"]


def _status_words(run: KnownRun) -> str:
    phase = f"in phase {run.state.current_phase}"
    if run.is_live:
        what = "being verified" if run.state.finished else "running"
        return f"{what} {phase} by {_process(run)}"
    return f"{'stopped (killed)' if run.status == 'killed' else run.status} {phase}"


def _process(run: KnownRun) -> str:
    known = None if run.holder is None else run.holder.process_id
    return "another process" if known is None else f"process {known}"


def _phase_status(run: KnownRun, status: str) -> str:
    return "killed" if status == "running" and not run.is_live else status


def _next(run: KnownRun) -> list[str]:
    """The next command; none while the run is running."""
    state, state_file = run.state, run.state_file
    if run.is_live:
        return []
    waits = [] if run.holder is None else [f"{_process(run).capitalize()} uses its ledger now."]
    if run.resume is not None:
        return [*waits, f"To resume:  {run.resume}"]
    if state.failed_items_total:
        planning = state.phases.get("planning")
        given_up = 0 if planning is None else planning.counts.get("given_up", 0)
        again = next_command.resume(state, state_file, retry_failed=given_up > 0)
        return [*waits, f"To retry the failed items:  {again}"]
    if state.work_items_remaining:
        return [*waits, f"To import the rest:  {next_command.resume(state, state_file)}"]
    command = next_command.verify(state_file, state.parameters)
    return [*waits, f"To verify the run:  {command}"]


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
