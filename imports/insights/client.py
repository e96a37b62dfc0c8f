"""SupabaseInsightsClient: reads and writes the insights of a target, on either backend."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import orjson

from imports.backends.database import Rows
from imports.backends.halving import in_parts
from imports.backends.reading import RowQuery, count, pages
from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingDatabase
from imports.backends.target import Target, open_target
from imports.configuration.choices import Backend
from imports.configuration.values import Secret
from imports.errors import DataRefusedError, ImporterError
from imports.insights.errors import SupabaseOperationError, failing_as
from imports.insights.paging import Pages
from imports.insights.rows import (
    COLUMNS,
    SECTIONS,
    FoundInsight,
    found_in,
    insight_in,
    values_of,
)
from imports.items.records import RowOutcome
from imports.kinds.insights.models import ProcessingStatus, StructuredInsight
from imports.kinds.insights.tables import ADDED, STORED, STRUCTURED_INSIGHTS
from imports.ledger.work_state import new_run_ids
from imports.loading import check_backend, load_settings, read_settings
from imports.settings import Settings
from imports.tables.row_format import encoder
from imports.tables.table import TableGroup

_log = logging.getLogger(__name__)

_BY_KEY = ("contact_id", "eni_id")
_PAGE = 500
_WRITES_BEFORE_FORGETTING = 50


class SupabaseInsightsClient:
    """A client for the insights in a target: Supabase, PostgreSQL, or the embedded PostgreSQL.

    Without arguments it uses the project's settings, as the commands do. With a URL, or with a key,
    the target is that Supabase. It connects at once. Requests are retried `max_retries` times, and
    a target that does not answer is waited for `timeout` seconds. Connections are always pooled, so
    `enable_connection_pooling` changes nothing. `settings` can name any target.

    Methods raise SupabaseConnectionError if the target does not answer, SupabaseOperationError if
    it refuses, and ValueError for invalid arguments. Threads may share a client; `close`, or the
    end of a `with`, closes it.

    Raises:
        SupabaseConnectionError, SupabaseOperationError: if the target cannot be used.
    """

    TABLE_NAME = STRUCTURED_INSIGHTS.name

    def __init__(
        self,
        supabase_url: str | None = None,
        supabase_key: str | None = None,
        max_retries: int = 3,
        timeout: float = 30,
        enable_connection_pooling: bool = True,
        *,
        settings: Settings | None = None,
    ) -> None:
        self.enable_connection_pooling = enable_connection_pooling
        with failing_as("The client cannot connect"):
            given = settings or _settings(supabase_url, supabase_key)
            self.settings = replace(given, max_retries=max_retries, max_wait=float(timeout))
        self.max_retries, self.timeout = max_retries, timeout
        self._target: Target | None = None
        self._opening = threading.Lock()
        self._pages = Pages()
        _, self._name = new_run_ids()
        self._writes = 0
        self._ensure_connection()

    # The connection

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the client."""
        self.close()

    def close(self) -> None:
        """Closes all connections. A later call opens them again."""
        target, self._target = self._target, None
        if target is not None:
            with suppress(ImporterError):
                self._forget(target.database)
            target.close()

    @property
    def target(self) -> Target:
        """The open target."""
        return self._ensure_connection()

    def _ensure_connection(self) -> Target:
        """Opens the target, if it is closed; broken connections are replaced when they are used."""
        with self._opening:
            if self._target is None:
                policy = RetryPolicy(self.settings.max_retries, max_wait=self.settings.max_wait)
                with failing_as("The client cannot connect"):
                    self._target = open_target(self.settings, policy)
            return self._target

    def _health_check(self) -> bool:
        """Whether the target answers now, and has the table, with all rights on it."""
        try:
            return self._table_is_usable()
        except ImporterError as error:
            _log.error("The target is not healthy: %s", error)
            return False

    def create_table_if_not_exists(self) -> bool:
        """Whether the table exists and may be used. `schema apply` creates it."""
        return self._health_check()

    def _table_is_usable(self) -> bool:
        name = STRUCTURED_INSIGHTS.qualified_name
        found = self.target.database.retrying(0).condition([name]).tables[name]
        return found.exists and not found.lacking

    def get_operation_statistics(self) -> dict[str, dict[str, float]]:
        """The requests to the database by operation: their number, retries, failures, seconds."""
        stats = self.target.database.operations.stats()
        return {name: asdict(each) for name, each in stats.items()}

    # Reading

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
            _PAGE,
            _BY_KEY,
            where=_where(contact_ids, eni_source_types, processing_status),
            columns=COLUMNS,
        )
        with failing_as("Insights cannot be listed"):
            for rows in pages(self.target.database, query):
                yield from map(insight_in, rows)

    def search_insights(
        self, search_term: str, search_fields: Sequence[str] | None = None, limit: int = 50
    ) -> list[FoundInsight]:
        """The insights that a text is found in, the best first, each with its rank and an excerpt.

        The text is as for a web search: words in any form, "a phrase", or, -without.
        `search_fields` are the sections to search; the default is all.
        """
        sections = tuple(search_fields or SECTIONS)
        if unknown := [each for each in sections if each not in SECTIONS]:
            raise ValueError(f"there is no section {', '.join(unknown)} in {', '.join(SECTIONS)}")
        text = search_term.replace("\0", " ").encode("utf-8", "replace").decode()
        payload = orjson.dumps({"text": text, "sections": sections, "limit": limit})
        with failing_as("Insights cannot be searched"):
            return self.target.database.call("importer_search_insights", payload, found_in)

    def get_insights_count(
        self,
        contact_ids: Sequence[str] | None = None,
        processing_status: ProcessingStatus | str | None = None,
    ) -> int:
        """How many insights there are."""
        where = _where(contact_ids, None, processing_status)
        query = RowQuery(STRUCTURED_INSIGHTS, 1, _BY_KEY, where=where)
        with failing_as("Insights cannot be counted"):
            return count(self.target.database, query)

    def _order(self, column: str) -> tuple[str, ...]:
        try:
            STRUCTURED_INSIGHTS.column(column)
        except LookupError as error:
            raise ValueError(f"order_by: {error}") from error
        # Unique together, and with an index for the usual ones.
        return {"contact_id": _BY_KEY, "id": ("id",)}.get(column, (column, "id"))

    def _latest(self, where: dict[str, list[Any]]) -> StructuredInsight | None:
        return self._first(where, ("updated_at", "id"), descending=True)

    def _first(
        self,
        where: dict[str, list[Any]],
        by: tuple[str, ...] = _BY_KEY,
        *,
        descending: bool = False,
    ) -> StructuredInsight | None:
        query = RowQuery(
            STRUCTURED_INSIGHTS, 1, by, where=where, columns=COLUMNS, descending=descending
        )
        with failing_as("The insight cannot be read"):
            rows = self.target.database.rows(query)
        return insight_in(rows[0]) if rows else None

    # Writing

    def create_insight(self, insight: StructuredInsight) -> StructuredInsight:
        """Stores a new insight; returns it as it is stored, with id and times.

        Raises:
            SupabaseOperationError: if there is one with its contact and ENI id.
        """
        (outcome,) = self._write(ADDED, [insight])
        if outcome is not RowOutcome.INSERTED:
            raise SupabaseOperationError(
                f"{_name_of(insight)} exists already. Use upsert_insight to replace it."
            )
        return self._stored(insight)

    def update_insight(self, insight: StructuredInsight) -> StructuredInsight:
        """Replaces a stored insight; returns it as it is stored, with its next version.

        If nothing differs, nothing is written, and the version stays.

        Raises:
            SupabaseOperationError: if there is no such insight, or it has other ids.
        """
        if insight.id is None:
            stored = self._find(insight)
        else:
            stored = self._first({"id": [str(insight.id)]}, ("id",))
        if stored is None:
            raise SupabaseOperationError(
                f"{_name_of(insight)} is not stored. Use create_insight or upsert_insight."
            )
        if _key_of(stored) != _key_of(insight):
            raise SupabaseOperationError(
                f"{_name_of(stored)} cannot become {_name_of(insight)}: create that one, and delete"
                " the other."
            )
        self._write(STORED, [insight])
        return self._stored(insight)

    def upsert_insight(self, insight: StructuredInsight) -> tuple[StructuredInsight, bool]:
        """Stores an insight under its contact and ENI id; returns it, and whether it is new.

        It replaces the one that is stored. To merge it with others of its contact, use
        SupabaseInsightsProcessor.
        """
        (outcome,) = self._write(STORED, [insight])
        return self._stored(insight), outcome is RowOutcome.INSERTED

    def batch_upsert_insights(
        self, insights: Iterable[StructuredInsight], batch_size: int = 10
    ) -> list[tuple[StructuredInsight, bool]]:
        """Stores insights, `batch_size` in a transaction; returns each, and whether it is new.

        One that the target refuses is logged, and missing in the result.
        """
        results = []
        for batch in _batches(insights, batch_size):
            outcomes = self._write(STORED, batch, refused=_log_refused)
            stored = self._stored_by_key(batch)
            for insight, outcome in zip(batch, outcomes, strict=True):
                if outcome is not None and _key_of(insight) in stored:
                    is_new = outcome is RowOutcome.INSERTED
                    results.append((stored[_key_of(insight)], is_new))
        return results

    def delete_insight(self, insight_id: str | UUID) -> bool:
        """Deletes an insight; returns whether there was one.

        With the insight of all source groups of a contact, these are deleted, too: otherwise the
        next import of one would bring all of it back.
        """
        where = {"id": [str(UUID(str(insight_id)))]}
        if self._first(where, ("id",)) is None:
            return False
        payload = orjson.dumps({"id": where["id"][0]})
        with failing_as("The insight cannot be deleted"):
            self.target.database.call("importer_delete_insight", payload, bool)
        return True

    def _write(
        self,
        group: TableGroup,
        insights: Sequence[StructuredInsight],
        refused: Callable[[StructuredInsight, Exception], None] | None = None,
    ) -> list[RowOutcome | None]:
        """Merges insights with different keys; the outcome of each.

        A refused one goes to `refused` and has no outcome; without that, it is an error.
        """
        database = self.target.database
        encode = encoder(STRUCTURED_INSIGHTS, database.row_format)
        run = {"batch_id": self._name}

        def merge(asked: RetryingDatabase, first: int, rows: list[bytes]) -> str:
            return asked.merge(uuid4(), Rows(group, run, {0: rows})).outcomes[0]

        outcomes: list[RowOutcome | None] = []
        with failing_as("The insights cannot be stored"):
            encoded = [encode(values_of(each)) for each in insights]
            probe = partial(RetryingDatabase.merge_nothing, group=group, run=run)
            for part in in_parts(database, encoded, merge, probe):
                if isinstance(part.answer, str):
                    outcomes += map(RowOutcome, part.answer)
                    continue
                if refused is None or not isinstance(part.answer, DataRefusedError):
                    raise part.answer
                refused(insights[part.first], part.answer)
                outcomes.append(None)
        self._writes += 1
        if self._writes % _WRITES_BEFORE_FORGETTING == 0:
            self._forget(database)
        return outcomes

    def _forget(self, database: RetryingDatabase) -> None:
        """Deletes the stored answers to merges: this client repeats none of them."""
        if self._writes:
            database.retrying(0).forget_merges(self._name)

    def _stored(self, insight: StructuredInsight) -> StructuredInsight:
        found = self._find(insight)
        if found is None:
            raise SupabaseOperationError(f"{_name_of(insight)} was deleted meanwhile.")
        return found

    def _find(self, insight: StructuredInsight) -> StructuredInsight | None:
        contact_id, eni_id = _key_of(insight)
        return self._first({"contact_id": [contact_id], "eni_id": [eni_id]})

    def _stored_by_key(
        self, insights: Sequence[StructuredInsight]
    ) -> dict[tuple[str, str | None], StructuredInsight]:
        """The stored insights with the ids of some, by these ids."""
        keys = [_key_of(each) for each in insights]
        where: dict[str, Sequence[str | None]] = {
            "contact_id": list({contact_id for contact_id, _ in keys}),
            "eni_id": list({eni_id for _, eni_id in keys}),
        }
        query = RowQuery(STRUCTURED_INSIGHTS, _PAGE, _BY_KEY, where=where, columns=COLUMNS)
        with failing_as("The insights cannot be read"):
            return {
                (row["contact_id"], row["eni_id"]): insight_in(row)
                for rows in pages(self.target.database, query)
                for row in rows
            }


