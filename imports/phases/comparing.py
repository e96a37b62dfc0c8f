"""Comparing: records are read anew from their files and compared with what the target has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from imports.backends.database import (
    AddedRows,
    Comparison,
    Rows,
    TableComparison,
)
from imports.backends.halving import all_answers, in_parts
from imports.backends.reading import WrittenRow, written_rows
from imports.backends.target_config import TargetConfig, opened
from imports.errors import BackendUnavailableError, ImageProblemError
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
from imports.work_item import Image, PlacedImage, Prepared
from imports.workers.chained import FirstStep

if TYPE_CHECKING:
    from imports.backends.retrying import RetryingDatabase, RetryingStore

_WRONG = ("missing", "different", "undecided")

_EXEMPT = ("guarded", "left_out")

_REPAIRABLE = ("missing", "different", "added")
"""What importing again may put right."""


@dataclass(frozen=True, slots=True)
class VerifyTarget:
    """What is compared with, in which group of tables, with which values of the run."""

    config: TargetConfig
    group: TableGroup
    run: dict[str, Any]


@dataclass(slots=True)
class Compared:
    """What became of a batch: how many records it had, what is wrong, which rows it vouches for.

    These are the rows that have an id, by their marks. `exempt` are records that are not stored as
    their files say, and need not be: how many are guarded, and how many left out.
    """

    items: int
    records: int = 0
    exempt: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    row_marks: list[str] = field(default_factory=list)


def row_mark(table: Table, row_id: str) -> str:
    """What tells a row from all others: its table and its id in it."""
    return f"{table.label}/{row_id}"


def begin_batch(job: PrepareJob) -> FirstStep[CurrentItems, CurrentItems]:
    """The items of a batch must be read first, as their files are now."""
    return FirstStep(partial(prepare_current, job), _as_it_is)


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
    answer = _compare_rows(target, placed.rows, placed.families_placed())
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
    """What `compare` answers about all of the rows.

    `aggregates` are the places of those that must be compared together: table and number.
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
    """What was found that is not the same, and in what."""

    what: str
    detail: str = ""


def _found(
    group: TableGroup,
    answer: dict[int, TableComparison],
    added: Mapping[tuple[int, str], list[tuple[Table, AddedRows]]],
    aggregates: tuple[Placed | None, ...],
) -> _Found | None:
    """What is first found wrong in the rows of a record; those of others are not its own.

    If nothing is, why one of them is not as the record says, and need not be.
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
            # What it owns is not looked at: it is another row's, or nobody's.
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
    """The rows that were added to owned tables, by their owner: its table, and its id."""
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
    """What is wrong, by hash, in what `image_assets` has of stored images."""
    rows = image_rows(UploadTarget(target.config, target.run["batch_id"]), images)
    answer = _compare_rows(target, rows, [[(0, number)] for number in range(len(images))])[0]
    return {
        image.sha256: Finding(each.found, f"{IMAGE_ASSETS.label}/{image.sha256}", _detail(each))
        for image, each in zip(images, answer.rows, strict=True)
        if each.found in _WRONG
    }


def check_image(target: VerifyTarget, image: Image, *, deep: bool) -> Finding | None:
    """Whether an image is stored under its hash with its size, and with `deep` with its content.

    Raises:
        BackendUnavailableError: if the store does not answer to anything any more.
    """
    store = opened(target.config).store
    return _check_stored(store, image.storage_path, image, image.storage_path, deep=deep)


def check_placed(target: VerifyTarget, placed: PlacedImage, *, deep: bool) -> Finding | None:
    """The same of an image that has a place of its own."""
    image, place = placed
    store = opened(target.config).places.bucket(place.bucket)
    return _check_stored(store, place.path, image, str(place), deep=deep)


def _check_stored(
    store: RetryingStore, path: str, image: Image, subject: str, *, deep: bool
) -> Finding | None:
    """Whether an image is stored with its size, and with `deep` with its content.

    Raises:
        BackendUnavailableError: if the store does not answer to anything any more.
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
        detail = f"it cannot be read: {error}"
    return Finding("different", subject, detail) if detail else None


def _wrong_content(store: RetryingStore, path: str, sha256: str) -> str:
    """What is wrong with the content of a stored image; nothing if it is right."""
    found = ""
    for _ in range(2):  # an answer that was cut off is no content
        found = store.sha256(path)
        if found == sha256:
            return ""
    return f"its content has the hash {found}"


def _as_it_is(current: CurrentItems) -> CurrentItems:
    return current


def _detail(comparison: Comparison) -> str:
    return "; ".join(
        f"{column} is {_short(stored)}, should be {_short(wanted)}"
        for column, (stored, wanted) in comparison.differing.items()
    )


def _added_detail(table: Table, added: AddedRows) -> str:
    """Which rows were added: the first of them, and how many there are."""
    row = ", ".join(
        f"{name} {_short(value)}" for name, value in added.first.items() if value is not None
    )
    more = f", and {added.number - 1:,} more" if added.number > 1 else ""
    return f"{table.qualified_name} has a row that is in no file ({row}){more}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
