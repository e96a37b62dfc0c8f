"""Merging: batches of work items are read, turned into rows, and merged in one transaction each."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from imports.backends.database import Database, Rows
from imports.backends.halving import in_parts
from imports.backends.retry import RetryPolicy, with_retries
from imports.errors import BackendUnavailableError, DataRefusedError
from imports.phases.placing import Placed, PlacedRows, place_rows
from imports.phases.prepare import PieceJob, PrepareJob, prepare_batch, prepare_piece
from imports.phases.upload import request_id
from imports.work_item import (
    ExemptRecord,
    Phase,
    Prepared,
    Record,
    RecordFailure,
    RowOutcome,
    WorkItem,
    record_outcome,
)

if TYPE_CHECKING:
    from imports.run.spool import SpoolReader
    from imports.source.cleaning import Tally
    from imports.source.status_files import StatusFiles, Unwritten
    from imports.tables.table import TableGroup

UNDECIDED = (
    "the target has other content for it, and one of the two has no date that can be read: nobody"
    " can say which is newer, so what is there stays. To take this one, import it again with"
    " --if-exists replace; to leave what is there, with --if-exists keep (--single-file imports one"
    " file alone)"
)
"""The reason of a record that is undecided."""

_LONGEST_LABEL = 200
_OUTCOMES = {outcome.value: outcome for outcome in RowOutcome}
# To look a member up takes long, for each record.
_UNDECIDED, _LEFT_OUT, _GUARDED = (
    RowOutcome.UNDECIDED,
    RowOutcome.LEFT_OUT,
    RowOutcome.GUARDED,
)

Refusal = DataRefusedError | BackendUnavailableError


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """Where rows go, how patiently, and on which executor they are prepared."""

    database: Database
    policy: RetryPolicy
    group: TableGroup
    run: dict[str, Any]
    parsers: Executor
    spool: SpoolReader
    status_files: StatusFiles | None

    def merges(self, policy: RetryPolicy) -> None:
        """Makes sure that merges go through at all; waits for that as for a server that is away.

        Raises:
            BackendUnavailableError, DataRefusedError: if they do not.
        """
        with_retries(policy, self._merge_nothing)

    def _merge_nothing(self) -> None:
        self.database.merge(uuid4(), Rows(self.group, self.run, {0: []}))


@dataclass(slots=True)
class Imported:
    """What became of a batch: its items, those that failed and why, and each record's outcome.

    `merged` has the records that went in, each by its item, its outcome and its label; `exempt` are
    the guarded ones of these, and those that are left out; `record_failures` those that failed, of
    items whose others may have gone in. `derived` says by table how many rows were derived.

    `refused` are the encoded rows of the records that the target refused, each with its label;
    `took` is when the batch began and ended, in seconds since the epoch; `unwritten` are status
    files that could not be written.

    `judged` says whether the target judged a record of it at all. Where it judged none, and
    refused some, it may be at fault itself: then `doubtful` are the refusals, each with its item,
    and `doubted` the items of the batch, which have no status files yet.
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
    judged: bool = False
    doubtful: list[tuple[int, str]] = field(default_factory=list)
    doubted: list[WorkItem] = field(default_factory=list)

    @property
    def succeeded(self) -> Counter[int]:
        """How many records went in, by item."""
        return Counter(item_id for item_id, _, _ in self.merged)


def import_batch(target: ImportTarget, job: PrepareJob) -> Imported:
    """Prepares and merges one batch; what the target refuses is isolated, the rest goes in.

    Raises:
        BackendUnavailableError: if the target does not answer any more.
    """
    began_at = time.time()
    prepared = _prepared(target, job)
    imported = _imported(target, job.items, prepared, 0)
    imported.failures += item_failures(imported.record_failures)
    if target.status_files is not None and not imported.doubted:
        # Before the ledger hears of the batch: after a crash it comes once more.
        imported.unwritten = write_status_files(target.status_files, job.items, imported)
    imported.took = (began_at, time.time())
    return imported


