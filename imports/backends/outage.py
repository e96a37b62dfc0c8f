"""Outages: since when a server does not answer, and the messages about it."""

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
    """Whether one server is available; all threads of a run share this.

    `probe` sends a small request, and raises BackendUnavailableError if the server does not answer.
    """

    def __init__(self, probe: Callable[[], object] | None = None) -> None:
        """At first, the server counts as available."""
        self.probe = probe
        self._lock = threading.Lock()
        self._silent_since: float | None = None
        self._announced = False

    def ask(self) -> None:
        """Calls the probe, if there is one.

        Raises:
            BackendUnavailableError: if the server gives no answer, or an error.
        """
        if self.probe is None:
            return
        try:
            self.probe()
        except (BackendError, SchemaError, DataRefusedError) as error:
            # While a server restarts, a gateway before it may answer with any error.
            raise BackendUnavailableError(str(error)) from error

    def failed(self, policy: RetryPolicy) -> None:
        """Notes that the server did not answer a request."""
        with self._lock:
            if self._silent_since is None:
                self._silent_since = policy.clock()

    def silent_for(self, policy: RetryPolicy) -> float:
        """The seconds since the first of the requests that it did not answer; 0 if available."""
        since = self._silent_since
        return 0.0 if since is None else policy.clock() - since

    def away(self, policy: RetryPolicy, error: BackendUnavailableError) -> float:
        """Notes an outage; tells the user once. Returns its seconds so far."""
        self.failed(policy)
        with self._lock:
            silent = self.silent_for(policy)
            if not self._announced and silent < policy.max_wait:
                self._announced = True
                wait = duration(policy.max_wait)
                _tell(policy, f"⏳ {error} Waiting up to {wait} for an answer; Ctrl-C stops.")
            return silent

    def answered(self, policy: RetryPolicy) -> None:
        """Notes that the server answered a request; tells the user if an outage was announced."""
        if self._silent_since is None:
            return
        with self._lock:
            silent, self._silent_since = self.silent_for(policy), None
            if self._announced:
                self._announced = False
                _tell(policy, f"The target answers again, after {duration(silent)}.")


def _tell(policy: RetryPolicy, message: str) -> None:
    _log.warning("%s", message)
    policy.tell(message)


def duration(seconds: float) -> str:
    """A duration for messages: `45 s`, `2 min`, `2 min 5 s`."""
    return display_text.duration(seconds).removesuffix(" 0 s")
