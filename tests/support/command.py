"""The command line as a user runs it: a process of its own, in a working folder of its own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support import fault_points
from tests.support.fault_points import FaultPoint
from tests.support.warm import CAN_BE_WARM, WarmProcess, run_warm

ROOT = Path(__file__).resolve().parents[2]
MODULE = (sys.executable, "-m", "imports")
SCRIPT = (sys.executable, str(ROOT / "imports" / "resilient_importer.py"))
CONSOLE_SCRIPT = (str(Path(sys.executable).with_name("resilient-importer")),)

WARM: tuple[str, ...] = () if CAN_BE_WARM else MODULE
"""In the place of a program: MODULE, from the point on at which it has imported everything.

Not for what is about the start of a process, or its memory, nor for who runs other programs.
"""

MORTAL: tuple[str, ...] = WARM if CAN_BE_WARM else (sys.executable, fault_points.__file__)
"""The same, for a command that dies at a fault point."""

_PATIENCE = 30.0


def wait_until(
    condition: Callable[[], object], timeout: float = _PATIENCE, pause: float = 0.003
) -> None:
    """Returns as soon as the condition holds; fails if it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended, even if its parent has not waited for it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


Process = subprocess.Popen[bytes] | WarmProcess


def take_terminal() -> None:
    """Gives this session the terminal at standard input: otherwise Ctrl-C sends no signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def text(self) -> str:
        """All that it printed."""
        return self.out + self.err

    def said_of_its_stop(self) -> bool:
        """Whether a run said once that it stops, then how its report ends, and nothing else."""
        first, head, *end = self.err.splitlines()
        return (
            first.startswith("Stopping: ")
            and head.endswith(", exit code 130:")
            and end[0].startswith("Stopped in ")
            and end == self.out.splitlines()[-len(end) :]
        )


class Running:
    """A running command."""

    def __init__(self, process: Process, out: Path, err: Path) -> None:
        self.process = process
        self._out, self._err = out, err
        self._began = time.monotonic()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def out(self) -> str:
        """Its standard output so far."""
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        """Its standard error so far: progress and warnings."""
        return self._err.read_text(errors="replace")

    def descendants(self) -> list[psutil.Process]:
        """Its worker processes, and their children."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Sends Ctrl-C to the whole group, as a terminal does; other signals to the process."""
        if number == signal.SIGINT:
            os.killpg(self.pid, number)
        else:
            self.process.send_signal(number)

    def kill(self) -> None:
        """`kill -9` of the process, which must be running: otherwise nothing would be killed."""
        self.process.kill()
        self.finish(-signal.SIGKILL)

    def finish(self, exit_code: int | None = None, timeout: float = _PATIENCE) -> Finished:
        """Waits for its end, and checks its exit code."""
        code = self.process.wait(timeout)
        finished = Finished(
            code,
            self.out,
            self.err,
            time.monotonic() - self._began,
        )
        assert exit_code in (None, code), f"exit code {code}:\n{finished.text}"
        return finished


