"""The progress of a run: bars on a terminal, else lines in the log."""

from __future__ import annotations

import logging
import time
from typing import TextIO

from imports.display_text import shown
from imports.items.phase import Phase
from imports.run.display import SECONDS_BETWEEN_LINES, Display
from imports.run.streams import tell

_log = logging.getLogger("imports.cli.progress")


class LineDisplay:
    """A line every few seconds for a long phase: for a terminal that cannot show bars."""

    def __init__(self, stream: TextIO) -> None:
        """Writes to a stream."""
        self._stream = stream
        self._done = 0
        self._total: int | None = None
        self._began = 0.0
        self._next_line = 0.0

    def begin(self, phase: Phase, total: int | None) -> None:
        """Starts counting."""
        self._done, self._total, self._began = 0, total, time.monotonic()
        self._next_line = self._began + SECONDS_BETWEEN_LINES

    def advance(self, phase: Phase, count: int) -> None:
        """Writes a line if it is time for one."""
        self._done += count
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + SECONDS_BETWEEN_LINES
            of = f" of {self._total:,}" if self._total else ""
            rate = self._done / (now - self._began)
            self._show(f"  {phase.upper()}: {self._done:,}{of}, {rate:,.0f}/s")

    def end(self, phase: Phase) -> None:
        """Writes nothing: the summary shows it."""

    def say(self, message: str) -> None:
        """Writes the message."""
        tell(shown(message), self._stream)

    def mention(self, message: str) -> None:
        """Writes the message if it is time for a line."""
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + SECONDS_BETWEEN_LINES
            self._show(message)

    def waiting(self, text: str, *, as_line: bool) -> None:
        """Writes the lines."""
        if text and as_line:
            self.say(f"  {text}")

    def close(self) -> None:
        """Does nothing: no resources are open."""

    def _show(self, line: str) -> None:
        """Shows a line about the progress."""
        self.say(line)


class QuietDisplay(LineDisplay):
    """Writes progress to the log, and only what the user must see to the stream.

    For streams that are not terminals: cron sends a mail for any output.
    """

    def waiting(self, text: str, *, as_line: bool) -> None:
        """Writes nothing: the caller logs it."""

    def _show(self, line: str) -> None:
        _log.info("%s", line.strip())


def display_for(stream: TextIO) -> Display:
    """Bars or lines if the stream is a terminal; else a QuietDisplay."""
    if not stream.isatty():
        return QuietDisplay(stream)
    # On demand: rich is slow to import.
    from rich.console import Console

    from imports.cli.progress_bars import BarDisplay

    console = Console(file=stream)
    return LineDisplay(stream) if console.is_dumb_terminal else BarDisplay(console)
