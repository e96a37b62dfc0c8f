"""Running plain functions on executors, with a limit on how many jobs are in progress."""

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
"""For fewer items, starting processes takes longer than it saves."""

MANY_FOLDERS = 5_000
"""For more folders, listing in processes saves more time than their start takes."""

_SECONDS_BETWEEN_LOOKS = 1.0

_OWN_FILES = 16
"""Files and connections that a run has open itself, in addition to those of its threads."""


class Workers:
    """The executors of a run: threads for waiting, processes for parsing. Created on first use."""

    def __init__(self, max_workers: int) -> None:
        """`max_workers` limits the threads; the number of processors limits the processes.

        The system's limit of open files limits the threads too.
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
        """Processes, for work that keeps Python busy; one thread if there are few items."""
        if self._processes is None and (items < FEW_ITEMS or self.process_count == 1):
            if self._alone is None:
                self._alone = ThreadPoolExecutor(1, thread_name_prefix="parser")
            return self._alone
        return self._started_processes()

    def for_listing(self, folders: int) -> tuple[Executor, int | None]:
        """An executor for a walk that has listed `folders` so far, and for how many more to use it.

        It is the caller's own thread until there are enough folders for processes. Another thread
        would not help: only one of the two could run Python at a time.
        """
        if self._processes is None and (folders < MANY_FOLDERS or self.process_count == 1):
            left = None if self.process_count == 1 else MANY_FOLDERS - folders
            return _Here(), left
        return self._started_processes(), None

    def in_flight(self, executor: Executor) -> int:
        """How many jobs to submit at once, so that no worker of the executor waits."""
        return 1 if isinstance(executor, _Here) else 2 * self.process_count

    def expect_parsing(self, entries: Iterable[J]) -> Iterator[J]:
        """Yields the entries; if there are many, starts the processes meanwhile."""
        for number, entry in enumerate(entries):
            if number == FEW_ITEMS and self.process_count > 1:
                for _ in range(self.process_count):
                    self._started_processes().submit(_nothing)
            yield entry

    def _started_processes(self) -> Executor:
        if self._processes is None:
            # On demand: a small import does not need them.
            from imports.workers.processes import Processes

            self._processes = Processes(self.process_count)
        return self._processes

    def close(self) -> None:
        """Ends all of them and cancels jobs that have not begun."""
        for executor in (self._processes, self._threads, self._alone):
            if executor is not None:
                executor.shutdown(wait=True, cancel_futures=True)


class _Here(Executor):
    """Runs each job immediately, in the thread that submits it."""

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Runs the job; returns a future that is done."""
        future: Future[R] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - `Future.result` raises it
            future.set_exception(error)
        return future


def in_a_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls a function in a thread and waits for its result.

    So signals are handled meanwhile; they are not while the main thread is in a database driver.
    """
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function, *args, **kwargs).result()


def _weightless(job: object) -> int:
    """The weight of every job if weights are not limited."""
    return 0


def run_bounded(
    executor: Executor,
    function: Callable[[J], R],
    jobs: Iterable[J],
    *,
    in_flight: int,
    stop: threading.Event,
    weigh: Callable[[J], int] = _weightless,
    most_weight: int = 0,
) -> Iterator[R]:
    """Yields the results of `function` for all jobs as they come, at most `in_flight` at once.

    `weigh` gives the weight of a job. The jobs in progress weigh at most `most_weight` together; a
    heavier job runs alone.

    If `stop` is set, a job fails, or the next job cannot be read, no more jobs are started. The
    results of running jobs are still yielded, since their work is done. Then the first failure is
    raised.
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
                # The system cannot start another thread or process.
                failure = refused
        if not pending:
            break
        # With a timeout, since a signal for another thread would not wake this one.
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
            "A worker process was killed from outside, perhaps for lack of memory."
            " The same command resumes; a lower --batch-size needs less memory."
        ) from failure
    if failure is not None:
        raise failure


def _most_threads() -> int:
    """How many threads can have two open files each, in addition to the run's own files."""
    most_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most_open == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(1, (most_open - _OWN_FILES) // 2)


def _nothing() -> None:
    """A first job for a process, so that it starts."""
