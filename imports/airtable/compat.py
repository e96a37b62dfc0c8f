"""The sync as users of the earlier program call it from Python.

All of it is `syncing`, by other names.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from imports.airtable.base import AirtableBase, limiter_for
from imports.airtable.config import AirtableConfig, config_from, read_config
from imports.airtable.outcome import Action, Outcome
from imports.airtable.selection import Selection
from imports.airtable.syncing import plan, sync
from imports.backends.retry import RetryPolicy
from imports.backends.target import Target
from imports.errors import UsageError

_ACTIONS = {
    Action.CREATED: "created",
    Action.MADE_AGAIN: "created",
    Action.UPDATED: "updated",
    Action.UNCHANGED: "skipped",
    Action.SKIPPED: "skipped",
    Action.FAILED: "failed",
}
_RECENT = 100
_MAX_WAIT_SECONDS = 120.0


class TargetClient(Protocol):
    """A client of a target, such as `SupabaseInsightsClient`."""

    @property
    def target(self) -> Target:
        """The open target."""
        ...


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync did for a contact: `created`, `updated`, `skipped` or `failed`.

    `error_message` is why it failed, or why there was nothing to send.
    """

    contact_id: str
    success: bool
    action: str
    error_message: str | None = None
    airtable_record_id: str | None = None


class StructuredInsightsAirtableWriter:
    """The way to a base. Sends no request before a sync."""

    def __init__(
        self, config: AirtableConfig | Mapping[str, Any] | str | Path, api_key: str | None = None
    ) -> None:
        """`config` is the path of an `airtable.toml`, its values, or those of the earlier program.

        The default of `api_key` is the variable AIRTABLE_API_KEY.

        Raises:
            UsageError: if the configuration is invalid, or there is no key.
        """
        if isinstance(config, (str, Path)):
            self.config = read_config(Path(config))
        else:
            self.config = config_from(_converted(config))
        key = api_key or os.environ.get("AIRTABLE_API_KEY")
        if not key:
            raise UsageError("AIRTABLE_API_KEY is not set. Set it, or give the argument api_key.")
        self._key = key

    @contextlib.contextmanager
    def opened(self) -> Iterator[AirtableBase]:
        """The base."""
        policy = RetryPolicy(max_wait=_MAX_WAIT_SECONDS, stop=threading.Event())
        base = AirtableBase(self.config, self._key, policy, limiter_for(self.config, policy.stop))
        with contextlib.closing(base):
            yield base


class SupabaseAirtableSync:
    """Syncs insights to Airtable.

    A contact that cannot be synced is a result with the action `failed`. If the target or Airtable
    refuse everything, or stay away, a sync raises the errors of `syncing.sync`.
    """

    def __init__(
        self,
        client: TargetClient,
        airtable_writer: StructuredInsightsAirtableWriter,
        sync_interval_hours: int = 24,
    ) -> None:
        """`sync_interval_hours` is only shown by `get_sync_statistics`."""
        self._database = client.target.database
        self._writer = airtable_writer
        self._interval = sync_interval_hours
        self._last: datetime | None = None
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._overall: Counter[str] = Counter()

    def sync_contact_to_airtable(self, contact_id: str, force_update: bool = False) -> SyncResult:
        """Syncs a contact; with `force_update`, even if it has not changed."""
        (result,) = self._sync(Selection(contacts=(contact_id,)), force=force_update)
        return result

    def sync_specific_contacts(self, contact_ids: Iterable[str]) -> list[SyncResult]:
        """Syncs some contacts."""
        contacts = tuple(dict.fromkeys(contact_ids))
        return self._sync(Selection(contacts=contacts)) if contacts else []

    def sync_recent_insights(
        self, hours_back: float = 24, max_records: int = 100, force_update: bool = False
    ) -> list[SyncResult]:
        """Syncs at most `max_records` of the contacts whose insights changed in the last hours.

        The results have only contacts with something to send.
        """
        due: list[str] = []

        def note(outcome: Outcome) -> None:
            if _ACTIONS[outcome.action] != "skipped":
                due.append(outcome.contact_id)

        recent = Selection(since=timedelta(hours=hours_back))
        plan(self._database, self._writer.config, recent, note, force=force_update)
        chosen = tuple(due[:max_records])
        return self._sync(Selection(contacts=chosen), force=force_update) if chosen else []

    def sync_all_insights(
        self, batch_size: int = 50, force_update: bool = False
    ) -> list[SyncResult]:
        """Syncs all contacts. Airtable takes ten notes at once, whatever the `batch_size`."""
        return self._sync(Selection(everything=True), force=force_update)

    def get_sync_statistics(self) -> dict[str, Any]:
        """What this object has synced so far."""
        return {
            "last_sync_time": self._last,
            "sync_interval_hours": self._interval,
            "total_sync_attempts": self._overall.total(),
            "recent_summary": _summary(Counter(self._recent)),
            "overall_summary": _summary(self._overall),
        }

    def _sync(self, selection: Selection, *, force: bool = False) -> list[SyncResult]:
        results: list[SyncResult] = []

        def tell(outcome: Outcome) -> None:
            result = _result(outcome)
            results.append(result)
            self._recent.append(result.action)
            self._overall[result.action] += 1

        with self._writer.opened() as base:
            sync(self._database, base, selection, tell, force=force)
        self._last = datetime.now(UTC)
        return results


def _result(outcome: Outcome) -> SyncResult:
    return SyncResult(
        outcome.contact_id,
        outcome.action is not Action.FAILED,
        _ACTIONS[outcome.action],
        outcome.reason or None,
        outcome.record_id,
    )


def _summary(counts: Counter[str]) -> dict[str, Any]:
    total = counts.total()
    successful = total - counts["failed"]
    return {
        "total": total,
        "successful": successful,
        **{action: counts[action] for action in ("failed", "created", "updated", "skipped")},
        "success_rate": successful / total if total else 0.0,
    }


def _converted(config: AirtableConfig | Mapping[str, Any]) -> object:
    """The values of a file, from those of the earlier program if they are such."""
    if isinstance(config, AirtableConfig):
        return config
    found = config.get("airtable", config)
    found = found.get("structured_insight", found)
    if "base_id" not in found:
        return config
    tables = found.get("tables") or {}
    notes, master = tables.get("note_submission") or {}, tables.get("master") or {}
    note_table = {
        "table": notes.get("table_id") or notes.get("table_name"),
        "type": (notes.get("status_column_value") or {}).get("elvis"),
        "fields": notes.get("fields"),
    }
    # It had more fields of members, which it did not use.
    names = ("contact_id", "note_submissions")
    fields = {name: each for name, each in (master.get("fields") or {}).items() if name in names}
    return {
        "base": found["base_id"],
        "note_submission": {name: each for name, each in note_table.items() if each},
        "master": {"table": master.get("table_id") or master.get("table_name"), "fields": fields},
    }
