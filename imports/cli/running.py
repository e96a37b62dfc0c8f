"""Running an import for a command: its settings, display, log and signals."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import click

from imports.display_text import shown, shown_lines
from imports.kinds import kind_named
from imports.run.streams import show_cursor, tell, tell_apart

if TYPE_CHECKING:
    from imports.errors import ImporterError
    from imports.run.report import RunReport
    from imports.settings import Settings


def tell_error(error: ImporterError) -> None:
    """Prints the error that ended a command on standard error."""
    from imports.errors import BackendUnavailableError

    text = f"Error: {error}"
    if isinstance(error, BackendUnavailableError):
        text += " When it answers again, the same command resumes."
    click.echo(shown_lines(text.split("\n")) if error.has_lines else shown(text), err=True)


def import_with(settings: Settings, resumed: str | None = None) -> int:
    """Imports a source, or only resumes the run `resumed`. Returns the exit code."""
    from imports.cli.report import render_report

    if kind_named(settings.kind).consumes_source:
        _announce_disposal(settings)
    return run_import(settings, render_report, resumed)


def _announce_disposal(settings: Settings) -> None:
    """Prints what happens to the files; asks before the first run that deletes files of a source.

    It asks only on a terminal: a run without a terminal was started on purpose.
    """
    from imports.ledger.file import reading
    from imports.ledger.summary import was_consumed
    from imports.phases.disposal import disposal_notice
    from imports.run.consuming.disposal_plan import disposal_plan
    from imports.run.source import find_source

    kind = kind_named(settings.kind)
    folder, single_item = find_source(settings, kind)
    plan = disposal_plan(settings, kind, folder, single_item)
    if plan is None:
        return
    tell(disposal_notice(plan, folder, verified=settings.verify_writes), sys.stdout)
    asks = plan.deletes and single_item is None and not settings.yes
    if not (asks and sys.stdin.isatty() and sys.stdout.isatty()):
        return
    with reading(settings.ledger_file) as connection:
        if connection is not None and was_consumed(connection, kind.name, str(folder)):
            return
    if not click.confirm("This is the first run over this folder. Continue?"):
        click.echo(
            "Nothing was done. --scan-only counts the files; --on-success keep --on-failure keep"
            " keeps them."
        )
        raise click.exceptions.Exit(1)


def exit_with(code: int) -> None:
    """Ends a command with an exit code, if that is not 0."""
    if code:
        raise click.exceptions.Exit(code)


def run_import(
    settings: Settings, render: Callable[[RunReport], str], resumed: str | None = None
) -> int:
    """Runs an import and prints its report. Returns the exit code."""
    from imports.cli.report import render_trouble
    from imports.resilient_importer import ResilientImporter

    with (
        running(settings) as (display, stop),
        ResilientImporter(settings, display, stop, resumed=resumed) as importer,
    ):

        def tell_report(report: RunReport) -> None:
            display.close()
            tell(render(report), sys.stdout)
            if report.exit_code:
                tell_apart(render_trouble(report))

        report = importer.run(tell_report)
    return report.exit_code


def settings_from(kind: str, **flags: Any) -> Settings:
    """The settings for a command, from its flags, the environment and .env files."""
    from imports.loading import load_settings

    return load_settings(kind=kind, **given(flags))


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that were given; the others must not override a variable."""
    return {
        name: value
        for name, value in flags.items()
        if value is not None and value is not False and value != ()
    }


@contextmanager
def running(
    settings: Settings, output: TextIO | None = None
) -> Iterator[tuple[Any, threading.Event]]:
    """A display and a stop event for a run, with log files and handlers of signals.

    The target is printed to `output`; the default is standard output.
    """
    from imports.backends.target import describe, reason, stop_server_after_exit
    from imports.cli import faults
    from imports.cli.progress import display_for
    from imports.run.logs import log_files
    from imports.workers.garbage import collect_rarely

    if not gc.isenabled():
        # `start` disabled it.
        collect_rarely()
    stop = threading.Event()
    folder = settings.state_file.parent
    output = output or sys.stdout
    with log_files(folder, debug=settings.debug_log, warn=lambda text: tell(text, sys.stderr)):
        tell(shown(f"Target: {describe(settings)} ({reason(settings)})"), output)
        tell_project(settings, output)
        display = display_for(sys.stderr)
        before = on_interrupt(stop, display.say, partial(stop_server_after_exit, settings))
        try:
            yield display, stop
        except click.exceptions.Exit:
            raise
        except Exception as error:
            display.close()
            known = faults.as_importer_error(error, folder)
            _log_error(known)
            raise known from error
        finally:
            display.close()
            for number, handler in before.items():
                signal.signal(number, handler)


def tell_project(settings: Settings, stream: TextIO) -> None:
    """Prints the project folder, unless it is the working folder."""
    from imports.configuration.project_folder import VARIABLE

    if settings.project != Path():
        line = f"Project folder: {settings.project} (not the working folder; {VARIABLE} sets it)"
        tell(shown(line), stream)


def _log_error(error: ImporterError) -> None:
    """Logs an error: without a terminal, standard error may be lost."""
    import logging

    for line in str(error).split("\n") if error.has_lines else [str(error)]:
        logging.getLogger("imports").error("%s", line)


_SAME_SIGNAL = 0.05
"""Seconds in which a second signal counts as the first one: `timeout` sends each one twice."""


def on_interrupt(
    stop: threading.Event,
    say: Callable[[str], None],
    leave: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
) -> dict[int, Any]:
    """The first signal stops the run after the batches in progress, the second at once.

    A hang-up never counts as a second signal: closing a terminal sends two or three.
    """
    first: float | None = None

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = clock()
            stop.set()
            say("Stopping: the batches in progress finish first. A second signal stops at once.")
        elif number != signal.SIGHUP and clock() - first > _SAME_SIGNAL:
            try:
                show_cursor()
                leave()
            finally:
                os._exit(130)

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # `nohup` did this.
        numbers.remove(signal.SIGHUP)
    return {number: signal.signal(number, handle) for number in numbers}
