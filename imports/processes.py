"""Worker processes: Ctrl-C never reaches them, and they end with the process they work for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import resource_tracker
from typing import ParamSpec, TypeVar

from imports.garbage import collect_rarely

P = ParamSpec("P")
R = TypeVar("R")

_SECONDS_BETWEEN_LOOKS = 1.0


class Processes(ProcessPoolExecutor):
    """Processes that Ctrl-C, which goes to the whole group, never reaches: not even at birth."""

    def __init__(self, count: int) -> None:
        """So many at most; each starts when there is something for it to do."""
        # Before the signal is ever blocked: its start unblocks it.
        resource_tracker.ensure_running()
        # Spawned, not forked: a fork would inherit our threads' locks, and our lock file.
        super().__init__(
            count,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin_process,
            initargs=(os.getpid(),),
        )

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submits, and starts a process if need be, with the signal blocked: it is inherited."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(function, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_process(parent: int) -> None:
    collect_rarely()
    # The coordinator alone decides what Ctrl-C means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone: a killed run leaves nobody behind."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)
