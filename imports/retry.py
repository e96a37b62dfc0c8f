"""Trying again what passes by itself, and how long to wait before."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from imports.errors import BackendUnavailableError

if TYPE_CHECKING:
    from tenacity import RetryCallState

P = ParamSpec("P")
R = TypeVar("R")

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often something is tried again, and the event that ends all waiting."""

    max_retries: int = 3
    stop: threading.Event = field(default_factory=threading.Event)


def with_retries(
    policy: RetryPolicy, operation: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Calls an operation, and again while it raises BackendUnavailableError and tries are left.

    Waits grow exponentially with jitter, or are as long as the target asked for.

    Raises:
        BackendUnavailableError: the last one, when the tries are used up or the run is stopping.
    """
    failed: list[BackendUnavailableError] = []
    try:
        return operation(*args, **kwargs)
    except BackendUnavailableError as error:
        failed.append(error)
    # On demand: in most runs everything succeeds at once.
    from tenacity import (
        Retrying,
        retry_if_exception_type,
        sleep_using_event,
        stop_after_attempt,
        stop_when_event_set,
    )

    def next_try() -> R:
        if failed:
            raise failed.pop()
        return operation(*args, **kwargs)

    retrying = Retrying(
        retry=retry_if_exception_type(BackendUnavailableError),
        stop=stop_after_attempt(policy.max_retries + 1) | stop_when_event_set(policy.stop),
        wait=_wait,
        sleep=sleep_using_event(policy.stop),
        before_sleep=_report,
        reraise=True,
    )
    return retrying(next_try)


def _wait(state: RetryCallState) -> float:
    error = _error(state)
    if isinstance(error, BackendUnavailableError) and error.retry_after is not None:
        return min(error.retry_after, LONGEST_WAIT_SECONDS)
    return _backoff(state)


def _backoff(state: RetryCallState) -> float:
    from tenacity import wait_exponential_jitter

    wait = wait_exponential_jitter(
        multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS, jitter=FIRST_WAIT_SECONDS
    )
    return wait(state)


def _report(state: RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0.0
    _log.warning("try %d: %s Again in %.1f s.", state.attempt_number, _error(state), wait)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
