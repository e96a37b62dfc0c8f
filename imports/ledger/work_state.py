"""The work state: the checkpoint of the current run, `work_state.json`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import orjson

from imports.errors import ImporterError
from imports.files.file_error import about_file
from imports.files.regular_file import read_named
from imports.files.whole_file import replacing
from imports.items.phase import Phase
from imports.items.run_name import RUN_NAME, cycle_run_name, may_be_given
from imports.items.source import is_below
from imports.kinds.wording import WORDINGS

_PHASE_COUNTS: dict[Phase, tuple[str, ...]] = {
    Phase.PLANNING: ("to_import", "unchanged", "given_up", "failed", "images_missing"),
    Phase.SHA256: ("processed", "unusable"),
    Phase.UPLOAD: ("completed", "failed", "skipped"),
    Phase.IMPORT: (
        "total_imported",
        "inserted",
        "updated",
        "skipped",
        "unchanged",
        "completed_batches",
        "failed_batches",
    ),
}


def phase_counts(counts: dict[str, int], phase: Phase) -> dict[str, int]:
    """The counts of one phase, without the phase in their names; missing counts are 0."""
    prefix = f"{phase}."
    return dict.fromkeys(_PHASE_COUNTS.get(phase, ()), 0) | {
        name.removeprefix(prefix): value
        for name, value in counts.items()
        if name.startswith(prefix)
    }


MOST_LISTED = 1_000
"""The largest number of listed work items and failed items; the ledger has all of them."""


_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_USERINFO = re.compile(r"(?<=//)[^/@\s]*@")


def _one_of(*words: str) -> msgspec.Meta:
    return msgspec.Meta(pattern=rf"\A({'|'.join(words)})\Z")


_Status = Annotated[str, _one_of("pending", "running", "completed", "interrupted", "failed")]
_PhaseName = Annotated[str, _one_of(*Phase)]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class PhaseState(msgspec.Struct):
    """The status of a phase, its duration, and its counts, which the file has beside these."""

    status: _Status = "pending"
    duration_seconds: float = 0.0
    counts: dict[str, int] = {}


class FailedItem(msgspec.Struct):
    """A work item, or an image of one, that failed."""

    path: str
    phase: str
    reason: str
    tries: int


class ListedWork(msgspec.Struct):
    """An unfinished work item."""

    path: str
    state: str


def _fresh_phases() -> dict[str, PhaseState]:
    return {phase.value: PhaseState() for phase in Phase if phase is not Phase.VERIFY}


_RENAMED = {"run_name": "batch_id", "given_id": "given_batch_id"}


class WorkState(msgspec.Struct, kw_only=True, rename=_RENAMED):
    """The current run, as written to the file, with the fields in this order.

    `run_name` is its own name, `given_id` the batch id that a user gave to it.
    Fields that name files and folders are only accepted in the form that runs write.
    """

    run_id: Annotated[str, _one_of(_UUID)]
    run_name: Annotated[str, _one_of(RUN_NAME)]
    given_id: str | None = None
    status: _Status = "running"
    process_id: int
    kind: Annotated[str, _one_of(*WORDINGS)]
    source: str
    single_file: str | None = None
    tag: str
    dataset_id: int | None = None
    backend: Annotated[str, _one_of("", "postgresql", "supabase", "embedded")]
    target: str
    target_id: str
    total_files: _Count = 0
    total_images: _Count = 0
    start_time: datetime
    last_update: datetime
    current_phase: _PhaseName = Phase.PLANNING
    phases: dict[_PhaseName, PhaseState] = msgspec.field(default_factory=_fresh_phases)
    failed_items: list[FailedItem] = []
    failed_items_total: _Count = 0
    work_items: list[ListedWork] = []
    work_items_remaining: _Count = 0
    repairing: bool = False
    cycle: Annotated[int, msgspec.Meta(ge=1)] = 1
    parameters: dict[str, Any] = {}

    @property
    def db_path(self) -> Path | None:
        """The ledger that its run named; None for the one beside the file."""
        named = self.parameters.get("db_path")
        return None if named is None else Path(str(named))

    @property
    def batch_id(self) -> str:
        """The batch id of the run: the given one, or the run's own name."""
        return self.given_id or self.run_name

    @property
    def rows_batch_id(self) -> str:
        """The batch id on the rows of the current cycle: each cycle counts as a run of its own.

        It is that of the run; from the second cycle on, it ends with the cycle's number.
        """
        return cycle_run_name(self.batch_id, self.cycle)

    @property
    def cycle_name(self) -> str:
        """The name of the current cycle, which no other run has."""
        return cycle_run_name(self.run_name, self.cycle)

    @property
    def finished(self) -> bool:
        """Whether its run is finished."""
        return self.status == "completed"

    @property
    def listed(self) -> bool:
        """Whether its source was listed completely; otherwise the number of items is unknown."""
        return self.finished or self.total_files > 0 or self.current_phase != "planning"

    @property
    def unfinished(self) -> bool:
        """Whether the run can be resumed: it is not finished, and its source has items."""
        return not self.finished and not (self.status == "failed" and not self.total_files)


