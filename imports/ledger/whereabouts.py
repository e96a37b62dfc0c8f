"""Where the files of finished items are, and why."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from imports.ledger.acknowledged import Acknowledgement, acknowledgements
from imports.ledger.places import paths_in


@dataclass(frozen=True, slots=True)
class Disposal:
    """What a run did with a source file, at `disposed_at` in seconds since the epoch.

    `what` is `deleted`, `moved` (to `moved_to`), or `gone`: it had already been removed. `reason`
    says why it had failed; None if it was imported. `run_name` is None if the run is not known.
    """

    path: str
    what: str
    reason: str | None
    moved_to: str | None
    disposed_at: float
    run_name: str | None


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file in one scope: its work item, if it has one now, and its latest disposals.

    If the item failed, `phase` and `reason` say why, and `acknowledged` who acknowledged it.
    """

    kind: str
    source: str
    tag: str
    path: str
    state: str | None = None
    phase: str | None = None
    reason: str | None = None
    at_source: bool = False
    disposals: list[Disposal] = field(default_factory=list)
    acknowledged: Acknowledgement | None = None


def latest_disposals(
    connection: sqlite3.Connection, scope_id: int, limit: int, path: str | None = None
) -> list[Disposal]:
    """The latest disposals of a scope, or of one path in it, the latest first."""
    where = "" if path is None else " and path = :path"
    # Ordered by id, not by timestamp: a clock may be set back.
    rows = connection.execute(
        "select path, what, reason, moved_to, disposed_at, batch_id from disposal"
        f" where scope_id = :scope{where} order by id desc limit :limit",
        {"scope": scope_id, "path": path, "limit": limit},
    )
    return [Disposal(*row) for row in rows]


def count_disposals(connection: sqlite3.Connection, scope_id: int) -> tuple[int, int]:
    """The numbers of files of a scope that all runs have deleted, and moved."""
    # From the counts of the runs: there may be millions of disposals.
    row = connection.execute(
        "select coalesce(sum(iif(name = 'import.files_deleted', value, 0)), 0),"
        " coalesce(sum(iif(name = 'import.files_moved', value, 0)), 0) from run_count"
        " join run on run.batch_id = run_count.batch_id where scope_id = ?",
        (scope_id,),
    ).fetchone()
    return int(row[0]), int(row[1])


def known_files(
    connection: sqlite3.Connection, kind: str | None, tag: str | None, places: list[str], limit: int
) -> list[KnownFile]:
    """A file in the scopes of a kind and a tag (None for all).

    `places` are its possible names; see `paths_in`.
    """
    scopes = connection.execute(
        "select id, kind, source, tag from scope where (?1 is null or kind = ?1)"
        " and (?2 is null or tag = ?2) order by id desc",
        (kind, tag),
    ).fetchall()
    found = []
    for scope_id, *scope in scopes:
        own_kind, source, own_tag = scope
        for path in paths_in(source, places):
            item = connection.execute(
                "select state, phase, reason, disposed_at is null from item"
                " where scope_id = ? and path = ?",
                (scope_id, path),
            ).fetchone()
            disposals = latest_disposals(connection, scope_id, limit, path)
            acknowledged = acknowledgements(connection, scope_id, 1, path)[1]
            if item is not None or disposals:
                state, phase, reason, at_source = item or (None, None, None, False)
                found.append(
                    KnownFile(
                        own_kind,
                        source,
                        own_tag,
                        path,
                        state,
                        phase,
                        reason,
                        bool(at_source),
                        disposals,
                        acknowledged[0] if acknowledged else None,
                    )
                )
    return found
