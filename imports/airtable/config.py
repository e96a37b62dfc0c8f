"""The file `airtable.toml`: base, tables and fields, each by its name or its id."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec

from imports.errors import UsageError
from imports.files.regular_file import read_named

_FIELD_ID = re.compile(r"fld[A-Za-z0-9]{14}")
_BASE_ID = re.compile(r"app[A-Za-z0-9]{14}")
_LOCAL = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?/?")

Name = Annotated[str, msgspec.Meta(min_length=1)]


class NoteFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of a note that are written."""

    find_by_contact_lookup: Name = "find_by_contact_lookup"
    note_submission_type: Name = "note_submission_type"
    note_content: Name = "note_content"
    deals: Name = "deals"
    introductions: Name = "introductions"


class MemberFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of a member that are read. `note_submissions` links back to its notes."""

    contact_id: Name = "contact_id"
    note_submissions: Name = "Note Submission"


class NoteTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table of notes, and the value of the field `note_submission_type` in ours."""

    table: Name = "Note Submission"
    type: Name = "Elvis"
    fields: NoteFields = NoteFields()


class MemberTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table of members, which is never written."""

    table: Name
    fields: MemberFields = MemberFields()


class AirtableConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of the file.

    `requests_per_second` is less than Airtable's limit if other programs use the base, too.
    `endpoint_url` is another address of the API: a proxy, or a server for tests.
    """

    base: Name
    master: MemberTable
    note_submission: NoteTable = NoteTable()
    requests_per_second: Annotated[int, msgspec.Meta(ge=1)] = 5
    endpoint_url: Name = "https://api.airtable.com"


def read_config(path: Path) -> AirtableConfig:
    """Reads `airtable.toml`.

    Raises:
        UsageError: if it does not exist, or a value is missing or invalid.
    """
    try:
        content = read_named(path)
    except FileNotFoundError:
        raise UsageError(
            f"{path} does not exist. It names base, tables and fields: copy airtable.toml.example"
            " to it and adapt it, or name another file with --config."
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}. Make it readable, or name another file with"
            " --config."
        ) from None
    try:
        found = msgspec.toml.decode(content, type=AirtableConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}. Correct the file.") from None
    if problem := _problem(found):
        raise UsageError(f"{path}: {problem}.")
    return found


def config_from(settings: object) -> AirtableConfig:
    """The same from values in Python, such as the tables of the file as dictionaries.

    Raises:
        UsageError: if a value is missing or invalid.
    """
    if isinstance(settings, AirtableConfig):
        return settings
    try:
        found = msgspec.convert(settings, AirtableConfig)
    except msgspec.ValidationError as error:
        raise UsageError(f"The configuration of Airtable: {error}.") from None
    if problem := _problem(found):
        raise UsageError(f"The configuration of Airtable: {problem}.")
    return found


def is_field_id(field: str) -> bool:
    """Whether a field is given by its id."""
    return _FIELD_ID.fullmatch(field) is not None


def by_ids(fields: NoteFields | MemberFields) -> bool:
    """Whether the fields of a table are given by their ids; otherwise by their names."""
    return is_field_id(msgspec.structs.astuple(fields)[0])


def _problem(config: AirtableConfig) -> str | None:
    """What is wrong with valid values, if anything."""
    if _BASE_ID.fullmatch(config.base) is None:
        return "base must be the id of the base, as in its address: app and 14 letters or digits"
    for table, fields in (
        ("note_submission", config.note_submission.fields),
        ("master", config.master.fields),
    ):
        given = msgspec.structs.asdict(fields)
        if len({is_field_id(each) for each in given.values()}) > 1:
            # Airtable's answers have either names or ids.
            return f"the fields of {table} must all be names, or all be ids (fld…)"
        if len(set(given.values())) < len(given):
            return f"two fields of {table} are the same"
    url = config.endpoint_url
    if not url.startswith("https://") and _LOCAL.fullmatch(url) is None:
        return "endpoint_url must begin with https://: the key is sent to it"
    return None
