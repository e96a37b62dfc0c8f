"""A live bar for each phase, with rate and remaining time, on a terminal."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
)
from rich.text import Text

from imports.display_text import duration, shown
from imports.items.phase import Phase
from imports.run.display import SECONDS_BETWEEN_LINES
from imports.run.streams import log_if_lost


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


class _TimeColumn(ProgressColumn):
    """The elapsed time, and an estimate of the remaining time."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        elapsed = task.finished_time if task.finished else task.elapsed
        parts = [] if elapsed is None else [duration(elapsed)]
        if not task.finished and task.time_remaining:
            parts.append(f"about {duration(task.time_remaining)} left")
        return Text(", ".join(parts))


class BarDisplay:
    """A live bar for each phase, on a terminal."""

    def __init__(self, console: Console) -> None:
        """Draws on a console."""
        self._progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            _TimeColumn(),
            TextColumn("{task.fields[waiting]}", markup=False),
            console=console,
            # The report goes to standard output, which may be a file.
            redirect_stdout=False,
        )
        self._tasks: dict[Phase, TaskID] = {}
        self._current: TaskID | None = None
        self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
        self._progress.start()

    def begin(self, phase: Phase, total: int | None) -> None:
        """Adds the phase's bar, or resets it."""
        if phase in self._tasks:
            self._progress.reset(self._tasks[phase], total=total)
        else:
            task = self._progress.add_task(phase.upper(), total=total, waiting="")
            self._tasks[phase] = task
        self._current = self._tasks[phase]

    def advance(self, phase: Phase, count: int) -> None:
        """Moves the phase's bar."""
        self._progress.advance(self._tasks[phase], count)

    def end(self, phase: Phase) -> None:
        """Fills the phase's bar."""
        if phase not in self._tasks:
            return
        task = self._progress.tasks[self._progress.task_ids.index(self._tasks[phase])]
        done = task.completed or 1
        self._progress.update(task.id, total=done, completed=done, waiting="")
        self._progress.stop_task(task.id)

    def say(self, message: str) -> None:
        """Writes the message above the bars."""
        # Not as a str: rich would replace `:smile:` in it by an emoji.
        line = shown(message)
        self._progress.console.print(Text(line), highlight=False)
        log_if_lost(line, self._progress.console.file)  # type: ignore[arg-type]

    def mention(self, message: str) -> None:
        """Writes the message above the bars, every few seconds."""
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + SECONDS_BETWEEN_LINES
            self.say(message)

    def waiting(self, text: str, *, as_line: bool) -> None:
        """Writes the text beside the current bar; before the first one, the lines."""
        if self._current is not None:
            self._progress.update(self._current, waiting=text)
        elif text and as_line:
            self.say(text)

    def close(self) -> None:
        """Stops updating the bars."""
        self._progress.stop()
