"""A run as its work state has it and as its lock tells, for `status`: in words and as data."""

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
    """A run, by its work state, and who holds the lock on its ledger just now.

    A work state says what its run last wrote: whether that still runs, the lock tells.
    """

    state: WorkState
    state_file: Path
    holder: Holder | None = None

    @property
    def is_live(self) -> bool:
        """Whether a process works on it now."""
        return self.holder is not None and self.holder.run_name == self.state.run_name

    @property
    def status(self) -> str:
        """The work state's, but for a run that ended before it could say so: `killed`."""
        if self.state.status == "running" and not self.is_live:
            return "killed"
        return self.state.status

    @property
    def resume(self) -> str | None:
        """The command that goes on with it; None if it is finished, or if somebody does that."""
        if self.state.finished or self.is_live:
            return None
        return next_command.resume(self.state, self.state_file)


def run_json(run: KnownRun) -> dict[str, Any]:
    """A run as plain data, for programs; without the lists of its items."""
    left_out = {"work_items", "failed_items", "parameters"}
    found = {name: value for name, value in as_json(run.state).items() if name not in left_out}
    for phase in found["phases"].values():
        phase["status"] = _phase_status(run, phase["status"])
    process_id = run.holder.process_id if run.holder is not None and run.is_live else None
    return found | {"status": run.status, "process_id": process_id, "resume": run.resume}


def run_lines(run: KnownRun) -> list[str]:
    """A run in words, and what to type next."""
    state = run.state
    age = datetime.now(UTC) - state.last_update
    lines = [
        f"{state.kind} from {state.source}, tag {state.tag}"
        f" (Dataset ID: {state.dataset_id or '-'})",
        f"Target: {state.target}",
        f"Run {state.run_name}: {_status_words(run)},"
        f" last heard of {_ago(age.total_seconds())} ago",
        f"In all: {state.total_files:,}, not yet finished {state.work_items_remaining:,},"
        f" failed {state.failed_items_total:,}"
        if state.listed
        else "In all: not yet known, the source is not listed",
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
    """A run that is not the last one, and how it goes on."""
    state = run.state
    age = datetime.now(UTC) - state.last_update
    single = f", {state.single_file} alone" if state.single_file else ""
    left = f"not yet finished {state.work_items_remaining:,} of {state.total_files:,}"
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
    """What to type next: nothing, while somebody works on it."""
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
        return [*waits, f"To try the failed ones again:  {again}"]
    if state.work_items_remaining:
        return [*waits, f"To import the rest:  {next_command.resume(state, state_file)}"]
    command = next_command.verify(state_file, state.parameters)
    return [*waits, f"To compare what was written with the files:  {command}"]


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
