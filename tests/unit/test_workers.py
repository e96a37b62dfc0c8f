from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from imports.errors import ImporterError, LimitError
from imports.workers import executors as workers
from imports.workers.executors import FEW_ITEMS, MANY_FOLDERS, Workers, run_bounded


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


class AtOnce(Executor):
    """Runs a job when it is submitted."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except ValueError as error:
            future.set_exception(error)
        return future


def double(number: int) -> int:
    return 2 * number


def test_every_job_gives_its_result_once(executor: Executor, stop: threading.Event) -> None:
    results = list(run_bounded(executor, double, range(100), in_flight=7, stop=stop))
    assert sorted(results) == [2 * number for number in range(100)]


def test_no_jobs_give_no_results(executor: Executor, stop: threading.Event) -> None:
    assert list(run_bounded(executor, double, [], in_flight=3, stop=stop)) == []


@pytest.mark.parametrize("bound", [1, 3])
def test_no_more_are_under_way_than_allowed(
    executor: Executor, stop: threading.Event, bound: int
) -> None:
    lock = threading.Lock()
    meeting = threading.Barrier(bound)
    now, most = 0, 0

    def job(number: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        # All that are allowed at once must meet here, or the barrier breaks.
        meeting.wait(5)
        with lock:
            now -= 1

    list(run_bounded(executor, job, range(4 * bound), in_flight=bound, stop=stop))
    assert most == bound


def test_jobs_are_asked_for_only_when_there_is_room(stop: threading.Event) -> None:
    asked = []

    def jobs() -> Iterator[int]:
        for number in range(1_000):
            asked.append(number)
            yield number

    results = run_bounded(AtOnce(), double, jobs(), in_flight=4, stop=stop)
    next(results)
    assert len(asked) <= 4


class Weighed(Executor):
    """Keeps what is under way, and how heavy that was at most; all of it ends a little later."""

    def __init__(self) -> None:
        self.running: dict[Future[Any], int] = {}
        self.seen: list[list[int]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.running[future] = args[0]
        self.seen.append(sorted(self.running.values()))
        threading.Timer(0.02, self.end, (future, args[0])).start()
        return future

    def end(self, future: Future[Any], number: int) -> None:
        del self.running[future]
        future.set_result(number)


def test_jobs_under_way_together_weigh_no_more_than_allowed_and_a_heavier_one_is_alone(
    stop: threading.Event,
) -> None:
    executor = Weighed()
    weights = [3, 3, 3, 50, 3, 9, 1, 50]
    results = run_bounded(
        executor, double, weights, in_flight=4, stop=stop, weigh=lambda job: job, most_weight=10
    )
    assert sorted(results) == sorted(weights)
    assert all(sum(some) <= 10 or len(some) == 1 for some in executor.seen)
    assert [3, 3, 3] in executor.seen


def test_when_stopped_those_under_way_are_finished_and_yielded_and_no_more_begun(
    executor: Executor, stop: threading.Event
) -> None:
    begun: list[int] = []
    gate = threading.Event()

    def job(number: int) -> int:
        begun.append(number)
        if number:
            assert gate.wait(5)
        return number

    results = run_bounded(executor, job, range(100), in_flight=4, stop=stop)
    first = next(results)
    stop.set()
    gate.set()
    rest = list(results)
    assert first == 0
    assert sorted([first, *rest]) == sorted(begun)
    assert len(begun) == 4


def test_a_run_that_is_stopping_already_begins_nothing(
    executor: Executor, stop: threading.Event
) -> None:
    stop.set()
    assert list(run_bounded(executor, double, range(5), in_flight=2, stop=stop)) == []


class ByHand(Executor):
    """Of its first four jobs the second fails at once, the others end a little later."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.futures.append(Future())
        if len(self.futures) == 4:
            self.futures[1].set_exception(ValueError("the first"))
            threading.Timer(0.05, self.finish).start()
        return self.futures[-1]

    def finish(self) -> None:
        for number in (0, 2, 3):
            self.futures[number].set_result(number)


def test_a_failure_is_raised_after_the_results_of_those_under_way(stop: threading.Event) -> None:
    executor = ByHand()
    got = []
    with pytest.raises(ValueError, match="the first"):  # noqa: PT012
        for result in run_bounded(executor, double, range(100), in_flight=4, stop=stop):
            got.append(result)  # noqa: PERF402
    assert sorted(got) == [0, 2, 3]
    assert len(executor.futures) == 4, "no more are begun after a failure"


def test_when_no_next_job_can_be_had_those_under_way_are_still_yielded(
    executor: Executor, stop: threading.Event
) -> None:
    def jobs() -> Iterator[int]:
        yield from (1, 2)
        raise ImporterError("nobody can say what is next")

    results: list[int] = []
    with pytest.raises(ImporterError, match="what is next"):  # noqa: PT012
        for result in run_bounded(executor, double, jobs(), in_flight=8, stop=stop):
            results.append(result)  # noqa: PERF402
    assert sorted(results) == [2, 4]


def test_of_several_failures_the_first_is_raised(stop: threading.Event) -> None:
    def job(number: int) -> int:
        raise ValueError(str(number))

    with pytest.raises(ValueError, match=r"^0$"):
        list(run_bounded(AtOnce(), job, range(3), in_flight=1, stop=stop))


class Broken(Executor):
    """A pool whose processes died: sooner or later than a job was submitted."""

    def __init__(self, *, sooner: bool) -> None:
        self.sooner = sooner

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.sooner:
            raise BrokenProcessPool("A child process terminated abruptly")
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("A child process terminated abruptly"))
        return future


