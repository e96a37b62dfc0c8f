"""What ends a command unexpectedly, as its user is told it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import ClassVar

from imports.display_text import shown
from imports.errors import DiskError, ImporterError, LedgerError, LimitError, UsageError
from imports.files.file_error import of_the_machine


class FaultError(ImporterError):
    """Something went wrong that the importer should have known of."""

    has_lines: ClassVar[bool] = True


def told(error: Exception, folder: Path) -> ImporterError:
    """An error as a user can do something about it; of a fault, the log of a folder has all."""
    if isinstance(error, ImporterError):
        return error
    return _known(error) or _fault(error, folder)


def _known(error: Exception) -> ImporterError | None:
    if isinstance(error, sqlite3.Error):
        return LedgerError(
            f"The ledger (upload_tracker.db) cannot be used: {error}. Is the disk full? The same"
            " command resumes. A damaged ledger can be moved away: what the target already has is"
            " found there."
        )
    if isinstance(error, OSError) and (known := of_the_machine(error)) is not None:
        return known
    if isinstance(error, MemoryError):
        return LimitError(
            "There is not enough memory. A lower --batch-size and fewer --max-workers need less."
            " The same command resumes."
        )
    if "can't start new thread" in str(error) or isinstance(error, BlockingIOError):
        return LimitError.of_threads()
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return UsageError(
            f"{shown(error.object)} has bytes that are no UTF-8, which neither a database nor JSON"
            " can keep. Name it another way."
        )
    return None


def _fault(error: Exception, folder: Path) -> FaultError:
    import traceback

    what = f"This is a fault of the importer: {type(error).__name__}: {shown(str(error))}."
    advice = "What went in is kept, and the same command resumes. Please report it"
    if (log := _recorded(error, folder)) is not None:
        return FaultError(f"{what}\n{advice}, with the traceback in {log}.")
    return FaultError(f"{what}\n{advice}, with this:\n{''.join(traceback.format_exception(error))}")


def _recorded(error: Exception, folder: Path) -> Path | None:
    """The log that has the traceback now; None where it cannot be written."""
    import logging

    from imports.run.logs import LOG_NAME, log_files

    failed: list[str] = []
    try:
        with log_files(folder, debug=False, warn=failed.append):
            logging.getLogger("imports").error("a fault of the importer", exc_info=error)
    except (UsageError, DiskError, LimitError):
        return None
    return None if failed else (folder / LOG_NAME).absolute()
