"""Measuring one command: its time, and the memory of all its processes."""

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
    """The measurements of one run of a command.

    `seconds` is the wall time of the whole process, including the start of Python. `cpu` is the
    processor time of the process and its children, without the server. `peak_mb` is the largest
    sum of the PSS of all its processes (a shared page counts once), sampled five times a second.
    `first_row` is the time when the target had a row. `parts` are times that the command reported.
    `stolen` is the processor time that the host of a virtual machine gave to others: if it is
    large, the measurement means little.
    """

    seconds: float
    cpu: float = 0.0
    peak_mb: float = 0.0
    first_row: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    stolen: float = 0.0


class CommandFailedError(Exception):
    """A measured command failed; the message names it and has its output."""


def measure(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    watch: Callable[[], bool] | None = None,
) -> tuple[Measurement, str]:
    """Runs a command in a folder to its end; returns the measurement, and the output.

    `watch` says whether the target has a row. It is called until it does; the longer a call takes,
    the less often.

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
            # wait4, since it returns the processor time; subprocess does not.
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
        first = seconds  # the row appeared between the last check and the end
    stolen = _stolen() - stolen
    return Measurement(seconds, cpu, largest / 1e6, first or None, stolen=stolen), said


def _stolen() -> float:
    try:
        fields = Path("/proc/stat").read_text().partition("\n")[0].split()
        return int(fields[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):  # not on this system
        return 0.0


class _Repeated:
    """Calls a function repeatedly in a thread; it returns how long to wait, or None to end."""

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
        """Stops; returns the last value."""
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
    """The memory of a process and its descendants, in bytes: the sum of their PSS."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return sum(_memory(each.pid) for each in (root, *root.children(recursive=True)))
    return 0


def _memory(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # the process has ended, or the system has no such file
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
        # Uncommitted rows make the query slow; it must not slow down the command.
        return 0.0, max(0.01, 20 * (now - asked))

    return look
