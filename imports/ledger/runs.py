"""The ledger's record of scopes and runs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imports.items.run_name import cycle_run_name
from imports.ledger.file import LedgerFile


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The ids of a run, and its scope."""

    run_id: str
    run_name: str
    kind: str
    source: str
    tag: str
    target_id: str


def add_counts(connection: sqlite3.Connection, run_name: str, counts: Mapping[str, int]) -> None:
    """Adds to the counts of a run, in the same transaction as the counted changes."""
    connection.executemany(
        "insert into run_count values (?, ?, ?)"
        " on conflict (batch_id, name) do update set value = value + excluded.value",
        [(run_name, name, value) for name, value in counts.items() if value],
    )


class RunLedger:
    """Scopes (a source in a target) and their runs."""

    def __init__(self, file: LedgerFile) -> None:
        """Works on an open file."""
        self._file = file

    def scope(self, kind: str, source: str, tag: str, target_id: str) -> int:
        """The id of the scope of this source in this target; creates the scope if needed."""
        values = (kind, source, tag, target_id)
        with self._file.transaction() as connection:
            connection.execute(
                "insert into scope (kind, source, tag, target_id) values (?, ?, ?, ?)"
                " on conflict do nothing",
                values,
            )
            row = connection.execute(
                "select id from scope where (kind, source, tag, target_id) = (?, ?, ?, ?)", values
            ).fetchone()
        return int(row[0])

    def begin_run(
        self,
        scope_id: int,
        run_id: str,
        run_name: str,
        state_file: Path,
        *,
        given_id: str | None = None,
        deletes: bool = False,
        only_verified: bool = False,
    ) -> None:
        """Records the begin of a run; a resumed or `only_verified` run is already recorded.

        A run that is only verified stays finished or unfinished. A resumed run reports its earlier
        failures again at its end. `given_id` is the batch id on its rows, if it is not its name;
        `deletes` says that it deletes files of its source.
        """
        with self._file.transaction() as connection:
            connection.execute(
                "insert into run (batch_id, run_id, scope_id, state_file, started_at, deletes,"
                " given_id, number) values (?1, ?2, ?3, ?4, ?5, ?6, ?8,"
                " (select coalesce(max(number), 0) + 1 from run))"
                " on conflict (batch_id) do update set finished_at = iif(?7, finished_at, null),"
                " exit_code = iif(?7, exit_code, null), completed = completed and ?7,"
                " deletes = max(deletes, excluded.deletes), reported = reported and ?7",
                (
                    run_name,
                    run_id,
                    scope_id,
                    str(state_file),
                    time.time(),
                    deletes,
                    only_verified,
                    given_id,
                ),
            )

    def end_run(self, run_name: str, exit_code: int, *, completed: bool) -> None:
        """Records the end of a run; `completed` says that it finished, even with failed items."""
        with self._file.transaction() as connection:
            connection.execute(
                "update run set finished_at = ?, exit_code = ?, completed = ? where batch_id = ?",
                (time.time(), exit_code, completed, run_name),
            )

    def record_reported(self, run_name: str, scope_id: int | None = None) -> None:
        """Records that the report of a run was shown, and those of all runs of a scope."""
        with self._file.transaction() as connection:
            connection.execute(
                "update run set reported = 1 where reported = 0 and (batch_id = ? or scope_id = ?)",
                (run_name, scope_id),
            )

    def knows(self, run: RunRecord) -> bool:
        """Whether there was a run with these ids for this source and target."""
        row = self._file.connection.execute(
            "select 1 from run join scope on scope.id = scope_id where run_id = ? and batch_id = ?"
            " and kind = ? and source = ? and tag = ? and target_id = ?",
            (run.run_id, run.run_name, run.kind, run.source, run.tag, run.target_id),
        ).fetchone()
        return row is not None

    def was_reset(self, run_name: str) -> bool:
        """Whether a run was reset."""
        row = self._file.connection.execute(
            "select 1 from run where batch_id = ? and reset_at is not null", (run_name,)
        ).fetchone()
        return row is not None

    def batch_ids(self, scope_id: int) -> list[str]:
        """The batch ids on the rows of all runs of a scope that may have written any."""
        rows = self._file.connection.execute(
            "select batch_id from run where scope_id = ? and (finished_at is null or exists ("
            " select 1 from run_count where run_count.batch_id = run.batch_id"
            " and name like 'import.%'))",
            (scope_id,),
        ).fetchall()
        found = [each for (run_name,) in rows for each in self.cycles(run_name)]
        return list(dict.fromkeys(found))

    def cycles(self, run_name: str) -> list[str]:
        """The batch ids on the rows of a run, one for each cycle."""
        row = self._file.connection.execute(
            "select given_id from run where batch_id = ?", (run_name,)
        ).fetchone()
        batch_id = run_name if row is None or row[0] is None else str(row[0])
        more = self.counts(run_name).get("cycles", 0)
        return [cycle_run_name(batch_id, cycle) for cycle in range(1, 2 + more)]

    def counts(self, run_name: str) -> dict[str, int]:
        """All counts of a run, by name."""
        rows = self._file.connection.execute(
            "select name, value from run_count where batch_id = ? order by name", (run_name,)
        )
        return dict(rows.fetchall())

    def add_counts(self, run_name: str, counts: Mapping[str, int]) -> None:
        """Adds to the counts of a run."""
        with self._file.transaction() as connection:
            add_counts(connection, run_name, counts)
