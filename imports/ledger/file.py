"""The SQLite file of the ledger: its tables and transactions."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from imports.errors import ImporterError, LedgerError, UsageError
from imports.files.file_error import about_file, of_the_machine
from imports.files.private_file import FILE, tighten
from imports.files.regular_file import open_new
from imports.ledger.cause import cause_of
from imports.ledger.schema import NEWEST, UNRELEASED, VERSIONS


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Opens a ledger read-only, without a lock.

    Yields None if the file does not exist, or is empty or of an older version.

    Raises:
        LedgerError: if it is not a ledger, has a version that cannot be used, or is unreadable.
    """
    if not path.exists() or not path.stat().st_size:
        yield None
        return
    try:
        connection = _open_to_read(path)
        with closing(connection):
            version = _version(connection)
            _check(path, connection, version)
            yield connection if version == NEWEST else None
    except sqlite3.Error as error:
        raise LedgerError(f"The ledger {path} cannot be read: {error}.") from error


def holds_nothing(path: Path) -> bool:
    """Whether there is no ledger, or only the beginning of one, from a killed run."""
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return True
    try:
        with closing(_open_to_read(path)) as connection:
            tables = connection.execute("select 1 from sqlite_master").fetchone()
            return not _version(connection) and tables is None
    except sqlite3.Error:
        return False


def _open_to_read(path: Path) -> sqlite3.Connection:
    place = quote(str(path.resolve()))
    connection = sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=60)
    try:
        _version(connection)
    except sqlite3.OperationalError:
        # The folder is read-only, so no other process writes the ledger either.
        connection.close()
        connection = sqlite3.connect(f"file:{place}?mode=ro&immutable=1", uri=True)
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])


def _check(path: Path, connection: sqlite3.Connection, version: int) -> None:
    """Raises LedgerError if the file is not a ledger, or this program cannot use it."""
    if version > NEWEST:
        raise LedgerError(
            f"The ledger {path} has version {version}, this program supports {NEWEST}."
            " Use a newer program, or move the file away."
        )
    if 0 < version <= UNRELEASED:
        raise LedgerError(
            f"The ledger {path} has version {version}, which was never released; this program"
            f" supports {NEWEST}. Move it away and run again: the importer finds what the target"
            " already has."
        )
    if not version and connection.execute("select 1 from sqlite_master").fetchone():
        raise LedgerError(
            f"{path} is a database of another program. Move it away, or name another file with"
            " --db-path."
        )


def check_place(path: Path) -> None:
    """Checks that a ledger can be at a path.

    Raises:
        UsageError: if it cannot.
        DiskError: if the disk cannot tell.
    """
    try:
        usable = path.parent.is_dir() and (path.is_file() or not path.exists())
    except OSError as error:
        what = f"The ledger {path} cannot be used"
        raise about_file(what, error, "Name another with --db-path.") from error
    if not usable:
        problem = "its folder does not exist"
        if path.exists():
            problem = "it is a folder" if path.is_dir() else "it is not a regular file"
        raise UsageError(
            f"The ledger {path} cannot be used: {problem}. Name another with --db-path."
        )


def _make_private(path: Path) -> None:
    """Creates the file, private to its owner; SQLite gives its other files the same mode."""
    try:
        os.close(open_new(str(path), FILE))
    except FileExistsError:
        for end in ("", "-wal", "-shm"):
            tighten(path.with_name(path.name + end))


def _unusable(path: Path, error: sqlite3.Error | OSError) -> ImporterError:
    what = f"The ledger {path} cannot be used"
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    known = of_the_machine(error, what) if isinstance(error, OSError) else None
    return known or LedgerError(
        f"{what}: {error}. If it is damaged, move it away and run again: the importer finds what"
        " the target already has."
    )


class LedgerFile:
    """One connection to the file, only for the coordinator's thread."""

    def __init__(self, path: Path, token: str | None = None) -> None:
        """Opens or creates the file; a new one gets the token, if any.

        Raises:
            LedgerError: if the file is not a ledger, or has another version.
            UsageError: if the path cannot be used.
            DiskError: if its disk is full or broken.
        """
        self.path = path
        check_place(path)
        try:
            _make_private(path)
            self.connection = sqlite3.connect(path, isolation_level=None, timeout=60)
            # Check before the first write.
            _check(path, self.connection, _version(self.connection))
            self.connection.execute("pragma journal_mode = wal")
            # In WAL mode NORMAL never corrupts; items that a power failure loses are imported
            # again.
            self.connection.execute("pragma synchronous = normal")
            self._make_tables(token)
        except (sqlite3.Error, OSError) as error:
            raise _unusable(path, error) from error

    def bring_to_disk(self) -> None:
        """From now on, commits also survive a power failure.

        Needed if files are deleted, since these cannot be imported again.
        """
        self.connection.execute("pragma synchronous = full")

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed at the end, rolled back after an exception."""
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
                f"The ledger {self.path} cannot be written: {error}. Nothing is lost: fix the cause"
                " (a full disk?), then the same command resumes the run."
            ) from error

    def _make_tables(self, token: str | None) -> None:
        self.connection.create_function("cause_of", 1, cause_of, deterministic=True)
        if _version(self.connection) == NEWEST:
            return
        with self.transaction() as connection:
            # Check again inside the transaction: no other process can write now.
            version = _version(connection)
            for script in VERSIONS[max(version - UNRELEASED, 0) :]:
                for statement in script.split(";\n"):
                    connection.execute(statement)
            if not version and token is not None:
                connection.execute("insert into origin values (?)", (token,))
            connection.execute(f"pragma user_version = {NEWEST}")
