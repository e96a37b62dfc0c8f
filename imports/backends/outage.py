"""Outages: a server that answers nobody, since when, and who was told of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from imports import display_text
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    DataRefusedError,
    SchemaError,
)

if TYPE_CHECKING:
    from imports.backends.retry import RetryPolicy

_log = logging.getLogger(__name__)


class Server:
    """What the threads of a run know about one server together: whether it is away.

    `probe` asks it a small question, and raises BackendUnavailableError if it does not answer.
    """

    def __init__(self, probe: Callable[[], object] | None = None) -> None:
        """One that answers."""
        self.probe = probe
        self._lock = threading.Lock()
        self._silent_since: float | None = None
        self._told = False

    def ask(self) -> None:
        """Asks the small question, if there is one.

        Raises:
            BackendUnavailableError: if it is not answered as it was when the run began.
        """
        if self.probe is None:
            return
        try:
            self.probe()
        except (BackendError, SchemaError, DataRefusedError) as error:
            # What stands before a server that restarts may answer anything for a while.
            raise BackendUnavailableError(str(error)) from error

    def failed(self, policy: RetryPolicy) -> None:
        """Takes in that it did not answer somebody."""
        with self._lock:
            if self._silent_since is None:
                self._silent_since = policy.clock()

    def silent_for(self, policy: RetryPolicy) -> float:
        """For how many seconds it has answered nobody who asked."""
        since = self._silent_since
        return 0.0 if since is None else policy.clock() - since

    def away(self, policy: RetryPolicy, error: BackendUnavailableError) -> float:
        """The same for one that seems to be away: the user hears of it, once."""
        self.failed(policy)
        with self._lock:
            silent = self.silent_for(policy)
            if not self._told and silent < policy.max_wait:
                self._told = True
                wait = duration(policy.max_wait)
                _tell(policy, f"⏳ {error} Waiting up to {wait} for an answer; Ctrl-C stops.")
            return silent

    def answered(self, policy: RetryPolicy) -> None:
        """Takes in that it answered somebody; the user hears of it if it was away."""
        if self._silent_since is None:
            return
        with self._lock:
            silent, self._silent_since = self.silent_for(policy), None
            if self._told:
                self._told = False
                _tell(policy, f"The target answers again, after {duration(silent)}.")


def _tell(policy: RetryPolicy, message: str) -> None:
    _log.warning("%s", message)
    policy.tell(message)


def duration(seconds: float) -> str:
    """A time as people say it: `45 s`, `2 min`, `2 min 5 s`."""
    return display_text.duration(seconds).removesuffix(" 0 s")
