"""Databases for tests: creates fresh ones, and runs queries."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2
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


def query(url: str, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Runs one statement; returns its rows, if any."""
    with connected(url) as connection, connection.cursor() as cursor:
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


__all__ = ["connected", "copy_of", "create_database", "database_url", "drop_database", "query"]
