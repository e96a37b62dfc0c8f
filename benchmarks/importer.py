"""Running the importer as a user does, and measuring it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
from measurement import CommandFailedError, Measurement, measure
from workshop import Target, environment, query

from imports.kinds import kind_named

_STATE_FILE = "work_state.json"


def import_source(
    kind: str,
    source: Path,
    target: Target,
    folder: Path,
    *flags: str,
    rows: int | None = None,
    watched: bool = False,
) -> Measurement:
    """Imports a source from a working folder; afterwards the target must have `rows` rows.

    `parts` of the measurement has the seconds of each phase, from the work state.

    Raises:
        CommandFailedError: if it fails, or the target has another number of rows.
    """
    command = command_for(kind, source, folder, *flags)
    watch, close = row_watch(target.database_url, table_of(kind)) if watched else (None, _nothing)
    try:
        measurement, said = measure(command, folder, environment(target), watch)
    finally:
        close()
    if rows is not None:
        check_rows(target, table_of(kind), rows, said)
    return replace(measurement, parts=phase_seconds(folder))


def command_for(kind: str, source: Path, folder: Path, *flags: str) -> list[str]:
    """The command that imports a source, and keeps its files."""
    keep: Sequence[str] = ()
    if kind_named(kind).consumes_source:
        keep = ("--on-success", "keep", "--on-failure", "keep")
    state = str(folder / _STATE_FILE)
    return [
        *(sys.executable, "-m", "imports", kind, str(source), "--tag", "bench"),
        *("--state-file", state, *keep, *flags),
    ]


def phase_seconds(folder: Path) -> dict[str, float]:
    """The seconds of each phase of the last run."""
    state: dict[str, Any] = json.loads((folder / _STATE_FILE).read_text())
    return {name: float(phase["duration_seconds"]) for name, phase in state["phases"].items()}


def help_text(folder: Path) -> Measurement:
    """The importer's `--help`."""
    return measure([sys.executable, "-m", "imports", "--help"], folder, environment())[0]


def table_of(kind: str) -> str:
    """The table that has one row for each record of a kind."""
    return kind_named(kind).group.tables[0].qualified_name


def check_rows(target: Target, table: str, rows: int, said: str) -> None:
    """Checks the number of rows in a table.

    Raises:
        CommandFailedError: if it has not.
    """
    found = query(target.database_url, f"select count(*) from {table}")[0][0]
    if found != rows:
        raise CommandFailedError(f"{table} has {found} rows, not {rows}. It was said:\n{said}")


def row_watch(url: str, table: str) -> tuple[Callable[[], bool], Callable[[], None]]:
    """A function that says whether a table has a row, and one that closes its connection."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    cursor = connection.cursor()

    def found() -> bool:
        try:
            cursor.execute(f"select 1 from {table} limit 1")
        except psycopg2.errors.UndefinedTable:
            return False
        return cursor.fetchone() is not None

    def close() -> None:
        with closing(connection):
            cursor.close()

    return found, close


def _nothing() -> None:
    """Nothing needs to be closed."""
