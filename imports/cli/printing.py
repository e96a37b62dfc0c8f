"""What a command is for, on standard output; and that nobody reads it."""

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
    """What a command is for cannot be written to standard output, or nobody reads it."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def print_out(text: str) -> None:
    """Prints what a command is for.

    Raises:
        UnreadError: if nobody reads it. A run, which is for something else, goes on: `tell`.
    """
    click.echo(text)
    if (error := lost(sys.stdout)) is not None:
        raise UnreadError(error)


def end_unread(error: OSError) -> NoReturn:
    """Ends as all programs do that have no reader any more; tells why, if it is something else."""
    if error.errno == errno.EPIPE:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    click.echo(f"Error: Standard output cannot be written to: {error.strerror}.", err=True)
    sys.exit(1)


def print_json(value: object, *, indented: bool = False) -> None:
    """Prints a value as JSON, on one line unless it is to be `indented`."""
    import orjson

    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indented else 0)
    print_out(shown_json(text.decode()))
