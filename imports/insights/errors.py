"""The errors of the client, and retries of a caller's own function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from imports.errors import BackendUnavailableError, ImporterError


class SupabaseOperationError(ImporterError):
    """An operation failed, and would fail again, unless it is a SupabaseConnectionError."""


class SupabaseConnectionError(SupabaseOperationError):
    """The target cannot be reached, or did not answer after all retries."""

    exit_code = BackendUnavailableError.exit_code


@contextmanager
def failing_as(what: str) -> Iterator[None]:
    """Gives an error of the engine the class that callers of the client expect."""
    try:
        yield
    except SupabaseOperationError:
        raise
    except BackendUnavailableError as error:
        raise SupabaseConnectionError(f"{what}: {error}") from error
    except ImporterError as error:
        raise SupabaseOperationError(f"{what}: {error}") from error


def retry_on_failure(
    max_retries: int = 3, delay: float = 1.0, backoff: float = 2.0
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function, so that it is tried `max_retries` times if a connection fails.

    It waits `delay` seconds before the second try, and `backoff` times as long before each further
    one. Invalid input and refused data are not tried again: the result would be the same. The
    methods of the client need no such decorator, since they retry by themselves.
    """
    # On demand: few callers retry anything themselves.
    import tenacity

    return tenacity.retry(
        stop=tenacity.stop_after_attempt(max_retries),
        wait=tenacity.wait_exponential(multiplier=delay, exp_base=backoff),
        retry=tenacity.retry_if_exception_type(
            (SupabaseConnectionError, BackendUnavailableError, ConnectionError, TimeoutError)
        ),
        reraise=True,
    )
