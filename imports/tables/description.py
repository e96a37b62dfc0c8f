"""What a table is, for the functions of the database that work for any table."""

from __future__ import annotations

from typing import Any

from imports.tables.table import LatestWins, Table, UpdateIfNewer


def described(table: Table, *, relation: str | None = None) -> dict[str, Any]:
    """Describes a table for the functions of the database that work with any table.

    `relation` is the temporary table with its rows.
    """
    return {
        **described_set(table),
        "columns": [column.name for column in table.columns],
        "nullable": [column.name for column in table.row_key if column.nullable],
        "run_key": [{"column_name": each.name, "type": each.type} for each in table.run_key],
        "rule": _described_rule(table),
        "id_type": table.id_type,
        "owner": table.owner,
        "images": [{"name": each.name, "type": each.type} for each in table.columns if each.image],
        "relation": relation,
    }


def described_set(table: Table) -> dict[str, Any]:
    """The part of `described` that is needed to replace a set."""
    return {
        "name": table.qualified_name,
        "key": [column.name for column in table.row_key],
        "compared": [column.name for column in table.compared],
    }


def _described_rule(table: Table) -> dict[str, Any] | None:
    rule = table.on_conflict
    if isinstance(rule, UpdateIfNewer):
        return {"name": "update_if_newer", "timestamp": rule.column}
    if isinstance(rule, LatestWins):
        return {
            "name": "latest_wins",
            "timestamp": rule.timestamp,
            "source": rule.source,
            "signature": rule.signature,
            "undated_is_oldest": rule.undated_is_oldest,
        }
    return None
