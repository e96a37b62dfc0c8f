"""Table: what a kind fills, and what happens when a row is there already. Said once, here.

The SQL for it is in `sql`, the encodings of its rows in `row_format`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its PostgreSQL type; `nullable` matters for the columns of a key.

    `image` says that it names images by their SHA-256: a text has one, a jsonb is a list of objects
    that each have one as `sha256`.
    """

    name: str
    type: str
    nullable: bool = True
    image: bool = False


@dataclass(frozen=True, slots=True)
class Keep:
    """What is there stays as it is."""


@dataclass(frozen=True, slots=True)
class Replace:
    """The new row replaces the old one wherever it differs."""


@dataclass(frozen=True, slots=True)
class UpdateIfNewer:
    """The row with the later value in `column` wins; with the same one, the new row does.

    So it is among the rows of one run, and where a run's value `if_exists` is `newer`. Else a row
    that an earlier run wrote stays (`keep`), or makes place for any (`replace`).

    A row is *undated* where the value is NULL. Nobody can say whether it is older or newer than a
    row of its key with other content, dated or not: then what is there stays, and the new row is
    `undecided`, unless `if_exists` decides against a row of an earlier run. Of several undated
    rows that come together the first is the new one. It goes in where no row of its key is.
    """

    column: str


@dataclass(frozen=True, slots=True)
class LatestWins:
    """The row with the latest value in `timestamp` wins, of several with the same one the first.

    The first is the one with the smallest value in `source`, which says where a row comes from;
    so the outcome of a run does not depend on the order in which its rows arrive. Against a row
    that an earlier run wrote, the run's value `if_exists` decides: `keep` what is there, replace
    it by a strictly `newer` row, or `replace` it. What differs in `source` alone is the same.

    Undated rows, whose `timestamp` is NULL, are undecided as with `UpdateIfNewer`; or, where rows
    are shared and `undated_is_oldest`, older than all others.

    `signature` is a hash over the row and those that it owns: where it is the same and they are
    not, somebody else has changed them. A run whose value `repair` is true writes them again.
    """

    timestamp: str
    source: str
    signature: str
    undated_is_oldest: bool = False


ConflictRule = Keep | Replace | UpdateIfNewer | LatestWins

DATASET_ID = Column("dataset_id", "bigint", nullable=False)
BATCH_ID = Column("batch_id", "text", nullable=False)


@dataclass(frozen=True, slots=True)
class Parent:
    """The row of another table that a row refers to.

    `columns` of the row, or of the run, have the values of `parent_columns` of `table`, which is a
    qualified name. As with a foreign key, a row with NULL in one of them refers to nothing.
    """

    columns: tuple[str, ...]
    table: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table that rows are merged into.

    `columns` are what the kind fills, in the order of its rows. `run_columns` have one value
    for all rows of a run; those of them that are in `key` are part of it, the others are only
    written. A table with a batch id has an `inserted_by`, too. `id_type` is the type of the table's
    own `id`, None where it has none; `stamped` tables have an `updated_at`.

    `owner` is the qualified name of the table whose rows own the rows of this one: the first
    column of the key is the `id` of the owner. Owned rows are replaced as a set when their owner
    is inserted or updated, and left alone otherwise. `names` are the columns by which people know a
    row, where that is not the key.

    `guard` is an SQL condition over `stored`, the row in the database: where it is true, that row
    is never touched, nor are the rows that it owns. Names in it are qualified. What another
    transaction does meanwhile is seen in the columns of the row itself, not in other tables. A row
    with one of `parents` that is not in the database is left out. Owned tables have neither.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    on_conflict: ConflictRule
    run_columns: tuple[Column, ...] = (DATASET_ID, BATCH_ID)
    schema: str = "public"
    id_type: str | None = "bigint"
    stamped: bool = True
    owner: str | None = None
    names: tuple[str, ...] = ()
    guard: str | None = None
    parents: tuple[Parent, ...] = ()

    def __post_init__(self) -> None:
        """Checks what cannot be said of an owned table.

        Raises:
            ValueError: if it was said.
        """
        if self.owner is not None and (self.guard is not None or self.parents):
            raise ValueError(f"{self.qualified_name} has an owner: guard and parents are for that")

    def with_guard(self, written: Callable[[str], str]) -> Table:
        """The same table, with its guard written as the place for the SQL wants it."""
        return self if self.guard is None else replace(self, guard=written(self.guard))

    @property
    def label(self) -> str:
        """What it is called in requests and answers: its name, with the schema if not public."""
        return self.name if self.schema == "public" else self.qualified_name

    @property
    def qualified_name(self) -> str:
        """The name with its schema, as SQL writes it."""
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column:
        """The column of this name; `id` may be one that the kind does not fill.

        Raises:
            LookupError: if there is none.
        """
        for column in (*self.columns, *self.run_columns):
            if column.name == name:
                return column
        if name == "id" and self.id_type is not None:
            return Column("id", self.id_type, nullable=False)
        raise LookupError(f"{self.qualified_name} has no column {name}")

    @property
    def row_key(self) -> tuple[Column, ...]:
        """The columns of the key that come from the row itself."""
        return tuple(column for column in self.columns if column.name in self.key)

    @property
    def run_key(self) -> tuple[Column, ...]:
        """The columns of the key that come from the run."""
        return tuple(column for column in self.run_columns if column.name in self.key)

    @property
    def compared(self) -> tuple[Column, ...]:
        """The columns in which two rows of one key can differ."""
        left_out = {*self.key}
        if isinstance(self.on_conflict, LatestWins):
            left_out.add(self.on_conflict.source)
        return tuple(column for column in self.columns if column.name not in left_out)

    @property
    def dated_by(self) -> str | None:
        """The column without which a row is undated: older or newer than others, nobody knows."""
        rule = self.on_conflict
        if isinstance(rule, UpdateIfNewer):
            return rule.column
        if isinstance(rule, LatestWins) and not rule.undated_is_oldest:
            return rule.timestamp
        return None

    @property
    def needs_judge(self) -> bool:
        """Whether a merge may not see itself why it did not write a row."""
        return self.dated_by is not None or self.guard is not None

    @property
    def judges_age(self) -> bool:
        """Whether a run says what becomes of rows of earlier runs."""
        return isinstance(self.on_conflict, UpdateIfNewer | LatestWins)

    @property
    def replaced(self) -> tuple[Column, ...]:
        """The columns of the row that a new one replaces."""
        return tuple(column for column in self.columns if column.name not in self.key)


