"""The SQLite file under the ledger: its tables, and its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imports.errors import LedgerError

_VERSION = 1

_SCHEMA = """
create table scope (
  id integer primary key,
  kind text not null,
  source text not null,
  tag text not null,
  target_id text not null,
  unique (kind, source, tag, target_id)
);
create table run (
  batch_id text primary key,
  run_id text not null,
  scope_id integer not null references scope (id),
  state_file text not null,
  started_at real not null,
  finished_at real,
  exit_code integer,
  completed integer not null default 0
);
create table run_count (
  batch_id text not null,
  name text not null,
  value integer not null,
  primary key (batch_id, name)
) without rowid;
create table item (
  id integer primary key autoincrement,
  scope_id integer not null references scope (id),
  path text not null,
  size integer not null,
  mtime_ns integer not null,
  state text not null,
  item_group integer,
  chunk integer,
  phase text,
  reason text,
  tries integer not null default 0,
  warnings text,
  updated_at real not null,
  unique (scope_id, path)
);
create index item_unfinished on item (scope_id, id) where state <> 'imported';
create index item_failed on item (scope_id, path) where state = 'failed';
create index item_warned on item (scope_id, path) where warnings is not null;
create table item_image (
  item_id integer not null,
  position integer not null,
  path text not null,
  primary key (item_id, position)
) without rowid;
create index item_image_path on item_image (path);
create table image (
  path text primary key,
  size integer not null,
  mtime_ns integer not null,
  sha256 text,
  extension text,
  content_type text,
  width integer,
  height integer,
  problem text,
  settled_by text
);
create index image_sha256 on image (sha256) where sha256 is not null;
"""


class LedgerFile:
    """One connection to the file, used by the coordinator's thread alone."""

    def __init__(self, path: Path) -> None:
        """Opens the file, making it where it is not there.

        Raises:
            LedgerError: if the file is not a ledger, or of another version.
        """
        self.path = path
        try:
            self.connection = sqlite3.connect(path, isolation_level=None, timeout=60)
            self.connection.execute("pragma journal_mode = wal")
            # In WAL mode NORMAL never corrupts; what a power failure undoes is imported again.
            self.connection.execute("pragma synchronous = normal")
            self._make_tables()
        except sqlite3.Error as error:
            raise LedgerError(
                f"The ledger {path} cannot be used: {error}. If it is damaged, move it away and"
                " run again: what the target already has is found there."
            ) from error

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed at the end, and undone when something is raised."""
        try:
            self.connection.execute("begin immediate")
            try:
                yield self.connection
            except BaseException:
                self.connection.rollback()
                raise
            self.connection.execute("commit")
        except sqlite3.Error as error:
            raise LedgerError(
                f"The ledger {self.path} cannot be written: {error}. Nothing is lost: mend the"
                " cause (a full disk?), and the same command resumes."
            ) from error

    def _make_tables(self) -> None:
        with self.transaction() as connection:
            version = connection.execute("pragma user_version").fetchone()[0]
            if version == 0:
                if connection.execute("select count(*) from sqlite_master").fetchone()[0]:
                    raise LedgerError(
                        f"{self.path} is a database of another program. Move it away, or name"
                        " another --state-file: the ledger lies beside it."
                    )
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"pragma user_version = {_VERSION}")
            elif version != _VERSION:
                raise LedgerError(
                    f"The ledger {self.path} is of version {version}, this program knows"
                    f" {_VERSION}. Use the program that made it, or move the file away."
                )
