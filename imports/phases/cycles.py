"""Cycles: a consumed source is listed again until it has nothing new."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imports.errors import LimitError, UsageError
from imports.items.phase import Phase
from imports.items.source import folder_prefix
from imports.phases.listing import list_source
from imports.phases.planning import BATCH_SIZE, is_complete
from imports.run.consuming import stability
from imports.source.set_aside import BEGINNING

if TYPE_CHECKING:
    from watchfiles import Change

    from imports.run.session import RunSession

GROWING_SECONDS = 30.0
"""Without `--watch`, how long to wait if files are only growing."""

_LOOK_MILLISECONDS = 1_000
_MOST_SECONDS_BETWEEN_LOOKS = 60.0
"""A watched source is listed at least this often: not every file system reports changes."""


class Cycles:
    """Finds out whether a consumed source has more to import."""

    def __init__(self, session: RunSession) -> None:
        """Watches nothing yet."""
        self._session = session
        self._changes: Generator[set[Any], None, None] | None = None
        self._last_look = 0.0

    def more(self) -> bool:
        """Whether there is something to import now; waits for files that are still growing.

        With `--watch` it also waits for new ones, until the run is stopped.

        Raises:
            InterruptedRunError: if the run is stopped before everything is imported.
        """
        session = self._session
        if not session.consumes_source:
            return False
        if session.settings.limit is not None and session.counts().get("planning.to_import"):
            return False
        began_at = time.monotonic()
        while True:
            list_source(session, again=True)
            session.display.end(Phase.PLANNING)
            self._last_look = time.monotonic()
            listed, _ = session.items.listed()
            if listed and self._any_complete():
                return True
            may_wait = session.settings.watch or time.monotonic() < began_at + GROWING_SECONDS
            if listed and not may_wait:
                session.display.say(f"Still growing, and left for the next run: {listed:,}")
                return False
            if listed:
                # A growing file may be stable after that.
                session.policy.stop.wait(stability.STABLE_SECONDS)
                session.raise_if_stopping()
            elif not session.settings.watch or not self._changed():
                return False

    def _any_complete(self) -> bool:
        """Whether planning would take any file; records the files before it as growing."""
        session = self._session
        stable = stability.stable_since(session)
        for rows in session.items.listed_items(None, BATCH_SIZE, stable=stable):
            seen = session.growing.seen_unchanged([row[0] for row in rows])
            growing: list[int] = []
            for item_id, path, *_ in rows:
                if is_complete(session.source, path, item_id in seen):
                    return True
                growing.append(item_id)
            session.growing.found(growing, time.monotonic())
        return False

    def _changed(self) -> bool:
        """Waits until the source may have something new; False if the run is to end."""
        # On demand: most runs do not watch.
        from watchfiles import watch

        session = self._session
        if self._changes is None:
            session.display.say(
                f"👀 Waiting for new files in {session.source.folder}. Ctrl-C ends."
            )
        try:
            if self._changes is None:
                self._changes = watch(
                    session.source.folder,
                    watch_filter=self._may_be_new,
                    stop_event=session.policy.stop,
                    rust_timeout=_LOOK_MILLISECONDS,
                    yield_on_timeout=True,
                    raise_interrupt=False,
                    ignore_permission_denied=True,
                )
                # Watching begins with the first `next`. Earlier files are found now.
                return next(self._changes, None) is not None
            shown = False
            for changes in self._changes:
                if changes or time.monotonic() > self._last_look + _MOST_SECONDS_BETWEEN_LOOKS:
                    return True
                # Only once, not for each of many new files.
                shown = shown or session.update_progress()
        except (OSError, RuntimeError) as error:
            # Other errors mean that the system's limit of watches is reached.
            of_folder = isinstance(error, (FileNotFoundError, PermissionError))
            raise (UsageError if of_folder else LimitError)(
                f"The source {session.source.folder} cannot be watched: {error}. Everything in it"
                " is imported. Run again without --watch, from time to time."
            ) from error
        return False

    def _may_be_new(self, change: Change, path: str) -> bool:
        """Whether a change may be in the source, and not in the run's own files."""
        from watchfiles import Change

        source = self._session.source
        place = Path(path).relative_to(source.folder)
        if any(part.startswith(BEGINNING) for part in place.parts):
            return False
        for folder in (place, *place.parents):
            if source.is_left_out(folder_prefix(folder.parent.as_posix()), folder.name):
                return False
        return change is not Change.deleted

    def close(self) -> None:
        """Ends the watch."""
        if self._changes is not None:
            self._changes.close()
            self._changes = None
