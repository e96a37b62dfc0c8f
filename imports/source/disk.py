"""Whether the disk makes us wait, and reading with several threads when it does.

A disk that is asked one thing after the other, by a cold cache above all, answers several
questions at once sooner. Where nothing is waited for, threads would be in each other's way.
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
"""So many jobs are done first, one by one, to see whether the disk makes us wait."""

_SLOW = 3.0
"""It does when they take so many times as long as they keep the processor busy."""

_SLEEPS = PROBE // 2
"""And when we sleep so often meanwhile: a processor that is busy with others is no slow disk."""

_WHO = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)


def read_all(function: Callable[[J], R], jobs: Sequence[J], *, at_once: bool) -> Iterator[R]:
    """The results of a function that reads, in the jobs' order.

    `at_once` says whether several of them may be under way, and their results held, together.
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
    """How often this thread has given the processor up by itself, to wait for something."""
    return resource.getrusage(_WHO).ru_nvcsw
