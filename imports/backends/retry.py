"""Trying again what passes by itself, and how long to wait before.

A request is tried a few times. Its server is asked a small question right before the last try, and
after it: a request that fails between two answers is itself at fault, and is given up. A server
that stays away is waited for by time, and so is a lock that somebody else has.
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

_LONGEST_WAIT_FOR_A_SERVER = 2.0
"""While a server is away: one that is back is not to be idle for long."""

_MOST_OUTAGES = 5
"""So often a server may go away under one request: by chance, or the request brings it down."""

_log = logging.getLogger(__name__)


def _nobody(message: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is under way: since when, for which operation, with which arguments."""

    since: float
    operation: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often something is tried again, how long a server is waited for, and what ends both.

    `max_wait` is for how many seconds a server that stays away is waited for; with 0 the tries
    alone count. `tell` shows a message to the user. `asked` has the requests that are under way, by
    thread.
    """

    max_retries: int = 3
    stop: threading.Event = field(default_factory=threading.Event)
    max_wait: float = 0.0
    tell: Callable[[str], None] = _nobody
    clock: Callable[[], float] = time.monotonic
    asked: dict[int, Asked] = field(default_factory=dict)


def with_retries(policy: RetryPolicy, server: Server, operation: Callable[[], R]) -> R:
    """Calls an operation, and again while it raises BackendUnavailableError and tries are left.

    Waits grow exponentially with jitter, and are at least as long as the target asked for. A
    server that is away, or a lock, is waited for up to `max_wait` seconds; what failed meanwhile
    does not count.

    Raises:
        BackendUnavailableError: the last one, when the tries are used up or the run is stopping;
            one that is not divisible, and says how long it was waited for, if the server stayed
            away.
    """
    try:
        answer = operation()
    except BackendUnavailableError as error:
        server.failed(policy)
        answer = _Tries(policy, server, operation, error).go()
    server.answered(policy)
    return answer


class _Tries(Generic[R]):
    """The further tries of an operation whose first one failed."""

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
        self._fair = False
        self._back = False
        self._locked_since: float | None = None
        self._waited = 0.0

    def go(self) -> R:
        # On demand: in most runs everything succeeds at once.
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
        self._fair = False
        last = self._left <= 0 and self._policy.max_wait > 0
        if self._server.probe is not None and (last or self._away):
            self._ask_before()
        return self._operation()

    def _ask_before(self) -> None:
        """Asks the server right before a try, which is a fair one then."""
        try:
            self._server.ask()
        except BackendUnavailableError:
            self._away = True
            raise
        if self._away:
            self._away, self._back = False, True
        self._fair = True
        self._server.answered(self._policy)

    def _is_over(self, state: RetryCallState) -> bool:
        """Whether no try follows the one that has just failed."""
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
                # Only what fails between two answers is itself at fault: a server that was away
                # may be back by the time that it is asked.
                return self._left < 0 and self._fair
            self._outages += 1
            if self._outages > _MOST_OUTAGES:
                return True
            # What failed until now failed for that.
            self._away, self._left = True, policy.max_retries
        return self._waited_in_vain(error)

    def _answers(self) -> bool:
        """Whether the server answers to something else; one that cannot be asked does not."""
        if self._server.probe is None:
            return False
        try:
            self._server.ask()
        except BackendUnavailableError:
            return False
        self._server.answered(self._policy)
        return True

    def _locked_for_too_long(self) -> bool:
        """When a lock is free is a matter of time, not of tries; the server itself is there."""
        self._server.answered(self._policy)
        now = self._policy.clock()
        if self._locked_since is None:
            self._locked_since = now
        self._waited = now - self._locked_since
        return self._waited >= self._policy.max_wait

    def _waited_in_vain(self, error: BackendUnavailableError) -> bool:
        self._waited = self._server.away(self._policy, error)
        return self._waited >= self._policy.max_wait

    def _wait(self, state: RetryCallState) -> float:
        if self._back:
            # The waits are short again.
            self._back, state.attempt_number = False, 1
        error = _error(state)
        wait = min(max(_backoff(state), error.retry_after or 0.0), LONGEST_WAIT_SECONDS)
        if error.locked:
            return min(wait, _LONGEST_WAIT_FOR_A_SERVER)
        if not self._away:
            return wait
        # At the end of the time it is asked once more.
        left = self._policy.max_wait - self._server.silent_for(self._policy)
        return max(0.0, min(wait, _LONGEST_WAIT_FOR_A_SERVER, left))

    def _before_sleep(self, state: RetryCallState) -> None:
        # While the server is away, the user knows it, and there may be hundreds of tries.
        if self._away:
            _report_absence(state)
        else:
            _report(state)

    def _give_up(self, state: RetryCallState) -> R:
        error = _error(state)
        waited = self._away or self._locked_since is not None
        if not waited or self._policy.stop.is_set():
            raise error
        raise BackendUnavailableError(
            f"{error} It was waited for {duration(self._waited)} (--max-wait).", divisible=False
        ) from error


def _backoff(state: RetryCallState) -> float:
    from tenacity import wait_exponential_jitter

    wait = wait_exponential_jitter(
        multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS, jitter=FIRST_WAIT_SECONDS
    )
    return wait(state)


def _report(state: RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0.0
    _log.warning("try %d: %s Again in %.1f s.", state.attempt_number, _error(state), wait)


def _report_absence(state: RetryCallState) -> None:
    _log.debug("still away: %s", _error(state))


def _error(state: RetryCallState) -> BackendUnavailableError:
    # Nothing else is tried again.
    return cast(BackendUnavailableError, state.outcome.exception() if state.outcome else None)
