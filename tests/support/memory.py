"""A database in memory that refuses given texts, for tests of the logic around a merge."""

from __future__ import annotations

from pathlib import Path
from typing import cast
from uuid import UUID

import orjson

from imports.backends.database import Database, ImageStore, MergeAnswer, Rows, TargetIdentity
from imports.backends.places import Places
from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingDatabase, RetryingStore
from imports.backends.target_config import OpenTarget, TargetConfig, keep
from imports.errors import BackendUnavailableError, DataRefusedError
from imports.tables.row_format import RowFormat


class MemoryDatabase:
    """Takes rows as JSON. It refuses a merge in which a row holds one of the `poison` texts.

    `stored` are the rows that went in, in order; `requests` every merge of rows that was asked for,
    with its rows; `down` texts keep the target from answering at all.
    """

    row_format = RowFormat.JSON

    def __init__(self, poison: set[str] | None = None, down: set[str] | None = None) -> None:
        self.poison = poison or set()
        self.down = down or set()
        self.away = False
        self.stored: list[dict[str, object]] = []
        self.requests: list[tuple[UUID, tuple[bytes, ...]]] = []
        self.identified = 0

    def identify(self) -> TargetIdentity:
        self.identified += 1
        if self.away:
            raise BackendUnavailableError("The database is away.")
        return TargetIdentity("memory", None, None)

    def merge(self, request_id: UUID, rows: Rows) -> MergeAnswer:
        encoded = [row for _, _, some in rows.tables() for row in some]
        if encoded:
            self.requests.append((request_id, tuple(encoded)))
        text = b"".join(encoded).decode()
        if self.away or any(each in text for each in self.down):
            raise BackendUnavailableError("The database cannot process the request now.")
        if any(each in text for each in self.poison):
            raise DataRefusedError("the database refused it", sqlstate="23514")
        self.stored += [orjson.loads(row) for row in encoded]
        return MergeAnswer({index: "I" * len(some) for index, _, some in rows.tables()})


def target_config(
    database: object = None, store: object = None, policy: RetryPolicy | None = None
) -> TargetConfig:
    """How workers reach a database and a store that are in memory."""
    config = TargetConfig(None, Path("/nonexistent"))
    policy = policy or RetryPolicy(0)
    images = RetryingStore(cast(ImageStore, store), policy)
    connections = OpenTarget(
        RetryingDatabase(cast(Database, database), policy), images, Places(lambda _: images)
    )
    keep(config, connections)
    return config
