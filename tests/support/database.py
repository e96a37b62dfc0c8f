"""Databases for tests: creates fresh ones, and runs queries."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterator
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.extensions import connection as Connection
from psycopg2.sql import SQL, Identifier

from imports.servers.embedded import create_database, database_url


@contextlib.contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection in autocommit mode."""
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        yield connection
    finally:
        connection.close()


_kept: dict[tuple[int, str], list[Connection]] = {}
"""The connections to shared databases that nobody uses now, of this process, by URL."""


@contextlib.contextmanager
def kept_connected(url: str) -> Iterator[None]:
    """Within it, what asks this database shares connections: a new one costs the server 5 ms."""
    connections = _kept[os.getpid(), url] = []
    try:
        yield
    finally:
        del _kept[os.getpid(), url]
        for connection in connections:
            connection.close()


@contextlib.contextmanager
def asking(url: str) -> Iterator[Connection]:
    """A connection in autocommit mode, maybe a kept one. Nothing of a session may be changed."""
    kept = _kept.get((os.getpid(), url))
    connection = _unused(kept or []) or psycopg2.connect(url)
    try:
        connection.autocommit = True
        yield connection
        if kept is not None and connection.info.transaction_status == TRANSACTION_STATUS_IDLE:
            kept.append(connection)
    finally:
        if kept is None or connection not in kept:
            connection.close()


def _unused(kept: list[Connection]) -> Connection | None:
    while kept:
        connection = kept.pop()
        # Unasked, a server says only that it has ended the connection.
        if not select.select([connection], [], [], 0)[0]:
            return connection
        connection.close()
    return None


def query(url: str, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Runs one statement; returns its rows, if any."""
    with asking(url) as connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return cursor.fetchall() if cursor.description else []


def copy_of(server_url: str, template: str, name: str) -> str:
    """The URL of a fresh copy of a template database, with an id of its own."""
    # On a server that syncs nothing, copying files is twice as fast as copying pages.
    statement = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    with connected(server_url) as connection, connection.cursor() as cursor:
        cursor.execute(statement.format(Identifier(name), Identifier(template)))
    url = database_url(server_url, name)
    query(url, "UPDATE public.import_target SET id = gen_random_uuid()")
    return url


def drop_database(server_url: str, name: str) -> None:
    with connected(server_url) as connection, connection.cursor() as cursor:
        cursor.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


__all__ = [
    "asking",
    "connected",
    "copy_of",
    "create_database",
    "database_url",
    "drop_database",
    "kept_connected",
    "query",
]
