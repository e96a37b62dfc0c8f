"""Standard output and standard error: a lost reader ends only the output, not the run.

The reader of a pipe ends (`| head`), a terminal is closed, a disk is full, or the stream was closed
from the start (`>&-`). Then neither a write nor the end of Python raises an error.
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
    """The raw end of a stream. `lost` is the error that ended it; later writes are dropped.

    It has no buffer, since a signal handler may write during another write.
    """

    def __init__(self, descriptor: int, lost: OSError | None = None) -> None:
        """Writes to a descriptor, which stays open."""
        self._descriptor = descriptor
        self.lost = lost

    def writable(self) -> bool:
        """Always true."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        """Writes all data, or nothing after an error; returns the size."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left and self.lost is None:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                # Another program with the same terminal or pipe has made it non-blocking.
                import select

                select.select([], [self._descriptor], [])
            except OSError as error:
                self.lost = error
        return size


def outlive_readers() -> None:
    """Replaces the standard streams, so that closed or broken ones do not end this process."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Otherwise the next opened file would get the output of the stream.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    sys.stdout = _surviving(sys.stdout, 1)
    sys.stderr = _surviving(sys.stderr, 2)


def _surviving(stream: TextIO | None, descriptor: int) -> TextIO:
    missing = OSError(errno.EBADF, "it is closed") if stream is None else None
    return io.TextIOWrapper(  # type: ignore[type-var]  # as Python's own with -u
        Outlet(descriptor, missing),
        encoding="utf-8" if stream is None else stream.encoding,
        # A terminal that cannot show a character must not end the run.
        errors="replace",
        write_through=True,
    )


def on_terminal() -> bool:
    """Whether standard output or standard error is a terminal."""
    return sys.stdout.isatty() or sys.stderr.isatty()


def lost(stream: TextIO) -> OSError | None:
    """The error that ended a stream, if any."""
    outlet = getattr(stream, "buffer", None)
    return outlet.lost if isinstance(outlet, Outlet) else None


def tell(text: str, stream: TextIO) -> None:
    """Writes lines to a stream; if it is lost, also to the log."""
    stream.write(f"{text}\n")
    stream.flush()
    log_if_lost(text, stream)


def tell_apart(text: str) -> None:
    """Also writes a message for the user to standard error, unless both streams are the same.

    Cron mails the output of a command and ignores its exit code: with `>/dev/null`, failed files
    would not be reported.
    """
    if lost(sys.stderr) is None and not _is_same_file(sys.stdout, sys.stderr):
        tell(text, sys.stderr)


def _is_same_file(one: TextIO, other: TextIO) -> bool:
    """Whether two streams go to the same file, pipe or terminal."""
    try:
        return os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))
    except OSError:
        return False


def log_if_lost(text: str, stream: TextIO) -> None:
    """Logs lines that were written to a stream, if the stream is lost."""
    if (error := lost(stream)) is None:
        return
    # On demand: `--help` does not need it.
    import logging

    log = logging.getLogger("imports.told")
    name = "Standard output" if stream is sys.stdout else "Standard error"
    log.warning("%s cannot be written to: %s. Its text:", name, error.strerror)
    for line in text.splitlines():
        log.info("  %s", line)


def show_cursor() -> None:
    """Shows the cursor of a terminal again, which progress bars may have hidden."""
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR)
