"""The open resources of a run: lock, ledger, target and work state; and its checkpoints."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

from imports.backends.retry import RetryPolicy
from imports.backends.target import Target
from imports.backends.target_config import MERGES_AT_ONCE
from imports.errors import DiskError, InterruptedRunError, UsageError
from imports.items.phase import Phase
from imports.items.source import Signature, Source
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
from imports.ledger.kept import keep_state
from imports.ledger.queue import MOST_WEIGHT
from imports.ledger.work_state import (
    MOST_LISTED,
    FailedItem,
    ListedWork,
    PhaseState,
    WorkState,
    phase_counts,
    save_work_state,
)
from imports.run.consuming.disposal_plan import DisposalPlan
from imports.run.consuming.progress_csv import ProgressCsv
from imports.run.display import Display
from imports.run.spool import Spool
from imports.settings import Settings
from imports.source.backups import Backups
from imports.source.status_files import StatusFiles, Unwritten
from imports.workers.executors import Workers, in_a_thread

_log = logging.getLogger("imports.run")

P = ParamSpec("P")
R = TypeVar("R")

SECONDS_BETWEEN_CHECKPOINTS = 1.0

_CHECKPOINT_REST = 25.0
"""The least time between two checkpoints, as a multiple of the duration of one."""

_MOST_CLEANED_VALUES = 200


@dataclass(slots=True)
class RunSession:
    """The open resources of a run. Only for the coordinator's thread.

    It began at `began_at`, by the monotonic clock; batches up to `verified_until` are verified.
    `notices` are about the whole run. `writes_file` is false if the file of the work state belongs
    to another run.
    """

    settings: Settings
    kind: Kind
    source: Source
    single_item: str | None
    target: Target
    policy: RetryPolicy
    display: Display
    workers: Workers
    ledger: LedgerFile
    runs: RunLedger
    scope: Scope
    listing: ListingLedger
    items: ItemLedger
    growing: GrowingLedger
    queue: ImportQueue
    images: ImageLedger
    placements: PlacementLedger
    known: KnownLedger
    lacking: LackingLedger
    exempt: ExemptLedger
    spool: Spool
    status_files: StatusFiles | None
    backups: Backups | None
    disposal: DisposalPlan | None
    disposals: DisposalLedger
    progress: ProgressCsv | None
    state: WorkState
    resumed: bool
    began_at: float
    _resources: contextlib.ExitStack
    writes_file: bool = True
    verified_until: int | None = field(default=None, init=False)
    notices: list[str] = field(default_factory=list, init=False)
    _next_checkpoint: float = field(default=0.0, init=False)
    _warned_unwritten: bool = field(default=False, init=False)
    _warned_foreign: bool = field(default=False, init=False)
    _warned_progress: bool = field(default=False, init=False)

    @property
    def consumes_source(self) -> bool:
        """Whether the source is listed repeatedly, until it has nothing new."""
        settings = self.settings
        return self.kind.consumes_source and self.single_item is None and not settings.scan_only

    @property
    def merges_at_once(self) -> int:
        """The number of batches that may be merged or compared at the same time."""
        return min(MERGES_AT_ONCE, self.workers.max_workers)

    def begin_cycle(self) -> None:
        """Begins a cycle: from now on, existing rows count as rows of an earlier run."""
        self.state.cycle += 1
        self.add_counts({"cycles": 1})
        self.checkpoint(now=True)

    def add_counts(self, counts: dict[str, int]) -> None:
        """Adds to the run's counts."""
        self.runs.add_counts(self.state.run_name, counts)

    def counts(self) -> dict[str, int]:
        """The run's counts, by name."""
        return self.runs.counts(self.state.run_name)

    def set_counts(self, phase: Phase, **values: int) -> None:
        """Sets counts of a phase, instead of adding to them."""
        counts = self.counts()
        for name, value in values.items():
            self.add_counts({f"{phase}.{name}": value - counts.get(f"{phase}.{name}", 0)})

    def cleaned_counts(self, cleaned: Mapping[str, int]) -> dict[str, int]:
        """The counts of cleaned values; above a limit, new values are counted together."""
        if not cleaned:
            return {}
        known = {name for name in self.counts() if name.startswith("cleaned.")}
        counts: Counter[str] = Counter()
        for value, count in cleaned.items():
            name = f"cleaned.{value[:40]}"
            if name not in known and len(known) >= _MOST_CLEANED_VALUES:
                name = "cleaned.(others)"
            elif name not in known:
                known.add(name)
            counts[name] += count
        return dict(counts)

    def sign(self, path: str) -> Signature:
        """The current signature of a work item.

        Raises:
            OSError: if its files cannot be read.
        """
        return self.kind.sign(self.source, path)

    def notice(self, text: str) -> None:
        """Shows a message about the whole run: now, in the log, and in the report."""
        if text not in self.notices:
            self.notices.append(text)
            _log.warning("%s", text)
            self.display.say(f"⚠️  {text}")

    def write_failures(self, phase: Phase, failures: list[tuple[str, str]]) -> None:
        """Writes the status files of failed items, given by path and reason."""
        if self.status_files is not None and failures:
            self.note_unwritten(self.status_files.fail(phase, failures))

    def note_unwritten(self, unwritten: list[Unwritten]) -> None:
        """Counts status files that could not be written, and warns of the first one only.

        Also counts files of that name that the importer did not write: they stay unchanged.
        """
        foreign = [each for each in unwritten if each.foreign]
        unwritten = [each for each in unwritten if not each.foreign]
        if foreign:
            self.add_counts({"status_files.foreign": len(foreign)})
            if not self._warned_foreign:
                self._warned_foreign = True
                self.display.say(
                    f"⚠️  {foreign[0].path} is not a file of the importer: it stays unchanged, and"
                    " only `status` shows the result of the folder. The report has the number of"
                    " such files (--no-status-files writes none)."
                )
        if not unwritten:
            return
        self.add_counts({"status_files.unwritten": len(unwritten)})
        if not self._warned_unwritten:
            self._warned_unwritten = True
            first = unwritten[0]
            self.display.say(
                f"⚠️  {first.path} cannot be written: {first.reason}. The import continues without"
                " it, and without further warnings of this type (--no-status-files writes none)."
            )

    def ask(self, operation: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the target in a thread, so that Ctrl-C works meanwhile."""
        return in_a_thread(operation, *args, **kwargs)

    def run_values(self) -> dict[str, object]:
        """The values of the run columns; creates the dataset if it does not exist."""
        if self.state.dataset_id is None:
            self.state.dataset_id = self.ask(
                self.target.database.dataset_id,
                self.kind.name,
                self.state.tag,
                self.settings.description,
                self.settings.created_by,
            )
        values: dict[str, object] = {
            "dataset_id": self.state.dataset_id,
            "batch_id": self.state.rows_batch_id,
        }
        if self.kind.group.judges_age:
            values |= {"if_exists": self.settings.if_exists, "repair": self.state.repairing}
        return values

    @property
    def most_weight_at_once(self) -> int:
        """The largest total weight of the batches that are merged or compared at the same time."""
        return MERGES_AT_ONCE * MOST_WEIGHT

    def advance(self, phase: Phase, count: int) -> None:
        """Shows that more items are done, and writes a checkpoint if one is due."""
        self.display.advance(phase, count)
        self.checkpoint()
        self.update_progress()

    def update_progress(self, *, now: bool = False) -> bool:
        """Updates the progress log, `now` or if an update is due; returns whether it is up to date.

        If it can no longer be written, the run continues, and the user gets one warning.
        """
        if self.progress is None:
            return True
        try:
            return self.progress.update(now=now)
        except (UsageError, DiskError) as error:
            if not self._warned_progress:
                self._warned_progress = True
                self.display.say(f"⚠️  {error} The import continues without it.")
            return True

    def raise_if_stopping(self) -> None:
        """Ends the run if it is to stop.

        Raises:
            InterruptedRunError: if it is to stop.
        """
        if self.policy.stop.is_set():
            raise InterruptedRunError("The run was stopped. The same command resumes it.")

    def checkpoint(self, *, now: bool = False) -> None:
        """Writes the work state, `now` or if a checkpoint is due, to the ledger and the file.

        The ledger keeps it until the next run of the same scope.
        """
        began = time.monotonic()
        if not now and began < self._next_checkpoint:
            return
        state = self.state
        counts = self.counts()
        for phase in Phase:
            if phase in state.phases:
                found = state.phases[phase]
                state.phases[phase] = PhaseState(
                    found.status, round(found.duration_seconds, 3), phase_counts(counts, phase)
                )
        state.work_items_remaining, unfinished = self.items.unfinished(MOST_LISTED)
        state.work_items = [ListedWork(path=path, state=name) for path, name in unfinished]
        state.failed_items_total, failures = self.items.failures(MOST_LISTED)
        state.failed_items = [
            FailedItem(path=each.path, phase=each.phase, reason=each.reason, tries=each.tries)
            for each in failures
        ]
        state.last_update = datetime.now(UTC)
        keep_state(self.ledger, self.scope.id, state)
        if self.writes_file:
            save_work_state(state, self.settings.state_file)
        ended = time.monotonic()
        # A large run has slow checkpoints: fewer of them keep their share of the time small.
        wait = max(SECONDS_BETWEEN_CHECKPOINTS, _CHECKPOINT_REST * (ended - began))
        self._next_checkpoint = ended + wait

    def close(self) -> None:
        """Closes everything, the lock last; logs the target's operations at debug level."""
        for operation, each in self.target.database.operations.stats().items():
            text = "%s: %d calls, %d retries, %d failures, %.3f s"
            _log.debug(text, operation, each.calls, each.retries, each.failures, each.seconds)
        self._resources.close()
