"""Comparing `airtable.toml` with the base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from imports.airtable.base import AirtableBase
from imports.airtable.config import AirtableConfig

if TYPE_CHECKING:
    from pyairtable.models.schema import FieldSchema, TableSchema

_TEXTS = ("singleLineText", "multilineText", "richText")
_LINK = "multipleRecordLinks"
_TYPES = {
    "find_by_contact_lookup": (_LINK,),
    "note_submission_type": ("singleSelect", *_TEXTS),
    "note_content": _TEXTS,
    "deals": _TEXTS,
    "introductions": _TEXTS,
    "note_submissions": (_LINK,),
}


class Checked(NamedTuple):
    """A table or a field: what the file calls it, its name and id in the base, and its problem."""

    place: str
    given: str
    name: str
    id: str
    problem: str = ""


def check(base: AirtableBase) -> list[Checked]:
    """Compares the tables and fields of the file with the schema of the base; one request.

    Raises:
        BackendError: if the key may not read the schema.
    """
    config = base.config
    tables: dict[str, TableSchema] = {}
    for table in base.schema().tables:
        tables |= {table.id: table, table.name: table}
    notes = tables.get(config.note_submission.table)
    members = tables.get(config.master.table)
    return [
        *_checked("note_submission", config.note_submission, notes, members, config),
        *_checked("master", config.master, members, notes, config),
    ]


def _checked(
    place: str,
    given: Any,
    table: TableSchema | None,
    other: TableSchema | None,
    config: AirtableConfig,
) -> list[Checked]:
    """A table and its fields; `other` is the table that its link leads to."""
    if table is None:
        return [Checked(f"{place}.table", given.table, "", "", "the base has no such table")]
    found = [Checked(f"{place}.table", given.table, table.name, table.id)]
    by_given: dict[str, FieldSchema] = {}
    for each in table.fields:
        by_given |= {each.id: each, each.name: each}
    for name, wanted in msgspec.structs.asdict(given.fields).items():
        field = by_given.get(wanted)
        row = Checked(f"{place}.fields.{name}", wanted, "", "", "the table has no such field")
        if field is not None:
            problem = _problem(name, field, other, config)
            row = Checked(row.place, wanted, field.name, field.id, problem)
        found.append(row)
    return found


def _problem(
    name: str, field: FieldSchema, other: TableSchema | None, config: AirtableConfig
) -> str:
    types = _TYPES.get(name)
    # An enumeration of strings, or a string if pyairtable does not know it.
    kind = str(getattr(field.type, "value", field.type))
    if types is not None and kind not in types:
        return f"its type is {kind}, not {' or '.join(types)}"
    options = getattr(field, "options", None)
    if name == "note_submission_type" and kind == "singleSelect":
        choices = [each.name for each in getattr(options, "choices", ())]
        if config.note_submission.type not in choices:
            return f"it has no choice {config.note_submission.type}; it has {', '.join(choices)}"
    if kind == _LINK and types == (_LINK,) and other is not None:
        if getattr(options, "linked_table_id", None) != other.id:
            return f"it does not link to {other.name}"
        back = getattr(options, "inverse_link_field_id", None)
        mine = config.note_submission.fields.find_by_contact_lookup
        ends = {each.id: (each.id, each.name) for each in other.fields}
        if name == "note_submissions" and mine not in ends.get(back or "", ()):
            return f"it is not the other end of {mine}"
    return ""
