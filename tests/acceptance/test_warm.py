"""A command in a fork of a warm interpreter, which most tests run, is as one in a process."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.support.command import MODULE, WARM, Workplace, wait_until
from tests.support.contents import held, until_somebody_waits
from tests.support.searches import search, write
from tests.support.target import Target


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["status"], 0),
        (["states", "nowhere", "--tag", "\udcff"], 2),
        (["verify"], 2),
    ],
)
def test_it_says_and_exits_alike(pg_place: Workplace, arguments: list[str], exit_code: int) -> None:
    warm, cold = (
        pg_place.run(*arguments, program=program, exit_code=exit_code, environment={"TZ": "UTC+9"})
        for program in (WARM, MODULE)
    )
    assert (warm.out, warm.err) == (cold.out, cold.err)


def test_it_is_a_process_of_its_own_until_its_end_was_heard_of(
    pg_place: Workplace, postgresql: Target
) -> None:
    write(pg_place.folder / "source", "a", search("A"))
    url = postgresql.database_url
    with held(url), pg_place.started("states", "source", "--tag", "t") as running:
        until_somebody_waits(url)
        assert running.pid != os.getpid()
        assert os.getsid(running.pid) == os.getpgid(running.pid) == running.pid
        assert psutil.Process(running.pid).cwd() == str(pg_place.folder)
        running.process.send_signal(signal.SIGKILL)
        wait_until(lambda: psutil.Process(running.pid).status() == psutil.STATUS_ZOMBIE)
        assert running.process.wait() == -signal.SIGKILL
        assert not psutil.pid_exists(running.pid)


@pytest.mark.skipif(WARM == MODULE, reason="this system has no pidfd")
def test_an_interpreter_that_would_start_otherwise_is_started(pg_place: Workplace) -> None:
    with pytest.raises(AssertionError, match="a process of its own"):
        pg_place.run("status", program=WARM, environment={"LC_ALL": "C"})
    pg_place.run("status", program=MODULE, environment={"LC_ALL": "C"})
