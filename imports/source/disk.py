"""Reading with several threads if the disk is slow.

A slow disk, above all with a cold cache, answers several requests at once faster than one after
the other. With a fast disk, threads would only slow each other down.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")

THREADS = 8
PROBE = 32
"""The number of jobs that run one by one first, to measure the disk."""

_SLOW = 3.0
"""The disk is slow if the jobs take this many times longer than their processor time …"""

_SLEEPS = PROBE // 2
"""… and the thread sleeps at least this often: else other programs keep the processor busy."""

_WHO = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)


def read_all(function: Callable[[J], R], jobs: Sequence[J], *, at_once: bool) -> Iterator[R]:
    """Yields the results of `function`, which reads from disk, in the order of the jobs.

    `at_once` says whether several jobs may run, and their results be in memory, at once.
    """
    waited = busy = 0.0
    sleeps = _sleeps()
    for job in jobs[:PROBE]:
        began, began_busy = time.perf_counter(), time.thread_time()
        result = function(job)
        busy += time.thread_time() - began_busy
        waited += time.perf_counter() - began
        yield result
    rest = jobs[PROBE:]
    slow = waited >= _SLOW * busy and _sleeps() - sleeps >= _SLEEPS
    if not rest or not at_once or not slow:
        yield from map(function, rest)
        return
    with ThreadPoolExecutor(THREADS) as threads:
        yield from threads.map(function, rest)


def _sleeps() -> int:
    """The voluntary context switches of this thread: how often it waited for something."""
    return resource.getrusage(_WHO).ru_nvcsw
