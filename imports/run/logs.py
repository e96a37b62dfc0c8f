"""The log files: always `resilient_import.log`, and with `debug` one with all records."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from imports.display_text import shown
from imports.files.file_error import about_file
from imports.files.private_file import private, tighten

LOG_NAME = "resilient_import.log"
DEBUG_LOG_NAME = "resilient_import_debug.log"

_FORMAT = "%(asctime)s - %(levelname)s - %(message)s"


def _ignore(_text: str) -> None:
    pass


@contextmanager
def log_files(
    folder: Path, *, debug: bool, warn: Callable[[str], None] = _ignore
) -> Iterator[None]:
    """Appends to the log files in a folder; overwrites the debug log.

    If a log can no longer be written, the run continues, and `warn` is called once. An unexpected
    error in a thread is logged, and not written to the terminal.

    Raises:
        UsageError, DiskError: if a log cannot be opened.
    """
    logger = logging.getLogger("imports")
    before, thread_hook = logger.level, threading.excepthook
    handlers: list[logging.Handler] = []
    try:
        _add(handlers, folder / LOG_NAME, "a", logging.INFO, warn)
        if debug:
            _add(handlers, folder / DEBUG_LOG_NAME, "w", logging.DEBUG, warn)
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        for handler in handlers:
            logger.addHandler(handler)
        threading.excepthook = _log_thread
        yield
    finally:
        threading.excepthook = thread_hook
        logger.setLevel(before)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def log_in_use() -> Path | None:
    """The current log; None if there is none, or it is incomplete."""
    for handler in logging.getLogger("imports").handlers:
        if isinstance(handler, _PrivateHandler) and not handler.is_debug:
            return None if handler.is_incomplete else Path(handler.baseFilename)
    return None


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    logging.getLogger("imports").error("a thread ended unexpectedly", exc_info=ended.exc_value)


class _OneLine(logging.Formatter):
    """A record as one line, with its message escaped; a traceback as indented lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = shown(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join(f"    {shown(line)}" for line in super().formatException(ei).split("\n"))


class _PrivateHandler(logging.FileHandler):
    """Writes a file that only its owner can read. If a write fails, the run continues."""

    def __init__(self, path: Path, mode: str, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._warned = False
        super().__init__(path, mode=mode, encoding="utf-8")

    @property
    def is_debug(self) -> bool:
        return self.level < logging.INFO

    @property
    def is_incomplete(self) -> bool:
        """Whether a record is missing in the file."""
        return self._warned

    def _open(self) -> TextIOWrapper:
        # Without a buffer: a record that cannot be written is not retried with the next one.
        file = open(self.baseFilename, f"{self.mode}b", buffering=0, opener=private)  # noqa: SIM115
        tighten(file.fileno())
        return TextIOWrapper(file, "utf-8", write_through=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._warned:
            self._warned = True
            self._warn(
                f"⚠️  The log {self.baseFilename} cannot be written: {error.strerror}. The run"
                " continues without it."
            )

    def close(self) -> None:
        # A file system may report a failed write only now.
        with suppress(OSError):
            super().close()


def _add(
    handlers: list[logging.Handler],
    path: Path,
    mode: str,
    level: int,
    warn: Callable[[str], None],
) -> None:
    try:
        handler = _PrivateHandler(path, mode, warn)
    except OSError as error:
        raise about_file(
            f"The log {path} cannot be written",
            error,
            "It is beside the work state: name another place with --state-file.",
        ) from error
    handler.setLevel(level)
    handler.setFormatter(_OneLine(_FORMAT))
    handlers.append(handler)
