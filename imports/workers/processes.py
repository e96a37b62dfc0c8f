"""Worker processes that ignore the signals of a terminal and end with the coordinator.

Ctrl-C, a closed terminal, `timeout` and service managers signal the whole process group. Only the
coordinator decides what to do.
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
    """A pool whose processes never receive signals to the group, not even while they start."""

    def __init__(self, count: int) -> None:
        """`count` processes at most; each starts when there is a job for it."""
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
        """Whether the thread that distributes jobs has died: it could not start another thread."""
        manager: threading.Thread | None = getattr(self, "_executor_manager_thread", None)
        return manager is not None and not manager.is_alive()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the processes; kills them if the thread that would tell them to end has died."""
        if self.has_stopped:
            for process in multiprocessing.active_children():
                process.kill()
            wait = False
        super().shutdown(wait, cancel_futures=cancel_futures)

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submits a job. If a process starts for it, it inherits that the signals are blocked."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            return super().submit(function, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_tracker() -> None:
    """Starts the process that removes semaphores after this one is killed.

    It must print no warning, and must survive a hang-up. Its start unblocks the signals, so it must
    start before we block them.
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
        # The system can start no thread. The executor notices that this process ends; Python
        # would print a traceback.
        os._exit(1)


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone, or requests it: a killed run leaves none behind.

    The executor requests it by SIGTERM when another of its processes has died.
    """
    while os.getppid() == parent:
        if not hasattr(signal, "sigtimedwait"):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            continue
        asked = signal.sigtimedwait({signal.SIGTERM}, _SECONDS_BETWEEN_LOOKS)
        if asked is not None and asked.si_pid == parent:
            break
    os._exit(1)
