"""Jobs in two steps. Each executor here is one thread that waits for the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from imports.errors import ImporterError, LimitError
from imports.workers.chained import Chained, FirstStep
from imports.workers.executors import run_bounded


def half(number: int) -> float:
    if number < 0:
        raise ValueError("negative")
    return number / 2


def begin(number: int) -> FirstStep[float, str] | str:
    """Odd numbers must be halved first."""
    return FirstStep(partial(half, number), str) if number % 2 else f"{number} as it is"


def shouted(text: str) -> str:
    return text.upper()


class Named(ThreadPoolExecutor):
    """Knows how many jobs it was given."""

    def __init__(self) -> None:
        super().__init__(1)
        self.given = 0

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given += 1
        return super().submit(function, *args, **kwargs)


@pytest.fixture
def first() -> Iterator[Named]:
    with Named() as executor:
        yield executor


@pytest.fixture
def second() -> Iterator[Named]:
    with Named() as executor:
        yield executor


def test_each_job_takes_the_steps_that_it_needs(first: Named, second: Named) -> None:
    chained = Chained(first, second, begin)
    results = run_bounded(chained, shouted, range(6), in_flight=3, stop=threading.Event())
    assert sorted(results) == ["0 AS IT IS", "0.5", "1.5", "2 AS IT IS", "2.5", "4 AS IT IS"]
    assert (first.given, second.given) == (3, 6)


def test_no_more_jobs_are_begun_than_may_be_under_way(first: Named, second: Named) -> None:
    go_on = threading.Event()

    def waiting(text: str) -> str:
        go_on.wait(10)
        return text

    begun: list[int] = []

    def noted(number: int) -> FirstStep[float, str]:
        begun.append(number)
        if len(begun) == 3:
            go_on.set()
        return FirstStep(partial(half, number), str)

    results = run_bounded(
        Chained(first, second, noted), waiting, range(10), in_flight=3, stop=threading.Event()
    )
    next(results)
    assert begun == [0, 1, 2]
    assert len(list(results)) == 9


@pytest.mark.parametrize("step", ["first", "then", "second"])
def test_a_step_that_fails_fails_the_job_alone(first: Named, second: Named, step: str) -> None:
    def fail(argument: object) -> str:
        raise ValueError("oops")

    function = fail if step == "second" else shouted
    of_first = FirstStep(partial(half, -1 if step == "first" else 1), str)
    if step == "then":
        of_first = FirstStep(partial(half, 1), fail)
    chained = Chained(first, second, lambda _: of_first)
    with pytest.raises(ValueError, match=r"oops|negative"):
        chained.submit(function, 1).result(10)
    assert Chained(first, second, begin).submit(shouted, 2).result(10) == "2 AS IT IS"


def test_a_first_step_that_is_given_up_gives_up_the_job(first: Named, second: Named) -> None:
    held, go_on = threading.Event(), threading.Event()
    first.submit(lambda: (held.set(), go_on.wait(10)))
    assert held.wait(10)
    future = Chained(first, second, begin).submit(shouted, 1)
    first.shutdown(wait=False, cancel_futures=True)
    go_on.set()
    with pytest.raises(CancelledError):
        future.result(10)


def test_a_second_executor_that_takes_no_more_fails_the_job(first: Named, second: Named) -> None:
    second.shutdown()
    with pytest.raises(RuntimeError):
        Chained(first, second, begin).submit(shouted, 1).result(10)


class Broken(Executor):
    """Its process was ended from outside."""

    has_stopped = False

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(BrokenExecutor("a process died"))
        return future


class Stopped(Broken):
    """It never gets to its jobs: the thread that would hand them out is gone."""

    has_stopped = True

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        return Future()


def test_that_the_first_executor_is_broken_is_told_as_ever(second: Named) -> None:
    chained = Chained(Broken(), second, begin)
    with pytest.raises(ImporterError, match="A worker process was killed from outside"):
        list(run_bounded(chained, shouted, [1], in_flight=2, stop=threading.Event()))


def test_that_the_first_executor_hands_out_nothing_is_noticed(
    second: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imports.workers.executors._SECONDS_BETWEEN_LOOKS", 0.001)
    chained = Chained(Stopped(), second, begin)
    with pytest.raises(LimitError):
        list(run_bounded(chained, shouted, [1], in_flight=2, stop=threading.Event()))
