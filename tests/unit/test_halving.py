from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.backends.database import Database
from imports.backends.halving import Part, all_answers, in_parts
from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingDatabase
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    ImporterError,
    StatementCancelledError,
)
from tests.support.memory import MemoryDatabase


def a_database(policy: RetryPolicy) -> RetryingDatabase:
    return RetryingDatabase(cast(Database, MemoryDatabase()), policy)


class Target:
    """Answers about at most so many things at once, and never about those that are bad."""

    def __init__(
        self, most: int, bad: set[int], error: ImporterError, broken: ImporterError | None = None
    ) -> None:
        self.most = most
        self.bad = bad
        self.error = error
        self.broken = broken
        self.asked: list[tuple[int, list[int]]] = []
        self.retries: list[int] = []
        self.probed = 0

    def ask(self, database: RetryingDatabase, first: int, things: list[int]) -> list[str]:
        self.asked.append((first, things))
        self.retries.append(database.policy.max_retries)
        if len(things) > self.most or self.bad.intersection(things):
            raise self.error
        return [f"answer {each}" for each in things]

    def probe(self, database: RetryingDatabase) -> None:
        self.probed += 1
        assert database.policy.max_retries == 0, "the things have had their tries"
        if self.broken is not None:
            raise self.broken

    def parts(self, count: int) -> list[Part[int, list[str]]]:
        return in_parts(a_database(RetryPolicy(0)), list(range(count)), self.ask, self.probe)


TOO_LONG = StatementCancelledError("cut short")
TOO_LARGE = DataRefusedError("HTTP 413")
NOT_NOW = BackendUnavailableError("HTTP 502.")
WRONG_VALUE = DataRefusedError("no such date", sqlstate="22007")


@given(st.integers(1, 40), st.integers(1, 8))
@pytest.mark.parametrize("error", [TOO_LONG, TOO_LARGE, NOT_NOW, WRONG_VALUE])
def test_each_thing_is_answered_once_and_in_order(
    error: ImporterError, count: int, most: int
) -> None:
    target = Target(most, set(), error)
    answers = all_answers(target.parts(count))
    assert [each for some in answers for each in some] == [f"answer {n}" for n in range(count)]
    assert all(things == list(range(first, first + len(things))) for first, things in target.asked)


@pytest.mark.parametrize("error", [TOO_LARGE, NOT_NOW, WRONG_VALUE])
def test_what_is_refused_alone_is_told_beside_the_answers(error: ImporterError) -> None:
    parts = Target(8, {5}, error).parts(16)
    assert [part.things for part in parts if part.answer is error] == [[5]]
    assert sum(len(part.things) for part in parts) == 16
    with pytest.raises(type(error)):
        all_answers(parts)


def test_a_single_thing_that_takes_too_long_is_not_to_blame() -> None:
    with pytest.raises(BackendUnavailableError, match="A single record timed out: cut short"):
        Target(8, {5}, TOO_LONG).parts(16)


@pytest.mark.parametrize("error", [TOO_LARGE, NOT_NOW])
@pytest.mark.parametrize("broken", [BackendUnavailableError("away"), DataRefusedError("blocked")])
def test_where_nothing_at_all_is_taken_nothing_is_halved(
    error: ImporterError, broken: ImporterError
) -> None:
    target = Target(8, {5}, error, broken)
    with pytest.raises(BackendUnavailableError, match=r"away|the data is not the cause"):
        target.parts(16)
    assert len(target.asked) == 1


def test_of_refused_values_nobody_asks_whether_the_target_is_at_fault() -> None:
    target = Target(16, {5}, WRONG_VALUE)
    target.parts(16)
    assert target.probed == 0


@pytest.mark.parametrize(
    "error", [BackendUnavailableError("disk full", divisible=False), BackendError("wrong key")]
)
def test_what_no_smaller_request_would_mend_is_raised(error: ImporterError) -> None:
    target = Target(8, {5}, error)
    with pytest.raises(type(error)):
        target.parts(16)
    assert (len(target.asked), target.probed) == (1, 0)


def test_a_run_that_is_stopping_halves_nothing() -> None:
    target = Target(8, set(), NOT_NOW)
    policy = RetryPolicy(0)
    policy.stop.set()
    with pytest.raises(BackendUnavailableError):
        in_parts(a_database(policy), list(range(16)), target.ask, target.probe)
    assert len(target.asked) == 1


@pytest.mark.parametrize(("error", "retries"), [(NOT_NOW, 1), (TOO_LARGE, 3), (TOO_LONG, 3)])
def test_while_the_culprit_is_looked_for_less_is_tried(error: ImporterError, retries: int) -> None:
    target = Target(8, set(), error)
    in_parts(a_database(RetryPolicy(3)), list(range(16)), target.ask, target.probe)
    assert target.retries == [3, retries, retries]
