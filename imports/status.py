"""What `status` shows: the last run, as the work state has it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from imports import next_command
from imports.work_state import WorkState

_MOST_SHOWN = 10


def render_status(state: WorkState | None, state_file: Path) -> str:
    """The last run in words, and what to type next."""
    if state is None:
        return (
            f"No run yet: there is no {state_file}. Begin one:\n"
            f"  {next_command.program()} states DIR --tag TAG"
        )
    age = datetime.now(UTC) - state.last_update
    lines = [
        f"{state.kind} from {state.source}, tag {state.tag}"
        f" (Dataset ID: {state.dataset_id or '-'})",
        f"Target: {state.target}",
        f"Run {state.batch_id}: {state.status} in phase {state.current_phase},"
        f" last heard of {_ago(age.total_seconds())} ago",
        f"Files: {state.total_files:,}, not yet finished {state.work_items_remaining:,},"
        f" failed {state.failed_items_total:,}",
    ]
    for name, phase in state.phases.items():
        counts = ", ".join(f"{key} {value:,}" for key, value in (phase.model_extra or {}).items())
        lines.append(
            f"  {name:<9}{phase.status:<12}{phase.duration_seconds:7.1f}s  {counts}".rstrip()
        )
    lines += [
        f"  failed: {failed.path}: {failed.reason} ({failed.phase}, tried {failed.tries}×)"
        for failed in state.failed_items[:_MOST_SHOWN]
    ]
    if state.failed_items_total > _MOST_SHOWN:
        lines.append(f"  … and {state.failed_items_total - _MOST_SHOWN:,} more failed")
    lines.append(_next(state, state_file))
    return "\n".join(lines)


def _next(state: WorkState, state_file: Path) -> str:
    if not state.finished:
        return f"To resume:  {next_command.resume(state, state_file)}"
    if state.failed_items_total:
        return f"To try the failed ones again:  {next_command.resume(state, state_file)}"
    return f"To compare what was written with the files:  {next_command.verify(state_file)}"


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
