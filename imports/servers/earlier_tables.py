"""Tables of other programs that have the names of ours: found, and set aside.

Earlier systems of this kind made tables with the same names and other columns. Ours cannot be made
beside them, and theirs are not ours to change. On request they are moved to other schemas: what
belongs to a table (indexes, constraints, triggers, policies, its sequences) moves with it, foreign
keys and views still refer to it. Functions name their tables, so they are reported.
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

_MADE = re.compile(r"^create (table|view|type) (?:if not exists )?(\w+)\.(\w+)", re.MULTILINE)
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Earlier:
    """A relation, or a type, that has a name of ours; `rows` is None where it has none."""

    schema: str
    name: str
    kind: str
    rows: int | None = None

    def __str__(self) -> str:
        """Its name, and how many rows it has."""
        rows = "" if self.rows is None else f" ({self.rows:,} rows)"
        what = "" if self.kind == "table" else f"the {self.kind} "
        return f"{what}{self.schema}.{self.name}{rows}"


@dataclass(frozen=True, slots=True)
class SetAside:
    """What was moved, to which schemas, and the functions whose text names it."""

    moved: list[tuple[Earlier, str]]
    functions: list[str]


def earlier_tables(cursor: Cursor, statements: Iterable[str]) -> list[Earlier]:
    """What is in the way of these migrations, in the order in which they would make it."""
    found = []
    for _, schema, name in dict.fromkeys(
        made for statement in statements for made in _MADE.findall(statement)
    ):
        cursor.execute(_LOOK, {"schema": schema, "name": name})
        for (kind,) in cursor.fetchall():
            found.append(Earlier(schema, name, kind, _rows(cursor, schema, name, kind)))
    return found


def in_the_way(found: Sequence[Earlier]) -> str:
    """What a user is told of them."""
    named = [str(each) for each in found[:_MOST_NAMED]]
    if len(found) > _MOST_NAMED:
        named.append(f"{len(found) - _MOST_NAMED:,} more")
    return (
        f"The database has tables of another program with the names of ours: {', '.join(named)}."
        " Nothing was changed. `resilient-importer schema apply --set-aside` moves them, with all"
        f" their rows, into the schema {ASIDE} and then makes ours; or use another database."
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


_LOOK = """\
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
    """The functions of the user whose text has the name of one of these as a word."""
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
