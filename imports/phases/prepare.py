"""Turns work items into encoded rows, in worker processes, for planning, import and verify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from imports.errors import RecordError
from imports.items.images import Image
from imports.items.records import Aggregate, Prepared, Record, RecordFailure
from imports.items.source import Source
from imports.items.work_item import WorkItem
from imports.kinds import kind_named
from imports.kinds.kind import ContentPiece, Kind, RecordProblem
from imports.source.disk import read_all
from imports.source.tree import printable
from imports.tables.row_format import Encoder, RowFormat, encoder

if TYPE_CHECKING:
    from imports.run.session import RunSession
    from imports.source.cleaning import Tally

PIECE_RECORDS = 500
"""Records of a large item that are read and merged at once."""

LARGE_BYTES = 8 * 1024 * 1024
"""A larger item is read in pieces, if its kind supports that."""

_MOST_BYTES_AT_ONCE = 32 * 1024 * 1024
"""Items of more bytes together are read one by one, to limit memory."""

MOST_ROW_BYTES = 64 * 1024 * 1024
"""The largest size of the rows of an item. Only a single row may be larger."""

_LIGHT_ROW_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class PrepareJob:
    """Some work items of a kind, and how their rows are to be encoded."""

    kind: str
    source: Source
    row_format: RowFormat
    items: list[WorkItem]

    @property
    def weight(self) -> int:
        """The weight of the rows of all items."""
        return sum(item.weight for item in self.items)


@dataclass(frozen=True, slots=True)
class PieceJob:
    """The content of some records of a large work item, and how to encode their rows."""

    kind: str
    row_format: RowFormat
    item: WorkItem
    piece: ContentPiece


def largest_item(kind: Kind) -> int | None:
    """The size in bytes above which items are read in pieces; None if the kind has no pieces."""
    return None if kind.pieces is None else LARGE_BYTES


def prepare_piece(job: PieceJob) -> Prepared:
    """Encodes the rows of a piece; if that fails as a whole, each of its records fails."""
    kind = kind_named(job.kind)
    encoders = row_encoders(kind, job.row_format)
    tally: Tally = Counter()
    item_id, piece = job.item.id, job.piece
    try:
        found = encode_records(kind, encoders, item_id, piece.content, (), tally, piece.first)
    except Exception as error:  # noqa: BLE001 - a defect must cost one item, not the run
        # The ledger stores failed records after each piece, so a crash cannot lose the failure.
        reason = reason_of(error)
        numbers = range(piece.first, piece.first + piece.size)
        return Prepared([], [], [RecordFailure(item_id, each, "", reason) for each in numbers])
    return Prepared(found.records, [], found.problems, {item_id: dict(tally)})


def prepare_batch(job: PrepareJob) -> Prepared:
    """Reads the items of a job and encodes their rows; one that cannot be read is a failure."""
    kind = kind_named(job.kind)
    encoders = row_encoders(kind, job.row_format)
    prepared = Prepared([], [])
    for item, content, mine in read_items(kind, job.source, job.items):
        if isinstance(content, Exception):
            prepared.failures.append((item.id, reason_of(content)))
            continue
        try:
            found = encode_records(kind, encoders, item.id, content, item.images, mine)
        except Exception as error:  # noqa: BLE001 - a defect must cost one item, not the run
            prepared.failures.append((item.id, reason_of(error)))
        else:
            prepared.records.extend(found.records)
            prepared.problems.extend(found.problems)
            if mine:
                prepared.cleaned[item.id] = dict(mine)
            if kind.summary is not None:
                prepared.summaries[item.id] = kind.summary(content, item.images)
    return prepared


@dataclass(frozen=True, slots=True)
class CurrentItems:
    """Work items read from their current files: their number, records, and paths by id.

    `unreadable` are the paths of items without a readable file, each with the reason.
    """

    count: int
    prepared: Prepared
    paths: dict[int, str]
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def prepare_current(job: PrepareJob) -> CurrentItems:
    """Reads the items of a job with the current signatures of their files."""
    kind = kind_named(job.kind)
    items: list[WorkItem] = []
    unreadable: list[tuple[str, str]] = []
    for item in job.items:
        try:
            signature = kind.sign(job.source, item.path)
        except OSError as error:
            unreadable.append((item.path, f"cannot be read: {error.strerror}"))
        else:
            items.append(WorkItem(item.id, item.path, signature, item.images))
    paths = {item.id: item.path for item in items}
    prepared = prepare_batch(replace(job, items=items))
    return CurrentItems(len(job.items), prepared, paths, unreadable)


def read_items(
    kind: Kind, source: Source, items: list[WorkItem]
) -> Iterator[tuple[WorkItem, Any, Tally]]:
    """Yields each item with its content, or the exception raised, and the cleaned values."""
    source = source.opening()

    def read(item: WorkItem) -> tuple[WorkItem, Any, Tally]:
        tally: Tally = Counter()
        try:
            return item, kind.read(source, item.path, item.signature, tally), tally
        except Exception as error:  # noqa: BLE001 - the caller fails the item
            return item, error, tally

    size = sum(item.signature.size for item in items)
    return read_all(read, items, at_once=size <= _MOST_BYTES_AT_ONCE)


def row_encoders(kind: Kind, row_format: RowFormat) -> list[Encoder]:
    """The encoder of each table of a kind."""
    return [encoder(table, row_format) for table in kind.group.tables]


class Encoded(NamedTuple):
    """The encoded records of an item, the failed ones, and its weight in a batch.

    The weight is the number of rows, or their size in KiB if that is larger; a single row of usual
    size always has the weight 1.
    """

    records: list[Record]
    problems: list[RecordFailure]
    weight: int


def encode_records(
    kind: Kind,
    encoders: list[Encoder],
    item_id: int,
    content: Any,
    images: Sequence[Image | None],
    tally: Tally,
    first: int = 0,
) -> Encoded:
    """Encodes the records in the content of an item.

    `first` is the number of the first record in the item.

    Raises:
        RecordError: if the rows of the item would take more than `MOST_ROW_BYTES`.
    """
    records: list[Record] = []
    problems: list[RecordFailure] = []
    size = rows = 0
    for index, record in enumerate(kind.records(content, images, tally), first):
        if isinstance(record, RecordProblem):
            problems.append(RecordFailure(item_id, index, record.label, record.reason))
            continue
        aggregates = []
        for aggregate in record.aggregates:
            encoded = tuple([(table, encoders[table](row)) for table, row in aggregate.rows])
            aggregates.append(Aggregate(encoded, *aggregate[1:]))
            rows += len(encoded)
            for _, row in encoded:
                size += len(row)
        records.append(Record(item_id, record.label, tuple(aggregates), index))
        if size > MOST_ROW_BYTES and len(records) > 1:
            raise RecordError(
                f"is too large to import: its rows take more than {MOST_ROW_BYTES >> 20} MiB,"
                " since each record repeats the file's values outside the records. Split the file,"
                " or remove values that are not needed"
            )
    weight = rows if rows == 1 and size <= _LIGHT_ROW_BYTES else max(rows, size >> 10)
    return Encoded(records, problems, weight)


def reason_of(error: Exception) -> str:
    """The reason of a failure, from the exception that a kind raised."""
    return str(error) if isinstance(error, RecordError) else unexpected(error)


def unexpected(error: Exception) -> str:
    """The reason of an unexpected failure, with the place in the code, for a bug report."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""
    return printable(f"unexpected {type(error).__name__}{place}: {error}; please report it")


def batches(session: RunSession, *, undated: bool) -> Iterator[PrepareJob]:
    """The queued items, either undated or dated ones, a batch at a time."""
    row_format = session.target.database.row_format
    for items in session.queue.batches(session.settings.batch_size, undated=undated):
        yield PrepareJob(session.kind.name, session.source, row_format, items)
