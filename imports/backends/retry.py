"""Retries of temporary errors, and the waits before them.

A request has a number of retries. Right before and after the last one, the server is probed with a
small request: a request that fails between two answers is itself the cause, and is given up. For an
unavailable server, or a lock of another session, not the number of retries counts but the time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from imports.backends.outage import Server, duration
from imports.errors import BackendUnavailableError

if TYPE_CHECKING:
    from tenacity import RetryCallState

R = TypeVar("R")

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0

_LONGEST_WAIT_IN_OUTAGE = 2.0
"""During an outage the waits are short, so that work resumes soon after it."""

_MAX_OUTAGES = 5
"""After so many outages during one request, the request is probably their cause."""

_log = logging.getLogger(__name__)


def _nobody(message: str) -> None:
    """Ignores a message."""


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A request without an answer yet: its start, operation and arguments."""

    since: float
    operation: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The number of retries, the longest wait for an unavailable server, and what stops both.

    `max_wait` is that wait in seconds; with 0, only the number of retries counts. `tell` shows a
    message to the user. `pending` has the requests without an answer yet, by thread.
    """

    max_retries: int = 3
    stop: threading.Event = field(default_factory=threading.Event)
    max_wait: float = 0.0
    tell: Callable[[str], None] = _nobody
    clock: Callable[[], float] = time.monotonic
    pending: dict[int, PendingRequest] = field(default_factory=dict)


def with_retries(policy: RetryPolicy, server: Server, operation: Callable[[], R]) -> R:
    """Calls an operation, and retries it if it raises BackendUnavailableError.

    Waits grow exponentially with jitter, and are at least as long as the server requests. The wait
    for an unavailable server or a lock is at most `max_wait` seconds; failures during it do not
    count as retries.

    Raises:
        BackendUnavailableError: the last one, if no retries are left or the run is stopping. If
            the server stayed unavailable, it is not divisible, and its message has the wait.
    """
    try:
        answer = operation()
    except BackendUnavailableError as error:
        server.failed(policy)
        answer = _Retries(policy, server, operation, error).run()
    server.answered(policy)
    return answer


class _Retries(Generic[R]):
    """The retries of an operation that failed."""

    def __init__(
        self,
        policy: RetryPolicy,
        server: Server,
        operation: Callable[[], R],
        first: BackendUnavailableError,
    ) -> None:
        self._policy = policy
        self._server = server
        self._operation = operation
        self._first: BackendUnavailableError | None = first
        self._left = policy.max_retries
        self._outages = 0
        self._away = False
        self._probed = False
        self._back = False
        self._locked_since: float | None = None
        self._waited = 0.0

    def run(self) -> R:
        # On demand: most runs need no retry.
        from tenacity import Retrying, retry_if_exception_type, sleep_using_event

        return Retrying(
            retry=retry_if_exception_type(BackendUnavailableError),
            stop=self._is_over,
            wait=self._wait,
            sleep=sleep_using_event(self._policy.stop),
            before_sleep=self._before_sleep,
            retry_error_callback=self._give_up,
        )(self._try)

    def _try(self) -> R:
        if self._first is not None:
            first, self._first = self._first, None
            raise first
        self._probed = False
        last = self._left <= 0 and self._policy.max_wait > 0
        if self._server.probe is not None and (last or self._away):
            self._probe_before()
        return self._operation()

    def _probe_before(self) -> None:
        """Probes the server right before a retry."""
        try:
            self._server.ask()
        except BackendUnavailableError:
            self._away = True
            raise
        if self._away:
            self._away, self._back = False, True
        self._probed = True
        self._server.answered(self._policy)

    def _is_over(self, state: RetryCallState) -> bool:
        """Whether the try that has just failed was the last one."""
        policy, error = self._policy, _error(state)
        if policy.stop.is_set():
            return True
        if error.locked and policy.max_wait:
            return self._locked_for_too_long()
        self._locked_since = None
        if not self._away:
            self._left -= 1
            if self._left > 0 or not policy.max_wait:
                return self._left < 0
            if self._answers():
                # Only a failure between two answers is the request's own: after an outage, the
                # server may answer again when it is probed.
                return self._left < 0 and self._probed
            self._outages += 1
            if self._outages > _MAX_OUTAGES:
                return True
            # The outage was the cause of the failures so far, so they do not count.
            self._away, self._left = True, policy.max_retries
        return self._away_for_too_long(error)

    def _answers(self) -> bool:
        """Whether the server answers the probe; False if there is no probe."""
        if self._server.probe is None:
            return False
        try:
            self._server.ask()
        except BackendUnavailableError:
            return False
        self._server.answered(self._policy)
        return True

    def _locked_for_too_long(self) -> bool:
        """Whether the wait for a lock is over; the server itself is available."""
        self._server.answered(self._policy)
        now = self._policy.clock()
        if self._locked_since is None:
            self._locked_since = now
        self._waited = now - self._locked_since
        return self._waited >= self._policy.max_wait

    def _away_for_too_long(self, error: BackendUnavailableError) -> bool:
        self._waited = self._server.away(self._policy, error)
        return self._waited >= self._policy.max_wait

    def _wait(self, state: RetryCallState) -> float:
        if self._back:
            # After an outage, the waits begin short again.
            self._back, state.attempt_number = False, 1
        error = _error(state)
        wait = min(max(_backoff(state), error.retry_after or 0.0), LONGEST_WAIT_SECONDS)
        if error.locked:
            return min(wait, _LONGEST_WAIT_IN_OUTAGE)
        if not self._away:
            return wait
        # The last probe comes at the end of the wait.
        left = self._policy.max_wait - self._server.silent_for(self._policy)
        return max(0.0, min(wait, _LONGEST_WAIT_IN_OUTAGE, left))

    def _before_sleep(self, state: RetryCallState) -> None:
        # An outage was announced once, and may have hundreds of retries.
        if self._away:
            _log_outage(state)
        else:
            _log_retry(state)

    def _give_up(self, state: RetryCallState) -> R:
        error = _error(state)
        waited = self._away or self._locked_since is not None
        if not waited or self._policy.stop.is_set():
            raise error
        raise BackendUnavailableError(
            f"{error} Gave up after {duration(self._waited)} (--max-wait).", divisible=False
        ) from error


def _backoff(state: RetryCallState) -> float:
    from tenacity import wait_exponential_jitter

    wait = wait_exponential_jitter(
        multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS, jitter=FIRST_WAIT_SECONDS
    )
    return wait(state)


def _log_retry(state: RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0.0
    _log.warning("try %d: %s Retry in %.1f s.", state.attempt_number, _error(state), wait)


def _log_outage(state: RetryCallState) -> None:
    _log.debug("still unavailable: %s", _error(state))


def _error(state: RetryCallState) -> BackendUnavailableError:
    # No other error is retried.
    return cast(BackendUnavailableError, state.outcome.exception() if state.outcome else None)
