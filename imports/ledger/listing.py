"""Compares a listing of the source with the items of the ledger."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter

from imports.items.phase import Phase
from imports.ledger.acknowledged import COUNTS, FORGOTTEN
from imports.ledger.recount import COUNTED, uncount
from imports.ledger.scope import NOTHING_DONE, Scope
from imports.source.tree import ListedEntry, ListingProblem

_CHUNK = 5_000
_PATH = itemgetter(0)
_MIN_FOLDER_ITEMS = 16
"""Fewer items in a folder do not get a query of their own."""

_Row = tuple[str, int, int, int, str, str | None]
"""An entry of a listing: path, signature, and the problem with it."""

_CHANGED = (
    "(item.size, item.mtime_ns, item.digest) <> (excluded.size, excluded.mtime_ns, excluded.digest)"
)


@dataclass(frozen=True, slots=True)
class Listing:
    """The result of a listing: the number of all items, and of items by their comparison.

    `changed` includes unfinished items of earlier runs and retried ones; `unchanged` are
    imported; `given_up` have failed too often; `problems` cannot be listed; `acknowledged` are
    neither retried nor in `given_up` or `problems`.
    """

    total: int
    new: int
    changed: int
    unchanged: int
    given_up: int
    problems: int
    acknowledged: int = 0


class ListingLedger:
    """Records listings of one scope's source."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def record(
        self,
        entries: Iterable[ListedEntry],
        *,
        whole: bool,
        again: bool = False,
        most_tries: int | None = None,
        resumed: bool = False,
    ) -> Listing:
        """Records a listing of the source, which may have any length and any order.

        New and changed items become `listed`; so do failed ones that fewer than `most_tries` runs
        have tried (None for any number), except acknowledged ones, and those of which this run has
        imported some records; with `again`, all items. Items that are not in a `whole` listing are
        deleted from the ledger, unless a part of the source could not be listed; disposed items
        stay.

        If the run is `resumed`, `again` does not include items that it has planned or imported
        itself, and its counts of items that become `listed` are subtracted.
        """
        least = -1 if most_tries is None else max(1, most_tries)
        with (
            self._temporary_listing(entries, skip_unchanged=not again),
            self._scope.file.transaction() as connection,
        ):
            own = self._own if resumed else "false"
            fresh, listing, problems = self._compare_listing(own, again=again, most_tries=least)
            known = listing.total - listing.new
            if whole and listing.total and not problems and self._present() > known:
                self._forget_gone(connection)
            values = {
                "scope": self._scope.id,
                "now": time.time(),
                "again": again,
                "most_tries": least,
                "batch_id": self._scope.run_name,
            }
            to_do = (
                f"({_CHANGED} or :again and not {own} or item.disposed_at is not null"
                " or item.state = 'failed' and (:most_tries < 0"
                f" or item.tries < :most_tries and {COUNTS})"
                # A resumed run has already counted their imported records.
                " and not (item.failed_in is :batch_id and item.succeeded > 0))"
            )
            if resumed:
                ids = (
                    f"select item.id from {fresh} as excluded join item"
                    " on item.scope_id = :scope and item.path = excluded.path"
                    f" where {COUNTED} and {to_do}"
                )
                uncount(connection, self._scope, ids, values)
            connection.execute(
                "insert into item (scope_id, path, size, mtime_ns, file_count, digest, state,"
                " created_at, updated_at)"
                " select :scope, path, size, mtime_ns, file_count, digest, 'listed', :now, :now"
                f" from {fresh} where true order by path"
                " on conflict (scope_id, path) do update set size = excluded.size,"
                " mtime_ns = excluded.mtime_ns, file_count = excluded.file_count,"
                " digest = excluded.digest, state = 'listed', phase = null, reason = null,"
                " cause = null, updated_at = excluded.updated_at, disposed_at = null,"
                f" moved_to = null, {NOTHING_DONE}, {FORGOTTEN},"
                f" tries = iif({_CHANGED}, 0, item.tries),"
                f" failed_in = iif({_CHANGED}, null, item.failed_in)"
                f" where {to_do}",
                values,
            )
            self._scope.forget_records(connection)
            if problems:
                unlisted = connection.execute(
                    "select item.id, problem from listing join item"
                    " on item.scope_id = ? and item.path = listing.path"
                    " where problem is not null and state = 'listed'",
                    (self._scope.id,),
                ).fetchall()
                self._scope.fail(connection, Phase.PLANNING, unlisted)
        return listing

    @contextmanager
    def _temporary_listing(
        self, entries: Iterable[ListedEntry], *, skip_unchanged: bool
    ) -> Iterator[None]:
        """Creates the table `listing`, ordered by path.

        With `skip_unchanged`, folders whose items are all imported and unchanged are not in it, but
        in the table `unchanged`: their first path, last path and number of items.
        """
        connection = self._scope.connection
        for name in ("listing", "unchanged"):
            connection.execute(f"drop table if exists temp.{name}")
        connection.execute(
            "create temp table unchanged (first text primary key, last text, items integer)"
            " without rowid"
        )
        skip_unchanged = skip_unchanged and not self.none_known()
        connection.execute(
            "create temp table listing (path text primary key, size integer, mtime_ns integer,"
            " file_count integer, digest text, problem text) without rowid"
        )
        rows = map(_listing_row, entries)
        while chunk := sorted(islice(rows, _CHUNK), key=_PATH):
            # Deferred: locks only the temporary tables, since the next entries may take long.
            connection.execute("begin deferred")
            try:
                if skip_unchanged:
                    chunk = self._changed(chunk)
                connection.executemany(
                    "insert into listing values (?, ?, ?, ?, ?, ?)"
                    # An item wins against a problem of the same path, which may be another path as
                    # printed.
                    " on conflict (path) do update"
                    " set (size, mtime_ns, file_count, digest, problem)"
                    " = (excluded.size, excluded.mtime_ns, excluded.file_count, excluded.digest,"
                    " excluded.problem) where excluded.problem is null",
                    chunk,
                )
            finally:
                connection.execute("commit")
        yield
        for name in ("listing", "unchanged", "fresh"):
            connection.execute(f"drop table if exists temp.{name}")

    def _changed(self, rows: list[_Row]) -> list[_Row]:
        """The rows of a listing, in order, without folders whose items are all unchanged."""
        connection = self._scope.connection
        left = []
        for _, group in groupby(rows, _folder):
            folder_rows = list(group)
            first, last, count = folder_rows[0][0], folder_rows[-1][0], len(folder_rows)
            if count >= _MIN_FOLDER_ITEMS:
                known = connection.execute(
                    "select path, size, mtime_ns, file_count, digest,"
                    " iif(state = 'imported' and disposed_at is null, null, state) from item"
                    " where scope_id = ? and path between ? and ? order by path limit ?",
                    (self._scope.id, first, last, count + 1),
                ).fetchall()
                if known == folder_rows:
                    connection.execute(
                        "insert or ignore into unchanged values (?, ?, ?)", (first, last, count)
                    )
                    continue
            left += folder_rows
        return left

    def _forget_gone(self, connection: sqlite3.Connection) -> None:
        gone = (
            "item where scope_id = ? and disposed_at is null"
            " and path not in (select path from listing)"
            " and path > coalesce((select last from unchanged where first <= item.path"
            " order by first desc limit 1), '')"
        )
        for table in ("item_image", "failure", "record_failure", "record_exempt"):
            connection.execute(
                f"delete from {table} where item_id in (select id from {gone})", (self._scope.id,)
            )
        connection.execute(f"delete from {gone}", (self._scope.id,))

    def _present(self) -> int:
        """The number of items at the source so far; these counts only need indexes."""
        row = self._scope.connection.execute(
            "select (select count(*) from item where scope_id = ?1)"
            " - (select count(*) from item where scope_id = ?1 and disposed_at is not null)",
            (self._scope.id,),
        ).fetchone()
        return int(row[0])

    def none_known(self) -> bool:
        """Whether this source was never listed before."""
        row = self._scope.connection.execute(
            "select exists (select 1 from item where scope_id = ?)", (self._scope.id,)
        ).fetchone()
        return not row[0]

    @property
    def _own(self) -> str:
        """The SQL condition for items that this run has planned or imported."""
        return f"({COUNTED} or item.state = 'imported' and {self._scope.by_this_run})"

    def _compare_listing(
        self, own: str, *, again: bool, most_tries: int
    ) -> tuple[str, Listing, int]:
        """The table of new and changed items, the listing's result, and the number of problems.

        Unchanged items that are imported, acknowledged or given up are not in the table. The number
        includes the problems of acknowledged items.
        """
        connection = self._scope.connection
        total, problems = connection.execute(
            "select count(*), count(problem) from listing"
        ).fetchone()
        (unchanged,) = connection.execute(
            "select coalesce(sum(items), 0) from unchanged"
        ).fetchone()
        if self.none_known():
            return "listing", Listing(total, total, 0, 0, 0, problems), problems
        joined = (
            "listing left join item on item.scope_id = :scope and item.path = listing.path"
            " and item.disposed_at is null"
        )
        same = (
            "(item.size, item.mtime_ns, item.digest)"
            " = (listing.size, listing.mtime_ns, listing.digest)"
        )
        imported = f"item.state = 'imported' and {same} and not (:again and not {own})"
        given_up = (
            f"item.state = 'failed' and {same} and not (:again and not {own})"
            f" and :most_tries >= 0 and (item.tries >= :most_tries or not {COUNTS})"
        )
        values = {
            "scope": self._scope.id,
            "most_tries": most_tries,
            "again": again,
            "batch_id": self._scope.run_name,
        }
        connection.execute("drop table if exists temp.fresh")
        connection.execute(
            f"create temp table fresh as select listing.*, item.id as known from {joined}"
            f" where ({imported}) is not true and ({given_up}) is not true",
            values,
        )
        left, changed = connection.execute("select count(*), count(known) from fresh").fetchone()
        not_retried = acknowledged = unlisted = 0
        if most_tries >= 0 and left < total:
            not_retried, acknowledged, unlisted = connection.execute(
                f"select count(*), count(acknowledged_at), count(iif({COUNTS}, null, problem))"
                " from item indexed by item_failed join listing"
                f" on listing.path = item.path where item.scope_id = :scope and {given_up}"
                " and item.disposed_at is null",
                values,
            ).fetchone()
        listing = Listing(
            unchanged + total,
            left - changed,
            changed,
            unchanged + total - left - not_retried,
            not_retried - acknowledged,
            problems - unlisted,
            acknowledged,
        )
        return "fresh", listing, problems


def _folder(row: _Row) -> str:
    return row[0].rpartition("/")[0]


def _listing_row(entry: ListedEntry) -> _Row:
    if isinstance(entry, ListingProblem):
        return entry.path, -1, -1, 0, "", entry.reason
    return entry.path, *entry.signature, None
