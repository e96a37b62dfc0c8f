"""Statistics of the operations of a target: calls, retries, failures and time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace


@dataclass(slots=True)
class OperationStats:
    """The totals of one operation.

    `seconds` is the time of all calls, including the waits before retries.
    """

    calls: int = 0
    retries: int = 0
    failures: int = 0
    seconds: float = 0.0


class Operations:
    """The totals by operation: `database.merge`, `store.put`, … Thread-safe."""

    def __init__(self) -> None:
        """All totals are zero."""
        self._lock = threading.Lock()
        self._stats: dict[str, OperationStats] = {}

    def add(self, operation: str, *, retries: int, failed: bool, seconds: float) -> None:
        """Counts one call."""
        with self._lock:
            totals = self._stats.get(operation)
            if totals is None:
                totals = self._stats[operation] = OperationStats()
            totals.calls += 1
            totals.retries += retries
            totals.failures += failed
            totals.seconds += seconds

    def stats(self) -> dict[str, OperationStats]:
        """A copy of the totals so far, by operation."""
        with self._lock:
            return {name: replace(totals) for name, totals in sorted(self._stats.items())}
