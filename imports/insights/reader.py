"""Reading insights from a target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from imports.backends.reading import RowQuery, count, pages
from imports.insights.connection import InsightsConnection
from imports.insights.errors import failing_as
from imports.insights.models import ProcessingStatus, StructuredInsight
from imports.insights.rows import COLUMNS, SECTIONS, FoundInsight, found_in, insight_in
from imports.kinds.insights.tables import STRUCTURED_INSIGHTS

BY_KEY = ("contact_id", "eni_id")
"""The order of the key, which has an index."""

PAGE = 500
"""Insights that are read at once."""


class InsightsReader(InsightsConnection):
    """The part of `SupabaseInsightsClient` that reads."""

    def get_insight_by_contact_id(self, contact_id: str) -> StructuredInsight | None:
        """The insight of a contact that was written last; None if there is none."""
        return self._latest({"contact_id": [_checked_id(contact_id)]})

    def get_latest_insight_by_contact_id(
        self, contact_id: str, generator: str = "structured_insight"
    ) -> StructuredInsight | None:
        """The same, of one generator."""
        where = {"contact_id": [_checked_id(contact_id)], "generator": [generator]}
        return self._latest(where)

    def get_insight_by_contact_and_eni(
        self, contact_id: str, eni_id: str | None
    ) -> StructuredInsight | None:
        """The insight with exactly these ids; None if there is none.

        That of all source groups of a contact has the ENI id `COMBINED-{contact_id}-ALL`.
        """
        return self._first({"contact_id": [_checked_id(contact_id)], "eni_id": [eni_id]})

    def list_insights(
        self,
        limit: int = 100,
        offset: int = 0,
        contact_ids: Sequence[str] | None = None,
        eni_source_types: Sequence[str] | None = None,
        processing_status: ProcessingStatus | str | None = None,
        order_by: str = "updated_at",
        ascending: bool = False,
    ) -> list[StructuredInsight]:
        """Insights from an offset on, at most `limit`, those that were updated last first.

        Pages in a row are read by key: the last one is as fast as the first. `eni_source_types`
        selects insights that have one of these. `order_by` is a column of the table.
        """
        if limit < 0 or offset < 0:
            raise ValueError("limit and offset must not be negative")
        query = RowQuery(
            STRUCTURED_INSIGHTS,
            limit,
            self._order(order_by),
            where=_where(contact_ids, eni_source_types, processing_status),
            columns=COLUMNS,
            descending=not ascending,
        )
        with failing_as("Insights cannot be listed"):
            rows = self._pages.page(self.target.database, query, offset)
        return [insight_in(row) for row in rows]

    def iterate_insights(
        self,
        contact_ids: Sequence[str] | None = None,
        eni_source_types: Sequence[str] | None = None,
        processing_status: ProcessingStatus | str | None = None,
    ) -> Iterator[StructuredInsight]:
        """All insights, one after the other, in the order of contact and ENI id.

        An insight that is changed meanwhile comes once, whatever was changed but the ids.
        """
        query = RowQuery(
            STRUCTURED_INSIGHTS,
            PAGE,
            BY_KEY,
            where=_where(contact_ids, eni_source_types, processing_status),
            columns=COLUMNS,
        )
        with failing_as("Insights cannot be listed"):
            for rows in pages(self.target.database, query):
                yield from map(insight_in, rows)

    def search_insights(
        self, search_term: str, search_fields: Sequence[str] | None = None, limit: int = 50
    ) -> list[FoundInsight]:
        """The insights that a text is found in, the best first, each with rank and excerpt.

        The text is as for a web search: words in any form, "a phrase", `or` and -without.
        `search_fields` are the sections to search; the default is all.
        """
        sections = ["three_i" if each == "3i" else each for each in search_fields or ()]
        if unknown := [each for each in sections if each not in SECTIONS]:
            raise ValueError(f"there is no section {', '.join(unknown)} in {', '.join(SECTIONS)}")
        text = search_term.replace("\0", " ").encode("utf-8", "replace").decode()
        payload = orjson.dumps({"text": text, "fields": sections or None, "limit": limit})
        with failing_as("Insights cannot be searched"):
            return self.target.database.call("importer_search_insights", payload, found_in)

    def get_insights_count(
        self,
        contact_ids: Sequence[str] | None = None,
        processing_status: ProcessingStatus | str | None = None,
    ) -> int:
        """How many insights there are."""
        where = _where(contact_ids, None, processing_status)
        query = RowQuery(STRUCTURED_INSIGHTS, 1, BY_KEY, where=where)
        with failing_as("Insights cannot be counted"):
            return count(self.target.database, query)

    def _order(self, column: str) -> tuple[str, ...]:
        try:
            STRUCTURED_INSIGHTS.column(column)
        except LookupError as error:
            raise ValueError(f"order_by: {error}") from error
        # Unique together, and with an index for the usual ones.
        return {"contact_id": BY_KEY, "id": ("id",)}.get(column, (column, "id"))

    def _latest(self, where: dict[str, list[Any]]) -> StructuredInsight | None:
        return self._first(where, ("updated_at", "id"), descending=True)

    def _first(
        self,
        where: dict[str, list[Any]],
        by: tuple[str, ...] = BY_KEY,
        *,
        descending: bool = False,
    ) -> StructuredInsight | None:
        query = RowQuery(
            STRUCTURED_INSIGHTS, 1, by, where=where, columns=COLUMNS, descending=descending
        )
        with failing_as("The insight cannot be read"):
            rows = self.target.database.rows(query)
        return insight_in(rows[0]) if rows else None


def _where(
    contact_ids: Sequence[str] | None,
    eni_source_types: Sequence[str] | None,
    processing_status: ProcessingStatus | str | None,
) -> dict[str, Sequence[str]]:
    where: dict[str, Sequence[str]] = {}
    if contact_ids:
        where["contact_id"] = list(contact_ids)
    if eni_source_types:
        where["eni_source_types"] = list(eni_source_types)
    if processing_status:
        where["processing_status"] = [ProcessingStatus(processing_status).value]
    return where


def _checked_id(contact_id: str) -> str:
    if not contact_id.strip() or contact_id != contact_id.encode("utf-8", "replace").decode():
        raise ValueError(f"{contact_id!r} is not a contact id")
    return contact_id
