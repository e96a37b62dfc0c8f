"""Reading one by one where nothing is waited for, and with threads where the disk is slow."""

from __future__ import annotations

import threading

import pytest

from imports.source import disk
from imports.source.disk import PROBE, THREADS, read_all


def used(jobs: int, *, wait: float, at_once: bool) -> tuple[list[int], set[int]]:
    """The results, and the threads that worked; each job waits so many seconds for its disk."""
    threads: set[int] = set()
    never = threading.Event()

    def read(job: int) -> int:
        threads.add(threading.get_ident())
        never.wait(wait)
        return -job

    return list(read_all(read, range(jobs), at_once=at_once)), threads


@pytest.mark.parametrize("jobs", [0, 1, PROBE, PROBE + 1, 3 * PROBE])
@pytest.mark.parametrize("wait", [0.0, 0.001])
@pytest.mark.parametrize("at_once", [True, False])
def test_results_come_in_the_order_of_the_jobs(jobs: int, wait: float, at_once: bool) -> None:
    results, _ = used(jobs, wait=wait, at_once=at_once)
    assert results == [-job for job in range(jobs)]


def test_a_disk_that_makes_us_wait_is_asked_by_several_threads() -> None:
    _, threads = used(3 * PROBE, wait=0.002, at_once=True)
    assert 1 < len(threads) <= THREADS + 1


def test_what_may_not_be_held_together_is_read_one_by_one() -> None:
    _, threads = used(3 * PROBE, wait=0.002, at_once=False)
    assert len(threads) == 1


def test_without_waits_there_are_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the processor had been busy all the time.
    monkeypatch.setattr(disk.time, "thread_time", disk.time.perf_counter)
    _, threads = used(3 * PROBE, wait=0.0, at_once=True)
    assert len(threads) == 1


def test_a_processor_that_is_busy_with_others_is_no_slow_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if others had had the processor nearly all the time; nobody slept.
    monkeypatch.setattr(disk.time, "thread_time", lambda: 0.0)
    _, threads = used(3 * PROBE, wait=0.0, at_once=True)
    assert len(threads) == 1
