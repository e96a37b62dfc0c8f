from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from imports.cli import progress
from imports.cli.progress import LineDisplay, display_for
from imports.cli.progress_bars import BarDisplay
from imports.display_text import duration
from imports.items.phase import Phase


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which tests move."""
    now = [1_000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_comes_now_and_then_with_count_and_rate(clock: list[float]) -> None:
    stream = io.StringIO()
    display = LineDisplay(stream)
    display.begin(Phase.IMPORT, 20_000)
    for _ in range(12):
        clock[0] += 1.0
        display.advance(Phase.IMPORT, 500)
    display.end(Phase.IMPORT)
    assert stream.getvalue() == (
        "  IMPORT: 2,500 of 20,000, 500/s\n  IMPORT: 5,000 of 20,000, 500/s\n"
    )


def test_a_quick_phase_gets_no_line(clock: list[float]) -> None:
    stream = io.StringIO()
    display = LineDisplay(stream)
    display.begin(Phase.SHA256, None)
    clock[0] += 4.9
    display.advance(Phase.SHA256, 514)
    assert stream.getvalue() == ""


def test_where_the_total_is_not_known_it_is_left_out(clock: list[float]) -> None:
    stream = io.StringIO()
    display = LineDisplay(stream)
    display.begin(Phase.PLANNING, None)
    clock[0] += 10
    display.advance(Phase.PLANNING, 100)
    assert stream.getvalue() == "  PLANNING: 100, 10/s\n"


def test_each_phase_counts_from_zero(clock: list[float]) -> None:
    stream = io.StringIO()
    display = LineDisplay(stream)
    for phase in (Phase.SHA256, Phase.UPLOAD):
        display.begin(phase, 10)
        clock[0] += 5
        display.advance(phase, 5)
    assert stream.getvalue().splitlines()[1] == "  UPLOAD: 5 of 10, 1/s"


def test_what_is_no_terminal_gets_what_must_be_seen_and_the_log_the_rest(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "imports")
    stream = io.StringIO()
    display = display_for(stream)
    display.begin(Phase.IMPORT, 20)
    clock[0] += 5
    display.advance(Phase.IMPORT, 10)
    clock[0] += 5
    display.mention("  a.json: 5,000 records")
    display.waiting("waiting for the database: merging, 5 s", as_line=True)
    display.say("seen")
    assert stream.getvalue() == "seen\n"
    said = [record.getMessage() for record in caplog.records]
    assert said == ["IMPORT: 10 of 20, 2/s", "a.json: 5,000 records"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (6.4, "6 s"),
        (59.7, "1 min 0 s"),
        (725, "12 min 5 s"),
        (7_380, "2 h 3 min"),
    ],
)
def test_a_duration_is_shown_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_bar_says_how_long_it_took_and_how_long_it_will_take() -> None:
    stream = io.StringIO()
    now = [0.0]
    console = Console(file=stream, force_terminal=True, width=200, get_time=lambda: now[0])
    display = BarDisplay(console)
    display.begin(Phase.IMPORT, 30)
    for _ in range(6):
        now[0] += 1.0
        display.advance(Phase.IMPORT, 2)
    assert "6 s, about 9 s left" in rendered(display)
    display.end(Phase.IMPORT)
    assert "6 s" in rendered(display)
    assert "left" not in rendered(display)
    display.close()


def rendered(display: BarDisplay) -> str:
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as capture:
        console.print(display._progress.get_renderable())
    return capture.get()


def test_a_message_is_one_line_and_commands_no_terminal() -> None:
    stream = io.StringIO()
    LineDisplay(stream).say("a\nb \x1b[31m \u202e é")
    assert stream.getvalue() == "a\\nb \\x1b[31m \\u202e é\n"


def test_bars_take_nothing_in_a_message_for_their_own_markup() -> None:
    stream = io.StringIO()
    display = BarDisplay(Console(file=stream, force_terminal=True, width=200))
    display.say("[red]a[/red] [link=x]b[/link] :smile: \x1b[31m\nc")
    display.close()
    assert "[red]a[/red] [link=x]b[/link] :smile: \\x1b[31m\\nc" in stream.getvalue()