class Workplace:
    """A working folder, and the environment of its shell.

    `program` is what runs commands, unless they name another one.
    """

    def __init__(
        self, folder: Path, environment: dict[str, str], program: tuple[str, ...] = WARM
    ) -> None:
        self.folder = folder
        self.environment = environment
        self.program = program
        self._number = 0

    def run(
        self,
        *arguments: object,
        exit_code: int = 0,
        program: tuple[str, ...] | None = None,
        environment: dict[str, str] | None = None,
    ) -> Finished:
        """Runs a command to its end."""
        with self.started(*arguments, program=program, environment=environment) as running:
            return running.finish(exit_code, timeout=60)

    @contextlib.contextmanager
    def started(
        self,
        *arguments: object,
        program: tuple[str, ...] | None = None,
        environment: dict[str, str] | None = None,
    ) -> Iterator[Running]:
        """Starts a command in a process group of its own; whatever is left of it is ended."""
        self._number += 1
        logs = self.folder.with_name(f"{self.folder.name}.output")
        logs.mkdir(exist_ok=True)
        out, err = logs / f"{self._number}.out", logs / f"{self._number}.err"
        with open(os.devnull, "rb") as stdin, out.open("wb") as stdout, err.open("wb") as stderr:
            streams = (stdin.fileno(), stdout.fileno(), stderr.fileno())
            process = self.launch(arguments, streams, program=program, environment=environment)
        with process:
            running = Running(process, out, err)
            try:
                yield running
            finally:
                if not running.ended:
                    process.kill()

    def launch(
        self,
        arguments: Sequence[object],
        streams: tuple[int, int, int],
        *,
        program: tuple[str, ...] | None = None,
        environment: dict[str, str] | None = None,
    ) -> Process:
        """Starts a command in a session of its own; a terminal, if its input is one, is its own."""
        words = [str(argument) for argument in arguments]
        variables = self.variables(environment)
        chosen = self.program if program is None else program
        if not chosen:
            return run_warm(words, self.folder, variables, streams)
        stdin, stdout, stderr = streams
        return subprocess.Popen(
            [*chosen, *words],
            cwd=self.folder,
            env=variables,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=take_terminal if os.isatty(stdin) else None,
        )

    def variables(self, more: dict[str, str] | None = None) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("IMPORTER_")
        }
        # Commands do not find the checkout's own project, and do not wait for servers.
        pinned = {"IMPORTER_PROJECT": ".", "IMPORTER_MAX_WAIT": "0"}
        return {**inherited, **pinned, **self.environment, **(more or {})}

    def on_terminal(
        self,
        *arguments: object,
        answer: bytes | None = None,
        question: bytes = b"[y/N]",
        exit_code: int = 0,
        environment: dict[str, str] | None = None,
    ) -> Finished:
        """Runs a command on a terminal; it is asked once there, or not at all without an answer."""
        terminal, theirs = os.openpty()
        began, out = time.monotonic(), b""
        streams = (theirs, theirs, theirs)
        with self.launch(arguments, streams, environment=environment) as process:
            os.close(theirs)
            asked = False
            try:
                # Linux reports the closed terminal as an error.
                with contextlib.suppress(OSError):
                    while time.monotonic() < began + _PATIENCE:
                        if select.select([terminal], [], [], 0.5)[0]:
                            out += os.read(terminal, 4_096)
                            typed = question in out and not asked
                        else:
                            # A key that comes while the terminal changes its mode can be lost.
                            typed = asked and answer in (b"\x03", b"\x04")
                        if typed:
                            asked = True
                            os.write(terminal, answer or b"\x03")
            finally:
                # This hangs up a command that is still running.
                os.close(terminal)
        text = out.decode(errors="replace")
        assert process.returncode == exit_code, f"exit code {process.returncode}:\n{text}"
        assert asked == (answer is not None), text
        return Finished(process.returncode, text, "", time.monotonic() - began)

    def killed_when(
        self, condition: Callable[[], object], *arguments: object, phase: str | None = None
    ) -> None:
        """Runs a command and kills it as soon as the condition holds.

        Fails if it ends before that, or if it was not in this phase of its run.
        """
        with self.started(*arguments) as running:
            wait_until(lambda: running.ended or condition())
            running.kill()
        self._check_killed_in(phase)

    def killed_at(
        self, point: FaultPoint, *arguments: object, environment: dict[str, str] | None = None
    ) -> Finished:
        """Runs a command that dies at a fault point; fails if it does not come there."""
        variables = {**(environment or {}), **point.environment}
        with self.started(*arguments, program=MORTAL, environment=variables) as running:
            ended = running.finish()
        assert ended.code == -signal.SIGKILL, f"it did not come to {point}:\n{ended.text}"
        self._check_killed_in(point.phase)
        return ended

    def _check_killed_in(self, phase: str | None) -> None:
        if phase is not None:
            assert (self.state["status"], self.state["current_phase"]) == ("running", phase)

    @property
    def state(self) -> dict[str, Any]:
        """The work state."""
        state: dict[str, Any] = json.loads((self.folder / "work_state.json").read_bytes())
        return state

    def counts(self, phase: str) -> dict[str, Any]:
        """What the work state says of a phase."""
        counts: dict[str, Any] = self.state["phases"][phase]
        return counts

    def files(self, pattern: str = "*") -> list[Path]:
        """The files in the folder, hidden ones too, without those of a database server."""
        return [
            path
            for path in self.folder.rglob(pattern)
            if path.is_file() and "postgresql" not in path.relative_to(self.folder).parts
        ]
