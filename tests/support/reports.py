"""Invented work states and reports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from imports.ledger.work_state import PhaseState, WorkState
from imports.run.report import RunReport


def work_state(**changes: Any) -> WorkState:
    """The state of a completed run over 515 files, but for the changes."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "run_id": "1a2b3c4d-7233-4593-9022-eaa6f22dd730",
        "run_name": "batch_20251118_120000_1a2b3c",
        "status": "completed",
        "process_id": 7,
        "kind": "states",
        "source": "/data/2025-08-04",
        "tag": "Aug-04-scrape",
        "dataset_id": 32,
        "backend": "postgresql",
        "target": "PostgreSQL, mydb at db.example",
        "target_id": "t",
        "total_files": 515,
        "total_images": 514,
        "start_time": now,
        "last_update": now,
        "current_phase": "import",
        "phases": {
            "planning": PhaseState(status="completed", duration_seconds=0.14),
            "sha256": PhaseState("completed", 2.3, {"processed": 514}),
            "upload": PhaseState(status="pending"),
        },
    }
    return WorkState(**values | changes)


def report(
    state: WorkState | None = None, counts: dict[str, int] | None = None, **changes: Any
) -> RunReport:
    """The report of a run, completed by default."""
    values: dict[str, Any] = {
        "state": state or work_state(),
        "item": "file",
        "exit_code": 0,
        "elapsed_seconds": 49.0,
        "counts": counts or {},
        "failures": [],
        "failures_total": 0,
    }
    return RunReport(**values | changes)
