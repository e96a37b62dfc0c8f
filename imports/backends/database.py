"""What the engine asks of a database and of an image store. They know nothing of kinds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from imports.backends.deleting import RowRemover
from imports.backends.reading import RowReader
from imports.errors import BackendUnavailableError, StatementCancelledError
from imports.tables.row_format import RowFormat
from imports.tables.table import Table, TableGroup
from imports.work_item import Image


@dataclass(frozen=True, slots=True)
class TargetIdentity:
    """Who a database is: the id kept in itself, the version of its schema, and its functions.

    The functions are known by the checksum of the file that they come from.
    """

    id: str
    schema_version: str | None
    functions: str | None


@dataclass(frozen=True, slots=True)
class Rows:
    """Encoded rows for the tables of a group, by the index of the table.

    `run` has the values of the tables' run columns.
    """

    group: TableGroup
    run: dict[str, Any]
    by_table: dict[int, list[bytes]] = field(default_factory=dict)

    def tables(self) -> list[tuple[int, Table, list[bytes]]]:
        """The tables that there are rows for, parents first."""
        return [
            (index, self.group.tables[index], self.by_table[index])
            for index in sorted(self.by_table)
        ]

    def compared(self) -> list[tuple[int, Table]]:
        """The tables that are looked at to compare them, parents first.

        Those that there are rows for, and those that these own: rows may be there that must not.
        """
        present = {self.group.tables[index].qualified_name for index in self.by_table}
        return [
            (index, table)
            for index, table in enumerate(self.group.tables)
            if index in self.by_table or table.owner in present
        ]


@dataclass(frozen=True, slots=True)
class MergeAnswer:
    """What a merge did: a letter of RowOutcome for each row, by table; none for rows of others.

    `derived` says by the name of a table how many rows derivations wrote.
    """

    outcomes: dict[int, str]
    derived: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one row compares with what is stored.

    `found` is `same`, `different`, `missing`, `undecided`, `superseded`, `guarded` (different, and
    never touched) or `left_out` (different or missing, while its parent is not there); `differing`
    has for each column that differs what is stored and what should be.
    """

    found: str
    id: str | None
    differing: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class AddedRows:
    """Rows of an owned table that are stored, and should not be: how many, and the first of them.

    Their owner, whose id `owner` is, is stored as it should be.
    """

    owner: str
    number: int
    first: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TableComparison:
    """How the rows of a table compare with what is stored, each, and what is stored beside them."""

    rows: list[Comparison]
    added: list[AddedRows]


class Database(RowReader, RowRemover, Protocol):
    """Where rows go. Methods may be called from many threads.

    All raise BackendUnavailableError for what may pass, DataRefusedError for refused rows, and
    BackendError or SchemaError for what ends the run.
    """

    @property
    def row_format(self) -> RowFormat:
        """How it takes rows."""
        ...

    def identify(self) -> TargetIdentity:
        """Who the database is."""
        ...

    def dataset_id(self, kind: str, tag: str, description: str | None, author: str | None) -> int:
        """The id of a dataset, which is made if it is not there."""
        ...

    def merge(self, request_id: UUID, rows: Rows) -> MergeAnswer:
        """Merges rows in one transaction, and runs the derivations of their group in it.

        The same request id gets the same answer, and merges nothing again. Where a table has an
        empty list of rows, all is done as for some: it tells whether merges go through at all.
        """
        ...

    def compare(self, rows: Rows) -> dict[int, TableComparison]:
        """Compares rows with what is stored, by table.

        The rows that an owner has in the tables that it owns must all be there.
        """
        ...

    def known_images(self, hashes: Sequence[str]) -> dict[str, str]:
        """Those of some hashes that `image_assets` has, each with its storage type."""
        ...

    def forget_merges(self, run_name: str) -> None:
        """Drops the answers that were kept for a run that has ended."""
        ...

    def close(self) -> None:
        """Closes all connections."""
        ...


class ImageStore(Protocol):
    """A bucket, or a folder, for images. Methods may be called from many threads.

    They raise as Database's do.

    One image that is refused raises ImageProblemError; a full store BackendUnavailableError.
    """

    @property
    def storage_type(self) -> str:
        """What `image_assets` calls it."""
        ...

    @property
    def put_at_once(self) -> int:
        """How many images a worker takes at a time: several where storing one is soon done."""
        ...

    def prepare(self) -> str | None:
        """Makes the bucket or the folder, if it is absent; what the user should know of it."""
        ...

    def put(self, image: Image) -> bool:
        """Stores an image under its hash; False if it was there already."""
        ...

    def put_at(self, path: str, image: Image, *, over: bool) -> bool:
        """Stores an image at a path, `over` what is there; else False if something is there."""
        ...

    def copy(self, path: str, to: str) -> None:
        """Copies what is stored at a path to another one, over what is there, in one step."""
        ...

    def size(self, storage_path: str) -> int | None:
        """The size in bytes of what is stored there, None if nothing is."""
        ...

    def is_empty(self, folder: str) -> bool:
        """Whether nothing is stored below a folder; False also where that takes long to tell."""
        ...

    def sha256(self, storage_path: str) -> str:
        """The hash of what is stored there, read anew."""
        ...

    def remove(self, storage_path: str) -> None:
        """Removes what is stored there, if anything is."""
        ...

    def close(self) -> None:
        """Closes all connections."""
        ...


@contextmanager
def small_question() -> Iterator[None]:
    """Around what cannot be halved: if even that takes the database too long, it may pass.

    Raises:
        BackendUnavailableError: in place of a StatementCancelledError.
    """
    try:
        yield
    except StatementCancelledError as error:
        raise BackendUnavailableError(
            f"Even a small question takes the database too long: {error}."
        ) from error
