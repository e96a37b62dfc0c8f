"""What a sync came to: the outcome of each contact, and the report of all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Action(StrEnum):
    """What a sync did for a contact."""

    CREATED = "created"
    MADE_AGAIN = "made_again"
    """Somebody had deleted its note in Airtable."""
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    """There is nothing to send: `reason` says why."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a contact. `field` is the field that Airtable refused, if it named one."""

    contact_id: str
    action: Action
    reason: str = ""
    field: str | None = None
    record_id: str | None = None


@dataclass(slots=True)
class SyncReport:
    """The counts of a sync by action, and its failures and skipped contacts with their reasons."""

    counts: Counter[Action] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    calls_this_month: int = 0

    def add(self, outcome: Outcome) -> None:
        """Counts an outcome."""
        self.counts[outcome.action] += 1
        if outcome.action is Action.FAILED:
            self.failed.append(outcome)
        elif outcome.action is Action.SKIPPED:
            self.skipped[outcome.reason] += 1
