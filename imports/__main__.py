"""`python -m imports`, and the program `resilient-importer`: the command line as a process."""

import gc
import os
import sys
from types import TracebackType


def start() -> None:
    """Runs the command line, and exits with its code."""
    # What is imported stays: to look for garbage in it again and again takes a tenth of a small
    # import. A run collects garbage from its begin on.
    gc.disable()
    sys.excepthook = show_traceback
    try:
        from imports.cli import main
    except KeyboardInterrupt:
        # Nothing is open yet that needs to be closed.
        os._exit(130)
    try:
        main()
    finally:
        # Everything is closed. Python would look through all of it once more before it exits.
        gc.freeze()


def show_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Shows an error that nobody caught; not one that was none.

    When a connection breaks in COPY, psycopg2 prints a SystemError, and then raises the true error.
    """
    if kind is SystemError and type(error.__cause__).__module__.startswith("psycopg2"):
        return
    sys.__excepthook__(kind, error, trace)


if __name__ == "__main__":
    start()
