"""Requests that carry many things, halved if they are refused, too large or too slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from imports.backends.retrying import RetryingDatabase
from imports.errors import BackendUnavailableError, DataRefusedError, StatementCancelledError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Part(Generic[T, R]):
    """A part of the things, beginning at the index `first`, and the answer to its request.

    If the answer is an error, the part is a single thing, which was refused.
    """

    first: int
    things: list[T]
    answer: R | DataRefusedError | BackendUnavailableError


def in_parts(
    database: RetryingDatabase,
    things: list[T],
    ask: Callable[[RetryingDatabase, int, list[T]], R],
    probe: Callable[[RetryingDatabase], object] = RetryingDatabase.identify,
    first: int = 0,
) -> list[Part[T, R]]:
    """Sends a request with things; halves a failing request until single things are left.

    `ask` gets a database (`database`, or the same with fewer retries), the index of the first
    thing, and the things. `probe` sends a request that must always succeed: if it fails, the things
    are not the cause.

    Raises:
        BackendUnavailableError: if the target does not answer any more, refuses the probe, or times
            out on a single thing.
    """
    try:
        return [Part(first, things, ask(database, first, things))]
    except StatementCancelledError as error:
        if len(things) <= 1:
            # The thing is not the cause: a session locks the table, or the target is too slow.
            raise BackendUnavailableError(f"A single record timed out: {error}.") from error
        refusal: DataRefusedError | BackendUnavailableError = error
    except DataRefusedError as error:
        if error.sqlstate is None:
            _check_target(database, probe, error)
        refusal = error
    except BackendUnavailableError as error:
        if database.policy.stop.is_set() or not error.divisible:
            raise
        _check_target(database, probe, error)
        refusal = error
        # The target answers: the cause will show soon, so the halves need fewer retries.
        database = database.retrying(min(database.policy.max_retries, 1))
    if len(things) <= 1:
        return [Part(first, things, refusal)]
    middle = len(things) // 2
    return [
        *in_parts(database, things[:middle], ask, probe, first),
        *in_parts(database, things[middle:], ask, probe, first + middle),
    ]


def all_answers(parts: list[Part[T, R]]) -> list[R]:
    """The answers to all parts.

    Raises:
        DataRefusedError, BackendUnavailableError: the error of a refused part, if there is one.
    """
    answers: list[R] = []
    for part in parts:
        if isinstance(part.answer, (DataRefusedError, BackendUnavailableError)):
            raise part.answer
        answers.append(part.answer)
    return answers


def _check_target(
    database: RetryingDatabase,
    probe: Callable[[RetryingDatabase], object],
    error: DataRefusedError | BackendUnavailableError,
) -> None:
    """Calls the probe, to find out whether the things are the cause of an error.

    Raises:
        BackendUnavailableError: if the target refuses the probe, too.
    """
    try:
        # Without retries of its own: the request had them. An outage is still waited for.
        probe(database.retrying(0))
    except DataRefusedError as refused:
        raise BackendUnavailableError(
            f"The target refuses every request, so the data is not the cause: {error}.",
            divisible=False,
        ) from refused
