"""Running plain functions on executors, with a bound on what is under way at once."""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from imports.errors import ImporterError, LimitError

if TYPE_CHECKING:
    from imports.workers.processes import Processes

P = ParamSpec("P")
J = TypeVar("J")
R = TypeVar("R")

FEW_ITEMS = 600
"""Below this many, starting processes takes longer than it saves."""

MANY_FOLDERS = 5_000
"""Above this many, listing them in processes saves more than starting those takes."""

_SECONDS_BETWEEN_LOOKS = 1.0

_OWN_FILES = 16
"""So many files and connections a run has open at least, beside those of its threads."""


class Workers:
    """The executors of a run: threads for waiting, processes for parsing. Made when first used."""

    def __init__(self, max_workers: int) -> None:
        """`max_workers` bounds the threads; there are never more processes than processors.

        Nor more threads than can have their files open, by what the system lets us open.
        """
        self.max_workers = min(max_workers, _most_threads())
        self.process_count = min(max_workers, os.cpu_count() or 1)
        self._processes: Processes | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._alone: ThreadPoolExecutor | None = None

    def for_waiting(self) -> Executor:
        """Threads, for work that waits for disks and networks."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.max_workers, thread_name_prefix="importer")
        return self._threads

    def for_parsing(self, items: int) -> Executor:
        """Processes, for work that keeps Python busy; for a few items a thread does."""
        if self._processes is None and (items < FEW_ITEMS or self.process_count == 1):
            if self._alone is None:
                self._alone = ThreadPoolExecutor(1, thread_name_prefix="parser")
            return self._alone
        return self._started_processes()

    def for_listing(self, folders: int) -> tuple[Executor, int | None]:
        """An executor for a walk that has come to so many folders, and for how many more.

        It is the caller's own thread until there are so many folders that starting processes is
        worth while: another one would only wait for this one, and this one for it.
        """
        if self._processes is None and (folders < MANY_FOLDERS or self.process_count == 1):
            left = None if self.process_count == 1 else MANY_FOLDERS - folders
            return _Here(), left
        return self._started_processes(), None

    def in_flight(self, executor: Executor) -> int:
        """How many jobs are to be under way on it at once, so that none of its workers waits."""
        return 1 if isinstance(executor, _Here) else 2 * self.process_count

    def expect_parsing(self, entries: Iterable[J]) -> Iterator[J]:
        """Passes entries on; once they are many, the processes begin to start meanwhile."""
        for number, entry in enumerate(entries):
            if number == FEW_ITEMS and self.process_count > 1:
                for _ in range(self.process_count):
                    self._started_processes().submit(_nothing)
            yield entry

    def _started_processes(self) -> Executor:
        if self._processes is None:
            # On demand: a small import has no use for them.
            from imports.workers.processes import Processes

            self._processes = Processes(self.process_count)
        return self._processes

    def close(self) -> None:
        """Ends all of them; what was not begun is given up."""
        for executor in (self._processes, self._threads, self._alone):
            if executor is not None:
                executor.shutdown(wait=True, cancel_futures=True)


class _Here(Executor):
    """Does each job at once, in the thread that submits it."""

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Does the job; its future is done."""
        future: Future[R] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)
        return future


def in_a_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls a function in a thread and waits for it.

    A signal is handled meanwhile; it is not while the main thread is in a database driver.
    """
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function, *args, **kwargs).result()


def _nothing_of(job: object) -> int:
    """The weight of a job where it does not matter."""
    return 0


def run_bounded(
    executor: Executor,
    function: Callable[[J], R],
    jobs: Iterable[J],
    *,
    in_flight: int,
    stop: threading.Event,
    weigh: Callable[[J], int] = _nothing_of,
    most_weight: int = 0,
) -> Iterator[R]:
    """Yields the results of `function` for all jobs as they come, at most `in_flight` at once.

    Jobs that are under way together weigh at most `most_weight`, by `weigh`; a heavier one is
    under way alone.

    When `stop` is set, or a job fails, or no next one can be had, no more are begun; those under
    way are still yielded, for what they did is done. The first failure is raised after them.
    """
    remaining = iter(jobs)
    pending: dict[Future[R], int] = {}
    waiting: J | None = None
    failure: BaseException | None = None
    exhausted = False
    while True:
        while not exhausted and len(pending) < in_flight and not stop.is_set() and not failure:
            try:
                job = next(remaining, None) if waiting is None else waiting
            except ImporterError as refused:
                failure = refused
                break
            if job is None:
                exhausted = True
                break
            weight = weigh(job)
            if pending and sum(pending.values()) + weight > most_weight:
                waiting = job
                break
            waiting = None
            try:
                pending[executor.submit(function, job)] = weight
            except BrokenExecutor as broken:
                failure = broken
            except RuntimeError as refused:
                # No thread or process can be started for it.
                failure = refused
        if not pending:
            break
        # Not without end: a signal that another thread gets would not wake this one.
        done, _ = wait(pending, _SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
        if not done and getattr(executor, "has_stopped", False):
            raise LimitError.of_threads() from failure
        for future in done:
            del pending[future]
            error = future.exception()
            if error is None:
                yield future.result()
            elif failure is None:
                failure = error
    if isinstance(failure, BrokenExecutor):
        if stop.is_set():
            return
        raise ImporterError(
            "A worker process was ended from outside, perhaps for want of memory."
            " The same command resumes; with a lower --batch-size it needs less."
        ) from failure
    if failure is not None:
        raise failure


def _most_threads() -> int:
    """How many threads can have two files open each, beside the run's own."""
    most_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most_open == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(1, (most_open - _OWN_FILES) // 2)


def _nothing() -> None:
    """The first thing for a process to do, so that it starts."""