class DamagedStateError(ImporterError):
    """The file exists, but is not a work state."""


def new_run_ids() -> tuple[str, str]:
    """A run id, and a batch id that people can read: `batch_20251118_120000_1a2b3c`."""
    run_id = str(uuid4())
    return run_id, f"batch_{datetime.now(UTC):%Y%m%d_%H%M%S}_{run_id[:6]}"


def as_json(state: WorkState) -> dict[str, Any]:
    """A work state as the JSON object of the file."""
    plain: dict[str, Any] = msgspec.to_builtins(state)
    for phase in plain["phases"].values():
        phase.update(phase.pop("counts"))
    return plain


def from_json(plain: object) -> WorkState:
    """The work state for a JSON object; unknown fields are ignored.

    Raises:
        msgspec.ValidationError: if it is not a work state.
    """
    if isinstance(plain, dict) and isinstance(plain.get("phases"), dict):
        phases = {name: _with_counts(phase) for name, phase in plain["phases"].items()}
        plain = {**plain, "phases": phases}
    state = msgspec.convert(plain, WorkState)
    _check_paths(state)
    # Earlier versions wrote the URL with its password.
    state.target = _USERINFO.sub("", state.target)
    return state


def _check_paths(state: WorkState) -> None:
    """Raises ValidationError if a path or a given id does not have the form that runs write."""
    named = [state.source, state.parameters.get("db_path") or "."]
    lists = [state.parameters.get(name) or [] for name in ("image_roots", "patterns")]
    every = named + [each for some in lists if isinstance(some, list) for each in some]
    if (
        not all(isinstance(some, list) for some in lists)
        or not all(isinstance(each, str) and "\0" not in each for each in every)
        or not (state.given_id is None or may_be_given(state.given_id))
        or not Path(state.source).is_absolute()
        or not is_below(state.single_file or ".")
    ):
        raise msgspec.ValidationError("a path or the given batch id has an invalid form")


def _with_counts(phase: object) -> object:
    if not isinstance(phase, dict):
        return phase
    own = {name: phase[name] for name in ("status", "duration_seconds") if name in phase}
    return {**own, "counts": {name: count for name, count in phase.items() if name not in own}}


def load_work_state(path: Path) -> WorkState | None:
    """The work state in a file; None if there is no file.

    Raises:
        DamagedStateError: if the file has other content.
    """
    try:
        content = read_named(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise about_file(f"The work state {path} cannot be read", error) from error
    try:
        return from_json(orjson.loads(content))
    except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
        raise DamagedStateError(
            f"{path} is not a work state. An import renames it, and continues from the ledger."
        ) from error


def save_work_state(state: WorkState, path: Path) -> None:
    """Writes the work state to a file, which is replaced as a whole.

    Raises:
        UsageError, DiskError: if it cannot be written.
    """
    try:
        with replacing(path) as file:
            file.write(orjson.dumps(as_json(state), option=orjson.OPT_INDENT_2))
            file.write(b"\n")
    except OSError as error:
        raise about_file(
            f"The work state {path} cannot be written",
            error,
            "Name another place with --state-file.",
            # Its lock was created there.
            written_before=True,
        ) from error


def keep_unusable(path: Path) -> Path:
    """Renames a work state that cannot be used, and returns the new path."""
    kept = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}")
    path.rename(kept)
    return kept
