from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from imports.cli.faults import FaultError, as_importer_error
from imports.errors import DiskError, ImporterError, LedgerError, LimitError, UsageError
from imports.run.logs import LOG_NAME


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(errno.EMFILE, "Too many open files", "a"), LimitError, "ulimit -n"),
        (OSError(errno.ENFILE, "Too many open files in system"), LimitError, "ulimit -n"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), DiskError, "Free space"),
        (RuntimeError("can't start new thread"), LimitError, "ulimit -u"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), LimitError, "pids"),
        (MemoryError(), LimitError, "--batch-size"),
        (sqlite3.OperationalError("disk I/O error"), LedgerError, "upload_tracker.db"),
        (
            UnicodeEncodeError("utf-8", "a\udce9", 1, 2, "surrogates not allowed"),
            UsageError,
            r"\xe",
        ),
    ],
)
def test_what_a_user_can_put_right_is_no_fault(
    tmp_path: Path, error: Exception, kind: type[ImporterError], said: str
) -> None:
    found = as_importer_error(error, tmp_path)
    assert type(found) is kind
    assert said in str(found)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_ours_stays_as_it_is(tmp_path: Path) -> None:
    error = UsageError("so it is")
    assert as_importer_error(error, tmp_path) is error


def fault() -> Exception:
    try:
        raise KeyError("a\x1b[31mname")
    except KeyError as error:
        return error


def test_a_fault_is_told_as_one_and_its_traceback_is_in_the_log(tmp_path: Path) -> None:
    found = as_importer_error(fault(), tmp_path)
    assert isinstance(found, FaultError)
    assert found.exit_code == 1
    assert "a bug in the importer: KeyError" in str(found)
    assert "\x1b" not in str(found)
    assert str(tmp_path / LOG_NAME) in str(found)
    assert "Traceback" not in str(found)
    assert "Traceback" in (tmp_path / LOG_NAME).read_text()


def test_without_a_log_a_fault_is_told_with_its_traceback(tmp_path: Path) -> None:
    said = str(as_importer_error(fault(), tmp_path / "gone"))
    assert "a bug in the importer: KeyError" in said
    assert "Traceback" in said
    assert __file__ in said
