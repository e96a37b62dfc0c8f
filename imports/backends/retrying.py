"""Wrappers of a database and an image store that retry, count and time each operation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar, TypeVarTuple
from uuid import UUID, uuid4

from imports.backends.database import (
    Database,
    ImageStore,
    MergeAnswer,
    Rows,
    TableComparison,
    TargetIdentity,
)
from imports.backends.deleting import NotedImages, Written
from imports.backends.operations import Operations
from imports.backends.outage import Server
from imports.backends.reading import Row, RowQuery
from imports.backends.retry import PendingRequest, RetryPolicy, with_retries
from imports.errors import BackendUnavailableError
from imports.items.images import Image
from imports.tables.row_format import RowFormat
from imports.tables.table import Table, TableGroup

Args = TypeVarTuple("Args")
R = TypeVar("R")


class _Retrying:
    """Calls operations of one server, with the retries of a policy; counts in `operations`."""

    def __init__(self, policy: RetryPolicy, operations: Operations | None = None) -> None:
        self.policy = policy
        self.operations = operations or Operations()
        self._server = Server()

    def watch(self, probe: Callable[[], object]) -> None:
        """Sets the probe, which tells whether the server answers other requests."""
        self._server.probe = probe

    def _ask(self, name: str, operation: Callable[[*Args], R], *args: *Args) -> R:
        policy, thread = self.policy, threading.get_ident()
        tries = 0

        def attempt() -> R:
            nonlocal tries
            tries += 1
            return operation(*args)

        began = policy.clock()
        failed = True
        policy.pending[thread] = PendingRequest(began, name, args)
        try:
            answer = with_retries(policy, self._server, attempt)
            failed = False
        finally:
            policy.pending.pop(thread, None)
            seconds = policy.clock() - began
            self.operations.add(name, retries=tries - 1, failed=failed, seconds=seconds)
        return answer


class RetryingDatabase(_Retrying):
    """A `Database` that calls the methods of another one with retries."""

    def __init__(
        self, database: Database, policy: RetryPolicy, operations: Operations | None = None
    ) -> None:
        """The wrapped one is in `unwrapped`."""
        super().__init__(policy, operations)
        self.unwrapped = database
        self._merging = Server()

    def retrying(self, max_retries: int) -> Self:
        """The same database with another number of retries."""
        other = copy(self)
        other.policy = replace(self.policy, max_retries=max_retries)
        return other

    @property
    def row_format(self) -> RowFormat:
        """The encoding of the rows that it takes."""
        return self.unwrapped.row_format

    def identify(self) -> TargetIdentity:
        """Which database it is."""
        return self._ask("database.identify", self.unwrapped.identify)

    def dataset_id(self, kind: str, tag: str, description: str | None, author: str | None) -> int:
        """The id of a dataset; creates it if it does not exist."""
        ask = self.unwrapped.dataset_id
        return self._ask("database.dataset_id", ask, kind, tag, description, author)

    def merge(self, request_id: UUID, rows: Rows) -> MergeAnswer:
        """Merges rows in one transaction, once for each request id; see Database."""
        return self._ask("database.merge", self.unwrapped.merge, request_id, rows)

    def merge_nothing(self, group: TableGroup, run: dict[str, Any]) -> None:
        """Checks that merges work at all; waits for it as for an unavailable server.

        Raises:
            BackendUnavailableError, DataRefusedError: if they do not.
        """
        rows = Rows(group, run, {0: []})

        def merge() -> None:
            self.unwrapped.merge(uuid4(), rows)

        other = copy(self)
        other._server = self._merging
        other._ask("database.merge_nothing", merge)

    def compare(self, rows: Rows) -> dict[int, TableComparison]:
        """Compares rows with the stored ones, by table."""
        return self._ask("database.compare", self.unwrapped.compare, rows)

    def rows(self, query: RowQuery) -> list[Row]:
        """The selected rows, in order."""
        return self._ask("database.rows", self.unwrapped.rows, query)

    def function(self, name: str, payload: bytes) -> dict[str, Any]:
        """The answer of a function; see Database."""
        return self._ask("database.function", self.unwrapped.function, name, payload)

    def count_written(self, group: TableGroup, run_names: Sequence[str]) -> Written:
        """Counts what the given runs wrote in the tables of a group."""
        ask = self.unwrapped.count_written
        return self._ask("database.count_written", ask, group, run_names)

    def delete_written(
        self, group: TableGroup, table: Table, ids: Sequence[str], run_names: Sequence[str]
    ) -> list[str]:
        """Deletes rows of a table that runs wrote, by id; returns the ids of those that stay."""
        ask = self.unwrapped.delete_written
        return self._ask("database.delete_written", ask, group, table, ids, run_names)

    def unlist_images(self, storage_type: str, after: str, limit: int) -> NotedImages:
        """Deletes a page of the noted images from the list of images; see RowRemover."""
        ask = self.unwrapped.unlist_images
        return self._ask("database.unlist_images", ask, storage_type, after, limit)

    def forget_noted(self, hashes: Sequence[str]) -> None:
        """Deletes the notes of images that are removed from the store."""
        self._ask("database.forget_noted", self.unwrapped.forget_noted, hashes)

    def known_images(self, hashes: Sequence[str]) -> dict[str, str]:
        """The given hashes that `image_assets` has, each with its storage type."""
        return self._ask("database.known_images", self.unwrapped.known_images, hashes)

    def forget_merges(self, run_name: str) -> None:
        """Deletes the stored answers of a run that has ended."""
        self._ask("database.forget_merges", self.unwrapped.forget_merges, run_name)

    def close(self) -> None:
        """Closes all connections."""
        self.unwrapped.close()


class RetryingStore(_Retrying):
    """An `ImageStore` that calls the methods of another one with retries."""

    def __init__(
        self, store: ImageStore, policy: RetryPolicy, operations: Operations | None = None
    ) -> None:
        """The wrapped one is in `unwrapped`."""
        super().__init__(policy, operations)
        self.unwrapped = store

    @property
    def storage_type(self) -> str:
        """Its name in `image_assets`."""
        return self.unwrapped.storage_type

    @property
    def put_at_once(self) -> int:
        """How many images a worker gets at a time."""
        return self.unwrapped.put_at_once

    def prepare(self) -> str | None:
        """Creates the bucket or the folder if it is missing; returns a warning for the user."""
        return self._ask("store.prepare", self.unwrapped.prepare)

    def put(self, image: Image) -> bool:
        """Stores an image under its hash; False if it was stored before."""
        return self._ask("store.put", self.unwrapped.put, image)

    def put_at(self, path: str, image: Image, *, over: bool) -> bool:
        """Stores an image at a path; False if that has content already and `over` is false."""
        return self._ask("store.put_at", partial(self.unwrapped.put_at, over=over), path, image)

    def copy(self, path: str, to: str) -> None:
        """Copies an object to another path, atomically; replaces what is there."""
        self._ask("store.copy", self.unwrapped.copy, path, to)

    def is_empty(self, folder: str) -> bool:
        """Whether a folder has no objects; may return False if finding out is slow."""
        return self._ask("store.is_empty", self.unwrapped.is_empty, folder)

    def size(self, storage_path: str) -> int | None:
        """The size of an object in bytes; None if it does not exist."""
        return self._ask("store.size", self.unwrapped.size, storage_path)

    def sha256(self, storage_path: str) -> str:
        """The hash of an object; reads its stored content."""
        return self._ask("store.sha256", self.unwrapped.sha256, storage_path)

    def remove(self, storage_path: str) -> None:
        """Removes an object if it exists."""
        self._ask("store.remove", self.unwrapped.remove, storage_path)

    def blame_image(self, error: BackendUnavailableError) -> None:
        """Checks that a request failed because of its image: the store answers other requests.

        Raises:
            BackendUnavailableError: if it does not, or the run is stopping.
        """
        if self.policy.stop.is_set() or not error.divisible:
            raise error
        self.prepare()

    def close(self) -> None:
        """Closes all connections."""
        self.unwrapped.close()
