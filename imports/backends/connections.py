"""The connections to one PostgreSQL, and transactions on them."""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import new_type, register_type

from imports.backends import sqlstate
from imports.backends.deadlines import Limits, Watch, WatchedConnection, WatchedCursor
from imports.errors import BackendError, BackendUnavailableError, ImporterError
from imports.servers.connecting import connect
from imports.servers.database_url import DatabaseURL
from imports.source.json_text import parse_answer

_log = logging.getLogger(__name__)

# The driver's own reader rounds numbers, and fails on integers of more than 4,300 digits.
_JSONB = new_type((3802,), "JSONB", lambda text, _: text and parse_answer(text))


class Connections:
    """A pool of connections, which are opened when needed. Thread-safe."""

    def __init__(self, url: DatabaseURL, limits: Limits) -> None:
        """Connects when the first transaction begins."""
        self._url = url
        self._begin = limits.begin()
        self._watch = Watch(limits.silence)
        self._idle: queue.LifoQueue[WatchedConnection] = queue.LifoQueue()
        _log_ignored(url)

    def close(self) -> None:
        """Closes all connections."""
        self._drop_idle()
        self._watch.close()

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A transaction on a connection of its own, which is reused if it ended cleanly.

        Raises:
            BackendUnavailableError, DataRefusedError, BackendError, SchemaError, UsageError: see
                Database; every error of psycopg2 becomes one of them.
        """
        connection = self._take()
        try:
            with connection.cursor(cursor_factory=WatchedCursor) as cursor:
                # The driver's own BEGIN would be another round trip.
                cursor.execute(self._begin)
                yield cursor
                _commit(cursor)
        except (psycopg2.Error, SystemError) as error:
            ours = self._translated(error, connection)
            if isinstance(ours, BackendUnavailableError):
                connection.close()
                # The idle connections are probably broken too; the retry needs a new one.
                self._drop_idle()
            else:
                self._roll_back(connection)
            raise ours from error
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)

    def _roll_back(self, connection: WatchedConnection) -> None:
        """Rolls back a failed transaction; closes the connection if that fails."""
        try:
            with connection.cursor(cursor_factory=WatchedCursor) as cursor:
                cursor.execute("ROLLBACK")
        except (psycopg2.Error, SystemError):
            connection.close()
        else:
            self._idle.put(connection)

    def _take(self) -> WatchedConnection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            pass
        connection = connect(self._url, WatchedConnection)
        connection.autocommit = True
        connection.watch = self._watch
        register_type(_JSONB, connection)
        return connection

    def _translated(
        self, error: psycopg2.Error | SystemError, connection: WatchedConnection
    ) -> ImporterError:
        if connection.silent:
            return BackendUnavailableError(
                f"{self._url.location} did not answer for {self._watch.seconds:g} s;"
                " the connection was closed."
            )
        return _translated(error)

    def _drop_idle(self) -> None:
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return


def _log_ignored(url: DatabaseURL) -> None:
    if url.left_out:
        names = ", ".join(url.left_out)
        _log.info("Parameters of DATABASE_URL for other programs are ignored: %s", names)
    if url.other_schemas:
        _log.warning(
            "DATABASE_URL names the schema %s, which is ignored. The importer's tables are in"
            " schemas of fixed names.",
            ", ".join(url.other_schemas),
        )


def _commit(cursor: Cursor) -> None:
    cursor.execute("COMMIT")
    # COMMIT rolls back a failed transaction without an error.
    if cursor.statusmessage != "COMMIT":
        raise BackendUnavailableError("The database did not commit the transaction.")


def _translated(error: psycopg2.Error | SystemError) -> ImporterError:
    if isinstance(error, SystemError):
        # psycopg2 raises a second error after its first if a connection breaks during COPY.
        if not isinstance(error.__cause__, psycopg2.Error):
            return BackendUnavailableError("The connection to the database broke during COPY.")
        error = error.__cause__
    message = _message(error)
    if error.pgcode:
        return sqlstate.error_for(error.pgcode, message)
    if isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
        return BackendUnavailableError(f"The connection to the database was lost: {message}.")
    if isinstance(error, psycopg2.DatabaseError):
        # libpq reports a server that died during COPY as a plain DatabaseError.
        return BackendUnavailableError(f"The database closed the connection: {message}.")
    return BackendError(f"The database driver failed: {message}.")


def _message(error: psycopg2.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
