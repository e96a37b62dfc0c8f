"""Worker processes: what ends the run never reaches them; they end with the process they work for.

Ctrl-C, a terminal that is closed, and `timeout` or a service manager that ends a run, signal the
whole group. The coordinator alone decides what that means.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import resource_tracker
from typing import ParamSpec, TypeVar

from imports.workers.garbage import collect_rarely

P = ParamSpec("P")
R = TypeVar("R")

_SECONDS_BETWEEN_LOOKS = 1.0
_ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Processes(ProcessPoolExecutor):
    """Processes that signals to the whole group never reach: not even at birth."""

    def __init__(self, count: int) -> None:
        """So many at most; each starts when there is something for it to do."""
        _start_tracker()
        # Spawned, not forked: a fork would inherit our threads' locks, and our lock file.
        super().__init__(
            count,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin_process,
            initargs=(os.getpid(),),
        )

    @property
    def has_stopped(self) -> bool:
        """Whether the thread that hands out the jobs has died: the system gave it no other one."""
        handing_out: threading.Thread | None = getattr(self, "_executor_manager_thread", None)
        return handing_out is not None and not handing_out.is_alive()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the processes; those that nobody tells to end are killed."""
        if self.has_stopped:
            for process in multiprocessing.active_children():
                process.kill()
            wait = False
        super().shutdown(wait, cancel_futures=cancel_futures)

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submits, and starts a process if need be, with the signals blocked: it is inherited."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            return super().submit(function, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_tracker() -> None:
    """Starts the process that removes semaphores when this one is killed.

    It is to do so without a word on the terminal, and to outlive a hang-up. Its start unblocks the
    signals, so it comes before they are ever blocked.
    """
    silent = "ignore:resource_tracker"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    sys.warnoptions.append(silent)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(silent)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_process(parent: int) -> None:
    collect_rarely()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP})
    if not hasattr(signal, "sigtimedwait"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    try:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    except RuntimeError:
        # The system gives it no thread. The executor notices; Python would show a traceback.
        os._exit(1)


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone, or asks for it: a killed run leaves nobody behind.

    The executor asks by SIGTERM, when another of its processes is gone.
    """
    while os.getppid() == parent:
        if not hasattr(signal, "sigtimedwait"):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            continue
        asked = signal.sigtimedwait({signal.SIGTERM}, _SECONDS_BETWEEN_LOOKS)
        if asked is not None and asked.si_pid == parent:
            break
    os._exit(1)
