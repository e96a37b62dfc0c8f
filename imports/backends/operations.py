"""What was asked of a target: how often, how often again, and how long it took."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace


@dataclass(slots=True)
class OperationStats:
    """The sums of one operation: its calls, the retries of these, and the calls that failed.

    `seconds` is the time of all calls, with the waits before retries.
    """

    calls: int = 0
    retries: int = 0
    failures: int = 0
    seconds: float = 0.0


class Operations:
    """The sums by operation: `database.merge`, `store.put`, … Safe to use from any thread."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self._lock = threading.Lock()
        self._stats: dict[str, OperationStats] = {}

    def add(self, operation: str, *, retries: int, failed: bool, seconds: float) -> None:
        """Counts one call."""
        with self._lock:
            sums = self._stats.get(operation)
            if sums is None:
                sums = self._stats[operation] = OperationStats()
            sums.calls += 1
            sums.retries += retries
            sums.failures += failed
            sums.seconds += seconds

    def stats(self) -> dict[str, OperationStats]:
        """The sums so far, by operation."""
        with self._lock:
            return {name: replace(sums) for name, sums in sorted(self._stats.items())}
