"""The results of commands on standard output, and what happens if it cannot be written."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import NoReturn

import click

from imports.display_text import shown_json
from imports.run.streams import lost


class UnreadError(Exception):
    """The result of a command cannot be written to standard output, or its reader has exited."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def print_out(text: str) -> None:
    """Prints the result of a command.

    Raises:
        UnreadError: if that fails. A run prints with `tell` instead, and continues.
    """
    click.echo(text)
    if (error := lost(sys.stdout)) is not None:
        raise UnreadError(error)


def end_unread(error: OSError) -> NoReturn:
    """Ends the process: by SIGPIPE if the reader has exited, else with a message."""
    if error.errno == errno.EPIPE:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    click.echo(f"Error: Standard output cannot be written to: {error.strerror}.", err=True)
    sys.exit(1)


def print_json(value: object, *, indented: bool = False) -> None:
    """Prints a value as JSON, on one line or `indented`."""
    import orjson

    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indented else 0)
    print_out(shown_json(text.decode()))
