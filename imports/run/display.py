"""Something that shows how a run goes on."""

from __future__ import annotations

from typing import Protocol

from imports.work_item import Phase

SECONDS_BETWEEN_LINES = 5.0


class Display(Protocol):
    """Something that shows the phases of a run."""

    def begin(self, phase: Phase, total: int | None) -> None:
        """A phase begins; `total` items are to be done in it, where that is known."""
        ...

    def advance(self, phase: Phase, count: int) -> None:
        """Some more items are done."""
        ...

    def end(self, phase: Phase) -> None:
        """The phase is over."""
        ...

    def say(self, message: str) -> None:
        """Something that the user must see now, as a line."""
        ...

    def mention(self, message: str) -> None:
        """How far something long has come: shown now and then."""
        ...

    def waiting(self, text: str, *, as_line: bool) -> None:
        """What is waited for, once a second, now and then also as a line; empty when it is over."""
        ...

    def close(self) -> None:
        """The run is over."""
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
