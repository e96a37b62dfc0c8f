"""Standard output and standard error, whose readers may go away: that stops the talking alone.

The reader of a pipe ends (`| head`), a terminal is closed, a disk is full, or there was no stream
from the start (`>&-`). Nothing is raised for it where text is written, nor when Python ends.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_SHOW_CURSOR = b"\x1b[?25h"


class Outlet(io.RawIOBase):
    """The raw end of a stream. `lost` is the error that ended it; what is written then is dropped.

    It has no buffer: a signal's handler may write while something else is being written.
    """

    def __init__(self, descriptor: int, lost: OSError | None = None) -> None:
        """Writes to a descriptor, which stays open."""
        self._descriptor = descriptor
        self.lost = lost

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        """Writes all of it, or nothing any more."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left and self.lost is None:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                # Another program that has the terminal or pipe, too, made it so.
                import select

                select.select([], [self._descriptor], [])
            except OSError as error:
                self.lost = error
        return size


def outlive_readers() -> None:
    """Gives this process standard streams that no reader, and no lack of one, can end it by."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Else the next file that is opened would get what is meant for a stream.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    sys.stdout = _outliving(sys.stdout, 1)
    sys.stderr = _outliving(sys.stderr, 2)


def _outliving(stream: TextIO | None, descriptor: int) -> TextIO:
    missing = OSError(errno.EBADF, "it is closed") if stream is None else None
    return io.TextIOWrapper(  # type: ignore[type-var]  # as Python's own with -u
        Outlet(descriptor, missing),
        encoding="utf-8" if stream is None else stream.encoding,
        # A terminal that cannot show a sign of ours is no reason to fail.
        errors="replace",
        write_through=True,
    )


def on_terminal() -> bool:
    """Whether somebody may see what is told now."""
    return sys.stdout.isatty() or sys.stderr.isatty()


def lost(stream: TextIO) -> OSError | None:
    """What ended a stream, if anything did."""
    outlet = getattr(stream, "buffer", None)
    return outlet.lost if isinstance(outlet, Outlet) else None


def tell(text: str, stream: TextIO) -> None:
    """Writes some lines; what nobody can read there goes to the log."""
    stream.write(f"{text}\n")
    stream.flush()
    log_if_lost(text, stream)


def tell_apart(text: str) -> None:
    """Writes to standard error what needs a human, unless standard output goes there, too.

    Cron sends what a command writes, and does not look at its exit code: with `>/dev/null` nobody
    would hear of a file that failed.
    """
    if lost(sys.stderr) is None and not _same_place(sys.stdout, sys.stderr):
        tell(text, sys.stderr)


def _same_place(one: TextIO, other: TextIO) -> bool:
    """Whether two streams are of the same file, pipe or terminal."""
    try:
        return os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))
    except OSError:
        return False


def log_if_lost(text: str, stream: TextIO) -> None:
    """Sends lines that were written to a stream to the log, if nobody reads them there."""
    if (error := lost(stream)) is None:
        return
    # On demand: `--help` does without.
    import logging

    log = logging.getLogger("imports.told")
    name = "Standard output" if stream is sys.stdout else "Standard error"
    log.warning("%s cannot be written to: %s. It would say:", name, error.strerror)
    for line in text.splitlines():
        log.info("  %s", line)


def show_cursor() -> None:
    """Shows the cursor of a terminal again, where bars may have hidden it."""
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR)
