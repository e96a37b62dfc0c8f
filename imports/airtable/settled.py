"""The watermark: up to which row, in their order, Airtable has all."""

from __future__ import annotations

from collections import deque

from imports.airtable.memory import Position


class Settled:
    """Rows are begun in their order, and settled in any order."""

    def __init__(self) -> None:
        """No row has begun."""
        self._begun: deque[Position] = deque()
        self._settled: set[Position] = set()

    def begin(self, position: Position) -> None:
        """A row is being worked on."""
        self._begun.append(position)

    def settle(self, position: Position) -> Position | None:
        """Airtable has a row, or its problem is noted.

        Returns the last row before which all are settled, if that is another one now.
        """
        self._settled.add(position)
        last = None
        while self._begun and self._begun[0] in self._settled:
            last = self._begun.popleft()
            self._settled.remove(last)
        return last
