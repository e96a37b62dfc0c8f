"""Which errors about our files are wrong usage (2), and which are a matter of the machine (1)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from imports.errors import DiskError, ImporterError, LimitError, UsageError
from imports.files.file_error import about_file
from imports.ledger import LedgerFile
from imports.run.consuming.progress_csv import write_progress
from imports.run.lock import hold
from imports.run.logs import log_files
from imports.run.spool import Spool
from imports.servers import embedded
from imports.source.moving import check_writable
from imports.tables.row_format import RowFormat


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/some/file")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "The disk is full. Free space"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EIO, "Check that disk"),
        (errno.ESTALE, "Check that disk"),
    ],
)
def test_a_disk_that_is_full_or_broken_is_no_wrong_usage(number: int, said: str) -> None:
    found = about_file("The log a cannot be written", error(number), "Name another place.")
    assert type(found) is DiskError
    assert found.exit_code == 1
    assert said in str(found)
    assert "the same command resumes" in str(found)
    assert "The log a cannot be written: " in str(found)


def test_too_many_open_files_are_a_limit() -> None:
    assert type(about_file("x", error(errno.EMFILE))) is LimitError


@pytest.mark.parametrize(
    "number",
    [
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EINVAL),
        *(errno.ELOOP, errno.ENAMETOOLONG, errno.ENOLCK, errno.EEXIST),
    ],
)
def test_a_wrong_place_is_wrong_usage(number: int) -> None:
    found = about_file("The log a cannot be written", error(number), "Name another place.")
    assert type(found) is UsageError
    assert found.exit_code == 2
    told = f"The log a cannot be written: {os.strerror(number)}. Name another place."
    assert str(found) == told


def test_a_read_only_place_is_wrong_until_it_was_written_to() -> None:
    assert type(about_file("x", error(errno.EROFS))) is UsageError
    assert type(about_file("x", error(errno.EROFS), written_before=True)) is DiskError


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing can be made any more."""
    true_open, true_mkdir = os.open, os.mkdir

    def no_open(path: str, flags: int, *rest: int, **more: int | None) -> int:
        if flags & os.O_CREAT:
            raise error(errno.ENOSPC)
        return true_open(path, flags, *rest, **more)

    def no_mkdir(path: str, *rest: int, **more: int | None) -> None:
        if os.path.lexists(path):
            return true_mkdir(path, *rest, **more)
        raise error(errno.ENOSPC)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", no_open)
        patch.setattr(os, "mkdir", no_mkdir)
        yield


def log(folder: Path) -> None:
    with log_files(folder, debug=True):
        pytest.fail("the run must not begin")


@pytest.mark.parametrize(
    "what", ["log", "lock", "pid", "ledger", "progress", "folder", "spool", "server"]
)
def test_on_a_full_disk_every_file_of_ours_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def pid(resources: ExitStack) -> None:
        # The lock of an earlier run is there, its file is not written to.
        monkeypatch.setattr("filelock.FileLock.acquire", lambda _self: None)
        hold(tmp_path / "work_state.json", "The work state", "--state-file", resources)

    with ExitStack() as resources:
        steps = {
            "log": lambda: log(tmp_path),
            "lock": lambda: hold(
                tmp_path / "work_state.json", "The work state", "--state-file", resources
            ),
            "pid": lambda: pid(resources),
            "ledger": lambda: LedgerFile(tmp_path / "upload_tracker.db"),
            "server": lambda: embedded.start(tmp_path / "new" / "postgresql"),
            "progress": lambda: write_progress(tmp_path / "new" / "progress.csv", []),
            "folder": lambda: check_writable([str(tmp_path)]),
            "spool": lambda: Spool(tmp_path / "spool" / "x", RowFormat.COPY).open(),
        }
        with full_disk(monkeypatch), pytest.raises(ImporterError, match="disk is full") as caught:
            steps[what]()
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []
