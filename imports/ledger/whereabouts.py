"""What the ledger has to tell about files that are done with: where they are, and why."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from imports.ledger.acknowledged import Acknowledgement, acknowledgements
from imports.ledger.places import paths_in


@dataclass(frozen=True, slots=True)
class Disposal:
    """What a run did with a source file, at `disposed_at` in seconds since the epoch.

    `what` is `deleted`, `moved` (to `moved_to`), or `gone`: it was no longer there. `reason` says
    why it had failed, None if it was imported. `batch_id` is the run's, None where an earlier
    version of the ledger did not keep it.
    """

    path: str
    what: str
    reason: str | None
    moved_to: str | None
    disposed_at: float
    run_name: str | None


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file as one scope knows it: its work item, if it has one now, and its latest disposals.

    Of the item there are its state, the phase and the reason if it failed, and who acknowledged
    that.
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
    """The latest disposals of a scope, the last one first; only of a path, where one is named."""
    where = "" if path is None else " and path = :path"
    # In the order of their ids, not of their timestamps: a clock may be set back.
    rows = connection.execute(
        "select path, what, reason, moved_to, disposed_at, batch_id from disposal"
        f" where scope_id = :scope{where} order by id desc limit :limit",
        {"scope": scope_id, "path": path, "limit": limit},
    )
    return [Disposal(*row) for row in rows]


def count_disposals(connection: sqlite3.Connection, scope_id: int) -> tuple[int, int]:
    """How many files of a scope all runs have deleted, and moved."""
    # Counted by the runs: there may be millions of disposals.
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
    """What the scopes of a kind and a tag (None for all) know of a file.

    `places` are what it may be called; see `paths_in`.
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
