"""Table: declares, once, what a kind fills and what happens if a row already exists.

Its SQL is in `sql`, the encodings of its rows are in `row_format`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its PostgreSQL type; `nullable` matters for the columns of a key.

    `image` says that it names images by their SHA-256: a text is one hash, a jsonb is an array of
    objects with a `sha256`.
    """

    name: str
    type: str
    nullable: bool = True
    image: bool = False


@dataclass(frozen=True, slots=True)
class Keep:
    """The stored row stays unchanged."""


@dataclass(frozen=True, slots=True)
class Replace:
    """The new row replaces the stored one if it differs."""


@dataclass(frozen=True, slots=True)
class UpdateIfNewer:
    """The row with the later value in `column` wins; if they are equal, the new row wins.

    This holds among the rows of one run, and if the run's value `if_exists` is `newer`. Otherwise
    a row of an earlier run stays (`keep`), or any new row replaces it (`replace`).

    A row is *undated* if the value is NULL. It is unknown whether it is newer than a row of its key
    with other content, dated or not: then the stored row stays, and the new row is `undecided`,
    unless `if_exists` decides against a row of an earlier run. Among several undated rows of a
    batch, the first one counts. It is inserted if no row has its key.
    """

    column: str


@dataclass(frozen=True, slots=True)
class LatestWins:
    """The row with the latest value in `timestamp` wins; among equal ones, the first row.

    The first row has the smallest value in `source`, which says where a row comes from. So the
    outcome of a run does not depend on the order of its rows. Against a row of an earlier run, the
    run's value `if_exists` decides: `keep` it, replace it by a strictly `newer` row, or `replace`
    it. Rows that differ only in `source` count as equal.

    Undated rows, whose `timestamp` is NULL, are undecided as with `UpdateIfNewer`; or older than
    all others with `undated_is_oldest`, for shared rows.

    `signature` is a hash over the row and its owned rows: if it is equal and they are not, somebody
    else has changed them. A run whose value `repair` is true writes them again.
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
    """A row of another table to which a row refers.

    The `columns` of the row, or of the run, refer to the `parent_columns` of `table`, a qualified
    name. As with a foreign key, a row with NULL in one of them refers to nothing.
    """

    columns: tuple[str, ...]
    table: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table into which rows are merged.

    The kind fills the `columns`, in the order of its rows. `run_columns` have one value for all
    rows of a run; they may be in `key`. A table with a batch id also has a column `inserted_by`.
    `id_type` is the type of the table's own `id`, None if it has none; `stamped` tables have an
    `updated_at`.

    `owner` is the qualified name of the table whose rows own the rows of this one: the first column
    of the key is the `id` of the owner. Owned rows are replaced as a set when their owner is
    inserted or updated, and otherwise stay unchanged. `names` are the columns that name a row for
    people, if the key does not.

    `guard` is an SQL condition on `stored`, the row in the database: if it is true, that row and
    its owned rows are never changed. Names in it are qualified. It sees concurrent changes of the
    row's own columns, but not of other tables. A row is left out if one of its `parents` is not in
    the database. Owned tables have neither guard nor parents.

    The rows of a `historic` table stay when their item gets other content: no item has them any
    more, and verification does not report them.
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
    historic: bool = False

    def __post_init__(self) -> None:
        """Checks the declaration.

        Raises:
            ValueError: if an owned table has a guard or parents.
        """
        if self.owner is not None and (self.guard is not None or self.parents):
            raise ValueError(
                f"{self.qualified_name} is owned: declare guard and parents on the owner"
            )

    def with_guard(self, written: Callable[[str], str]) -> Table:
        """The same table, with its guard converted by `written`."""
        return self if self.guard is None else replace(self, guard=written(self.guard))

    @property
    def label(self) -> str:
        """Its name in requests and answers, with the schema if that is not `public`."""
        return self.name if self.schema == "public" else self.qualified_name

    @property
    def qualified_name(self) -> str:
        """The name with its schema, for SQL."""
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column:
        """The column of this name; `id` may be one that the kind does not fill.

        Raises:
            LookupError: if there is no such column.
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
        """The columns that are compared for two rows of one key."""
        left_out = {*self.key}
        if isinstance(self.on_conflict, LatestWins):
            left_out.add(self.on_conflict.source)
        return tuple(column for column in self.columns if column.name not in left_out)

    @property
    def dated_by(self) -> str | None:
        """The column without which a row is undated; None if rows are never undated."""
        rule = self.on_conflict
        if isinstance(rule, UpdateIfNewer):
            return rule.column
        if isinstance(rule, LatestWins) and not rule.undated_is_oldest:
            return rule.timestamp
        return None

    @property
    def needs_judge(self) -> bool:
        """Whether a merge may not know why it did not write a row."""
        return self.dated_by is not None or self.guard is not None

    @property
    def judges_age(self) -> bool:
        """Whether the run's value `if_exists` decides about rows of earlier runs."""
        return isinstance(self.on_conflict, UpdateIfNewer | LatestWins)

    @property
    def replaced(self) -> tuple[Column, ...]:
        """The columns that a new row replaces."""
        return tuple(column for column in self.columns if column.name not in self.key)


