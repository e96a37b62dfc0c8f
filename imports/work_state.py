"""The work state: the checkpoint of the run in hand, `work_state.json`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import orjson

from imports.errors import ImporterError, UsageError
from imports.regular_file import read_named
from imports.whole_file import replacing
from imports.work_item import Phase, cycle_batch_id

MOST_LISTED = 1_000
"""How many work items and failed items are listed; the rest is in the ledger."""


class PhaseState(msgspec.Struct):
    """How far a phase is, how long it took, and its counts: in the file they stand beside it."""

    status: str = "pending"
    duration_seconds: float = 0.0
    counts: dict[str, Any] = {}


class FailedItem(msgspec.Struct):
    """A work item, or an image of one, that failed."""

    path: str
    phase: str
    reason: str
    tries: int


class ListedWork(msgspec.Struct):
    """A work item that is not yet finished."""

    path: str
    state: str


def _fresh_phases() -> dict[str, PhaseState]:
    return {phase.value: PhaseState() for phase in Phase if phase is not Phase.VERIFY}


class WorkState(msgspec.Struct, kw_only=True):
    """The run in hand, as a user finds it in the file. Its fields stand there in this order."""

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
    phases: dict[str, PhaseState] = msgspec.field(default_factory=_fresh_phases)
    failed_items: list[FailedItem] = []
    failed_items_total: int = 0
    work_items: list[ListedWork] = []
    work_items_remaining: int = 0
    repairing: bool = False
    cycle: int = 1
    parameters: dict[str, Any] = {}

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


def as_json(state: WorkState) -> dict[str, Any]:
    """A work state as it stands in the file."""
    plain: dict[str, Any] = msgspec.to_builtins(state)
    for phase in plain["phases"].values():
        phase.update(phase.pop("counts"))
    return plain


def from_json(plain: object) -> WorkState:
    """The work state that stands so in a file; what else is there is left out.

    Raises:
        msgspec.ValidationError: if it is none.
    """
    if isinstance(plain, dict) and isinstance(plain.get("phases"), dict):
        phases = {name: _with_counts(phase) for name, phase in plain["phases"].items()}
        plain = {**plain, "phases": phases}
    return msgspec.convert(plain, WorkState)


def _with_counts(phase: object) -> object:
    if not isinstance(phase, dict):
        return phase
    own = {name: phase[name] for name in ("status", "duration_seconds") if name in phase}
    return {**own, "counts": {name: count for name, count in phase.items() if name not in own}}


def load_work_state(path: Path) -> WorkState | None:
    """The work state in a file, None if there is no file.

    Raises:
        DamagedStateError: if there is something else in it.
    """
    try:
        content = read_named(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"The work state {path} cannot be read: {error.strerror}.") from error
    try:
        return from_json(orjson.loads(content))
    except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
        raise DamagedStateError(f"{path} is not a work state") from error


def save_work_state(state: WorkState, path: Path) -> None:
    """Replaces the file as a whole.

    Raises:
        UsageError: if it cannot be written.
    """
    try:
        with replacing(path) as file:
            file.write(orjson.dumps(as_json(state), option=orjson.OPT_INDENT_2))
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
