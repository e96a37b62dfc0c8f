"""From stored rows to insights, and back."""

from __future__ import annotations

import html
from datetime import datetime
from typing import Any

from imports.backends.reading import Row
from imports.insights.errors import SupabaseOperationError
from imports.insights.models import (
    InsightMetadata,
    StructuredInsight,
    StructuredInsightContent,
)
from imports.kinds.insights.tables import STRUCTURED_INSIGHTS

SECTIONS = ("personal", "business", "investing", "three_i", "deals", "introductions")
"""The columns of the sections, in their order."""

COLUMNS = (
    "id",
    *(column.name for column in STRUCTURED_INSIGHTS.columns if column.name not in SECTIONS),
    "created_at",
    "updated_at",
)
"""The columns that make an insight: `insights` has the sections, too."""

_METADATA = tuple(
    column.name
    for column in STRUCTURED_INSIGHTS.columns
    if column.name not in (*SECTIONS, "insights")
)
_BEGIN, _END = "\x02", "\x03"


class FoundInsight(StructuredInsight):
    """An insight that a search found, with its rank: a greater one is better.

    `excerpt` is plain text from `section`, the first one with a hit, and each hit is between `**`
    and `**`. In a page, use `excerpt_html`: there the text is escaped, and each hit is between
    `<mark>` and `</mark>`.
    """

    rank: float
    section: str | None
    excerpt: str
    excerpt_html: str


def insight_in(row: Row) -> StructuredInsight:
    """The insight in a row with `COLUMNS`.

    Raises:
        SupabaseOperationError: if another program has stored what is no insight.
    """
    return StructuredInsight(**_fields(row))


def found_in(answer: Any) -> list[FoundInsight]:
    """The insights in the answer of `importer_search_insights`."""
    return [
        FoundInsight(
            **_fields(row),
            rank=row["rank"],
            section=row["section"],
            # A search for what is -without a word finds insights without a section, too.
            excerpt=_marked(excerpt := " ".join((row["excerpt"] or "").split()), "**", "**"),
            excerpt_html=_marked(html.escape(excerpt), "<mark>", "</mark>"),
        )
        for row in answer
    ]


def _marked(excerpt: str, begin: str, end: str) -> str:
    return excerpt.replace(_BEGIN, begin).replace(_END, end)


def _fields(row: Row) -> dict[str, Any]:
    # A row of another program may have NULL where the model has a default, or in a list.
    given = {name: row[name] for name in _METADATA if row[name] is not None}
    for name, value in given.items():
        if isinstance(value, list):
            given[name] = [each for each in value if each is not None]
    try:
        content = dict(row["insights"])
        # The original wrote the third section under the name of its column.
        if "three_i" in content:
            content.setdefault("3i", content.pop("three_i"))
        return {
            "id": row["id"],
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "metadata": InsightMetadata(**given),
            "insights": StructuredInsightContent(**content),
        }
    except (ValueError, TypeError) as error:
        raise SupabaseOperationError(
            f"The stored insight {row['contact_id']}/{row['eni_id'] or '-'} (id {row['id']}) has"
            f" values that no insight has; correct it in the database: {error}"
        ) from error


def values_of(insight: StructuredInsight, generated_at: datetime) -> tuple[object, ...]:
    """The values of an insight for the table, in the order of its columns.

    `generated_at` is used if the insight has no time of its own.
    """
    metadata = insight.metadata.model_dump(mode="json")
    content = insight.insights
    values: dict[str, object] = {name: metadata[name] for name in _METADATA}
    values["generated_at"] = values["generated_at"] or generated_at.isoformat()
    more = {**(insight.metadata.additional_metadata or {}), **(insight.metadata.model_extra or {})}
    values["additional_metadata"] = more or None
    values |= {name: getattr(content, name) for name in SECTIONS}
    values["insights"] = content.model_dump(mode="json", by_alias=True, exclude_none=True)
    return tuple(values[column.name] for column in STRUCTURED_INSIGHTS.columns)
