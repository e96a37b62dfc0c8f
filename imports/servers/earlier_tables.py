"""Tables of other programs with the same names as ours: finding them, and setting them aside.

Earlier systems of this kind created tables with the same names and other columns. Ours cannot be
created beside them, and we do not change theirs. On request they are moved to other schemas, with
their indexes, constraints, triggers, policies and sequences; foreign keys and views still refer to
them. Functions name their tables in their text, so they are reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2.sql import SQL, Identifier

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

ASIDE = "before_importer"
"""The schema for tables of `public`; those of another schema go to `before_importer_<schema>`."""

_CREATED = re.compile(r"^create (table|view|type) (?:if not exists )?(\w+)\.(\w+)", re.MULTILINE)
_MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class Earlier:
    """A relation or type with one of our names; `rows` is None if it is not a table."""

    schema: str
    name: str
    kind: str
    rows: int | None = None

    def __str__(self) -> str:
        """Its name, kind and number of rows."""
        rows = "" if self.rows is None else f" ({self.rows:,} rows)"
        what = "" if self.kind == "table" else f"the {self.kind} "
        return f"{what}{self.schema}.{self.name}{rows}"


@dataclass(frozen=True, slots=True)
class SetAside:
    """The moved tables with their new schemas, and the functions whose text names them."""

    moved: list[tuple[Earlier, str]]
    functions: list[str]


def earlier_tables(cursor: Cursor, statements: Iterable[str]) -> list[Earlier]:
    """The existing tables, views and types that these migrations would create, in their order."""
    found = []
    for _, schema, name in created_by(statements):
        cursor.execute(_FIND, {"schema": schema, "name": name})
        for (kind,) in cursor.fetchall():
            found.append(Earlier(schema, name, kind, _rows(cursor, schema, name, kind)))
    return found


def created_by(statements: Iterable[str]) -> list[tuple[str, str, str]]:
    """What migrations create: `table`, `view` or `type`, the schema, and the name."""
    return list(dict.fromkeys(each for text in statements for each in _CREATED.findall(text)))


def in_the_way(found: Sequence[Earlier]) -> str:
    """The error message about them."""
    listed = [str(each) for each in found[:_MAX_LISTED]]
    if len(found) > _MAX_LISTED:
        listed.append(f"{len(found) - _MAX_LISTED:,} more")
    return (
        f"The database has tables of another program with our names: {', '.join(listed)}. Nothing"
        " was changed. `resilient-importer schema apply --set-aside` moves them, with all their"
        f" rows, to the schema {ASIDE} and then creates ours; or use another database."
    )


def set_aside(cursor: Cursor, found: Sequence[Earlier]) -> SetAside:
    """Moves them to schemas of their own, in the transaction of the cursor."""
    functions = _functions_that_name(cursor, found)
    suffix = _free_suffix(cursor, {each.schema for each in found})
    moved = []
    for each in found:
        schema = f"{_base(each.schema)}{suffix}"
        cursor.execute(SQL("create schema if not exists {}").format(Identifier(schema)))
        cursor.execute(
            SQL("alter {} {} set schema {}").format(
                SQL("type" if each.kind == "type" else "table"),
                Identifier(each.schema, each.name),
                Identifier(schema),
            )
        )
        moved.append((each, schema))
    return SetAside(moved, functions)


_FIND = """\
select case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
  when 'i' then 'index' when 'c' then 'type' when 'f' then 'foreign table' else 'table' end
from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where nspname = %(schema)s and relname = %(name)s
union all
select 'type' from pg_type join pg_namespace on pg_namespace.oid = typnamespace
where nspname = %(schema)s and typname = %(name)s and typrelid = 0"""


def _rows(cursor: Cursor, schema: str, name: str, kind: str) -> int | None:
    if kind != "table":
        return None
    cursor.execute(SQL("select count(*) from {}").format(Identifier(schema, name)))
    (count,) = cursor.fetchone() or (0,)
    return int(count)


def _base(schema: str) -> str:
    return ASIDE if schema == "public" else f"{ASIDE}_{schema}"


def _free_suffix(cursor: Cursor, schemas: set[str]) -> str:
    """What to append to the names of the schemas so that none exists: nothing, `_2`, `_3`."""
    number = 1
    while True:
        suffix = "" if number == 1 else f"_{number}"
        names = [f"{_base(schema)}{suffix}" for schema in schemas]
        cursor.execute("select from pg_namespace where nspname = any(%s)", (names,))
        if not cursor.rowcount:
            return suffix
        number += 1


def _functions_that_name(cursor: Cursor, found: Sequence[Earlier]) -> list[str]:
    """The user's functions whose text has the name of one of these as a word."""
    names = "|".join(sorted({re.escape(each.name) for each in found}))
    cursor.execute(
        "select pg_proc.oid::regprocedure::text from pg_proc"
        " join pg_namespace on pg_namespace.oid = pronamespace"
        " where nspname not in ('pg_catalog', 'information_schema') and prosrc ~* %s"
        " and not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')"
        " order by 1",
        (rf"\m({names})\M",),
    )
    return [name for (name,) in cursor.fetchall()]