@dataclass(frozen=True, slots=True)
class Derivation:
    """A function of the database that computes rows from those that a merge has written.

    It runs in the transaction of the merge, after all rows of the batch are in, if any row of
    `table` was inserted or updated: `function(run jsonb, keys jsonb) returns jsonb`. Both names are
    qualified; the function is called `public.importer_…`, so that `importer_close` closes it. `run`
    has the values of the run, `keys` an object for each of these rows, with the columns of its key.
    The answer says by table how many rows it wrote; NULL is nothing.

    It must make the same rows from the same stored rows, however often it is called. Batches are
    merged at the same time: what it computes from the rows of several it first locks, in the order
    of the keys, and reads with a later statement. An error in it is an error of the batch.
    """

    function: str
    table: str

    def __post_init__(self) -> None:
        """Checks that the function will be closed to the public.

        Raises:
            ValueError: if it will not.
        """
        if not self.function.startswith("public.importer_"):
            raise ValueError(f"{self.function} must be called public.importer_…")


@dataclass(frozen=True, slots=True)
class NamedPlaces:
    """A text column of a table whose values are paths in a bucket: those of images at such places.

    The table need not be one that a batch fills; its rows may be derived. It has an `id`.
    """

    table: Table
    column: str
    bucket: str


@dataclass(frozen=True, slots=True)
class TableGroup:
    """The tables that one batch fills in one transaction, parents first.

    `name` is the kind's; the function that Supabase calls is named after it. `derivations` run in
    their order. `named_places` are all columns that name images at places of their own: a reset
    removes such an image if no row names it.
    """

    name: str
    tables: tuple[Table, ...]
    derivations: tuple[Derivation, ...] = ()
    named_places: tuple[NamedPlaces, ...] = ()

    def __post_init__(self) -> None:
        """Checks that the tables of the derivations are there, and have no owner.

        Raises:
            ValueError: if one is not.
        """
        for each in self.derivations:
            self.derived_from(each)

    def derived_from(self, derivation: Derivation) -> Table:
        """The table whose rows a derivation takes.

        Raises:
            ValueError: if there is none, or its rows have an owner.
        """
        for table in self.tables:
            if table.qualified_name == derivation.table and table.owner is None:
                return table
        raise ValueError(
            f"{derivation.function} needs a table without an owner: {derivation.table}"
        )

    def owned_by(self, owner: Table) -> list[Table]:
        """The tables whose rows belong to those of another one."""
        return [each for each in self.tables if each.owner == owner.qualified_name]

    @property
    def judges_age(self) -> bool:
        """Whether a run says what becomes of rows of earlier runs, in any of the tables."""
        return any(table.judges_age for table in self.tables)

    def owner_of(self, table: Table) -> Table | None:
        """The table that owns the rows of one of them, if any does."""
        return next((each for each in self.tables if each.qualified_name == table.owner), None)

    @property
    def merge_function(self) -> str:
        """The function that merges a batch."""
        return f"importer_merge_{self.name}"


IMAGE_ASSETS = Table(
    name="image_assets",
    columns=(
        Column("content_hash", "text", nullable=False),
        Column("storage_path", "text"),
        Column("storage_type", "text"),
        Column("file_size", "bigint"),
        Column("content_type", "text"),
        Column("width", "integer"),
        Column("height", "integer"),
    ),
    key=("content_hash",),
    on_conflict=Replace(),
    run_columns=(),
    id_type=None,
    stamped=False,
)
"""Every image that the target has; `first_seen` is the database's own."""

IMAGES = TableGroup("images", (IMAGE_ASSETS,))
