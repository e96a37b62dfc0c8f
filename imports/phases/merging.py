"""Merging: the records of batches of work items are merged in one transaction each."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from imports.backends.halving import in_parts
from imports.backends.target_config import TargetConfig, opened
from imports.errors import BackendUnavailableError, DataRefusedError
from imports.items.phase import Phase
from imports.items.records import ExemptRecord, Record, RecordFailure, RowOutcome, record_outcome
from imports.items.work_item import WorkItem
from imports.phases.merge_job import MergeJob
from imports.phases.placing import Placed, PlacedRows, place_rows
from imports.phases.upload import request_id

if TYPE_CHECKING:
    from imports.backends.retrying import RetryingDatabase
    from imports.source.backups import Backups
    from imports.source.cleaning import Tally
    from imports.source.status_files import StatusFiles, Unwritten
    from imports.tables.table import TableGroup

UNDECIDED = (
    "the target has other content for it, and one of the two has no readable date. It is unknown"
    " which is newer, so the stored content stays. To store this one, import it again with"
    " --if-exists replace; to keep the stored one, use --if-exists keep (--single-file imports only"
    " one file)"
)
"""The reason of a record that is undecided."""

_LONGEST_LABEL = 200
_OUTCOMES = {outcome.value: outcome for outcome in RowOutcome}
# Looking up an enum member is slow, once per record.
_UNDECIDED, _LEFT_OUT, _GUARDED = (
    RowOutcome.UNDECIDED,
    RowOutcome.LEFT_OUT,
    RowOutcome.GUARDED,
)

Refusal = DataRefusedError | BackendUnavailableError


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """Where rows are merged: the target and its tables; the values of the run, and its name."""

    config: TargetConfig
    group: TableGroup
    run: dict[str, Any]
    run_name: str
    status_files: StatusFiles | None
    backups: Backups | None = None


@dataclass(slots=True)
class Imported:
    """The result of a batch: its items, the failed ones with reasons, and each record's outcome.

    `merged` are the merged records, each with its item, outcome and label; `exempt` are the
    guarded ones of these, and the records that are left out; `record_failures` are the failed
    records, though others of their items may be merged. `derived` counts derived rows by table.

    `refused` are the encoded rows of refused records, each with its label; `took` is when the
    batch began and ended, in seconds since the epoch; `unwritten` are status files that could not
    be written; `summaries` are additional entries of status files, by item.

    `judged` says whether the target judged at least one record. If it judged none and refused
    some, the target itself may be the cause: `unexplained` are these refusals, each with its item,
    and `unexplained_items` are the items of the batch, which have no status files yet.
    """

    item_ids: list[int]
    failures: list[tuple[int, str]] = field(default_factory=list)
    merged: list[tuple[int, RowOutcome, str]] = field(default_factory=list)
    exempt: list[ExemptRecord] = field(default_factory=list)
    derived: Counter[str] = field(default_factory=Counter)
    record_failures: list[RecordFailure] = field(default_factory=list)
    refused: list[tuple[str, bytes]] = field(default_factory=list)
    cleaned: Tally = field(default_factory=Counter)
    took: tuple[float, float] = (0.0, 0.0)
    unwritten: list[Unwritten] = field(default_factory=list)
    summaries: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    judged: bool = False
    unexplained: list[tuple[int, str]] = field(default_factory=list)
    unexplained_items: list[WorkItem] = field(default_factory=list)

    @property
    def succeeded(self) -> Counter[int]:
        """The number of merged records, by item."""
        return Counter(item_id for item_id, _, _ in self.merged)


def import_batch(target: ImportTarget, job: MergeJob) -> Imported:
    """Merges one batch; isolates the records that the target refuses, and merges all others.

    Raises:
        BackendUnavailableError: if the target does not answer any more.
        ImporterError: if a file cannot be copied to the backups.
    """
    imported = _imported(target, job)
    imported.failures += item_failures(imported.record_failures)
    # Both before the ledger records the batch: after a crash the batch is repeated.
    if target.backups is not None:
        failed = {item_id for item_id, _ in imported.failures}
        good = [item for item in job.items if item.id not in failed]
        target.backups.keep((item.path, item.signature) for item in good)
    if target.status_files is not None and not imported.unexplained_items:
        imported.unwritten = write_status_files(target.status_files, job.items, imported)
    imported.took = (job.began_at, time.time())
    return imported


def import_piece(target: ImportTarget, job: MergeJob) -> tuple[range, Imported]:
    """Merges a piece of a large item; returns the numbers of its records, and the result.

    The caller records whether the item failed.

    Raises:
        BackendUnavailableError: if the target does not answer any more.
    """
    imported = _imported(target, job)
    imported.took = (job.began_at, time.time())
    return job.numbers, imported


def _imported(target: ImportTarget, job: MergeJob) -> Imported:
    """Merges the records of a job."""
    items, prepared = job.items, job.prepared
    signatures = {item.id: _identity(item) for item in items}
    imported = Imported([item.id for item in items], list(prepared.failures))
    imported.summaries = prepared.summaries
    imported.record_failures += prepared.problems
    database = opened(target.config).database
    numbers, derived = job.numbers, imported.derived
    merged = _merge(target, database, prepared.records, numbers.start, signatures, derived)
    unexplained = []
    for record, outcome in merged:
        if outcome is _LEFT_OUT or outcome is _GUARDED:
            imported.exempt.append(
                ExemptRecord(record.item_id, record.number, record.label, outcome)
            )
        if outcome is _LEFT_OUT:
            continue
        if isinstance(outcome, RowOutcome) and outcome is not _UNDECIDED:
            imported.merged.append((record.item_id, outcome, record.label))
        else:
            reason = UNDECIDED if isinstance(outcome, RowOutcome) else str(outcome)
            failure = RecordFailure(record.item_id, record.number, record.label, reason)
            imported.record_failures.append(failure)
            imported.refused += [(record.label, row) for _, row in record.rows]
            if _is_unexplained(outcome):
                unexplained.append((record.item_id, reason))
    # An item without merged records is retried, also if this run is resumed.
    failed = {failure.item_id for failure in imported.record_failures}
    failed -= {item_id for item_id, _, _ in imported.merged}
    failed -= {each.item_id for each in imported.exempt}
    for item_id, cleaned in prepared.cleaned.items():
        if item_id not in failed:
            # Counter.update takes more than twice as long.
            for value, count in cleaned.items():
                imported.cleaned[value] += count
    imported.judged = len(unexplained) < len(merged)
    if unexplained and not imported.judged:
        imported.unexplained, imported.unexplained_items = unexplained, items
    return imported


def _is_unexplained(outcome: RowOutcome | Refusal) -> bool:
    """Whether a record was refused, and the database named no wrong value in it."""
    if isinstance(outcome, DataRefusedError):
        return outcome.sqlstate is None
    return isinstance(outcome, BackendUnavailableError)


def write_status_files(
    files: StatusFiles, items: list[WorkItem], imported: Imported
) -> list[Unwritten]:
    """Writes the status files of items; returns those that could not be written."""
    reasons = dict(imported.failures)
    tallies: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for item_id, outcome, _ in imported.merged:
        tallies[item_id][outcome.name.lower()] += 1
    for record in imported.exempt:
        if record.outcome is _LEFT_OUT:
            tallies[record.item_id]["left_out"] += 1
    good = [
        (
            item.path,
            {"images": sum(map(bool, item.images)), **tallies[item.id]},
            imported.summaries.get(item.id, {}),
        )
        for item in items
        if item.id not in reasons
    ]
    failed = [(item.path, reasons[item.id]) for item in items if item.id in reasons]
    return files.succeed(good) + files.fail(Phase.IMPORT, failed)


def item_failures(failures: list[RecordFailure]) -> list[tuple[int, str]]:
    """The failures of items that have failed records, each with its reason."""
    by_item: dict[int, list[RecordFailure]] = {}
    for failure in failures:
        by_item.setdefault(failure.item_id, []).append(failure)
    found = []
    for item_id, mine in by_item.items():
        first = min(mine, key=lambda failure: failure.number)
        more = f" (and {len(mine) - 1} more records)" if len(mine) > 1 else ""
        label = shortened(first.label) or str(first.number)
        found.append((item_id, f"record {label}: {first.reason}{more}"))
    return found


def shortened(label: str) -> str:
    """A label that fits into a line."""
    return label if len(label) <= _LONGEST_LABEL else f"{label[:_LONGEST_LABEL]}…"


def _identity(item: WorkItem) -> str:
    """Identifies the content of a work item: its path, signature and images."""
    signature = item.signature
    images = item.images
    hashes = tuple([image.sha256 if image else None for image in images]) if images else ()
    return f"{item.path}\t{signature.size}\t{signature.mtime_ns}\t{signature.digest}\t{hashes}"


class _Merged(NamedTuple):
    """Outcomes of one merge, derived rows by table, and records that need another merge."""

    outcomes: list[tuple[Record, RowOutcome]]
    derived: dict[str, int]
    others: list[Record]


def _merge(
    target: ImportTarget,
    database: RetryingDatabase,
    records: list[Record],
    start: int,
    signatures: dict[int, str],
    derived: Counter[str],
) -> list[tuple[Record, RowOutcome | Refusal]]:
    """The outcome of each record, or the error by which it was refused.

    `start` is the position of the first record in the batch: it distinguishes the halves of one
    item. Adds the derived rows to `derived`.
    """
    if not records:
        return []
    found: list[tuple[Record, RowOutcome | Refusal]] = []
    merge = partial(_merge_at_once, target, signatures)

    def probe(database: RetryingDatabase) -> None:
        database.merge_nothing(target.group, target.run)

    for part in in_parts(database, records, merge, probe, start):
        if isinstance(part.answer, (DataRefusedError, BackendUnavailableError)):
            found.append((part.things[0], part.answer))
            continue
        found += part.answer.outcomes
        derived.update(part.answer.derived)
        found += _merge(target, database, part.answer.others, part.first, signatures, derived)
    return found


def _merge_at_once(
    target: ImportTarget,
    signatures: dict[int, str],
    database: RetryingDatabase,
    start: int,
    records: list[Record],
) -> _Merged:
    """Merges some records at once.

    A merge takes one aggregate of each key. If no date shows that it is the newest, each of the
    others needs a merge of its own.
    """
    placed = place_rows(target.group, target.run, records)
    items = [*dict.fromkeys(signatures[record.item_id] for record in records)]
    request = request_id(target.run_name, [f"{start}+{len(records)}", *items])
    answer = database.merge(request, placed.rows)
    letters = answer.outcomes
    found: list[tuple[Record, RowOutcome]] = []
    others = []
    for record, own in zip(records, placed.own(), strict=True):
        if own is not None:
            # In most kinds nearly every record is one row.
            alone = not own.others
            outcome = _OUTCOMES[letters[own.table][own.first]] if alone else _outcome(letters, own)
            found.append((record, outcome))
        elif _is_older(record, placed, letters):
            found.append((record, RowOutcome.SKIPPED))
        else:
            others.append(record)
    return _Merged(found, answer.derived, others)


def _outcome(letters: dict[int, str], own: Placed) -> RowOutcome:
    """The outcome of a record whose own aggregate is at these places."""
    first = letters[own.table][own.first]
    more = [letters[table][place] for table, place in own.others if table in letters]
    return record_outcome("".join([first, *more])) if more else _OUTCOMES[first]


def _is_older(record: Record, placed: PlacedRows, letters: dict[int, str]) -> bool:
    """Whether a record lost against a record of the batch that is at least as new, and decided."""
    key = record.aggregates[0].key
    if key is None:
        return True
    winner, place = placed.winners[key]
    undecided = _outcome(letters, place) is _UNDECIDED
    return bool(winner.timestamp and record.aggregates[0].timestamp) and not undecided
