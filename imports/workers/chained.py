"""Jobs in two steps: the first on one executor, the second on another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class FirstStep(Generic[A, B]):
    """The function of the first step, and `then`, which turns its result into the second job."""

    function: Callable[[], A]
    then: Callable[[A], B]


class Chained(Executor):
    """An executor for jobs with two steps, on `first` and on `second`; no thread waits in between.

    `begin` returns the first step of a job, or the job of the second step if there is no first one.
    It runs in the thread that submits. `FirstStep.then` runs in a thread of the first executor.
    """

    def __init__(self, first: Executor, second: Executor, begin: Callable[..., object]) -> None:
        """Uses the given executors; the caller shuts them down."""
        self._first = first
        self._second = second
        self._begin = begin

    @property
    def has_stopped(self) -> bool:
        """Whether the first executor starts no more jobs."""
        return bool(getattr(self._first, "has_stopped", False))

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Starts a job; the future is the result of `function`, its second step."""
        begun = self._begin(*args, **kwargs)
        if not isinstance(begun, FirstStep):
            return self._second.submit(function, begun)
        whole: Future[R] = Future()
        self._first.submit(begun.function).add_done_callback(
            partial(self._go_on, function, begun, whole)
        )
        return whole

    def _go_on(
        self,
        function: Callable[[Any], R],
        begun: FirstStep[Any, Any],
        whole: Future[R],
        first: Future[Any],
    ) -> None:
        try:
            second = self._second.submit(function, begun.then(first.result()))
        except BaseException as error:  # noqa: BLE001 - `result()` raises it
            whole.set_exception(error)
        else:
            second.add_done_callback(partial(_pass_on, whole))


def _pass_on(whole: Future[R], done: Future[R]) -> None:
    try:
        whole.set_result(done.result())
    except BaseException as error:  # noqa: BLE001 - `result()` raises it
        whole.set_exception(error)
