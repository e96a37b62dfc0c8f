from __future__ import annotations

import os
import subprocess
import sys

from imports.workers.process_id import is_alive


def test_a_process_is_alive_until_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_alive(process.pid)
    assert not is_alive(process.pid)
    assert is_alive(os.getpid())


def test_a_number_that_no_process_can_have_is_nobodys() -> None:
    assert not is_alive(10**30)
