"""Timeouts of statements: on the server, and on the client for a server that does not answer.

psycopg2 waits for an answer without a timeout. So a thread watches the connections of a database
object, and shuts down the socket of a connection whose statement is overdue; the driver then
raises an error. (psycopg2's own wait callback is global, and does not work with COPY.)
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor


@dataclass(frozen=True, slots=True)
class Limits:
    """Timeouts in seconds.

    A batch takes a tenth of a second. `statement` suffices for a very large batch over a slow
    connection; the server cancels longer statements, and the batch is halved. `idle` is how long
    an open transaction may wait for the client; if the client is gone, the server then releases
    its locks. `lock` is longer, so that a repeated batch can wait for that. `silence` is the
    timeout on the client, longer than all others: for a server that does not answer at all.
    """

    statement: float = 120.0
    lock: float = 30.0
    idle: float = 20.0
    silence: float = 150.0

    def begin(self) -> str:
        """The statement that begins a transaction with these limits, in one round trip.

        The limits end with the transaction, so a pooler may reuse its session. Stricter limits of
        the role, the database or the URL stay. The server also checks every ten seconds whether
        the client is connected: while it works (on Linux), and while it waits for the rest of a
        COPY.
        """
        wanted = {
            "statement_timeout": f"'{self.statement * 1000:.0f}ms'",
            "lock_timeout": f"'{self.lock * 1000:.0f}ms'",
            "idle_in_transaction_session_timeout": f"'{self.idle * 1000:.0f}ms'",
            "client_connection_check_interval": "case when version() like '%linux%'"
            " then '10s' else '0' end",
            "tcp_keepalives_idle": "'30'",
            "tcp_keepalives_interval": "'10'",
            "tcp_keepalives_count": "'3'",
        }
        rows = ", ".join(f"('{name}', {value})" for name, value in wanted.items())
        return (
            "BEGIN; select set_config(name, case when current_setting(name)::interval > '0'"
            " and current_setting(name)::interval < wanted::interval"
            " then current_setting(name) else wanted end, true)"
            f" from (values {rows}) as limits(name, wanted)"
        )


class Watch:
    """Watches connections, in a thread that the first statement starts."""

    def __init__(self, seconds: float) -> None:
        """`seconds` is how long a statement may wait for an answer."""
        self.seconds = seconds
        self._lock = threading.Lock()
        self._ends: dict[WatchedConnection, float] = {}
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @contextmanager
    def over(self, connection: WatchedConnection) -> Iterator[None]:
        """Watches one statement on a connection."""
        with self._lock:
            if self._thread is None:
                self._start()
            self._ends[connection] = time.monotonic() + self.seconds
        try:
            yield
        finally:
            # After this, its socket may be closed and another file may have its number.
            with self._lock:
                self._ends.pop(connection, None)

    def close(self) -> None:
        """Stops the thread. The next statement starts it again."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._closed.set()
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        closed = threading.Event()
        thread = threading.Thread(target=self._look, args=(closed,), name="deadlines", daemon=True)
        thread.start()
        self._thread, self._closed = thread, closed

    def _look(self, closed: threading.Event) -> None:
        while not closed.wait(min(1.0, self.seconds / 10)):
            now = time.monotonic()
            with self._lock:
                for connection in [each for each, end in self._ends.items() if end <= now]:
                    del self._ends[connection]
                    connection.silent = True
                    _shut_down(connection)


class WatchedConnection(Connection):
    """A connection whose statements have a deadline; `silent` if one of them exceeded it."""

    watch: Watch
    silent = False


class WatchedCursor(Cursor):
    """A cursor of a WatchedConnection."""

    connection: WatchedConnection

    def execute(self, query: Any, vars: Any = None) -> None:
        """Sends a statement and waits for its answer."""
        with self.connection.watch.over(self.connection):
            super().execute(query, vars)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        """Sends rows and waits for the answer."""
        with self.connection.watch.over(self.connection):
            super().copy_expert(sql, file, size)


def _shut_down(connection: Connection) -> None:
    """Shuts down the socket of a connection; this wakes the thread that waits for it."""
    with contextlib.suppress(OSError, psycopg2.Error):
        same = socket.socket(fileno=connection.fileno())
        try:
            same.shutdown(socket.SHUT_RDWR)
        finally:
            same.detach()
