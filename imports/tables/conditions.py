"""The SQL conditions for rows that are not written: guarded ones, and those without a parent."""

from __future__ import annotations

from imports.tables.table import Table


def conditions(table: Table) -> dict[str, str]:
    """The conditions for rows that are not written, for the SQL function that compares rows.

    `guarded` is a condition on the row `stored`, `left_out` on the row `winner`, with the values
    of the run as $2.
    """
    found = {}
    if table.guard is not None:
        found["guarded"] = table.guard
    if table.parents:
        run = {each.name: f"($2 ->> '{each.name}')::{each.type}" for each in table.run_columns}
        found["left_out"] = _lacks_parent(table, run, "winner")
    return found


def with_parents(table: Table, run: dict[str, str], source: str) -> str:
    """The query for the rows of a source, with a column `lacks_parent`."""
    indented = source.replace("\n", "\n  ")
    return f"""\
select given.*, {_lacks_parent(table, run, "given")} as lacks_parent
from (
  {indented}
) as given"""


def _lacks_parent(table: Table, run: dict[str, str], row: str) -> str:
    """The condition for a row that refers to a missing row of another table."""
    own = {column.name for column in table.columns}
    found = []
    for parent in table.parents:
        values = [f"{row}.{name}" if name in own else run[name] for name in parent.columns]
        there = " and ".join(
            f"parent.{name} = {value}"
            for name, value in zip(parent.parent_columns, values, strict=True)
        )
        refers = " and ".join(f"{value} is not null" for value in values)
        # With OFFSET, each parent is found by its index. Otherwise PostgreSQL may read all of them,
        # for each batch.
        there += " offset 0"
        found.append(
            f"{refers} and not exists (select from {parent.table} as parent where {there})"
        )
    return f"({' or '.join(found)})"
