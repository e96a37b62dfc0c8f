"""The log files: `resilient_import.log` always, one with every record where it is asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imports.errors import UsageError

LOG_NAME = "resilient_import.log"
DEBUG_LOG_NAME = "resilient_import_debug.log"

_FORMAT = "%(asctime)s - %(levelname)s - %(message)s"


@contextmanager
def log_files(folder: Path, *, debug: bool) -> Iterator[None]:
    """Appends to the log files in a folder; the debug log is begun anew.

    Raises:
        UsageError: if one cannot be written.
    """
    logger = logging.getLogger("imports")
    before = logger.level
    handlers: list[logging.Handler] = []
    try:
        _add(handlers, folder / LOG_NAME, "a", logging.INFO)
        if debug:
            _add(handlers, folder / DEBUG_LOG_NAME, "w", logging.DEBUG)
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        for handler in handlers:
            logger.addHandler(handler)
        yield
    finally:
        logger.setLevel(before)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def _add(handlers: list[logging.Handler], path: Path, mode: str, level: int) -> None:
    try:
        handler = logging.FileHandler(path, mode=mode, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"The log {path} cannot be written: {error.strerror}."
            " It lies beside the work state: name another place with --state-file."
        ) from error
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(_FORMAT))
    handlers.append(handler)