@dataclass(frozen=True, slots=True)
class Derivation:
    """A SQL function that computes rows from the rows that a merge has written.

    It runs in the transaction of the merge, after all rows of the batch, if any row of `table` was
    inserted or updated: `function(run jsonb, keys jsonb) returns jsonb`. Both names are qualified;
    the function's name begins with `public.importer_`, so that `importer_close` restricts it. `run`
    has the values of the run, `keys` an object for each of these rows, with the columns of its key.
    The result is the number of written rows by table; NULL means none.

    It must be idempotent: the same stored rows give the same rows. Batches are merged concurrently:
    if it computes from rows of several batches, it must first lock them, in the order of the keys,
    and read them with a later statement. An error in it is an error of the batch.

    `undo(ids text[]) returns void` deletes what was computed from rows, by their ids, before a
    reset deletes these rows. Without it, the computed rows stay.
    """

    function: str
    table: str
    undo: str | None = None

    def __post_init__(self) -> None:
        """Checks that `importer_close` will restrict the functions.

        Raises:
            ValueError: if it will not.
        """
        for each in (self.function, self.undo):
            if each is not None and not each.startswith("public.importer_"):
                raise ValueError(f"{each} must have a name public.importer_…")


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

    `name` is the kind's name; the function that Supabase calls is named after it. `derivations` run
    in this order. `named_places` are all columns that name images at places of their own: a reset
    removes such an image if no row names it. `derived` are tables that derivations fill, and that
    are read.
    """

    name: str
    tables: tuple[Table, ...]
    derivations: tuple[Derivation, ...] = ()
    named_places: tuple[NamedPlaces, ...] = ()
    derived: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        """Checks that the tables of the derivations exist, and are not owned.

        Raises:
            ValueError: if not.
        """
        for each in self.derivations:
            self.derived_from(each)

    def derived_from(self, derivation: Derivation) -> Table:
        """The table whose rows a derivation takes.

        Raises:
            ValueError: if there is none, or it is owned.
        """
        for table in self.tables:
            if table.qualified_name == derivation.table and table.owner is None:
                return table
        raise ValueError(
            f"{derivation.function} needs a table without an owner: {derivation.table}"
        )

    def owned_by(self, owner: Table) -> list[Table]:
        """The tables that a table owns."""
        return [each for each in self.tables if each.owner == owner.qualified_name]

    @property
    def judges_age(self) -> bool:
        """Whether `if_exists` decides about rows of earlier runs, in any of the tables."""
        return any(table.judges_age for table in self.tables)

    def owner_of(self, table: Table) -> Table | None:
        """The table that owns a table; None if no table does."""
        return next((each for each in self.tables if each.qualified_name == table.owner), None)

    @property
    def merge_function(self) -> str:
        """The name of the SQL function that merges a batch."""
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
"""All images of the target; the database fills `first_seen`."""

IMAGES = TableGroup("images", (IMAGE_ASSETS,))
