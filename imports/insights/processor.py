"""SupabaseInsightsProcessor: merges insights into those of their contacts, as an import does."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from imports.backends.reading import Row, RowQuery, pages
from imports.errors import ImporterError, RecordError
from imports.insights.client import SupabaseInsightsClient
from imports.insights.errors import SupabaseOperationError, failing_as
from imports.insights.memory import MemoryManager
from imports.insights.models import (
    InsightMetadata,
    StructuredInsight,
    StructuredInsightContent,
)
from imports.insights.reader import PAGE
from imports.insights.state import ProcessingState
from imports.items.records import Prepared, RowOutcome
from imports.items.source import Signature
from imports.items.work_item import WorkItem
from imports.kinds.insights.insight import Insight, insight_in, rows_of
from imports.kinds.insights.kind import INSIGHTS, InsightFile
from imports.kinds.insights.tables import INSIGHT_SOURCES, consolidated_eni_id
from imports.ledger.work_state import new_run_ids
from imports.phases.merge_job import MergeJob
from imports.phases.merging import ImportTarget, import_batch
from imports.phases.prepare import encode_records, row_encoders
from imports.source.cleaning import json_type, without_nul
from imports.source.json_text import as_json


class _Given(NamedTuple):
    """An insight to process, or what is wrong with it."""

    name: str
    insight: Insight | None
    problem: str = ""


class _Merged(NamedTuple):
    """Why an insight was refused, or whether its source group is new."""

    problem: str | None
    is_new: bool


class SupabaseInsightsProcessor:
    """Merges insights into the one insight of their contact.

    It does what an import of files does: each insight is kept as a source group, and the insight of
    the contact is computed from all of them. So neither order nor repeats change the result. An
    insight without `generated_at` is one of now.
    `memory_manager` caches insights that were read. `batch_size` insights are merged in one
    transaction. The source groups have its `batch_id`: `resilient-importer reset` can delete them.
    """

    def __init__(
        self,
        client: SupabaseInsightsClient,
        memory_manager: MemoryManager | None = None,
        batch_size: int = 10,
        enable_memory_optimization: bool = True,
    ) -> None:
        self.client = client
        self.memory_manager = memory_manager or MemoryManager()
        self.batch_size = batch_size
        self.enable_memory_optimization = enable_memory_optimization
        self.current_state: ProcessingState | None = None
        _, self.batch_id = new_run_ids()

    def process_insight(
        self,
        contact_id: str,
        eni_id: str | None,
        content: StructuredInsightContent | Mapping[str, Any] | str,
        metadata: Mapping[str, Any] | None = None,
        force_create: bool = False,
    ) -> tuple[StructuredInsight, bool]:
        """Merges an insight; returns that of its contact, and whether the contact is new.

        With `force_create`, the insight is stored as it is under its own ENI id, and not merged.

        Raises:
            ValueError: if a value is invalid; the message names it.
            SupabaseOperationError: if the target refuses it, or does not answer.
        """
        document = {
            "metadata": {**(metadata or {}), "contact_id": contact_id, "eni_id": eni_id},
            "insights": _plain(content),
        }
        if force_create:
            given = document["insights"]
            insight = StructuredInsight(
                metadata=InsightMetadata(**document["metadata"]),
                insights=StructuredInsight.read(document).insights
                if isinstance(given, str)
                else StructuredInsightContent(**given),
            )
            return self.client.upsert_insight(insight)
        return self._process([document])

    def merge_insights(
        self,
        existing: StructuredInsight,
        new_content: StructuredInsightContent | Mapping[str, Any] | str,
        new_metadata: Mapping[str, Any],
    ) -> StructuredInsight:
        """Merges an insight with a stored one; returns that of their contact.

        Both are kept as source groups, since the result is computed from these: it is stored
        already. The new one is the group of the `eni_id` in its metadata.

        Raises:
            ValueError, SupabaseOperationError: as `process_insight`.
        """
        contact_id = existing.metadata.contact_id
        documents: list[dict[str, Any]] = []
        if existing.metadata.eni_id != consolidated_eni_id(contact_id):
            metadata = existing.metadata.model_dump(mode="json", exclude={"version"})
            documents.append({"metadata": metadata, "insights": _plain(existing.insights)})
        documents.append(
            {
                "metadata": {**new_metadata, "contact_id": contact_id},
                "insights": _plain(new_content),
            }
        )
        return self._process(documents)[0]

    def _process(self, documents: list[dict[str, Any]]) -> tuple[StructuredInsight, bool]:
        """Merges documents of one contact; returns its insight, and whether the contact is new."""
        insights = []
        for document in documents:
            given = _given(document, "")
            if given.insight is None:
                raise ValueError(given.problem)
            insights.append(given.insight)
        contact_id = insights[0].metadata.contact_id
        with failing_as("The insight cannot be processed"):
            merged = self._merge(insights)
        for each in merged:
            if each.problem is not None:
                raise SupabaseOperationError(
                    f"The insight of {contact_id} is refused: {each.problem}"
                )
        self._forget(contact_id)
        stored = self.load_existing_insight(contact_id, consolidated_eni_id(contact_id))
        if stored is None:
            raise SupabaseOperationError(f"The insight of {contact_id} was deleted meanwhile.")
        return stored, merged[-1].is_new and _is_new(stored)

    def batch_process_insights(
        self, insights_data: Sequence[Mapping[str, Any]], clear_memory_after_batch: bool = True
    ) -> ProcessingState:
        """Merges insights, `batch_size` of them in a transaction; one that fails stops no other.

        Each has `contact_id`, `eni_id`, `insights` and further metadata; or it is a document as in
        a file.

        Raises:
            SupabaseConnectionError: if the target does not answer any more. `current_state` has
                what is done.
        """
        state = self.current_state = ProcessingState()
        documents = iter(enumerate(insights_data))
        while batch := list(islice(documents, self.batch_size)):
            given = [_given(each, f"insight {number}") for number, each in batch]
            for each in given:
                if each.insight is None:
                    state.mark_failed(each.name, each.problem)
            found = [each for each in given if each.insight is not None]
            with failing_as("The insights cannot be processed"):
                merged = self._merge([each.insight for each in found if each.insight])
            new = self._new_contacts(
                each.name for each, its in zip(found, merged, strict=True) if its.is_new
            )
            for each, its in zip(found, merged, strict=True):
                if its.problem is not None:
                    state.mark_failed(each.name, its.problem)
                    continue
                self._forget(each.name)
                state.mark_processed(each.name, each.name in new)
                new.discard(each.name)
            if clear_memory_after_batch and self.enable_memory_optimization:
                self.memory_manager.clear()
        state.finalize()
        return state

    def load_existing_insight(
        self, contact_id: str, eni_id: str | None = None
    ) -> StructuredInsight | None:
        """A stored insight, from the cache or the target; without `eni_id` that written last."""
        key = _cache_key(contact_id, eni_id)
        cached = self.memory_manager.get_item(key)
        if isinstance(cached, StructuredInsight):
            return cached
        if eni_id:
            found = self.client.get_insight_by_contact_and_eni(contact_id, eni_id)
        else:
            found = self.client.get_insight_by_contact_id(contact_id)
        if found is not None:
            self.memory_manager.add_item(key, found)
        return found

    def get_processing_statistics(self) -> dict[str, Any]:
        """The state of cache and target, the number of stored insights, and the last batch."""
        exists = self.client.create_table_if_not_exists()
        return {
            "memory_stats": self.memory_manager.get_stats(),
            "supabase_table_exists": exists,
            "batch_size": self.batch_size,
            "memory_optimization_enabled": self.enable_memory_optimization,
            "total_insights_in_db": self.client.get_insights_count() if exists else 0,
            "current_processing": self.current_state and self.current_state.get_summary(),
        }

    def cleanup(self) -> None:
        """Empties the cache, and forgets the last batch. The client stays open."""
        self.memory_manager.clear()
        self.current_state = None

    def _merge(self, insights: list[Insight]) -> list[_Merged]:
        """Merges insights in one transaction, without those that the target refuses."""
        target = self.client.target
        database = target.database
        now = time.time_ns()
        encoders = row_encoders(INSIGHTS, database.row_format)
        items = []
        prepared = Prepared([], [])
        for number, insight in enumerate(self._dated(insights, now)):
            path = f"{insight.metadata.contact_id}/{insight.metadata.eni_id}"
            items.append(WorkItem(number, path, Signature(0, now)))
            content = InsightFile(insight, now)
            found = encode_records(INSIGHTS, encoders, number, content, (), Counter())
            prepared.records.extend(found.records)
        run = {"batch_id": self.batch_id, "if_exists": "newer", "repair": False}
        to = ImportTarget(target.config, INSIGHTS.group, run, self.batch_id, None)
        try:
            imported = import_batch(to, MergeJob(items, prepared, time.time()))
        finally:
            # Its answers are not asked for again, except by the retries of the merge itself.
            with suppress(ImporterError):
                database.retrying(0).forget_merges(self.batch_id)
        reasons = dict(imported.failures)
        new = {item for item, outcome, _ in imported.merged if outcome is RowOutcome.INSERTED}
        return [_Merged(reasons.get(item.id), item.id in new) for item in items]

    def _dated(self, insights: list[Insight], now: int) -> list[Insight]:
        """The insights, those without a date as of now; a repeated one keeps its date.

        Without a date, one would count as the oldest of its contact.
        """
        undated = [each for each in insights if each.metadata.generated_at is None]
        if not undated:
            return insights
        query = RowQuery(
            INSIGHT_SOURCES,
            PAGE,
            INSIGHT_SOURCES.key,
            where={"contact_id": sorted({each.metadata.contact_id for each in undated})},
            columns=("generated_at", "content_hash"),
        )
        stored = {
            tuple(row[name] for name in INSIGHT_SOURCES.key): row
            for rows in pages(self.client.target.database, query)
            for row in rows
        }
        return [
            each
            if each.metadata.generated_at is not None
            else _as_of(each, now, stored.get(each.metadata[:3]))
            for each in insights
        ]

    def _new_contacts(self, contact_ids: Iterable[str]) -> set[str]:
        """Those of some contacts whose insight is new."""
        asked = sorted(set(contact_ids))
        if not asked:
            return set()
        return {
            stored.metadata.contact_id
            for stored in self.client.iterate_insights(contact_ids=asked)
            if stored.metadata.eni_id == consolidated_eni_id(stored.metadata.contact_id)
            and _is_new(stored)
        }

    def _forget(self, contact_id: str) -> None:
        for eni_id in (None, consolidated_eni_id(contact_id)):
            self.memory_manager.remove_item(_cache_key(contact_id, eni_id))


def _as_of(insight: Insight, now: int, stored: Row | None) -> Insight:
    """An insight with a date: that of the stored source group if it says the same, else now."""
    if stored is not None and stored["generated_at"] is not None:
        again = _with_date(insight, datetime.fromisoformat(stored["generated_at"]))
        _, (*_, content_hash, _) = rows_of(again, now)
        if content_hash == stored["content_hash"]:
            return again
    return _with_date(insight, datetime.fromtimestamp(now / 1e9, UTC))


def _with_date(insight: Insight, moment: datetime) -> Insight:
    return insight._replace(metadata=insight.metadata._replace(generated_at=moment))


def _given(document: object, name: str) -> _Given:
    """The insight in a document, named after its contact."""
    if not isinstance(document, Mapping):
        return _Given(name, None, f"{name} is {json_type(document)}, not an object")
    plain = {key: _plain(value) if key == "insights" else value for key, value in document.items()}
    # As in a file: without NUL, and only what JSON can say.
    plain = without_nul(plain, Counter())
    insight = insight_in(plain, Counter())
    name = insight.metadata.contact_id or name
    if insight.errors:
        return _Given(name, None, "; ".join(insight.errors))
    try:
        as_json(plain)
    except RecordError as error:
        return _Given(name, None, f"the insight {error}")
    return _Given(name, insight)


def _plain(content: object) -> Any:
    if isinstance(content, StructuredInsightContent):
        return content.model_dump(by_alias=True, exclude_none=True)
    return dict(content) if isinstance(content, Mapping) else content


def _is_new(stored: StructuredInsight) -> bool:
    """Whether the last write of an insight was its first one."""
    return stored.created_at == stored.updated_at


def _cache_key(contact_id: str, eni_id: str | None) -> str:
    return f"{contact_id}_{eni_id or 'latest'}"
