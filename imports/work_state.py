"""The work state: the checkpoint of the run in hand, `work_state.json`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imports.errors import ImporterError, UsageError
from imports.whole_file import replacing
from imports.work_item import Phase, cycle_batch_id

MOST_LISTED = 1_000
"""How many work items and failed items are listed; the rest is in the ledger."""


class PhaseState(BaseModel):
    """How far a phase is, how long it took, and its counts."""

    model_config = ConfigDict(extra="allow")

    status: str = "pending"
    duration_seconds: float = 0.0


class FailedItem(BaseModel):
    """A work item, or an image of one, that failed."""

    path: str
    phase: str
    reason: str
    tries: int


class ListedWork(BaseModel):
    """A work item that is not yet finished."""

    path: str
    state: str


def _fresh_phases() -> dict[str, PhaseState]:
    return {phase.value: PhaseState() for phase in Phase if phase is not Phase.VERIFY}


class WorkState(BaseModel):
    """The run in hand, as a user finds it in the file."""

    model_config = ConfigDict(extra="ignore")

    run_id: str
    batch_id: str
    status: str = "running"
    process_id: int
    kind: str
    source: str
    single_file: str | None = None
    tag: str
    dataset_id: int | None = None
    backend: str
    target: str
    target_id: str
    total_files: int = 0
    total_images: int = 0
    start_time: datetime
    last_update: datetime
    current_phase: str = Phase.PLANNING
    phases: dict[str, PhaseState] = Field(default_factory=_fresh_phases)
    failed_items: list[FailedItem] = Field(default_factory=list)
    failed_items_total: int = 0
    work_items: list[ListedWork] = Field(default_factory=list)
    work_items_remaining: int = 0
    repairing: bool = False
    cycle: int = 1
    parameters: dict[str, Any] = Field(default_factory=dict)

    @property
    def db_path(self) -> Path | None:
        """The ledger that was named for its run, None for the one beside the file."""
        named = self.parameters.get("db_path")
        return None if named is None else Path(str(named))

    @property
    def rows_batch_id(self) -> str:
        """The batch id on the rows of the cycle in hand: those of an earlier one are as of a run.

        The run's own, with the number of the cycle behind it from the second one on.
        """
        return cycle_batch_id(self.batch_id, self.cycle)

    @property
    def finished(self) -> bool:
        """Whether its run came to its end."""
        return self.status == "completed"


class DamagedStateError(ImporterError):
    """The file is there, but is not a work state."""


def new_run_ids() -> tuple[str, str]:
    """A run id, and a batch id that people can read: `batch_20251118_120000_1a2b3c`."""
    run_id = str(uuid4())
    return run_id, f"batch_{datetime.now(UTC):%Y%m%d_%H%M%S}_{run_id[:6]}"


def load_work_state(path: Path) -> WorkState | None:
    """The work state in a file, None if there is no file.

    Raises:
        DamagedStateError: if there is something else in it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"The work state {path} cannot be read: {error.strerror}.") from error
    try:
        return WorkState.model_validate(orjson.loads(content))
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise DamagedStateError(f"{path} is not a work state") from error


def save_work_state(state: WorkState, path: Path) -> None:
    """Replaces the file as a whole.

    Raises:
        UsageError: if it cannot be written.
    """
    try:
        with replacing(path) as file:
            file.write(orjson.dumps(state.model_dump(mode="json"), option=orjson.OPT_INDENT_2))
            file.write(b"\n")
    except OSError as error:
        raise UsageError(
            f"The work state {path} cannot be written: {error.strerror}."
            " Name another place with --state-file."
        ) from error


def set_aside(path: Path) -> Path:
    """Moves a damaged work state out of the way, without overwriting an older one."""
    kept = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}")
    path.rename(kept)
    return kept
