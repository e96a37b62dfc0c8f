"""Comparing: records are read from their files again, and compared with the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from imports.backends.database import AddedRows, Comparison, Rows, TableComparison
from imports.backends.halving import all_answers, in_parts
from imports.backends.reading import WrittenRow, written_rows
from imports.backends.target_config import TargetConfig, opened
from imports.errors import BackendUnavailableError, ImageProblemError
from imports.items.images import Image, PlacedImage
from imports.items.records import Prepared
from imports.phases.placing import Placed, place_rows
from imports.phases.prepare import (
    CurrentItems,
    PieceJob,
    PrepareJob,
    prepare_current,
    prepare_piece,
)
from imports.phases.upload import UploadTarget, image_rows
from imports.run.report import Finding
from imports.tables.table import IMAGE_ASSETS, Table, TableGroup
from imports.workers.chained import FirstStep

if TYPE_CHECKING:
    from imports.backends.retrying import RetryingDatabase, RetryingStore

_WRONG = ("missing", "different", "undecided")

_EXEMPT = ("guarded", "left_out")

_REPAIRABLE = ("missing", "different", "added")
"""What a repair can fix."""


@dataclass(frozen=True, slots=True)
class VerifyTarget:
    """The target to compare with, the tables, and the values of the run."""

    config: TargetConfig
    group: TableGroup
    run: dict[str, Any]


@dataclass(slots=True)
class Compared:
    """The result for a batch: its number of records, what is wrong, and the rows that it has.

    `row_marks` are the rows that have an id. `exempt` counts records that rightly differ from their
    files: guarded ones, and those that are left out.
    """

    items: int
    records: int = 0
    exempt: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    row_marks: list[str] = field(default_factory=list)


def row_mark(table: Table, row_id: str) -> str:
    """Identifies a row: its table, and its id in the table."""
    return f"{table.label}/{row_id}"


def begin_batch(job: PrepareJob) -> FirstStep[CurrentItems, CurrentItems]:
    """First, the current files of the items must be read."""
    return FirstStep(partial(prepare_current, job), _identity)


def begin_piece(job: PieceJob) -> FirstStep[Prepared, CurrentItems]:
    """The records of a piece must be prepared first."""
    then = partial(CurrentItems, 0, paths={job.item.id: job.item.path})
    return FirstStep(partial(prepare_piece, job), then)


def compare_items(target: VerifyTarget, current: CurrentItems) -> Compared:
    """Compares the records of items, or of a piece of a large one, with the target."""
    compared = Compared(current.count)
    prepared, paths = current.prepared, current.paths
    reasons = [(paths[item_id], reason) for item_id, reason in prepared.failures]
    compared.findings += [
        Finding("unreadable", path, reason, path) for path, reason in current.unreadable + reasons
    ]
    if not prepared.records:
        return compared
    placed = place_rows(target.group, target.run, prepared.records)
    answer = _compare_rows(target, placed.rows, placed.placed_aggregates())
    compared.records = len(prepared.records)
    compared.row_marks = [
        row_mark(target.group.tables[index], each.id)
        for index, of_table in answer.items()
        for each in of_table.rows
        if each.id is not None
    ]
    added = _added_by_owner(target.group, answer)
    for record, aggregates in zip(prepared.records, placed.aggregates, strict=True):
        found = _found(target.group, answer, added, aggregates)
        if found is None:
            continue
        if found.what in _EXEMPT:
            compared.exempt[found.what] += 1
            continue
        item_id = record.item_id if found.what in _REPAIRABLE else None
        path = paths[record.item_id]
        compared.findings.append(Finding(found.what, record.label, found.detail, path, item_id))
    return compared


def _compare_rows(
    target: VerifyTarget, rows: Rows, aggregates: list[list[tuple[int, int]]]
) -> dict[int, TableComparison]:
    """The answer of `compare` for all rows.

    `aggregates` are the rows that must be compared together, each by its table and number.
    """

    def ask(
        database: RetryingDatabase, _: int, some: list[list[tuple[int, int]]]
    ) -> dict[int, TableComparison]:
        by_table: dict[int, list[bytes]] = {}
        for aggregate in some:
            for index, number in aggregate:
                by_table.setdefault(index, []).append(rows.by_table[index][number])
        return database.compare(replace(rows, by_table=by_table))

    database = opened(target.config).database
    found: dict[int, TableComparison] = {}
    for answer in all_answers(in_parts(database, aggregates, ask)):
        for index, some in answer.items():
            whole = found.setdefault(index, TableComparison([], []))
            whole.rows.extend(some.rows)
            whole.added.extend(some.added)
    return found


def rows_written(
    target: VerifyTarget, table: Table, run_names: list[str], after: str | None
) -> list[WrittenRow]:
    """The next rows that runs wrote; see `written_rows`."""
    return written_rows(opened(target.config).database, table, run_names, after)


class _Found(NamedTuple):
    """A difference between a record and its rows."""

    what: str
    detail: str = ""


def _found(
    group: TableGroup,
    answer: dict[int, TableComparison],
    added: Mapping[tuple[int, str], list[tuple[Table, AddedRows]]],
    aggregates: tuple[Placed | None, ...],
) -> _Found | None:
    """The first difference in the record's own rows.

    If there is none: why one of them rightly differs from the record.
    """
    exempt = None
    for aggregate in aggregates:
        if aggregate is None:
            continue
        owners: list[tuple[int, str]] = []
        elsewhere: list[str] = []
        for index, place in ((aggregate.table, aggregate.first), *aggregate.others):
            table = group.tables[index]
            if table.owner in elsewhere:
                continue
            each = answer[index].rows[place]
            if each.found in _WRONG:
                return _Found(each.found, _detail(each))
            if each.found == "same":
                owners.append((index, each.id or ""))
                continue
            # Its owned rows are not compared: they belong to another row, or do not exist.
            elsewhere.append(table.qualified_name)
            if each.found in _EXEMPT and exempt != "left_out":
                exempt = each.found
        for owner in owners:
            for owned, rows in added.get(owner, ()):
                return _Found("added", _added_detail(owned, rows))
    return None if exempt is None else _Found(exempt)


def _added_by_owner(
    group: TableGroup, answer: dict[int, TableComparison]
) -> dict[tuple[int, str], list[tuple[Table, AddedRows]]]:
    """The rows that were added to owned tables, by the table and id of their owner."""
    found: dict[tuple[int, str], list[tuple[Table, AddedRows]]] = {}
    for index, of_table in answer.items():
        table = group.tables[index]
        owner = group.owner_of(table)
        if owner is not None:
            for each in of_table.added:
                key = (group.tables.index(owner), each.owner)
                found.setdefault(key, []).append((table, each))
    return found


def compare_images(target: VerifyTarget, images: list[Image]) -> dict[str, Finding]:
    """The wrong rows of `image_assets` for stored images, by hash."""
    rows = image_rows(UploadTarget(target.config, target.run["batch_id"], ""), images)
    answer = _compare_rows(target, rows, [[(0, number)] for number in range(len(images))])[0]
    return {
        image.sha256: Finding(each.found, f"{IMAGE_ASSETS.label}/{image.sha256}", _detail(each))
        for image, each in zip(images, answer.rows, strict=True)
        if each.found in _WRONG
    }


def check_image(target: VerifyTarget, image: Image, *, deep: bool) -> Finding | None:
    """Checks that an image is stored under its hash with its size; with `deep`, also its content.

    Raises:
        BackendUnavailableError: if the store does not answer any request.
    """
    store = opened(target.config).store
    return _check_stored(store, image.storage_path, image, image.storage_path, deep=deep)


def check_placed(target: VerifyTarget, placed: PlacedImage, *, deep: bool) -> Finding | None:
    """Checks an image that has a place of its own, like `check_image`."""
    image, place = placed
    store = opened(target.config).places.bucket(place.bucket)
    return _check_stored(store, place.path, image, str(place), deep=deep)


def _check_stored(
    store: RetryingStore, path: str, image: Image, subject: str, *, deep: bool
) -> Finding | None:
    """Checks that an image is stored with its size; with `deep`, also its content.

    Raises:
        BackendUnavailableError: if the store does not answer any request.
    """
    try:
        size = store.size(path)
        if size is None:
            return Finding("missing", subject)
        detail = ""
        if size != image.file.signature.size:
            detail = f"stored with {size:,} bytes, should be {image.file.signature.size:,}"
        elif deep:
            detail = _wrong_content(store, path, image.sha256)
    except ImageProblemError as error:
        detail = str(error)
    except BackendUnavailableError as error:
        store.blame_image(error)
        detail = f"cannot be read: {error}"
    return Finding("different", subject, detail) if detail else None


def _wrong_content(store: RetryingStore, path: str, sha256: str) -> str:
    """Describes the wrong content of a stored image; empty if the content is right."""
    found = ""
    for _ in range(2):  # a response may have been cut off
        found = store.sha256(path)
        if found == sha256:
            return ""
    return f"its content has the hash {found}"


def _identity(current: CurrentItems) -> CurrentItems:
    return current


def _detail(comparison: Comparison) -> str:
    return "; ".join(
        f"{column} is {_short(stored)}, should be {_short(wanted)}"
        for column, (stored, wanted) in comparison.differing.items()
    )


def _added_detail(table: Table, added: AddedRows) -> str:
    """Describes added rows: the first of them, and the number of the others."""
    row = ", ".join(
        f"{name} {_short(value)}" for name, value in added.first.items() if value is not None
    )
    more = f", and {added.number - 1:,} more" if added.number > 1 else ""
    return f"{table.qualified_name} has a row that is in no file ({row}){more}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
