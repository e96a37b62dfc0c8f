"""The command line as a process: what it shows of errors that nobody caught."""

from __future__ import annotations

import psycopg2
import pytest

from imports.__main__ import show_traceback


def test_what_psycopg2_prints_when_copy_breaks_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = SystemError("returned a result with an exception set")
    error.__cause__ = psycopg2.OperationalError("the connection broke")
    show_traceback(SystemError, error, None)
    assert capsys.readouterr().err == ""
    show_traceback(SystemError, SystemError("another one"), None)
    show_traceback(ValueError, ValueError("a fault of ours"), None)
    shown = capsys.readouterr().err
    assert "another one" in shown
    assert "a fault of ours" in shown
