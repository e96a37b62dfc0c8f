"""The work state of each scope's last run, in the ledger: other runs overwrite the file."""

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
    """A work state, without the lists of its items, and the file of its run."""

    state: WorkState
    state_file: Path


def keep_state(file: LedgerFile, scope_id: int, state: WorkState) -> None:
    """Stores the state of the last run of a source, or of one item of it.

    Storing the state of a single item deletes those of finished runs of other single items.
    """
    # The ledger has the items and failures anyway.
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
    """Abandons a run: it cannot be resumed."""
    with file.transaction() as connection:
        connection.execute("delete from work_state where batch_id = ?", (state.run_name,))


def kept_states(
    connection: sqlite3.Connection, kind: str | None = None, tag: str | None = None
) -> list[KeptState]:
    """The states of a kind and a tag (None for all), that of the latest run first.

    Raises:
        LedgerError: if a state does not have the form that runs write.
    """
    rows = connection.execute(
        "select state, state_file from work_state join scope on scope.id = work_state.scope_id"
        " join run on run.batch_id = work_state.batch_id"
        " where (?1 is null or kind = ?1) and (?2 is null or tag = ?2) order by number desc",
        (kind, tag),
    )
    return [KeptState(_read(text), Path(state_file)) for text, state_file in rows.fetchall()]


def keeps(ledger: Path, state: WorkState) -> bool:
    """Whether a ledger, if it exists, has the state of a run.

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
            f"The ledger has a damaged work state: {error}. Move the ledger away and run again: the"
            " importer finds what the target already has."
        ) from error
