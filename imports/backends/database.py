"""The protocols of a database and of an image store. Neither knows any kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from imports.backends.deleting import RowRemover
from imports.backends.reading import RowReader
from imports.errors import BackendUnavailableError, StatementCancelledError
from imports.items.images import Image
from imports.tables.row_format import RowFormat
from imports.tables.table import Table, TableGroup


@dataclass(frozen=True, slots=True)
class TargetIdentity:
    """Which database it is: its stored id, the version of its schema, and its functions.

    `functions` is the checksum of the file that the functions come from.
    """

    id: str
    schema_version: str | None
    functions: str | None


@dataclass(frozen=True, slots=True)
class Rows:
    """Encoded rows by the index of their table in the group.

    `run` has the values of the tables' run columns.
    """

    group: TableGroup
    run: dict[str, Any]
    by_table: dict[int, list[bytes]] = field(default_factory=dict)

    def tables(self) -> list[tuple[int, Table, list[bytes]]]:
        """The tables that have rows here, parents first."""
        return [
            (index, self.group.tables[index], self.by_table[index])
            for index in sorted(self.by_table)
        ]

    def compared(self) -> list[tuple[int, Table]]:
        """The tables that a comparison reads, parents first.

        These are the tables that have rows here, and all tables that they own: an owned table may
        have stored rows that should not exist.
        """
        present = {self.group.tables[index].qualified_name for index in self.by_table}
        return [
            (index, table)
            for index, table in enumerate(self.group.tables)
            if index in self.by_table or table.owner in present
        ]


@dataclass(frozen=True, slots=True)
class MergeAnswer:
    """What a merge did: a letter of RowOutcome for each row, by table; owned rows have none.

    `derived` has the numbers of rows that derivations wrote, by the name of the table.
    """

    outcomes: dict[int, str]
    derived: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing one row with the stored one.

    `found` is `same`, `different`, `missing`, `undecided`, `superseded`, `guarded` (different, but
    never changed) or `left_out` (different or missing, and its parent does not exist). `differing`
    has the stored and the expected value of each column that differs.
    """

    found: str
    id: str | None
    differing: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class AddedRows:
    """Stored rows of an owned table that should not exist: their number, and the first of them.

    `owner` is the id of their owner, which itself is stored correctly.
    """

    owner: str
    number: int
    first: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TableComparison:
    """The comparison of each row of a table, and the stored rows that should not exist."""

    rows: list[Comparison]
    added: list[AddedRows]


class Database(RowReader, RowRemover, Protocol):
    """Where rows go. Its methods are thread-safe.

    All raise BackendUnavailableError for temporary errors, DataRefusedError for refused rows, and
    BackendError or SchemaError for errors that end the run.
    """

    @property
    def row_format(self) -> RowFormat:
        """The encoding of the rows that it takes."""
        ...

    def identify(self) -> TargetIdentity:
        """Which database it is."""
        ...

    def dataset_id(self, kind: str, tag: str, description: str | None, author: str | None) -> int:
        """The id of a dataset; creates it if it does not exist."""
        ...

    def merge(self, request_id: UUID, rows: Rows) -> MergeAnswer:
        """Merges rows in one transaction, and runs the derivations of their group in it.

        A repeated request id gets the same answer and merges nothing. A table may have an empty
        list of rows; the statements still run, which shows whether merges work at all.
        """
        ...

    def compare(self, rows: Rows) -> dict[int, TableComparison]:
        """Compares rows with the stored ones, by table.

        `rows` must have all rows that its owners own.
        """
        ...

    def function(self, name: str, payload: bytes) -> dict[str, Any]:
        """The answer of a function of ours that takes one JSON value, and answers an object.

        It must do the same if it is called again with the same value.
        """
        ...

    def known_images(self, hashes: Sequence[str]) -> dict[str, str]:
        """The given hashes that `image_assets` has, each with its storage type."""
        ...

    def forget_merges(self, run_name: str) -> None:
        """Deletes the stored answers of a run that has ended."""
        ...

    def close(self) -> None:
        """Closes all connections."""
        ...


class ImageStore(Protocol):
    """A bucket or a folder for images. Its methods are thread-safe.

    They raise the errors of Database. A refused image raises ImageProblemError, a full store
    BackendUnavailableError.
    """

    @property
    def storage_type(self) -> str:
        """Its name in `image_assets`."""
        ...

    @property
    def put_at_once(self) -> int:
        """How many images a worker gets at a time: several if storing one is fast."""
        ...

    def prepare(self) -> str | None:
        """Creates the bucket or the folder if it is missing; returns a warning for the user."""
        ...

    def put(self, image: Image) -> bool:
        """Stores an image under its hash; False if it was stored before."""
        ...

    def put_at(self, path: str, image: Image, *, over: bool) -> bool:
        """Stores an image at a path; False if that has content already and `over` is false."""
        ...

    def copy(self, path: str, to: str) -> None:
        """Copies an object to another path, atomically; replaces what is there."""
        ...

    def size(self, storage_path: str) -> int | None:
        """The size of an object in bytes; None if it does not exist."""
        ...

    def is_empty(self, folder: str) -> bool:
        """Whether a folder has no objects; may return False if finding out is slow."""
        ...

    def sha256(self, storage_path: str) -> str:
        """The hash of an object; reads its stored content."""
        ...

    def remove(self, storage_path: str) -> None:
        """Removes an object if it exists."""
        ...

    def close(self) -> None:
        """Closes all connections."""
        ...


@contextmanager
def indivisible() -> Iterator[None]:
    """For a request that cannot be halved: a timeout of it is a temporary error, to be retried.

    Raises:
        BackendUnavailableError: in place of a StatementCancelledError.
    """
    try:
        yield
    except StatementCancelledError as error:
        raise BackendUnavailableError(
            f"The database timed out on a small request: {error}."
        ) from error