def create_supabase_client(**arguments: Any) -> SupabaseInsightsClient:
    """A client, by the arguments of SupabaseInsightsClient."""
    return SupabaseInsightsClient(**arguments)


def _settings(url: str | None, key: str | None) -> Settings:
    """The project's settings; with a URL or a key, those of that Supabase."""
    if url is None and key is None:
        return load_settings(kind="insights")
    known = read_settings(kind="insights")
    settings = replace(
        known,
        backend=Backend.SUPABASE,
        supabase_url=url or known.supabase_url,
        supabase_key=known.supabase_key if key is None else Secret(key),
        database_url=None,
    )
    check_backend(settings)
    return settings


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
    if not contact_id or not contact_id.strip():
        raise ValueError(f"{contact_id!r} is not a contact id")
    return contact_id


def _key_of(insight: StructuredInsight) -> tuple[str, str | None]:
    return insight.metadata.contact_id, insight.metadata.eni_id


def _name_of(insight: StructuredInsight) -> str:
    contact_id, eni_id = _key_of(insight)
    return f"The insight {contact_id}/{eni_id or '-'}"


def _log_refused(insight: StructuredInsight, error: Exception) -> None:
    _log.error("%s is not stored: %s", _name_of(insight), error)


def _batches(insights: Iterable[StructuredInsight], size: int) -> Iterator[list[StructuredInsight]]:
    """Batches of at most this size. An insight with the ids of another one begins a new batch."""
    if size < 1:
        raise ValueError("batch_size must be at least 1")
    batch: dict[tuple[str, str | None], StructuredInsight] = {}
    for insight in insights:
        if len(batch) == size or _key_of(insight) in batch:
            yield list(batch.values())
            batch = {}
        batch[_key_of(insight)] = insight
    if batch:
        yield list(batch.values())
