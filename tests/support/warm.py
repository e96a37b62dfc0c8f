"""Commands in forks of an interpreter that has imported the importer already."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
CAN_BE_WARM = hasattr(os, "pidfd_open")

_STARTED_LIKE = ("PYTHON", "LC_", "LANG", "LD_")
"""What an interpreter looks at once, when it starts."""


class WarmProcess:
    """A command that a warm interpreter runs, as `subprocess.Popen` has it."""

    def __init__(self, replies: socket.socket, arguments: Sequence[str]) -> None:
        self._replies = replies
        self._said = b""
        self.args = arguments
        self.returncode: int | None = None
        self.pid = self._number(None)

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; its exit code."""
        if self.returncode is None:
            try:
                self.returncode = self._number(timeout)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            # It was heard of; now the process is nobody's, and its number free.
            self._replies.settimeout(None)
            self._replies.shutdown(socket.SHUT_WR)
            self._replies.recv(1)
            self._replies.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wait()

    def _number(self, timeout: float | None) -> int:
        self._replies.settimeout(timeout)
        while b"\n" not in self._said:
            received = self._replies.recv(64)
            assert received, "the warm interpreter has ended"
            self._said += received
        number, _, self._said = self._said.partition(b"\n")
        return int(number)


def run_warm(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    streams: tuple[int, int, int],
) -> WarmProcess:
    """Runs `python -m imports` in a session of its own; a terminal in its streams is its own, too.

    The environment may not differ from ours in what an interpreter looks at when it starts.
    """
    assert _looked_at(environment) == _looked_at(os.environ), "this needs a process of its own"
    request = {
        "arguments": arguments,
        "folder": os.fspath(folder),
        "environment": dict(environment),
    }
    ours, theirs = socket.socketpair()
    with theirs:
        message = json.dumps(request).encode()
        socket.send_fds(_interpreter(), [message], [*streams, theirs.fileno()])
    return WarmProcess(ours, arguments)


def _looked_at(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_STARTED_LIKE)}


@cache
def _interpreter() -> socket.socket:
    """The end that takes requests of the one warm interpreter of this process."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm_interpreter", str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
