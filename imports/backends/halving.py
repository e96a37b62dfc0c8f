"""Asking about many things: at once, and in halves where that is refused, too much or too slow."""

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
    """Some of the things, from the one numbered `first` on, and the answer about them.

    Where that is an error, it is about one thing alone, which it says was refused.
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
    """Asks about things, and halves what does not pass until single ones are left.

    `ask` asks a database about things, the first of which is numbered `first`: it is the given one,
    or the same with fewer retries. `probe` asks it for something that must always pass: if that
    does not, the things are not to blame.

    Raises:
        BackendUnavailableError: if the target does not answer any more, refuses the probe, or
            takes too long for one thing.
    """
    try:
        return [Part(first, things, ask(database, first, things))]
    except StatementCancelledError as error:
        if len(things) <= 1:
            # Not the thing is the matter then: somebody holds the table, or all is too slow.
            raise BackendUnavailableError(f"Even one record takes too long: {error}.") from error
        refusal: DataRefusedError | BackendUnavailableError = error
    except DataRefusedError as error:
        if error.sqlstate is None:
            _make_sure(database, probe, error)
        refusal = error
    except BackendUnavailableError as error:
        if database.policy.stop.is_set() or not error.divisible:
            raise
        _make_sure(database, probe, error)
        refusal = error
        # It is alive: what is the matter shows soon, the halves need not be tried as often.
        database = database.retrying(min(database.policy.max_retries, 1))
    if len(things) <= 1:
        return [Part(first, things, refusal)]
    middle = len(things) // 2
    return [
        *in_parts(database, things[:middle], ask, probe, first),
        *in_parts(database, things[middle:], ask, probe, first + middle),
    ]


def all_answers(parts: list[Part[T, R]]) -> list[R]:
    """The answers about all parts.

    Raises:
        DataRefusedError, BackendUnavailableError: if there is one that was refused.
    """
    answers: list[R] = []
    for part in parts:
        if isinstance(part.answer, (DataRefusedError, BackendUnavailableError)):
            raise part.answer
        answers.append(part.answer)
    return answers


def _make_sure(
    database: RetryingDatabase,
    probe: Callable[[RetryingDatabase], object],
    error: DataRefusedError | BackendUnavailableError,
) -> None:
    """Asks the probe.

    Raises:
        BackendUnavailableError: if it is refused, too.
    """
    try:
        # Waited for by time, and not tried for itself: the things have had their tries.
        probe(database.retrying(0))
    except DataRefusedError as refused:
        raise BackendUnavailableError(
            f"The target refuses whatever comes, so it is not the data's fault: {error}.",
            divisible=False,
        ) from refused
