"""The SQL of when a row is not written: its stored row is guarded, or it lacks a parent."""

from __future__ import annotations

from imports.tables.table import Table


def conditions(table: Table) -> dict[str, str]:
    """In which cases a row is not written, for the function of the database that compares rows.

    `guarded` is about the `stored` row, `left_out` about the row `winner`, with the values of the
    run as $2.
    """
    found = {}
    if table.guard is not None:
        found["guarded"] = table.guard
    if table.parents:
        run = {each.name: f"($2 ->> '{each.name}')::{each.type}" for each in table.run_columns}
        found["left_out"] = _lacks_parent(table, run, "winner")
    return found


def with_parents(table: Table, run: dict[str, str], source: str) -> str:
    """The rows of a source, each with whether it lacks a parent."""
    indented = source.replace("\n", "\n  ")
    return f"""\
select given.*, {_lacks_parent(table, run, "given")} as lacks_parent
from (
  {indented}
) as given"""


def _lacks_parent(table: Table, run: dict[str, str], row: str) -> str:
    """Whether a row refers to a row of another table that is not there."""
    own = {column.name for column in table.columns}
    found = []
    for parent in table.parents:
        values = [f"{row}.{name}" if name in own else run[name] for name in parent.columns]
        there = " and ".join(
            f"parent.{name} = {value}"
            for name, value in zip(parent.parent_columns, values, strict=True)
        )
        refers = " and ".join(f"{value} is not null" for value in values)
        found.append(
            f"{refers} and not exists (select from {parent.table} as parent where {there})"
        )
    return f"({' or '.join(found)})"
