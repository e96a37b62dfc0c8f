"""Turning work items into encoded rows: what planning and import both do, in worker processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imports.cleaning import Tally
from imports.errors import RecordError
from imports.kinds import kind_named
from imports.kinds.kind import Kind, RecordProblem
from imports.row_format import Encoder, RowFormat, encoder
from imports.source_tree import printable
from imports.work_item import Family, Image, Prepared, Record, RecordFailure, Source, WorkItem


@dataclass(frozen=True, slots=True)
class PrepareJob:
    """Some work items of a kind, and how their rows are to be encoded."""

    kind: str
    source: Source
    row_format: RowFormat
    items: list[WorkItem]


def prepare_batch(job: PrepareJob) -> Prepared:
    """Reads the items of a job and encodes their rows; one that cannot be read is a failure."""
    kind = kind_named(job.kind)
    encoders = row_encoders(kind, job.row_format)
    prepared = Prepared([], [])
    tally: Tally = Counter()
    for item in job.items:
        try:
            content = kind.read(job.source, item.path, item.signature, tally)
            records, problems = encode_records(kind, encoders, item.id, content, item.images, tally)
        except RecordError as error:
            prepared.failures.append((item.id, str(error)))
        except Exception as error:  # noqa: BLE001 - a defect must cost one item, not the run
            prepared.failures.append((item.id, unexpected(error)))
        else:
            prepared.records.extend(records)
            prepared.problems.extend(problems)
    prepared.cleaned.update(tally)
    return prepared


def row_encoders(kind: Kind, row_format: RowFormat) -> list[Encoder]:
    """The encoder of each table of a kind."""
    return [encoder(table, row_format) for table in kind.group.tables]


def encode_records(
    kind: Kind,
    encoders: list[Encoder],
    item_id: int,
    content: Any,
    images: Sequence[Image | None],
    tally: Tally,
) -> tuple[list[Record], list[RecordFailure]]:
    """The records of what was read of an item, encoded, and those that cannot be."""
    records: list[Record] = []
    problems: list[RecordFailure] = []
    for index, record in enumerate(kind.records(content, images, tally)):
        if isinstance(record, RecordProblem):
            problems.append(RecordFailure(item_id, index, record.label, record.reason))
            continue
        families = tuple(
            Family(
                tuple([(table, encoders[table](row)) for table, row in family.rows]), *family[1:]
            )
            for family in record.families
        )
        records.append(Record(item_id, record.label, families, index))
    return records, problems


def unexpected(error: Exception) -> str:
    """The reason of a failure that nobody foresaw, with the place, for a bug report."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""
    return printable(f"unexpected {type(error).__name__}{place}: {error}; please report it")
