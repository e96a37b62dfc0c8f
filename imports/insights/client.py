"""SupabaseInsightsClient: reads and writes the insights of a target, on either backend."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import orjson

from imports.backends.database import Rows
from imports.backends.halving import in_parts
from imports.backends.reading import RowQuery, pages
from imports.backends.retrying import RetryingDatabase
from imports.errors import DataRefusedError
from imports.insights.errors import SupabaseOperationError, failing_as
from imports.insights.models import StructuredInsight
from imports.insights.reader import BY_KEY, PAGE, InsightsReader
from imports.insights.rows import COLUMNS, insight_in, values_of
from imports.items.records import RowOutcome
from imports.kinds.insights.tables import ADDED, STORED, STRUCTURED_INSIGHTS
from imports.tables.row_format import encoder
from imports.tables.table import TableGroup

_log = logging.getLogger(__name__)

_WRITES_BEFORE_FORGETTING = 50


class SupabaseInsightsClient(InsightsReader):
    """A client for the insights in a target: Supabase, PostgreSQL, or the embedded PostgreSQL.

    Without arguments it uses the project's settings, as the commands do. With a URL, or with a key,
    the target is that Supabase. It connects at once. Requests are retried `max_retries` times, and
    a target that does not answer is waited for `timeout` seconds. Connections are always pooled, so
    `enable_connection_pooling` changes nothing. `settings` take the place of all these.

    Methods raise SupabaseConnectionError if the target does not answer, SupabaseOperationError if
    it refuses, and ValueError for invalid arguments. Threads may share a client; `close`, or the
    end of a `with`, closes it.

    Raises:
        SupabaseConnectionError, SupabaseOperationError: if the target cannot be used.
    """

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
            times = self._times_of(insights)
            encoded = [
                encode(values_of(each, time)) for each, time in zip(insights, times, strict=True)
            ]
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

    def _times_of(self, insights: Sequence[StructuredInsight]) -> list[datetime]:
        """When each insight was generated: without a time, that of the stored one, or now."""
        now = datetime.now(UTC)
        timeless = [each for each in insights if each.metadata.generated_at is None]
        stored = self._stored_by_key(timeless) if timeless else {}
        known = {key: each.metadata.generated_at for key, each in stored.items()}
        return [each.metadata.generated_at or known.get(_key_of(each)) or now for each in insights]

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
        query = RowQuery(STRUCTURED_INSIGHTS, PAGE, BY_KEY, where=where, columns=COLUMNS)
        with failing_as("The insights cannot be read"):
            return {
                (row["contact_id"], row["eni_id"]): insight_in(row)
                for rows in pages(self.target.database, query)
                for row in rows
            }


def create_supabase_client(**arguments: Any) -> SupabaseInsightsClient:
    """A client, by the arguments of SupabaseInsightsClient."""
    return SupabaseInsightsClient(**arguments)


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
