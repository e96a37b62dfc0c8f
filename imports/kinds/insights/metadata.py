"""The metadata of an insight: values of the right types, from all places where files have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from imports.kinds.insights.sections import Content, shown
from imports.source.cleaning import Tally, clean_timestamp, json_type

STATUSES = ("pending", "processing", "completed", "failed", "archived")
GENERATOR = "structured_insight"
LEGACY_GENERATOR = "legacy_import"

CONTACT_NAMES = ("contact_id", "contactId", "Contact_ID")
LENGTHS = {
    "contact_id": 50,
    "eni_id": 100,
    "member_name": 255,
    "eni_source_type": 100,
    "eni_source_subtype": 100,
    "generator": 50,
    "system_prompt_key": 100,
}
"""The most characters of values."""

_KNOWN = frozenset(
    (
        *CONTACT_NAMES,
        *LENGTHS,
        "eni_source_types",
        "eni_source_subtypes",
        "context_files",
        "record_count",
        "total_eni_ids",
        "generated_at",
        "processing_status",
        "version",
        "additional_metadata",
    )
)
_USUAL_CONTACT = re.compile(r"CNT-[A-Za-z0-9]{6,}")
_LARGEST = 2**31 - 1


class Metadata(NamedTuple):
    """The metadata of an insight. `additional` are the values that have no column."""

    contact_id: str
    generator: str
    eni_id: str
    member_name: str | None
    source_types: list[str]
    source_subtypes: list[str]
    system_prompt_key: str | None
    context_files: str | None
    record_count: int
    total_eni_ids: int
    generated_at: datetime | None
    processing_status: str | None
    additional: dict[str, Any] | None


def metadata_of(
    document: Mapping[str, Any], used: frozenset[str], content: Content, tally: Tally
) -> Metadata:
    """The metadata in a document; what is wrong goes to the errors and warnings of its content.

    Values at the top level come before those in the object `metadata`. `used` are the names at the
    top level that are no metadata.
    """
    values = _Values(document, used, content)
    contact_id = values.text("contact_id", *CONTACT_NAMES[1:])
    if contact_id is None and not values.has_wrong(CONTACT_NAMES):
        content.errors.append("metadata.contact_id is missing")
    elif contact_id is not None and not _USUAL_CONTACT.fullmatch(contact_id):
        content.warnings.append(
            f"metadata.contact_id is {shown(contact_id)}; usual ids are CNT- and at least 6 letters"
            " or digits"
        )
    beside = content.others.get("member_name")
    member_name = values.text("member_name")
    if isinstance(beside, str):
        beside = beside.strip()
        member_name = member_name or beside or None
        if member_name == (beside or None) or not beside:
            del content.others["member_name"]
    legacy = document.get("insights") is None and document.get("content") is not None
    return Metadata(
        contact_id or "",
        values.text("generator") or (LEGACY_GENERATOR if legacy else GENERATOR),
        values.text("eni_id") or f"LEGACY-{contact_id}",
        member_name,
        values.texts("eni_source_types", "eni_source_type"),
        values.texts("eni_source_subtypes", "eni_source_subtype"),
        values.text("system_prompt_key"),
        values.text("context_files"),
        values.count("record_count"),
        values.count("total_eni_ids"),
        values.time("generated_at", tally),
        values.choice("processing_status", STATUSES),
        values.rest() or None,
    )


class _Values:
    """Takes values by their names; what is wrong with one becomes an error, with its place."""

    def __init__(self, document: Mapping[str, Any], used: frozenset[str], content: Content) -> None:
        metadata = document.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            content.errors.append(f"metadata is {json_type(metadata)}, not an object")
            metadata = None
        top = {name: each for name, each in document.items() if name not in used}
        top.pop("metadata", None)
        holders: list[tuple[str, dict[str, Any]]] = [("", top), ("metadata.", metadata or {})]
        self._holders = [each for each in holders if each[1]]
        self._content = content
        self._wrong: set[str] = set()

    def has_wrong(self, names: tuple[str, ...]) -> bool:
        """Whether one of these values has an error."""
        return not self._wrong.isdisjoint(names)

    def text(self, *names: str) -> str | None:
        """A string, trimmed; None if it is missing or empty."""
        place, value = self._take(*names)
        if value is None:
            return None
        if not isinstance(value, str):
            self._error(names[0], place, f"is {json_type(value)}, not a string")
            return None
        return self._checked(names[0], place, value)

    def texts(self, name: str, single: str) -> list[str]:
        """A list of strings, and the single value that files may have in its place."""
        place, value = self._take(name)
        given = value if isinstance(value, list) else [] if value is None else [value]
        found: dict[str, None] = {}
        for index, each in enumerate(given):
            where = f"{place}[{index}]" if given is value else place
            if each is None:
                continue
            if not isinstance(each, str):
                self._error(name, where, f"is {json_type(each)}, not a string")
            elif text := self._checked(single, where, each):
                found[text] = None
        if text := self.text(single):
            found[text] = None
        return list(found)

    def count(self, name: str) -> int:
        """A whole number that is not negative; 1 if it is missing."""
        place, value = self._take(name)
        if value is None:
            return 1
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            value = int(value) if len(value) < 20 else _LARGEST + 1
        elif isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int:
            self._error(name, place, f"is {shown(value)}, not a whole number")
        elif value < 0:
            self._error(name, place, f"is {value}, less than 0")
        elif value > _LARGEST:
            self._error(name, place, "is a number that is too large")
        else:
            return value
        return 1

    def time(self, name: str, tally: Tally) -> datetime | None:
        """A time; a value that cannot be read is counted, and gets a warning."""
        place, value = self._take(name)
        if value is None:
            return None
        if isinstance(value, (dict, list, bool)):
            self._error(name, place, f"is {json_type(value)}, not a date")
            return None
        found = clean_timestamp(value, tally)
        if found is None:
            self._content.warnings.append(
                f"{place} is {shown(value)}, which cannot be read as a date: the file counts as"
                " undated"
            )
        return found

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        """One of some texts, in whatever case."""
        place, value = self._take(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and value.strip().lower() in choices:
            return value.strip().lower()
        self._error(name, place, f"is {shown(value)}; it must be one of {', '.join(choices)}")
        return None

    def rest(self) -> dict[str, Any]:
        """The values that have no column, by their names."""
        found: dict[str, Any] = {}
        for place, holder in self._holders:
            found |= {
                name: value
                for name, value in holder.items()
                if name not in _KNOWN and value is not None
            }
            extra = holder.get("additional_metadata")
            if isinstance(extra, dict):
                found |= extra
            elif extra is not None:
                where = f"{place}additional_metadata"
                self._error("additional_metadata", where, f"is {json_type(extra)}, not an object")
            # The version of a row is computed.
            if holder.get("version", 1) not in (1, None):
                found["version"] = holder["version"]
        return found

    def _take(self, *names: str) -> tuple[str, Any]:
        """The place and the value of the first of these names; None if there is none."""
        if len(self._holders) == 1 == len(names):
            # In nearly all files.
            place, holder = self._holders[0]
            return f"{place}{names[0]}", holder.get(names[0])
        found = [
            (f"{place}{name}", holder[name])
            for place, holder in self._holders
            for name in names
            if holder.get(name) is not None
        ]
        if not found:
            return f"metadata.{names[0]}", None
        (place, value), *others = found
        for other, unused in others:
            if unused != value:
                self._content.warnings.append(
                    f"{other} is {shown(unused)} and is not used: {place} is {shown(value)}"
                )
        return place, value

    def _checked(self, name: str, place: str, value: str) -> str | None:
        text = value.strip()
        longest = LENGTHS.get(name)
        if longest is not None and len(text) > longest:
            self._error(name, place, f"has {len(text)} characters, more than {longest}")
            return None
        return text or None

    def _error(self, name: str, place: str, problem: str) -> None:
        self._wrong.add(name)
        self._content.errors.append(f"{place} {problem}")
