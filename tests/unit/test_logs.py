from __future__ import annotations

import logging
import os
import resource
import stat
import threading
from pathlib import Path

import pytest

from imports.errors import UsageError
from imports.run.logs import DEBUG_LOG_NAME, LOG_NAME, log_files

LOG = logging.getLogger("imports.run")


def run(folder: Path, *, debug: bool, number: int = 1) -> None:
    with log_files(folder, debug=debug):
        LOG.info("phase %d", number)
        LOG.debug("updated Belmar/FL/PH%d", number)


def test_a_run_is_logged_without_its_records(tmp_path: Path) -> None:
    run(tmp_path, debug=False)
    text = (tmp_path / LOG_NAME).read_text()
    assert "INFO - phase 1" in text
    assert "updated" not in text
    assert not (tmp_path / DEBUG_LOG_NAME).exists()


def test_the_debug_log_has_every_record_and_the_other_log_none(tmp_path: Path) -> None:
    run(tmp_path, debug=True)
    assert "DEBUG - updated Belmar/FL/PH1" in (tmp_path / DEBUG_LOG_NAME).read_text()
    assert "updated" not in (tmp_path / LOG_NAME).read_text()


def test_the_log_is_appended_and_the_debug_log_overwritten(tmp_path: Path) -> None:
    for number in (1, 2):
        run(tmp_path, debug=True, number=number)
    assert "phase 1" in (tmp_path / LOG_NAME).read_text()
    assert "phase 2" in (tmp_path / LOG_NAME).read_text()
    assert "PH1" not in (tmp_path / DEBUG_LOG_NAME).read_text()


def test_after_a_run_nothing_is_logged_any_more_also_when_it_failed(tmp_path: Path) -> None:
    before = (logging.getLogger("imports").level, list(logging.getLogger("imports").handlers))
    with pytest.raises(ValueError, match="boom"), log_files(tmp_path, debug=True):
        raise ValueError("boom")
    LOG.warning("too late")
    assert "too late" not in (tmp_path / LOG_NAME).read_text()
    logger = logging.getLogger("imports")
    assert (logger.level, list(logger.handlers)) == before


def test_a_log_that_cannot_be_written_is_an_error_that_offers_another_place(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="--state-file"),
        log_files(tmp_path / "gone", debug=False),
    ):
        pytest.fail("the run must not begin")


def test_a_record_is_one_line_and_a_traceback_forges_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest's own handler cannot hand on what is no UTF-8.
    monkeypatch.setattr(logging.getLogger("imports"), "propagate", False)
    forged = "2026-01-01 00:00:00,000 - INFO - import completed"
    with log_files(tmp_path, debug=True):
        LOG.error("%s: bad", f"a\n{forged}\x1b[31m\u202e")
        LOG.error(os.fsdecode(b"b\xe9"))
        try:
            raise ValueError(f"a\n{forged}\x1b[31m")
        except ValueError:
            LOG.exception("oh\nno")
    for name in (LOG_NAME, DEBUG_LOG_NAME):
        text = (tmp_path / name).read_text()
        assert rf"a\n{forged}\x1b[31m\u202e: bad" in text
        assert r"b\xe9" in text
        assert f"\n    {forged}\\x1b[31m" in text
        assert not any(line.startswith(forged) for line in text.split("\n"))
        assert "\x1b" not in text


@pytest.mark.parametrize("umask", [0o022, 0o000, 0o077])
def test_logs_are_for_their_owner(tmp_path: Path, umask: int) -> None:
    (tmp_path / LOG_NAME).touch()
    (tmp_path / LOG_NAME).chmod(0o644)  # as an earlier version left it
    before = os.umask(umask)
    try:
        run(tmp_path, debug=True)
    finally:
        os.umask(before)
    for name in (LOG_NAME, DEBUG_LOG_NAME):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_gives_one_warning_and_continues_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with log_files(tmp_path, debug=False, warn=told.append):
        LOG.info("one")
        size = (tmp_path / LOG_NAME).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            LOG.info("two")
            LOG.info("three")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        LOG.info("four")
    text = (tmp_path / LOG_NAME).read_text()
    assert [name for name in ("one", "two", "three", "four") if name in text] == ["one", "four"]
    assert len(told) == 1
    assert LOG_NAME in told[0]
    assert capsys.readouterr().err == ""


def test_what_ends_a_thread_is_logged_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError("in a thread")

    with log_files(tmp_path, debug=False):
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert "in a thread" in (tmp_path / LOG_NAME).read_text()
    assert capsys.readouterr().err == ""
