"""Which rows of the target a file speaks for: the others are orphans."""

from __future__ import annotations

import json
from collections.abc import Iterable

from imports.ledger.scope import Scope


class SeenRows:
    """Rows of the target that were found to be as their files say, for one verification."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def begin(self) -> None:
        """Forgets which rows of the target were seen."""
        connection = self._scope.connection
        connection.execute("drop table if exists temp.seen_row")
        connection.execute("create temp table seen_row (mark text primary key) without rowid")

    def add(self, marks: Iterable[str]) -> None:
        """Notes rows of the target, by their marks, that a file speaks for."""
        with self._scope.file.transaction() as connection:
            connection.executemany(
                "insert or ignore into seen_row values (?)", [(each,) for each in marks]
            )

    def seen(self, marks: list[str]) -> set[str]:
        """Those of some rows that a file speaks for."""
        rows = self._scope.connection.execute(
            "select mark from seen_row where mark in (select value from json_each(?))",
            (json.dumps(marks),),
        )
        return {row[0] for row in rows}