def import_piece(target: ImportTarget, job: PieceJob) -> tuple[PieceJob, Imported]:
    """Prepares and merges a piece of a large item; that it failed is for the caller to say.

    Raises:
        BackendUnavailableError: if the target does not answer any more.
    """
    began_at = time.time()
    prepared = target.parsers.submit(prepare_piece, job).result()
    imported = _imported(target, [job.item], prepared, job.piece.first)
    imported.took = (began_at, time.time())
    return job, imported


def _imported(
    target: ImportTarget, items: list[WorkItem], prepared: Prepared, start: int
) -> Imported:
    """Merges what was prepared of some items; see `_merge` for `start`."""
    signatures = {item.id: _identity(item) for item in items}
    imported = Imported([item.id for item in items], list(prepared.failures))
    imported.record_failures += prepared.problems
    merged = _merge(target, prepared.records, start, signatures, imported.derived)
    doubtful = []
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
            if _is_doubtful(outcome):
                doubtful.append((record.item_id, reason))
    # An item that failed as a whole is tried again, also by this run once it is resumed.
    failed = {failure.item_id for failure in imported.record_failures}
    failed -= {item_id for item_id, _, _ in imported.merged}
    failed -= {each.item_id for each in imported.exempt}
    for item_id, cleaned in prepared.cleaned.items():
        if item_id not in failed:
            # Counter.update would take more than twice as long.
            for value, count in cleaned.items():
                imported.cleaned[value] += count
    imported.judged = len(doubtful) < len(merged)
    if doubtful and not imported.judged:
        imported.doubtful, imported.doubted = doubtful, items
    return imported


def _is_doubtful(outcome: RowOutcome | Refusal) -> bool:
    """Whether a record was refused, and the database itself found no fault with a value in it."""
    if isinstance(outcome, DataRefusedError):
        return outcome.sqlstate is None
    return isinstance(outcome, BackendUnavailableError)


def write_status_files(
    files: StatusFiles, items: list[WorkItem], imported: Imported
) -> list[Unwritten]:
    """Writes what became of items into their folders; those that could not be written."""
    reasons = dict(imported.failures)
    tallies: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for item_id, outcome, _ in imported.merged:
        tallies[item_id][outcome.name.lower()] += 1
    for record in imported.exempt:
        if record.outcome is _LEFT_OUT:
            tallies[record.item_id]["left_out"] += 1
    good = [
        (item.path, {"images": sum(map(bool, item.images)), **tallies[item.id]})
        for item in items
        if item.id not in reasons
    ]
    failed = [(item.path, reasons[item.id]) for item in items if item.id in reasons]
    return files.succeed(good) + files.fail(Phase.IMPORT, failed)


def item_failures(failures: list[RecordFailure]) -> list[tuple[int, str]]:
    """The failures of the items that have records which did not go in."""
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
    """A label that fits into a line, whatever stands in the record."""
    return label if len(label) <= _LONGEST_LABEL else f"{label[:_LONGEST_LABEL]}…"


def _identity(item: WorkItem) -> str:
    """What makes a work item the same one as before: its path, its files and its images."""
    signature = item.signature
    images = item.images
    hashes = tuple([image.sha256 if image else None for image in images]) if images else ()
    return f"{item.path}\t{signature.size}\t{signature.mtime_ns}\t{signature.digest}\t{hashes}"


