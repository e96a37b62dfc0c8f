from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from imports.backends.database import Rows
from imports.backends.retry import PendingRequest, RetryPolicy
from imports.cli.progress import LineDisplay
from imports.cli.progress_bars import BarDisplay
from imports.items.phase import Phase
from imports.kinds.states import STATES
from imports.run.display import SilentDisplay
from imports.run.waiting import Waiting


class Seen(SilentDisplay):
    """Keeps what is shown, and which of it as a line."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.lines: list[str] = []

    def waiting(self, text: str, *, as_line: bool) -> None:
        self.texts.append(text)
        if as_line:
            self.lines.append(text)


class Watch:
    """What a run asks, and a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.display = Seen()
        self.policy = RetryPolicy(clock=lambda: self.now)
        self.waiting = Waiting(self.policy, self.display)

    def ask(self, thread: int, operation: str, *arguments: object) -> None:
        self.policy.pending[thread] = PendingRequest(self.now, operation, arguments)

    def look(self, seconds: int) -> None:
        """Looks once a second, for so long."""
        for _ in range(seconds):
            self.now += 1.0
            self.waiting.look()


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_what_is_answered_soon_is_not_shown(watch: Watch) -> None:
    watch.look(60)
    watch.ask(1, "database.identify")
    watch.look(4)
    watch.policy.pending.clear()
    watch.look(60)
    assert watch.display.texts == []


def test_what_takes_long_is_shown_each_second_and_as_a_line_ever_more_rarely(watch: Watch) -> None:
    rows = Rows(STATES.group, {}, {0: [b"{}"] * 1_500})
    watch.ask(1, "database.merge", None, rows)
    watch.look(170)
    texts, lines = watch.display.texts, watch.display.lines
    assert texts[0] == "waiting for the database: merging 1,500 rows, 5 s"
    assert texts[-1] == "waiting for the database: merging 1,500 rows, 2 min 50 s"
    assert len(texts) == 166
    assert [line.rpartition(", ")[2] for line in lines] == [
        *("5 s", "10 s", "20 s", "40 s", "1 min 20 s", "2 min 40 s")
    ]
    watch.policy.pending.clear()
    watch.look(3)
    assert watch.display.texts[166:] == [""], "it is taken away, once"


def test_of_several_requests_the_longest_one_is_shown(watch: Watch) -> None:
    watch.ask(1, "database.identify")
    watch.look(3)
    watch.ask(2, "database.merge", None, Rows(STATES.group, {}, {0: [b"{}"]}))
    watch.look(2)
    watch.policy.pending.pop(1)
    watch.look(3)
    assert watch.display.texts == [
        "waiting for the database: its identity, 5 s",
        "",
        "waiting for the database: merging 1 row, 5 s",
    ]


def test_it_is_written_to_the_log(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    watch.ask(1, "database.identify")
    watch.look(9)
    assert [each.getMessage() for each in caplog.records] == [
        "waiting for the database: its identity, 5 s"
    ]


def test_without_a_terminal_only_the_lines_are_written() -> None:
    stream = io.StringIO()
    display = LineDisplay(stream)
    for number, as_line in enumerate((True, False, False)):
        display.waiting(f"waiting, {number} s", as_line=as_line)
    display.waiting("", as_line=True)
    assert stream.getvalue() == "  waiting, 0 s\n"


def test_on_a_terminal_it_is_in_the_line_of_the_phase() -> None:
    stream = io.StringIO()
    display = BarDisplay(Console(file=stream, force_terminal=True, width=200))
    display.waiting("waiting for the database: its identity, 5 s", as_line=True)
    assert "its identity, 5 s" in stream.getvalue(), "before the first phase it is a line"
    display.begin(Phase.IMPORT, 20)
    display.waiting("waiting for the database: [red]merging, 7 s", as_line=False)
    display._progress.refresh()
    line = stream.getvalue().splitlines()[-1]
    assert "IMPORT" in line
    assert "[red]merging, 7 s" in line
    display.waiting("", as_line=False)
    display._progress.refresh()
    assert "waiting" not in stream.getvalue().splitlines()[-1]
    display.close()


def test_a_thread_looks_until_it_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imports.run.waiting._SECONDS_BETWEEN_LOOKS", 0.001)
    watch = Watch()
    watch.ask(1, "database.identify")
    watch.now += 10.0
    watch.waiting.start()
    deadline = time.monotonic() + 10.0
    while not watch.display.lines and time.monotonic() < deadline:
        pass
    watch.waiting.close()
    assert watch.display.lines == ["waiting for the database: its identity, 10 s"]
