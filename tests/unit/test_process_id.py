from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imports.workers.process_id import is_running, is_zombie


def test_a_process_is_alive_until_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_running(process.pid)
    assert not is_running(process.pid)
    assert is_running(os.getpid())


def test_a_number_that_no_process_can_have_is_nobodys() -> None:
    assert not is_running(10**30)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="the system does not tell it")
def test_a_process_that_nobody_buries_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_zombie(process.pid)
        assert not is_running(process.pid)
    assert not is_zombie(process.pid)
    assert not is_zombie(os.getpid())
