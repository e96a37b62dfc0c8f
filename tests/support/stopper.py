"""A user who stops a run while it is under way."""

from __future__ import annotations

import threading

from imports.items.phase import Phase
from imports.run.display import SilentDisplay


class Stopper(SilentDisplay):
    """Asks for a stop after some advances of a phase."""

    def __init__(self, phase: Phase, after: int) -> None:
        self.stop = threading.Event()
        self._phase = phase
        self._left = after

    def advance(self, phase: Phase, count: int) -> None:
        if phase is self._phase:
            self._left -= 1
            if self._left == 0:
                self.stop.set()
