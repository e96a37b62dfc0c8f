"""The display of a run's progress."""

from __future__ import annotations

from typing import Protocol

from imports.items.phase import Phase

SECONDS_BETWEEN_LINES = 5.0


class Display(Protocol):
    """Something that shows the phases of a run."""

    def begin(self, phase: Phase, total: int | None) -> None:
        """A phase begins, with `total` items; None if the number is not known."""
        ...

    def advance(self, phase: Phase, count: int) -> None:
        """Some more items are done."""
        ...

    def end(self, phase: Phase) -> None:
        """The phase has ended."""
        ...

    def say(self, message: str) -> None:
        """Shows a line that the user must see now."""
        ...

    def mention(self, message: str) -> None:
        """Shows the progress of a long item from time to time."""
        ...

    def waiting(self, text: str, *, as_line: bool) -> None:
        """Shows what the run waits for, once a second, or as a line; empty at the end."""
        ...

    def close(self) -> None:
        """The run has ended."""
        ...


class SilentDisplay:
    """Shows nothing: for the Python API."""

    def begin(self, phase: Phase, total: int | None) -> None:
        """Shows nothing."""

    def advance(self, phase: Phase, count: int) -> None:
        """Shows nothing."""

    def end(self, phase: Phase) -> None:
        """Shows nothing."""

    def say(self, message: str) -> None:
        """Shows nothing."""

    def mention(self, message: str) -> None:
        """Shows nothing."""

    def waiting(self, text: str, *, as_line: bool) -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Shows nothing."""
