"""The limiter: when a request to Airtable may be sent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

REST_SECONDS = 30.0
"""After a request too many, Airtable refuses every request for so long."""


class Limiter:
    """At most `per_second` requests in any second, as Airtable sees them.

    A request arrives between the call of `wait` and that of `sent`. So a request waits until a
    second after `sent` of an earlier one. Not thread-safe: one thread sends all requests.
    """

    def __init__(
        self,
        per_second: int,
        *,
        rest: float = REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`sleep` may return early, to end a sync; the caller then sends nothing."""
        self._sent: deque[float] = deque(maxlen=per_second)
        self._per_second = per_second
        self._rest = rest
        self._clock = clock
        self._sleep = sleep
        self._locked_until = 0.0

    def wait(self) -> None:
        """Waits until the next request may be sent."""
        free = self._locked_until
        if len(self._sent) == self._per_second:
            free = max(free, self._sent[0] + 1.0)
        self.pause(free - self._clock())

    def pause(self, seconds: float) -> None:
        """Waits so many seconds, if they are more than none."""
        if seconds > 0:
            self._sleep(seconds)

    def sent(self) -> None:
        """A request was answered, or has failed."""
        self._sent.append(self._clock())

    def refused(self) -> None:
        """Airtable refused a request because of their number: it rests."""
        self._locked_until = self._clock() + self._rest
