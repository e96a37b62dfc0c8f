"""The log files: `resilient_import.log` always, one with every record where it is asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import cast

from imports.errors import UsageError
from imports.regular_file import opener

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


class _RegularFileHandler(logging.FileHandler):
    """Opens no pipe that somebody put there: that would wait for a reader."""

    def _open(self) -> TextIOWrapper:
        file = open(  # noqa: SIM115 - the handler closes it
            self.baseFilename, self.mode, encoding=self.encoding, opener=opener
        )
        return cast("TextIOWrapper", file)


def _add(handlers: list[logging.Handler], path: Path, mode: str, level: int) -> None:
    try:
        handler = _RegularFileHandler(path, mode=mode, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"The log {path} cannot be written: {error.strerror}."
            " It lies beside the work state: name another place with --state-file."
        ) from error
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(_FORMAT))
    handlers.append(handler)
