"""An interpreter that has imported the importer, and is forked for each command.

It is a program of its own (`tests.support.warm` starts it), so that nothing of pytest is in it. Up
to the fork it does what a start of `python -m imports` does, which is most of what a short command
costs; from there on a command has all that is a process's own: streams, environment, folder,
session, signals, and an end with everything that Python does at one. But for this: the modules that
it shares with all others are not freed at its end, which would first copy them.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import json
import os
import pkgutil
import select
import socket
import sys
import termios
import time
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

import imports
from imports.source.days import day_in
from tests.support import fault_points

ALSO = (
    "_strptime",
    "certifi",
    "click._textwrap",
    "ctypes",
    "dotenv",
    "encodings.idna",
    "filelock",
    "httpcore",
    "httpx",
    "ijson.backends.yajl2_c",
    "pyairtable",
    "imagesize",
    "rich.progress",
    "zoneinfo",
)
"""What a command imports when it comes to it, beside the importer's own modules."""

NOT_FOR_COMMANDS = ("imports.__main__", "imports.local_", "imports.servers.hosted_database")

LONGEST_REQUEST = 1 << 20


def import_for_good() -> None:
    """Imports the modules of commands. They are not freed at the end of a fork."""
    kept: dict[str, Any] = {}
    # Registered first, so it runs last: until then modules can be imported.
    atexit.register(_forget, kept)
    for module in pkgutil.walk_packages(imports.__path__, "imports."):
        if not module.name.startswith(NOT_FOR_COMMANDS):
            import_module(module.name)
    for name in ALSO:
        import_module(name)
    # Compiles its patterns, which is done on first use.
    day_in("")
    kept.update(sys.modules)
    # A frozen reference cycle is never collected.
    ring: list[object] = [kept]
    ring.append(ring)
    gc.collect()
    gc.freeze()


def _forget(kept: dict[str, Any]) -> None:
    for name in kept.keys() - {"sys", "builtins", "__main__"}:
        sys.modules.pop(name, None)


def next_command(requests: socket.socket) -> dict[str, Any] | None:
    """Forks for each request, and sends the exit code to the requester.

    Comes back in each fork, with the request; else when nobody can ask any more, with None.
    """
    replies: dict[int, int] = {}
    """Where to tell of a process that runs, by the descriptor that is ready when it has ended."""
    told: dict[int, int] = {}
    """The processes that have ended, by the descriptor that is ready when that was heard."""
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready in replies:
                poll.unregister(ready)
                reply = replies.pop(ready)
                # Its process id is not reused until its parent has waited for it.
                ended = os.waitid(os.P_PIDFD, ready, os.WEXITED | os.WNOWAIT)
                os.close(ready)
                killed = ended.si_code != os.CLD_EXITED
                tell(reply, -ended.si_status if killed else ended.si_status)
                told[reply] = ended.si_pid
                poll.register(reply, select.POLLIN)
            elif ready in told:
                poll.unregister(ready)
                os.waitpid(told.pop(ready), 0)
                os.close(ready)
            else:
                message, descriptors, *_ = socket.recv_fds(requests, LONGEST_REQUEST, 4)
                if not message:
                    return None
                *streams, reply = descriptors
                if (pid := os.fork()) == 0:
                    requests.close()
                    for other in (reply, *replies, *replies.values(), *told):
                        os.close(other)
                    begin(request := json.loads(message), streams)
                    return request
                for stream in streams:
                    os.close(stream)
                tell(reply, pid)
                watched = os.pidfd_open(pid)
                replies[watched] = reply
                poll.register(watched, select.POLLIN)


def tell(reply: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(reply, f"{number}\n".encode())


def begin(request: dict[str, Any], streams: list[int]) -> None:
    """Gives a fork the streams, environment and folder of a newly started process."""
    os.setsid()
    for standard, stream in enumerate(streams):
        os.dup2(stream, standard)
        os.close(stream)
    if os.isatty(0):
        # Otherwise Ctrl-C there sends no signal.
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    sys.stdin = sys.__stdin__ = renewed(sys.stdin, "r")
    sys.stdout = sys.__stdout__ = renewed(sys.stdout, "w")
    sys.stderr = sys.__stderr__ = renewed(sys.stderr, "w")
    sys.argv = ["-m", *request["arguments"]]
    sys.path[0] = str(Path.cwd())
    fault_points.arm_named()


def renewed(stream: TextIO, mode: str) -> TextIO:
    """The same stream on its current descriptor."""
    return open(
        stream.fileno(),
        mode,
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n" if mode == "w" else None,
        closefd=False,
    )


if __name__ == "__main__":
    import runpy

    import_for_good()
    if next_command(socket.socket(fileno=int(sys.argv[1]))) is not None:
        # What `python -m` calls.
        runpy._run_module_as_main("imports")
