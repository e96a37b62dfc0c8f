"""The connection of a client of insights to its target."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import asdict, replace
from types import TracebackType
from typing import Self

from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingDatabase
from imports.backends.target import Target, open_target
from imports.configuration.choices import Backend
from imports.configuration.values import Secret
from imports.errors import ImporterError
from imports.insights.errors import failing_as
from imports.insights.paging import Pages
from imports.kinds.insights.tables import STRUCTURED_INSIGHTS
from imports.ledger.work_state import new_run_ids
from imports.loading import check_backend, load_settings, read_settings
from imports.settings import Settings

_log = logging.getLogger(__name__)


class InsightsConnection:
    """An open target, until it is closed; see `SupabaseInsightsClient`."""

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
            self.settings = settings or replace(
                _settings(supabase_url, supabase_key), max_retries=max_retries, max_wait=timeout
            )
        self._target: Target | None = None
        self._opening = threading.Lock()
        self._pages = Pages()
        _, self._name = new_run_ids()
        self._writes = 0
        self._ensure_connection()

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

    def _forget(self, database: RetryingDatabase) -> None:
        """Deletes the stored answers to merges: this client repeats none of them."""
        if not self._writes:
            return
        # If that fails, the next client does not mind: the answers have this one's name.
        with suppress(ImporterError):
            database.retrying(0).forget_merges(self._name)

    def get_operation_statistics(self) -> dict[str, dict[str, float]]:
        """The requests to the database by operation: their number, retries, failures, seconds."""
        stats = self.target.database.operations.stats()
        return {name: asdict(each) for name, each in stats.items()}


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
