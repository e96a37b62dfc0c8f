"""The work state of each scope's last run, kept in the ledger: other work takes the file over."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import msgspec
import orjson

from imports.errors import LedgerError
from imports.ledger.file import LedgerFile, reading
from imports.ledger.work_state import WorkState, as_json, from_json


@dataclass(frozen=True, slots=True)
class KeptState:
    """A work state, without the lists of its items, and the file that its run wrote it to."""

    state: WorkState
    state_file: Path


def keep_state(file: LedgerFile, scope_id: int, state: WorkState) -> None:
    """Keeps the state of the last run over a source, or over one item of it.

    Of the runs over one item those that are finished are forgotten when another one is kept.
    """
    # What items there are and what failed, the ledger knows anyway.
    plain = as_json(state) | {"work_items": [], "failed_items": []}
    single = state.single_file or ""
    with file.transaction() as connection:
        connection.execute(
            "insert or replace into work_state values (?, ?, ?, ?, ?)",
            (scope_id, single, state.run_name, state.unfinished, orjson.dumps(plain).decode()),
        )
        if single:
            connection.execute(
                "delete from work_state where scope_id = ? and single_file not in ('', ?)"
                " and not unfinished",
                (scope_id, single),
            )


def forget_state(file: LedgerFile, state: WorkState) -> None:
    """Gives a run up: nobody goes on with it."""
    with file.transaction() as connection:
        connection.execute("delete from work_state where batch_id = ?", (state.run_name,))


def kept_states(
    connection: sqlite3.Connection, kind: str | None = None, tag: str | None = None
) -> list[KeptState]:
    """The states of a kind and a tag (None for all), that of the latest run first.

    Raises:
        LedgerError: if one has another form than a run gives it.
    """
    rows = connection.execute(
        "select state, state_file from work_state join scope on scope.id = work_state.scope_id"
        " join run on run.batch_id = work_state.batch_id"
        " where (?1 is null or kind = ?1) and (?2 is null or tag = ?2) order by number desc",
        (kind, tag),
    )
    return [KeptState(_read(text), Path(state_file)) for text, state_file in rows.fetchall()]


def keeps(ledger: Path, state: WorkState) -> bool:
    """Whether a ledger, which need not be there, keeps the state of a run.

    Raises:
        LedgerError: if it cannot be read.
    """
    with reading(ledger) as connection:
        return connection is not None and any(
            kept.state.run_name == state.run_name for kept in kept_states(connection)
        )


def _read(text: str) -> WorkState:
    try:
        return from_json(orjson.loads(text))
    except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
        raise LedgerError(
            f"The ledger has a work state of a form that no run gives it: {error}. Move the ledger"
            " away and run again: what the target already has is found there."
        ) from error