@pytest.mark.parametrize("sooner", [False, True])
def test_a_pool_whose_processes_died_is_told_with_what_to_do(
    stop: threading.Event, sooner: bool
) -> None:
    with pytest.raises(ImporterError, match="--batch-size"):
        list(run_bounded(Broken(sooner=sooner), double, range(3), in_flight=2, stop=stop))


# The executors


class CountedPool(ThreadPoolExecutor):
    """Stands in for processes, which take long to start."""

    made = 0

    def __init__(self, count: int, **options: Any) -> None:
        super().__init__(count)
        type(self).made += 1
        self.submitted = 0

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        return super().submit(function, *args, **kwargs)


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> type[CountedPool]:
    CountedPool.made = 0
    monkeypatch.setattr("imports.workers.processes.Processes", CountedPool)
    monkeypatch.setattr(workers.os, "cpu_count", lambda: 2)
    return CountedPool


@pytest.fixture
def two(pools: type[CountedPool]) -> Iterator[Workers]:
    found = Workers(16)
    yield found
    found.close()


def test_there_are_never_more_processes_than_processors_or_workers(
    pools: type[CountedPool],
) -> None:
    assert Workers(16).process_count == 2
    assert Workers(1).process_count == 1


def test_few_items_are_parsed_in_a_thread(two: Workers, pools: type[CountedPool]) -> None:
    executor = two.for_parsing(FEW_ITEMS - 1)
    assert executor.submit(double, 2).result() == 4
    assert pools.made == 0


def test_many_items_are_parsed_by_processes_that_are_started_once(
    two: Workers, pools: type[CountedPool]
) -> None:
    executor = two.for_parsing(FEW_ITEMS)
    assert isinstance(executor, pools)
    assert two.for_parsing(1) is executor, "they are there already"
    assert pools.made == 1


def test_one_processor_needs_no_processes(pools: type[CountedPool]) -> None:
    alone = Workers(1)
    assert not isinstance(alone.for_parsing(100_000), pools)
    list(alone.expect_parsing(range(2 * FEW_ITEMS)))
    assert pools.made == 0
    alone.close()


def test_entries_pass_through_and_processes_start_once_they_are_many(
    two: Workers, pools: type[CountedPool]
) -> None:
    entries = two.expect_parsing(range(2 * FEW_ITEMS))
    assert [next(entries) for _ in range(FEW_ITEMS)] == list(range(FEW_ITEMS))
    assert pools.made == 0
    assert list(entries) == list(range(FEW_ITEMS, 2 * FEW_ITEMS))
    assert pools.made == 1
    executor = two.for_parsing(2 * FEW_ITEMS)
    assert isinstance(executor, pools)
    assert executor.submitted == 2, "each process gets something to start for"


def test_few_entries_start_no_process(two: Workers, pools: type[CountedPool]) -> None:
    assert list(two.expect_parsing(range(FEW_ITEMS))) == list(range(FEW_ITEMS))
    assert pools.made == 0


def test_few_folders_are_listed_in_a_thread_which_is_told_for_how_many(
    two: Workers, pools: type[CountedPool]
) -> None:
    for folders in (0, 1, MANY_FOLDERS - 1):
        executor, left = two.for_listing(folders)
        assert executor.submit(double, 2).result() == 4
        assert left == MANY_FOLDERS - folders
    assert pools.made == 0


def test_many_folders_are_listed_by_processes_to_the_end(
    two: Workers, pools: type[CountedPool]
) -> None:
    executor, left = two.for_listing(MANY_FOLDERS)
    assert isinstance(executor, pools)
    assert left is None
    assert two.for_listing(0) == (executor, None), "they are there already"
    assert two.for_parsing(1) is executor
    assert pools.made == 1


def test_one_processor_lists_all_folders_in_a_thread(pools: type[CountedPool]) -> None:
    alone = Workers(1)
    executor, left = alone.for_listing(100 * MANY_FOLDERS)
    assert not isinstance(executor, pools)
    assert left is None
    assert pools.made == 0
    alone.close()


def test_threads_for_waiting_are_as_many_as_workers(two: Workers) -> None:
    together = threading.Barrier(16)
    futures = [two.for_waiting().submit(together.wait, 5) for _ in range(16)]
    assert sorted(future.result() for future in futures) == list(range(16))


def test_after_closing_nothing_runs_any_more(two: Workers) -> None:
    executor = two.for_waiting()
    two.close()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(double, 1)


@pytest.mark.parametrize(
    ("most_open", "threads"), [(resource.RLIM_INFINITY, 16), (1_024, 16), (30, 7), (10, 1)]
)
def test_no_more_threads_than_can_have_their_files_open(
    monkeypatch: pytest.MonkeyPatch, most_open: int, threads: int
) -> None:
    monkeypatch.setattr(
        "imports.workers.executors.resource.getrlimit", lambda _: (most_open, most_open)
    )
    assert Workers(16).max_workers == threads


class WithoutThreads(Executor):
    """An executor whose own thread could not be started: no job of it ever ends."""

    has_stopped = True

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return Future()


def test_an_executor_that_the_system_gives_no_thread_is_not_waited_for(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_SECONDS_BETWEEN_LOOKS", 0.001)
    with pytest.raises(LimitError, match="ulimit -u"):
        list(run_bounded(WithoutThreads(), double, range(9), in_flight=3, stop=stop))


def test_a_thread_that_cannot_be_started_ends_the_run_after_what_is_under_way(
    stop: threading.Event,
) -> None:
    class Few(AtOnce):
        left = 2

        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            if not self.left:
                raise RuntimeError("can't start new thread")
            self.left -= 1
            return super().submit(function, *args, **kwargs)

    done: list[int] = []
    with pytest.raises(RuntimeError, match="new thread"):
        done.extend(run_bounded(Few(), double, range(9), in_flight=3, stop=stop))
    assert sorted(done) == [0, 2]
