"""The SQLite file under the ledger: its tables, and its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imports.errors import LedgerError
from imports.ledger.cause import cause_of
from imports.ledger.schema import VERSIONS


class LedgerFile:
    """One connection to the file, used by the coordinator's thread alone."""

    def __init__(self, path: Path) -> None:
        """Opens the file, making it where it is not there.

        Raises:
            LedgerError: if the file is not a ledger, or of another version.
        """
        self.path = path
        try:
            self.connection = sqlite3.connect(path, isolation_level=None, timeout=60)
            self._check()
            self.connection.execute("pragma journal_mode = wal")
            # In WAL mode NORMAL never corrupts; what a power failure undoes is imported again.
            self.connection.execute("pragma synchronous = normal")
            self._make_tables()
        except sqlite3.Error as error:
            raise LedgerError(
                f"The ledger {path} cannot be used: {error}. If it is damaged, move it away and"
                " run again: what the target already has is found there."
            ) from error

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed at the end, and undone when something is raised."""
        try:
            self.connection.execute("begin immediate")
            try:
                yield self.connection
            except BaseException:
                self.connection.rollback()
                raise
            self.connection.execute("commit")
        except sqlite3.Error as error:
            raise LedgerError(
                f"The ledger {self.path} cannot be written: {error}. Nothing is lost: mend the"
                " cause (a full disk?), and the same command resumes."
            ) from error

    def _check(self) -> None:
        """Refuses what is no ledger of ours, before anything is written to it."""
        version = self._version()
        if version > len(VERSIONS):
            raise LedgerError(
                f"The ledger {self.path} is of version {version}, this program knows"
                f" {len(VERSIONS)}. Use the program that made it, or move the file away."
            )
        if not version and self.connection.execute("select 1 from sqlite_master").fetchone():
            raise LedgerError(
                f"{self.path} is a database of another program. Move it away, or name another one"
                " with --db-path."
            )

    def _make_tables(self) -> None:
        self.connection.create_function("cause_of", 1, cause_of, deterministic=True)
        if self._version() == len(VERSIONS):
            return
        with self.transaction() as connection:
            # Once more, now that nobody else can be at it.
            version = self._version()
            for script in VERSIONS[version:]:
                for statement in script.split(";\n"):
                    connection.execute(statement)
            connection.execute(f"pragma user_version = {len(VERSIONS)}")

    def _version(self) -> int:
        return int(self.connection.execute("pragma user_version").fetchone()[0])
