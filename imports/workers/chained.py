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
    """What is done first, and what makes the second step's job of its result."""

    function: Callable[[], A]
    then: Callable[[A], B]


class Chained(Executor):
    """An executor whose jobs are begun on `first` and done on `second`: no thread waits between.

    `begin` says for a job what its first step is, or is itself the job of the second step, if
    there is nothing to do before. It is called in the thread that submits; what `FirstStep.then`
    does, in one of the first executor.
    """

    def __init__(self, first: Executor, second: Executor, begin: Callable[..., object]) -> None:
        """Makes no executor: it uses those of others."""
        self._first = first
        self._second = second
        self._begin = begin

    @property
    def has_stopped(self) -> bool:
        """Whether the first executor hands out no jobs any more."""
        return bool(getattr(self._first, "has_stopped", False))

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Begins a job; the future is that of `function`, its second step."""
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
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            whole.set_exception(error)
        else:
            second.add_done_callback(partial(_pass_on, whole))


def _pass_on(whole: Future[R], done: Future[R]) -> None:
    try:
        whole.set_result(done.result())
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
        whole.set_exception(error)
