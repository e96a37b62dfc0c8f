"""Measuring one command: how long it took, and how much memory its processes had together."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_SECONDS_BETWEEN_SAMPLES = 0.2


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run of a command took.

    `seconds` is the wall time of the whole process, start of Python included; `cpu` the time of
    processors that it and its children used, the server's not. `peak_mb` is the largest sum of
    the PSS of all its processes (a page that several share counts once), sampled five times a
    second. `first_row` is when the target had a row. `parts` are times that it told itself.
    `stolen` is the time of processors that a virtual machine wanted meanwhile and did not get from
    its host: where it is much, the measurement says little.
    """

    seconds: float
    cpu: float = 0.0
    peak_mb: float = 0.0
    first_row: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    stolen: float = 0.0


class CommandFailedError(Exception):
    """A measured command did not do its work; says which, and what it printed."""


def measure(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    watch: Callable[[], bool] | None = None,
) -> tuple[Measurement, str]:
    """Runs a command in a folder to its end; what it took, and what it printed.

    `watch` says whether there is something in the target; it is asked until it says so, and
    less often the longer its answer takes.

    Raises:
        CommandFailedError: if the command did not end with 0.
    """
    output = folder / "output.txt"
    with output.open("wb") as file:
        stolen = _stolen()
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        memory = _Repeated(_memory_of(process.pid))
        rows = _Repeated(_first_time(watch, began)) if watch else None
        try:
            # wait4, since it knows the time of processors; subprocess does not tell it.
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            largest = memory.end()
            first = rows.end() if rows else 0.0
    process.returncode = os.waitstatus_to_exitcode(status)
    said = output.read_text(errors="replace")
    if process.returncode:
        raise CommandFailedError(
            f"Ended with {process.returncode}: {' '.join(command)}\n{said[-3_000:]}"
        )
    cpu = usage.ru_utime + usage.ru_stime
    if watch and not first and watch():
        first = seconds  # it came between the last look and the end
    stolen = _stolen() - stolen
    return Measurement(seconds, cpu, largest / 1e6, first or None, stolen=stolen), said


def _stolen() -> float:
    try:
        fields = Path("/proc/stat").read_text().partition("\n")[0].split()
        return int(fields[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):  # another system, which does not tell
        return 0.0


class _Repeated:
    """Asks a function again and again in a thread; it returns how long to wait, or None to end."""

    def __init__(self, step: Callable[[], tuple[float, float | None]]) -> None:
        self._step = step
        self._value = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        wait: float | None = 0.0
        while wait is not None and not self._ended.wait(wait):
            self._value, wait = self._step()

    def end(self) -> float:
        """Asks no more; the last value."""
        self._ended.set()
        self._thread.join()
        return self._value


def _memory_of(pid: int) -> Callable[[], tuple[float, float | None]]:
    largest = 0.0

    def sample() -> tuple[float, float | None]:
        nonlocal largest
        largest = max(largest, float(tree_memory(pid)))
        return largest, _SECONDS_BETWEEN_SAMPLES

    return sample


def tree_memory(pid: int) -> int:
    """The memory of a process and of all below it, in bytes: the sum of their PSS."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return sum(_memory(each.pid) for each in (root, *root.children(recursive=True)))
    return 0


def _memory(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # it has ended, or this system has no such file
        with suppress(psutil.Error):
            return int(psutil.Process(pid).memory_info().rss)
    return 0


def _first_time(
    watch: Callable[[], bool], began: float
) -> Callable[[], tuple[float, float | None]]:
    def look() -> tuple[float, float | None]:
        asked = time.perf_counter()
        found = watch()
        now = time.perf_counter()
        if found:
            return now - began, None
        # Rows that are not committed yet make the answer slow; it must not slow the command.
        return 0.0, max(0.01, 20 * (now - asked))

    return look
