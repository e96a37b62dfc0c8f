"""The rows of the target that belong to a file. All other rows are orphans."""

from __future__ import annotations

import json
from collections.abc import Iterable

from imports.ledger.scope import Scope


class SeenRows:
    """The rows of the target that one verification has found in files."""

    def __init__(self, scope: Scope) -> None:
        """Works on a scope of an open ledger."""
        self._scope = scope

    def begin(self) -> None:
        """Deletes the rows of an earlier verification."""
        connection = self._scope.connection
        connection.execute("drop table if exists temp.seen_row")
        connection.execute("create temp table seen_row (mark text primary key) without rowid")

    def add(self, marks: Iterable[str]) -> None:
        """Records rows, by their marks, that belong to a file."""
        with self._scope.file.transaction() as connection:
            connection.executemany(
                "insert or ignore into seen_row values (?)", [(each,) for each in marks]
            )

    def seen(self, marks: list[str]) -> set[str]:
        """The rows among `marks` that belong to a file."""
        rows = self._scope.connection.execute(
            "select mark from seen_row where mark in (select value from json_each(?))",
            (json.dumps(marks),),
        )
        return {row[0] for row in rows}
