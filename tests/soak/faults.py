"""What happens to an import under way: kills, signals, servers that break off, files that come."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from imports.source.set_aside import BEGINNING
from tests.soak.checks import EXIT_CODES, check_output, demand
from tests.soak.told import Told
from tests.soak.tree import Tree
from tests.support.command import MODULE, Finished, Running, Workplace
from tests.support.database import query
from tests.support.proxy import COMMIT, Proxy, http_answer
from tests.support.target import Target

_LONGEST = 120.0
"""Seconds after which a command hangs."""

_LATEST = 1.5
"""Seconds after its start, at which a run is disturbed at the latest."""

_BUSY = http_answer("503 Service Unavailable", b"{}", "Retry-After: 0")


@dataclass
class Disturber:
    """Runs a command, and does something to it at a random moment.

    `runs` is what all imports told, those in other working folders too; `places` are these.
    """

    place: Workplace
    target: Target
    tree: Tree
    proxy: Proxy
    chance: random.Random
    peak: int = 0
    done: list[str] = field(default_factory=list)
    runs: list[Told] = field(default_factory=list)
    places: list[Workplace] = field(default_factory=list)
    _doomed: Running | None = None

    def __post_init__(self) -> None:
        """The working folder is the first of its places."""
        self.places.append(self.place)

    def run(self, *command: object, fault: str | None = None) -> Finished:
        """Runs a command to its end, with a fault or without; what it printed is checked."""
        if fault is not None:
            self.done.append(fault)
            before = getattr(self, f"_before_{fault}", None)
            if before is not None:
                before()
        moment = time.monotonic() + self.chance.uniform(0.05, _LATEST)
        during: Callable[[Running], None] | None = getattr(self, f"_during_{fault}", None)
        if fault == "kill_aside":
            moment = 0
        with self.place.started(*command) as running:
            self._doomed = running if fault == "kill_at_request" else None
            if fault == "two_at_once":
                self._elsewhere(*command)
            deadline = time.monotonic() + _LONGEST
            while not running.ended:
                self._measure(running)
                if during is not None and time.monotonic() >= moment:
                    during(running)
                    during = None
                if time.monotonic() > deadline:
                    running.kill()
                    raise AssertionError(f"hangs: {' '.join(map(str, command))}")
                time.sleep(0.02)
            ended = running.finish(timeout=_LONGEST)
        check_output(ended)
        if command[0] == self.tree.kind and (told := Told.by(ended, self.place)) is not None:
            self.runs.append(told)
        return ended

    def _measure(self, running: Running) -> None:
        total = 0
        with contextlib.suppress(psutil.Error):
            own = psutil.Process(running.pid)
            for process in (own, *own.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    if "postgres" not in process.name():
                        total += process.memory_info().rss
        self.peak = max(self.peak, total)

    def _elsewhere(self, *command: object) -> None:
        """Runs the same command in another working folder, to its end."""
        folder = self.place.folder.with_name(f"work{len(self.places)}")
        folder.mkdir()
        place = Workplace(folder, self.place.environment, MODULE)
        with place.started(*command) as running:
            ended = running.finish(timeout=_LONGEST)
        check_output(ended)
        demand(ended.code in {0, 3}, "the one elsewhere", ended.code, ended.text)
        told = Told.by(ended, place)
        demand(told is not None and told.completed, "the one elsewhere", ended.text)
        assert told is not None
        self.runs.append(told)
        self.places.append(place)

    # At a moment of the run

    def _during_kill(self, running: Running) -> None:
        running.process.kill()

    def _during_kill_aside(self, running: Running) -> None:
        """Kills it as soon as a file is set aside."""
        folders = {path for path in self.tree.folder.rglob("*") if path.is_dir()}
        while not running.ended:
            if any(_is_aside(each) for each in (self.tree.folder, *folders)):
                running.process.kill()
                return

    def _during_interrupt(self, running: Running) -> None:
        running.interrupt()

    def _during_interrupt_twice(self, running: Running) -> None:
        running.interrupt()
        time.sleep(self.chance.uniform(0, 0.1))
        if not running.ended:
            running.interrupt()

    def _during_terminate(self, running: Running) -> None:
        running.interrupt(signal.SIGTERM)

    def _during_kill_worker(self, running: Running) -> None:
        workers = [each for each in running.descendants() if "postgres" not in each.name()]
        if workers:
            self.chance.choice(workers).kill()

    def _during_cut_connections(self, running: Running) -> None:
        query(
            self.target.database_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'resilient-importer'",
        )

    def _during_second_run(self, running: Running) -> None:
        """Another one over the same work state is refused; the status may be asked for."""
        check_output(self.place.run("status", exit_code=0))
        # Else it might end meanwhile, and nobody would know what it had told.
        running.process.send_signal(signal.SIGSTOP)
        try:
            if running.ended or psutil.Process(running.pid).status() != psutil.STATUS_STOPPED:
                return
            command = [self.tree.kind, self.tree.folder, "--tag", "soak", *self.tree.options]
            with self.place.started(*command) as second:
                ended = second.finish(timeout=_LONGEST)
        finally:
            running.process.send_signal(signal.SIGCONT)
        demand(ended.code in {11, *EXIT_CODES}, "the second run", ended.code, ended.text)
        if ended.code != 11 and (told := Told.by(ended, self.place)) is not None:
            self.runs.append(told)

    def _during_grow(self, running: Running) -> None:
        self.tree.grow(self.chance)

    # From the start on, at a random request

    def _before_reset(self) -> None:
        self._at_a_request("reset", sent=self.chance.choice([0, 100, 65_536]))

    def _before_swallow(self) -> None:
        self._at_a_request("swallow")

    def _before_kill_at_request(self) -> None:
        """The server does what was asked, and nobody is there to hear its answer."""
        self._at_a_request("call", call=self._kill)

    def _kill(self) -> None:
        if self._doomed is not None and not self._doomed.ended:
            self._doomed.process.kill()

    def _before_busy(self) -> None:
        if self.target.supabase_url is not None:
            self._at_a_request("answer", answer=_BUSY)

    def _before_touch(self) -> None:
        """All files are new ones to look at, and have the same content."""
        for path in list(self.tree.left):
            file = self.tree.folder / path
            if file.is_file() and self.chance.random() < 0.2:
                moment = time.time() - self.chance.uniform(10, 1_000)
                with contextlib.suppress(OSError):
                    os.utime(file, (moment, moment))

    def _before_torn_state(self) -> None:
        state = self.place.folder / "work_state.json"
        if state.exists():
            state.write_bytes(state.read_bytes()[: self.chance.randint(0, 400)])

    def _at_a_request(self, action: str, **fields: object) -> None:
        needle = b"POST " if self.target.supabase_url is not None else COMMIT
        self.proxy.add(needle, action=action, spare=self.chance.randint(0, 8), **fields)


def _is_aside(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return any(
            entry.name.startswith(BEGINNING) and any(os.scandir(entry.path))
            for entry in os.scandir(folder)
        )
    return False


FAULTS = (
    *("kill", "kill", "kill", "kill_at_request", "interrupt", "interrupt_twice", "terminate"),
    *("kill_worker", "cut_connections", "second_run", "grow", "reset", "swallow", "busy"),
    *("touch", "torn_state", "kill_aside", "two_at_once"),
)


def faults_for(tree: Tree, target: Target) -> list[str]:
    """The faults that a round may have."""
    left_out = set()
    if tree.kind != "people" or tree.keeps:
        left_out.add("kill_aside")
    if tree.kind != "people" and target.supabase_url is None:
        # Each working folder has the images that were stored from there.
        left_out.add("two_at_once")
    return [each for each in FAULTS if each not in left_out]