def _prepared(target: ImportTarget, job: PrepareJob) -> Prepared:
    """The records of the items in their order: out of the spool, or else read from the files."""
    spooled: dict[int, list[Record]] = {}
    cleaned: dict[int, dict[str, int]] = {}
    for chunk in sorted({item.chunk for item in job.items if item.chunk is not None}):
        # Only of items that are in this chunk now: an older one may hold what they were before.
        wanted = {item.id for item in job.items if item.chunk == chunk}
        found = target.spool.read(chunk)
        for item_id in wanted & found.keys():
            spooled[item_id] = found[item_id].records
            if found[item_id].cleaned:
                cleaned[item_id] = found[item_id].cleaned
    missing = [item for item in job.items if item.chunk is None or item.id not in spooled]
    if not missing:
        records = [record for item in job.items for record in spooled[item.id]]
        return Prepared(records, [], [], cleaned)
    prepared = target.parsers.submit(prepare_batch, replace(job, items=missing)).result()
    if len(missing) == len(job.items):
        return prepared
    for record in prepared.records:
        spooled.setdefault(record.item_id, []).append(record)
    failed = {item_id for item_id, _ in prepared.failures}
    records = [
        record for item in job.items if item.id not in failed for record in spooled.get(item.id, ())
    ]
    return Prepared(records, prepared.failures, prepared.problems, prepared.cleaned | cleaned)


class _Merged(NamedTuple):
    """What one merge can tell: the outcomes of records, and what was derived; and the others."""

    outcomes: list[tuple[Record, RowOutcome]]
    derived: dict[str, int]
    others: list[Record]


def _merge(
    target: ImportTarget,
    records: list[Record],
    start: int,
    signatures: dict[int, str],
    derived: Counter[str],
) -> list[tuple[Record, RowOutcome | Refusal]]:
    """The outcome of each record, or the error by which it was refused.

    `start` is where the records begin in their batch: it tells the halves of one item apart. What
    was derived is added to `derived`.
    """
    if not records:
        return []
    found: list[tuple[Record, RowOutcome | Refusal]] = []
    merge = partial(_merge_at_once, target, signatures)
    for part in in_parts(target.policy, records, merge, target.merges, start):
        if isinstance(part.answer, (DataRefusedError, BackendUnavailableError)):
            found.append((part.things[0], part.answer))
            continue
        found += part.answer.outcomes
        derived.update(part.answer.derived)
        found += _merge(target, part.answer.others, part.first, signatures, derived)
    return found


def _merge_at_once(
    target: ImportTarget,
    signatures: dict[int, str],
    policy: RetryPolicy,
    start: int,
    records: list[Record],
) -> _Merged:
    """What becomes of some records in one merge.

    Of the aggregates of one key a merge takes one. Where no date says that it is the newest, each
    of the others must be compared with it for itself.
    """
    placed = place_rows(target.group, target.run, records)
    items = [*dict.fromkeys(signatures[record.item_id] for record in records)]
    request = request_id(target.run["batch_id"], [f"{start}+{len(records)}", *items])
    answer = with_retries(policy, target.database.merge, request, placed.rows)
    letters = answer.outcomes
    found: list[tuple[Record, RowOutcome]] = []
    others = []
    for record, own in zip(records, placed.own(), strict=True):
        if own is not None:
            # Nearly all records of most kinds are one row.
            alone = not own.others
            outcome = _OUTCOMES[letters[own.table][own.first]] if alone else _outcome(letters, own)
            found.append((record, outcome))
        elif _is_older(record, placed, letters):
            found.append((record, RowOutcome.SKIPPED))
        else:
            others.append(record)
    return _Merged(found, answer.derived, others)


def _outcome(letters: dict[int, str], own: Placed) -> RowOutcome:
    """The outcome of the record whose own family is placed so."""
    first = letters[own.table][own.first]
    more = [letters[table][place] for table, place in own.others if table in letters]
    return record_outcome("".join([first, *more])) if more else _OUTCOMES[first]


def _is_older(record: Record, placed: PlacedRows, letters: dict[int, str]) -> bool:
    """Whether a record lost against one of the batch that is newer, or as new, and decided."""
    key = record.aggregates[0].key
    if key is None:
        return True
    winner, place = placed.winners[key]
    undecided = _outcome(letters, place) is _UNDECIDED
    return bool(winner.timestamp and record.aggregates[0].timestamp) and not undecided
