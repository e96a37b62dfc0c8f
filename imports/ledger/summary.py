"""Summaries of the ledger's scopes, without a run: totals, batches, causes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from imports.items.records import RowOutcome
from imports.items.work_item import NOTHING_LACKING, Lacking
from imports.ledger.acknowledged import COUNTS, Acknowledgement, acknowledgements
from imports.ledger.exempt import count_exempt, exempt_records
from imports.ledger.lacking import count_lacking
from imports.ledger.whereabouts import Disposal, count_disposals, latest_disposals


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """A merged batch; times are seconds since the epoch. `reset_at`: its run was reset then."""

    name: str
    items: int
    failed: int
    started_at: float
    finished_at: float
    reset_at: float | None = None

    @property
    def seconds(self) -> float:
        """How long it took; 0 if the clock was set back meanwhile."""
        return max(self.finished_at - self.started_at, 0.0)


@dataclass(frozen=True, slots=True)
class CauseSummary:
    """A cause of failures: the number of items, and one of them with its reason."""

    cause: str
    items: int
    path: str
    phase: str
    reason: str
    tries: int


class Warned(NamedTuple):
    """A work item with its warnings."""

    kind: str
    source: str
    tag: str
    path: str
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class ScopeSummary:
    """A source in a target: its work items by state, the last batches, the causes of failures.

    `failed` does not include `acknowledged`; `acknowledgements` are the first of those.

    `gone` are imported items, and `moved` failed items, whose files are no longer in the source;
    `warned` have a warning, `lacking` are missing images; `left_out` are records without their
    parent in the target, `guarded` are records whose stored row is guarded. `files_deleted` and
    `files_moved` count the files of all runs, `disposals` are the latest ones.
    """

    kind: str
    source: str
    tag: str
    total: int
    pending: int
    failed: int
    batches: list[BatchSummary]
    causes: list[CauseSummary]
    gone: int = 0
    moved: int = 0
    warned: int = 0
    lacking: Lacking = NOTHING_LACKING
    left_out: int = 0
    guarded: int = 0
    files_deleted: int = 0
    files_moved: int = 0
    disposals: list[Disposal] = field(default_factory=list)
    acknowledged: int = 0
    acknowledgements: list[Acknowledgement] = field(default_factory=list)

    @property
    def succeeded(self) -> int:
        """The number of imported items."""
        return self.total - self.pending - self.failed - self.acknowledged


@dataclass(frozen=True, slots=True)
class KnownSource:
    """A source that was imported, and its items that a place may mean.

    `paths` are the paths of these items; `has_place` says whether one of them is exactly the place.
    """

    source: str
    tag: str
    paths: frozenset[str]
    has_place: bool


def sources_of(connection: sqlite3.Connection, kind: str, place: str) -> list[KnownSource]:
    """The sources of a kind that have items, the latest imported one first.

    Only items whose path is an end of `place` are searched: `c`, `b/c`, `a/b/c`.
    """
    parts = place.strip("/").split("/")
    ends = ["/".join(parts[-count:]) for count in range(1, len(parts) + 1)] + ["."]
    scopes = connection.execute(
        "select id, source, tag from scope where kind = ? and exists"
        " (select 1 from item where item.scope_id = scope.id) order by"
        " (select max(run.number) from run where run.scope_id = scope.id) desc, id desc",
        (kind,),
    ).fetchall()
    found = []
    for scope_id, source, tag in scopes:
        rows = connection.execute(
            "select path from item where scope_id = ? and path in (select value from json_each(?))",
            (scope_id, json.dumps(ends)),
        )
        paths = frozenset(row[0] for row in rows)
        own = {source if path == "." else f"{source.rstrip('/')}/{path}" for path in paths}
        found.append(KnownSource(source, tag, paths, place in own))
    return found


class ItemResult(NamedTuple):
    """A work item: its state, the reason if it failed, and the run that imported it last, if any.

    `mtime_ns` is that of its file as it was read.
    """

    path: str
    state: str
    reason: str | None
    run_name: str | None
    mtime_ns: int


def item_results(
    connection: sqlite3.Connection, kind: str, source: str, tag: str, target_id: str
) -> Iterator[ItemResult]:
    """The items of a source in a target, by path."""
    rows = connection.execute(
        "select path, state, reason, batch.batch_id, mtime_ns from item"
        " join scope on scope.id = item.scope_id left join batch on batch.id = imported_in"
        " where (kind, source, tag, target_id) = (?, ?, ?, ?) order by path",
        (kind, source, tag, target_id),
    )
    yield from map(ItemResult._make, rows)


def was_consumed(connection: sqlite3.Connection, kind: str, source: str) -> bool:
    """Whether any run of a source, with any tag and target, deletes its files."""
    row = connection.execute(
        "select exists (select 1 from run join scope on scope.id = scope_id"
        " where kind = ? and source = ? and deletes)",
        (kind, source),
    ).fetchone()
    return bool(row[0])


def summarise(
    connection: sqlite3.Connection, kind: str | None, tag: str | None, limit: int
) -> list[ScopeSummary]:
    """The scopes of a kind and a tag (None for all), with at most `limit` batches and causes.

    The scope with the latest run comes first; scopes without items are left out.
    """
    scopes = connection.execute(
        "select id, kind, source, tag from scope where (?1 is null or kind = ?1)"
        " and (?2 is null or tag = ?2) order by"
        " (select max(run.number) from run where run.scope_id = scope.id) desc, id desc",
        (kind, tag),
    ).fetchall()
    found = [_scope(connection, limit, *scope) for scope in scopes]
    return [each for each in found if each.total]


def warned_items(
    connection: sqlite3.Connection, kind: str | None, tag: str | None, limit: int | None
) -> Iterator[Warned]:
    """Yields items of a kind and a tag (None for all) with a warning, at most `limit`, by path.

    Then yields the items with exempt records, once for each record.
    """
    yield from islice(_warned(connection, kind, tag), limit)


_WHY = {
    RowOutcome.LEFT_OUT: "left out: the row that it refers to is not in the target",
    RowOutcome.GUARDED: "guarded: the stored row is never changed",
}


def _warned(connection: sqlite3.Connection, kind: str | None, tag: str | None) -> Iterator[Warned]:
    rows = connection.execute(
        "select kind, source, tag, path, warnings from scope cross join item indexed by item_warned"
        " on item.scope_id = scope.id and warnings is not null"
        " where (?1 is null or kind = ?1) and (?2 is null or tag = ?2) and state <> 'failed'"
        " order by scope.id, path",
        (kind, tag),
    )
    for of_kind, source, of_tag, path, text in rows:
        yield Warned(of_kind, source, of_tag, path, json.loads(text))
    for of_kind, source, of_tag, path, label, outcome in exempt_records(connection, kind, tag):
        text = f"record {label} is {_WHY[RowOutcome(outcome)]}"
        yield Warned(of_kind, source, of_tag, path, [text])


def _scope(
    connection: sqlite3.Connection, limit: int, scope_id: int, kind: str, source: str, tag: str
) -> ScopeSummary:
    def one(query: str) -> int:
        return int(connection.execute(query, (scope_id,)).fetchone()[0] or 0)

    def disposed(state: str) -> int:
        return one(
            "select count(*) from item where scope_id = ? and disposed_at is not null"
            f" and state = '{state}'"
        )

    failed = one("select count(*) from item where scope_id = ? and state = 'failed'")
    unfinished = one("select count(*) from item where scope_id = ? and state <> 'imported'")
    batches = connection.execute(
        "select printf('%s_%05d', batch.batch_id, batch.number), items, failed,"
        " batch.started_at, batch.finished_at, reset_at from batch left join run using (batch_id)"
        " where batch.scope_id = ? order by batch.id desc limit ?",
        (scope_id, limit),
    )
    causes = connection.execute(
        f"select cause, count(*) from item where scope_id = ? and state = 'failed' and {COUNTS}"
        " group by cause order by count(*) desc, cause limit ?",
        (scope_id, limit),
    ).fetchall()
    left_out, guarded = count_exempt(connection, scope_id)
    files_deleted, files_moved = count_disposals(connection, scope_id)
    acknowledged, first = acknowledgements(connection, scope_id, limit)
    return ScopeSummary(
        kind=kind,
        source=source,
        tag=tag,
        total=one("select count(*) from item where scope_id = ?"),
        pending=unfinished - failed,
        failed=failed - acknowledged,
        batches=[BatchSummary(*row) for row in batches],
        causes=[_cause(connection, scope_id, *row) for row in causes],
        gone=disposed("imported"),
        moved=disposed("failed"),
        warned=one(
            "select count(*) from item indexed by item_warned where scope_id = ?"
            " and warnings is not null and state <> 'failed'"
        ),
        lacking=count_lacking(connection, f"scope_id = {scope_id}"),
        left_out=left_out,
        guarded=guarded,
        files_deleted=files_deleted,
        files_moved=files_moved,
        disposals=latest_disposals(connection, scope_id, limit),
        acknowledged=acknowledged,
        acknowledgements=first,
    )


def _cause(connection: sqlite3.Connection, scope_id: int, cause: str, items: int) -> CauseSummary:
    path, phase, reason, tries = connection.execute(
        "select path, phase, reason, tries from item"
        f" where scope_id = ? and state = 'failed' and {COUNTS} and cause is ?"
        " order by id limit 1",
        (scope_id, cause),
    ).fetchone()
    return CauseSummary(cause, items, path, phase, reason, tries)
