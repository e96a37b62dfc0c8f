"""Shows what a run waits for, if an answer takes long."""

from __future__ import annotations

import logging
import threading

from imports.backends.database import Rows
from imports.backends.outage import duration
from imports.backends.retry import PendingRequest, RetryPolicy
from imports.run.display import Display

SECONDS_BEFORE_IT_IS_SHOWN = 5.0

_SECONDS_BETWEEN_LOOKS = 1.0

_log = logging.getLogger(__name__)

QUESTIONS = {
    "database.identify": "the database: its identity",
    "database.dataset_id": "the database: the number of the dataset",
    "database.merge": "the database: merging",
    "database.merge_nothing": "the database: whether it merges at all",
    "database.compare": "the database: comparing",
    "database.rows": "the database: which rows it has",
    "database.call": "the database: a question of its kind",
    "database.condition": "the database: its condition",
    "database.count_written": "the database: counting what a run wrote",
    "database.delete_written": "the database: deleting what a run wrote",
    "database.unlist_images": "the database: which images no row names",
    "database.forget_noted": "the database: dropping notes of removed images",
    "database.known_images": "the database: which images it lists",
    "database.forget_merges": "the database: dropping old answers",
    "store.prepare": "the image store: whether it is there",
    "store.is_public": "the image store: whether everybody can read it",
    "store.put": "the image store: storing an image",
    "store.put_at": "the image store: storing an image",
    "store.copy": "the image store: copying an image",
    "store.names": "the image store: which names a folder has",
    "store.size": "the image store: the size of an image",
    "store.sha256": "the image store: reading an image",
    "store.remove": "the image store: removing an image",
}


class Waiting:
    """Checks the oldest open request once a second, and shows it if it takes long."""

    def __init__(self, policy: RetryPolicy, display: Display) -> None:
        """Watches the requests of a policy."""
        self._policy = policy
        self._display = display
        self._ended = threading.Event()
        self._shown = False
        self._next_line = 0.0
        self._thread = threading.Thread(target=self._run, name="waiting", daemon=True)

    def start(self) -> None:
        """Begins to check, in a thread of its own, since all other threads may be waiting."""
        self._thread.start()

    def look(self) -> None:
        """Shows the oldest open request, also as a line after 5 s, 10 s, 20 s and so on."""
        asked = min(list(self._policy.pending.values()), key=lambda each: each.since, default=None)
        seconds = 0.0 if asked is None else self._policy.clock() - asked.since
        if asked is None or seconds < SECONDS_BEFORE_IT_IS_SHOWN:
            if self._shown:
                self._shown = False
                self._display.waiting("", as_line=False)
            return
        if not self._shown:
            self._shown, self._next_line = True, SECONDS_BEFORE_IT_IS_SHOWN
        as_line = seconds >= self._next_line
        text = f"waiting for {_what(asked)}, {duration(seconds)}"
        if as_line:
            self._next_line = 2 * seconds
            _log.info("%s", text)
        self._display.waiting(text, as_line=as_line)

    def close(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_LOOKS):
            self.look()


def _what(asked: PendingRequest) -> str:
    """Describes a request: the server, and the operation."""
    text = QUESTIONS.get(asked.operation, "the target")
    for argument in asked.arguments:
        if isinstance(argument, Rows):
            count = sum(map(len, argument.by_table.values()))
            text += f" {count:,} row{'' if count == 1 else 's'}"
    return text
