"""Messages for unexpected errors that end a command."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import ClassVar

from imports.display_text import shown
from imports.errors import DiskError, ImporterError, LedgerError, LimitError, UsageError
from imports.files.file_error import of_the_machine


class FaultError(ImporterError):
    """A bug in the importer."""

    has_lines: ClassVar[bool] = True


def as_importer_error(error: Exception, folder: Path) -> ImporterError:
    """The error with a message for users. The traceback of a bug goes to the log in `folder`."""
    if isinstance(error, ImporterError):
        return error
    return _known(error) or _fault(error, folder)


def _known(error: Exception) -> ImporterError | None:
    if isinstance(error, sqlite3.Error):
        return LedgerError(
            f"The ledger (upload_tracker.db) cannot be used: {error}. Is the disk full? The same"
            " command resumes. If the ledger is damaged, move it away: the next run finds out what"
            " the target already has."
        )
    if isinstance(error, OSError) and (known := of_the_machine(error)) is not None:
        return known
    if isinstance(error, MemoryError):
        return LimitError(
            "There is not enough memory. Use a lower --batch-size and fewer --max-workers. The same"
            " command resumes."
        )
    if "can't start new thread" in str(error) or isinstance(error, BlockingIOError):
        return LimitError.of_threads()
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return UsageError(
            f"{shown(error.object)} is not valid UTF-8, so a database and JSON cannot store it."
            " Rename it."
        )
    return None


def _fault(error: Exception, folder: Path) -> FaultError:
    import traceback

    what = f"This is a bug in the importer: {type(error).__name__}: {shown(str(error))}."
    advice = "Nothing is lost, and the same command resumes. Please report it"
    if (log := _logged(error, folder)) is not None:
        return FaultError(f"{what}\n{advice}, with the traceback in {log}.")
    return FaultError(f"{what}\n{advice}, with this:\n{''.join(traceback.format_exception(error))}")


def _logged(error: Exception, folder: Path) -> Path | None:
    """Writes the traceback to the log; returns its path, None if it cannot be written."""
    import logging

    from imports.run.logs import LOG_NAME, log_files

    failed: list[str] = []
    try:
        with log_files(folder, debug=False, warn=failed.append):
            logging.getLogger("imports").error("a bug in the importer", exc_info=error)
    except (UsageError, DiskError, LimitError):
        return None
    return None if failed else (folder / LOG_NAME).absolute()
