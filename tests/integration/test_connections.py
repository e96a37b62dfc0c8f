"""Connections to PostgreSQL: what they are told, and what becomes of dead ones."""

from __future__ import annotations

import pytest

from imports.backends.postgresql import PostgreSQLDatabase
from imports.retry import RetryPolicy, with_retries
from tests.support.bench import Bench
from tests.support.database import query


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
    query(
        database_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert with_retries(RetryPolicy(1), database.identify).id
    database.close()
