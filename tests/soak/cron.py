"""Cron, as a program meets it: next to no environment, another working folder, no terminal."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

_PATIENCE = 120.0
_SHELL = ("/bin/sh", "-c")
_SIGNALLED = 128


@dataclass(frozen=True)
class Ended:
    """A job that has ended: its exit code as a shell says it, and what cron would send."""

    code: int
    mail: str


class Job:
    """A job under way."""

    def __init__(self, process: subprocess.Popen[bytes], mail: Path) -> None:
        self._process = process
        self._mail = mail

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def mail(self) -> str:
        """What it has written until now."""
        return self._mail.read_text()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the program, and not to the shell that cron has started it with."""
        shell = psutil.Process(self._process.pid)
        # Some shells become the program that they are to run, others start it.
        became_it = shell.cmdline()[:2] != [*_SHELL]
        (shell if became_it else shell.children()[0]).send_signal(number)

    def end(self) -> Ended:
        """Waits for its end."""
        code = self._process.wait(_PATIENCE)
        # Some shells say so of a program that was killed, others do not.
        mail = self.mail.removesuffix("Killed\n")
        return Ended(code if code >= 0 else _SIGNALLED - code, mail)


class Cron:
    """Runs lines of a crontab for a user."""

    def __init__(self, home: Path, variables: Mapping[str, str]) -> None:
        """`variables` are those that the crontab sets."""
        self._home = home
        self._mails = home.with_name(f"{home.name}.mail")
        self._variables = variables
        self._number = 0
        for folder in (home, self._mails):
            folder.mkdir(parents=True)

    def run(self, line: str) -> Ended:
        """Runs a line to its end."""
        with self.started(line) as job:
            return job.end()

    @contextmanager
    def started(self, line: str) -> Iterator[Job]:
        """Starts a line; whatever is left of it is ended."""
        self._number += 1
        mail = self._mails / f"{self._number}.txt"
        own = {"HOME": self._home, "LOGNAME": "ops", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
        variables = [f"{name}={value}" for name, value in {**own, **self._variables}.items()]
        with mail.open("wb") as written:
            process = subprocess.Popen(
                ["/usr/bin/env", "-i", *variables, *_SHELL, line],
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )
        with process:
            try:
                yield Job(process, mail)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
