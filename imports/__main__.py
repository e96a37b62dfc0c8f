"""`python -m imports`, and the program `resilient-importer`: the command line as a process."""

import atexit
import gc
import os
import signal
import sys
from types import TracebackType

from imports.run.streams import outlive_readers

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start() -> None:
    """Runs the command line, and exits with its code."""
    # Imported modules stay: collecting garbage among them takes a tenth of a small import's time.
    # A run enables garbage collection at its start.
    gc.disable()
    sys.excepthook = show_traceback
    try:
        for number in _ENDING:
            # Like Ctrl-C; `nohup` ignores a hang-up, and this stays so.
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, signal.default_int_handler)
        # Registered first, so it runs last: Python removes our handlers before its exit.
        atexit.register(_ignore_signals)
        outlive_readers()
        from imports.cli.main import main
    except KeyboardInterrupt:
        # Nothing is open yet that must be closed.
        os._exit(130)
    try:
        main()
    except SystemExit as ended:
        _end_with(ended.code if isinstance(ended.code, int) else 0)
        raise
    finally:
        # Everything is closed. Without this, Python would collect garbage once more at its exit.
        gc.freeze()


def show_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Shows an uncaught error, except one of psycopg2 that means nothing.

    When a connection breaks in COPY, psycopg2 prints a SystemError, and then raises the true error.
    """
    if kind is SystemError and type(error.__cause__).__module__.startswith("psycopg2"):
        return
    sys.__excepthook__(kind, error, trace)


def _ignore_signals() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _end_with(code: int) -> None:
    """After this, a signal ends the process with the exit code of the finished work."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(code))


if __name__ == "__main__":
    start()
