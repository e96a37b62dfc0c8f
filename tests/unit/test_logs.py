from __future__ import annotations

import logging
from pathlib import Path

import pytest

from imports.errors import UsageError
from imports.logs import DEBUG_LOG_NAME, LOG_NAME, log_files

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


def test_the_log_goes_on_and_the_debug_log_begins_anew(tmp_path: Path) -> None:
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
