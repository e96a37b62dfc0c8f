"""Connections to PostgreSQL: what they are told, and what becomes of those that break or hang."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from uuid import uuid4

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor

from imports.backends.database import Rows
from imports.backends.deadlines import Limits
from imports.backends.postgresql import PostgreSQLDatabase
from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingDatabase
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    StatementCancelledError,
    UsageError,
)
from imports.kinds.states import STATES
from imports.servers.database_url import understood
from imports.servers.embedded import EmbeddedServer
from tests.integration.conftest import Waits
from tests.support.bench import Bench, one_backend
from tests.support.database import connected, query
from tests.support.proxy import COMMIT, MERGE_STATES, database_proxy

LIMITS = Limits()
OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Callable[[Limits], None]:
    """Gives runs other limits than they have."""

    def limit(limits: Limits) -> None:
        database = partial(PostgreSQLDatabase, limits=limits)
        monkeypatch.setattr("imports.backends.target_config.PostgreSQLDatabase", database)

    return limit


def test_text_is_utf8_whatever_the_environment_says(
    postgresql_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = postgresql_bench
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    bench.source.add("FL/one", name="Café Süd")
    assert bench.run().exit_code == 0
    assert bench.rows("search_name, meta->>'pharmacy_name'") == [("Café Süd", "Café Süd")]


def test_one_try_more_is_enough_when_all_idle_connections_are_dead(
    database_url: str, waits: list[float]
) -> None:
    database = PostgreSQLDatabase(database_url)
    taken = [database._connections._take() for _ in range(4)]
    for connection in taken:
        database._connections._idle.put(connection)
    query(database_url, OTHERS)
    assert RetryingDatabase(database, RetryPolicy(1)).identify().id
    database.close()


def work(database: PostgreSQLDatabase, does: Callable[[Cursor], object]) -> None:
    """Does something in a transaction of its own."""
    with database._connections.transaction() as cursor:
        does(cursor)


# Connecting


@pytest.mark.parametrize(
    ("parameters", "expected", "word"),
    [
        ("sslmode=require", BackendError, "does not support SSL"),
        ("sslmode=verify-full", BackendError, "does not support SSL"),
        ("channel_binding=require", BackendError, "channel_binding"),
        ("options=--nothing", BackendError, "PGOPTIONS"),
        ("options=-c%20nothing=1", BackendError, "PGOPTIONS"),
        ("sslmode=required", UsageError, "sslmode"),
        ("gssencmode=require", UsageError, "GSSAPI"),
        ("service=nowhere", UsageError, "nowhere"),
        ("connect_timeout=soon", UsageError, "connect_timeout"),
        ("target_session_attrs=primry", UsageError, "primry"),
        ("nothing=1", UsageError, "nothing"),
    ],
)
@one_backend
def test_a_connection_that_can_never_succeed_ends_a_run_at_once(
    bench: Bench, waits: Waits, parameters: str, expected: type[Exception], word: str
) -> None:
    bench.proxied()
    bench.source.add_many(1)
    through = bench.settings().database_url
    assert through is not None
    url = f"{through.get_secret_value().replace('@', ':pa55w0rd@')}?{parameters}"
    with pytest.raises(expected) as caught:
        bench.run(database_url=url)
    assert caught.value.exit_code == (1 if expected is BackendError else 2)  # type: ignore[attr-defined]
    assert word in str(caught.value)
    assert "DATABASE_URL" in str(caught.value)
    assert "pa55w0rd" not in str(caught.value)
    assert waits == []


def test_a_service_of_the_environment_that_is_nowhere(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = PostgreSQLDatabase(database_url)
    with monkeypatch.context() as patch:
        patch.setenv("PGSERVICE", "nowhere")
        with pytest.raises(UsageError, match="nowhere"):
            database.identify()


def test_what_other_programs_put_into_a_url_does_no_harm(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    proxy, url = database_proxy(database_url)
    host = f"127.0.0.1:{proxy.port}"
    proxy_of_none, none = database_proxy(database_url)
    proxy_of_none.close()
    dead = none.split("@")[1].split("/")[0]
    for other in (
        f"{url}?pgbouncer=true&connection_limit=1",
        f"{url}?supa=base-pooler.x&sslmode=prefer",
        f"{url}?schema=public",
        url.replace("postgresql:", "postgresql+psycopg2:"),
        url.replace(host, f"{dead},{host}"),
        f"{url}?schema=app",
    ):
        assert "schema" not in caplog.text
        database = PostgreSQLDatabase(other)
        assert database.identify().id
        database.close()
    assert "the schema app, which is ignored." in caplog.text
    proxy.close()


def test_the_url_goes_before_our_own_parameters(database_url: str) -> None:
    url = f"{database_url}&application_name=nightly&tcp_user_timeout=1000"
    database = PostgreSQLDatabase(url)
    with database._connections.transaction() as cursor:
        cursor.execute("select application_name from pg_stat_activity where pid=pg_backend_pid()")
        assert cursor.fetchone() == ("nightly",)
        parameters = cursor.connection.info.dsn_parameters
    assert (parameters["tcp_user_timeout"], parameters["keepalives_idle"]) == ("1000", "30")
    database.close()


# Limits


def test_limits_are_those_of_a_transaction_and_stricter_ones_stay(database_url: str) -> None:
    show = (
        "select name, setting from pg_settings where name in ('statement_timeout', 'lock_timeout',"
        " 'idle_in_transaction_session_timeout', 'client_connection_check_interval') order by name"
    )
    database = PostgreSQLDatabase(f"{database_url}&options=-c%20statement_timeout%3D7s")
    with database._connections.transaction() as cursor:
        connection = cursor.connection
        cursor.execute(show)
        assert dict(cursor.fetchall()) == {
            "client_connection_check_interval": "10000",
            "idle_in_transaction_session_timeout": "20000",
            "lock_timeout": "30000",
            "statement_timeout": "7000",
        }
    with connection.cursor() as cursor:
        cursor.execute("show lock_timeout")
        assert cursor.fetchone() == ("0",)
    database.close()


def test_a_statement_that_takes_too_long_is_cancelled_by_the_server(database_url: str) -> None:
    database = PostgreSQLDatabase(database_url, replace(LIMITS, statement=0.05))
    with pytest.raises(StatementCancelledError):
        work(database, lambda cursor: cursor.execute("select pg_sleep(10)"))
    assert database.identify().id
    database.close()


def test_a_small_question_that_takes_too_long_may_pass(database_url: str) -> None:
    """Nothing of it can be halved."""
    database = PostgreSQLDatabase(database_url, replace(LIMITS, statement=0.05))
    with psycopg2.connect(database_url) as other, other.cursor() as cursor:
        cursor.execute("lock table import_target, datasets, import_merges")
        for question in (
            database.identify,
            lambda: database.dataset_id("states", "t", None, None),
            lambda: database.forget_merges("x"),
        ):
            with pytest.raises(BackendUnavailableError, match="57014"):
                question()
    other.close()
    assert database.identify().id
    database.close()


def test_a_server_that_says_nothing_is_given_up(
    postgresql_bench: Bench, waits: Waits, limited: Callable[[Limits], None]
) -> None:
    bench = postgresql_bench
    limited(replace(LIMITS, silence=0.2))
    bench.source.add_many(20)
    proxy = bench.proxied()
    faults = [
        proxy.add(*needles, action="hang")
        for needles in ((MERGE_STATES,), (b"COMMIT",), (b"select id::text",))
    ]
    report = bench.run(batch_size=10, max_retries=20)
    assert [fault.happened for fault in faults] == [1, 1, 1]
    assert len(waits) >= 3
    assert (report.exit_code, report.count("import.inserted"), bench.count()) == (0, 20, 20)


def test_who_gave_no_answer_is_told(database_url: str) -> None:
    proxy, url = database_proxy(database_url)
    proxy.add(b"select id::text", action="hang")
    database = PostgreSQLDatabase(url, replace(LIMITS, silence=0.2))
    with pytest.raises(BackendUnavailableError, match=r"127\.0\.0\.1.* did not answer for 0\.2 s"):
        database.identify()
    assert database.identify().id
    database.close()
    proxy.close()


def test_the_server_ends_a_transaction_whose_client_is_gone(
    postgresql_bench: Bench, waits: Waits, limited: Callable[[Limits], None]
) -> None:
    """The repeated batch waits for that, and for no longer."""
    bench = postgresql_bench
    limited(replace(LIMITS, idle=0.3))
    bench.source.add_many(20)
    fault = bench.proxied().add(MERGE_STATES, COMMIT, action="forget")
    report = bench.run(batch_size=10)
    assert (fault.happened, waits) == (1, [1])
    assert (report.exit_code, report.count("import.inserted"), bench.count()) == (0, 20, 20)


def test_what_a_repeated_batch_waits_for_is_told(database_url: str) -> None:
    database = PostgreSQLDatabase(database_url, replace(LIMITS, lock=0.05))
    request = uuid4()
    with connected(database_url) as first, first.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (str(request),))
        with pytest.raises(BackendUnavailableError, match="earlier transaction") as caught:
            database.merge(request, Rows(STATES.group, {}))
    assert not caught.value.divisible
    database.close()


def test_a_lock_of_somebody_else_is_waited_for_and_told(
    postgresql_bench: Bench, waits: Waits, limited: Callable[[Limits], None]
) -> None:
    bench = postgresql_bench
    limited(replace(LIMITS, lock=0.05))
    bench.source.add_many(5)
    with psycopg2.connect(bench.url) as other, other.cursor() as cursor:
        cursor.execute("lock table search_results")
        report = bench.run(max_retries=2)
        assert (report.exit_code, waits) == (75, [1, 2])
        waits.then = lambda number: other.rollback() if number == 4 else None
        assert bench.run(max_retries=2).exit_code == 0
    other.close()
    assert bench.count() == 5


# Breaking


def test_a_server_that_ends_in_the_middle_of_copy_is_away(database_url: str) -> None:
    class Lines(io.BytesIO):
        """Ends the connection that it is read for."""

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() == 0:
                query(database_url, OTHERS)
            return super().read(size)

    database = PostgreSQLDatabase(database_url)
    statements = "create temporary table broken (line text); copy broken from stdin"
    for count in (1, 10_000, 1_000_000):
        lines = Lines(b"line\n" * count)
        with pytest.raises(BackendUnavailableError):
            work(database, lambda cursor, lines=lines: cursor.copy_expert(statements, lines))
    assert database.identify().id
    database.close()


def test_an_error_over_that_of_a_broken_copy_tells_the_first(database_url: str) -> None:
    def fail(cursor: Cursor) -> None:
        try:
            cursor.execute("select 1 / 0")
        except psycopg2.Error as first:
            raise SystemError("returned a result with an exception set") from first

    database = PostgreSQLDatabase(database_url)
    with pytest.raises(DataRefusedError, match="division by zero"):
        work(database, fail)
    database.close()


def test_a_connection_whose_transaction_did_not_end_is_not_used_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ROLLBACK can be cancelled for its time, too: what comes after it would fail."""
    execute = Cursor.execute
    used = []

    def cancelled(cursor: Cursor, query: str, vars: object = None) -> None:
        used.append(cursor.connection)
        if query == "ROLLBACK":
            raise psycopg2.errors.QueryCanceled
        execute(cursor, query, vars)  # type: ignore[arg-type]

    monkeypatch.setattr("imports.backends.deadlines.WatchedCursor.execute", cancelled)
    database = PostgreSQLDatabase(database_url, replace(LIMITS, statement=0.001))
    with pytest.raises(StatementCancelledError):
        work(database, lambda cursor: cursor.execute("select pg_sleep(10)"))
    assert used[0].closed
    database.close()


def test_a_commit_that_rolls_back_is_no_success(database_url: str) -> None:
    def fail(cursor: Cursor) -> None:
        with contextlib.suppress(psycopg2.Error):
            cursor.execute("select 1 / 0")

    database = PostgreSQLDatabase(database_url)
    with pytest.raises(BackendUnavailableError, match="did not commit"):
        work(database, fail)
    database.close()


# Read-only


def test_a_target_that_nobody_can_write_to_is_away(
    postgresql_bench: Bench, embedded_server: EmbeddedServer, waits: Waits
) -> None:
    bench = postgresql_bench
    name = understood(bench.url).parts()["dbname"]
    bench.source.add_many(2)
    query(bench.url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    report = bench.run(max_retries=1)
    assert (report.exit_code, waits) == (75, [1])
    assert "disk is full" in " ".join(report.next_commands)
    undo = f"ALTER DATABASE {name} RESET ALL"
    waits.then = lambda number: query(embedded_server.url, undo) if number == 2 else None
    assert bench.run(max_retries=1).exit_code == 0
    assert bench.count() == 2
