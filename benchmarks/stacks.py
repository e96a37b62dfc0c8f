"""Stacks of a sampling profiler, and the seconds by phase and by function in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

COORDINATOR, THREADS, WORKERS = "coordinator", "its threads", "workers"
PLACES = (COORDINATOR, THREADS, WORKERS)

REST = "the rest"
PHASES: dict[str, tuple[str, ...]] = {
    "listing": ("list_source", "list_folders"),
    "planning": ("plan_items", "plan_batch"),
    "sha256": ("hash_images", "hash_batch"),
    "upload": ("upload_images", "known_images", "upload_image", "record_images"),
    "import": ("import_items", "import_batch", "import_piece", "prepare_batch", "prepare_piece"),
    "verify": ("verify", "prepare_current", "compare_items", "check_image"),
    "reading": ("read_object",),
}
"""By which functions on a stack a phase is known: those of the coordinator, and the workers'.

Reading files is a line of its own, since threads do it that do not know for which phase.
"""

_PHASE_OF = {function: phase for phase, functions in PHASES.items() for function in functions}

_FRAME = re.compile(r"(?P<function>.*) \((?P<file>[^()]*?)(?::\d+)?\)")
_LINE = re.compile(r"(?P<frames>.*) (?P<count>\d+)")

# Functions in which a thread waits for work, not for a disk, a server or Python's lock.
_WAITING_IN = frozenset(
    {
        *("_end_with", "Queue.get", "_ExecutorManagerThread.wait_result_broken_or_wakeup"),
        *("wait_result_broken_or_wakeup", "Condition.wait", "Event.wait"),
    }
)
_WAITING_AT_END = frozenset({"_worker", "Queue._feed", "_feed", "Thread.join", "Popen.poll"})


@dataclass(frozen=True, slots=True)
class Stack:
    """The number of samples of a stack; frames are `function (file)`, the outermost first."""

    place: str
    frames: tuple[str, ...]
    count: int

    @property
    def functions(self) -> list[str]:
        """The frames without their files."""
        return [frame.partition(" (")[0] for frame in self.frames]

    @property
    def waiting(self) -> bool:
        """Whether it only waited for other threads."""
        functions = self.functions
        return functions[-1] in _WAITING_AT_END or not _WAITING_IN.isdisjoint(functions)

    @property
    def phase(self) -> str:
        """Its phase: the innermost one that is known."""
        for function in reversed(self.functions):
            phase = _PHASE_OF.get(function.rpartition(".")[2])
            if phase is not None:
                return phase
        return REST


def read_stacks(lines: Iterable[str]) -> Iterator[Stack]:
    """The stacks in the output of `py-spy record --format raw --subprocesses --threads`."""
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        names, frames = [], []
        for frame in _split(match["frames"]):
            if frame.startswith(("process ", "thread (")):
                names.append(frame)
            else:
                found = _FRAME.fullmatch(frame)
                frames.append(f"{found['function']} ({found['file']})" if found else frame)
        place = _place(names)
        if place is not None and frames:
            yield Stack(place, tuple(frames), int(match["count"]))


def _split(text: str) -> list[str]:
    """The frames; a process name may contain a command line with semicolons."""
    frames: list[str] = []
    for part in text.split(";"):
        if frames and frames[-1].startswith("process ") and not frames[-1].endswith('"'):
            frames[-1] += f";{part}"
        else:
            frames.append(part)
    return frames


def _place(names: Sequence[str]) -> str | None:
    processes = [name for name in names if name.startswith("process ")]
    if any("resource_tracker" in name for name in processes):
        return None
    if len(processes) > 1:
        return WORKERS
    return COORDINATOR if "MainThread" in names[-1] else THREADS


@dataclass(frozen=True, slots=True)
class FunctionTime:
    """The samples with a function: at the end of a stack, and anywhere in it."""

    function: str
    own: int
    total: int


def by_phase(stacks: Iterable[Stack]) -> dict[str, Counter[str]]:
    """The samples of each phase, by place; in `waiting`, those when the coordinator waited."""
    phases: dict[str, Counter[str]] = {name: Counter() for name in (*PHASES, REST)}
    for stack in stacks:
        if not stack.waiting:
            phases[stack.phase][stack.place] += stack.count
        elif stack.place == COORDINATOR:
            phases[stack.phase]["waiting"] += stack.count
    return {name: counts for name, counts in phases.items() if counts}


def by_function(stacks: Iterable[Stack]) -> list[FunctionTime]:
    """The functions of stacks that do not wait, the one with the most own samples first."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for stack in stacks:
        if stack.waiting:
            continue
        own[stack.frames[-1]] += stack.count
        for frame in set(stack.frames):
            total[frame] += stack.count
    found = [FunctionTime(name, own[name], count) for name, count in total.items()]
    return sorted(found, key=lambda each: (-each.own, -each.total, each.function))
