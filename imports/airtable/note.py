"""A note: what Airtable gets of the insights of a contact."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from imports.airtable.config import AirtableConfig

_CONTENT = (("personal", "Personal"), ("business", "Business"), ("investing", "Investing"))
_THREE_I = ("3i", "three_i")
"""The names of this section: in files and our rows, and in rows of the earlier program."""

_CITATION = re.compile(r"^  [*-] \[", re.MULTILINE)
_BULLET = re.compile(r"^  \*(?!\*)[ \t]*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Note:
    """The note of a contact, from its row `row_id`, as of `version` and `updated_at`.

    Each text is None if it is empty.
    """

    contact_id: str
    row_id: str
    updated_at: str
    version: int | None
    note_content: str | None
    deals: str | None
    introductions: str | None

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return self.note_content is self.deals is self.introductions is None

    def new_fields(self, config: AirtableConfig, member_id: str) -> dict[str, Any]:
        """The fields of a new record. Empty texts are left out."""
        fields = config.note_submission.fields
        texts = self.changed_fields(config)
        return {
            fields.find_by_contact_lookup: [member_id],
            fields.note_submission_type: config.note_submission.type,
            **{field: text for field, text in texts.items() if text is not None},
        }

    def changed_fields(self, config: AirtableConfig) -> dict[str, str | None]:
        """The fields to update in a record of ours: the texts. People may change the others."""
        fields = config.note_submission.fields
        return {
            fields.note_content: self.note_content,
            fields.deals: self.deals,
            fields.introductions: self.introductions,
        }

    def hash(self, config: AirtableConfig) -> str:
        """A hash of its texts, and of where they go: another table or field gets them, too."""
        table = config.note_submission
        place = [table.table, table.type, *msgspec.structs.astuple(table.fields)]
        texts = [self.note_content, self.deals, self.introductions]
        return hashlib.sha256(orjson.dumps([place, texts])).hexdigest()


def note_of(row: Mapping[str, Any]) -> Note:
    """The note of a row of `elvis__structured_insights`."""
    insights = row["insights"] if isinstance(row["insights"], dict) else {}
    sections = [(title, _text(insights, name)) for name, title in _CONTENT]
    sections.append(("3i", _text(insights, *_THREE_I)))
    content = "\n\n".join(f"**{title}:**\n{text}" for title, text in sections if text)
    return Note(
        row["contact_id"],
        row["id"],
        row["updated_at"],
        row["version"],
        content or None,
        _text(insights, "deals"),
        _text(insights, "introductions"),
    )


def _text(insights: Mapping[str, Any], *names: str) -> str | None:
    """The first section that is not empty, as Airtable shows it; None if all are empty."""
    for name in names:
        text = insights.get(name)
        if isinstance(text, str) and text.strip():
            return _indented(text.rstrip())
    return None


def _indented(text: str) -> str:
    """Markdown with a second level that Airtable shows: citations, and bullets."""
    return _BULLET.sub("    • ", _CITATION.sub("    [", text))
