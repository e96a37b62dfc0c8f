"""The progress log of a run, from the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from imports.files.whole_file import remove_drafts
from imports.items.source import Source
from imports.items.work_item import ItemState
from imports.kinds.kind import Kind
from imports.ledger import ItemProgress, Scope, item_progress
from imports.run.consuming.progress_csv import ProgressCsv, ProgressRow, ProgressStatus
from imports.settings import PROGRESS_CSV, Settings

_STATUS = {
    ItemState.PLANNED: ProgressStatus.IN_PROGRESS,
    ItemState.IMPORTED: ProgressStatus.COMPLETED,
    ItemState.FAILED: ProgressStatus.FAILED,
}


def progress_log(
    settings: Settings, kind: Kind, scope: Scope, source: Source
) -> ProgressCsv | None:
    """The progress log of a run: the named one, or the default one of a whole consumed source.

    Otherwise None.
    """
    path = settings.progress_csv
    if path is None and kind.consumes_source and scope.only is None:
        path = settings.project / PROGRESS_CSV
    if path is None or settings.no_progress_csv or settings.scan_only:
        return None
    remove_drafts(path)
    return ProgressCsv(path, partial(_rows, scope, source))


def _rows(scope: Scope, source: Source) -> Iterator[ProgressRow]:
    for item in item_progress(scope):
        yield _row(item, source)


def _row(item: ItemProgress, source: Source) -> ProgressRow:
    ended_at = None if item.state is ItemState.PLANNED else item.ended_at
    seconds = None
    if ended_at is not None and item.began_at is not None:
        seconds = round(max(ended_at - item.began_at, 0.0), 3)
    total = item.records
    if total is None and ended_at is not None:
        total = item.succeeded + item.refused
    return ProgressRow(
        source.absolute(item.path),
        total,
        item.succeeded,
        item.refused,
        seconds,
        ProgressStatus.ACKNOWLEDGED if item.acknowledged else _STATUS[item.state],
        _timestamp(item.began_at),
        _timestamp(ended_at),
    )


def _timestamp(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
