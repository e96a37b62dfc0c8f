"""What happens to an import under way: kills, signals, servers that break off, files that come."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from tests.soak.checks import check_output
from tests.soak.trees import Tree
from tests.support.command import Finished, Running, Workplace
from tests.support.database import query
from tests.support.proxy import COMMIT, Proxy, http_answer
from tests.support.target import Target

_LONGEST = 120.0
"""Seconds after which a command hangs."""

_BUSY = http_answer("503 Service Unavailable", b"{}", "Retry-After: 0")


@dataclass
class Disturber:
    """Runs a command, and does something to it at a random moment."""

    place: Workplace
    target: Target
    tree: Tree
    proxy: Proxy
    chance: random.Random
    peak: int = 0
    done: list[str] = field(default_factory=list)

    def run(self, *command: object, fault: str | None = None) -> Finished:
        """Runs a command to its end, with a fault or without; what it printed is checked."""
        if fault is not None:
            self.done.append(fault)
            before = getattr(self, f"_before_{fault}", None)
            if before is not None:
                before()
        moment = time.monotonic() + self.chance.uniform(0.05, 2.0)
        during: Callable[[Running], None] | None = getattr(self, f"_during_{fault}", None)
        with self.place.started(*command) as running:
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

    # At a moment of the run

    def _during_kill(self, running: Running) -> None:
        running.process.kill()

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
        ended = self.place.run("status", exit_code=0)
        check_output(ended)

    def _during_grow(self, running: Running) -> None:
        self.tree.grow(self.chance)

    # From the start on, at a random request

    def _before_reset(self) -> None:
        self._at_a_request("reset", sent=self.chance.choice([0, 100, 65_536]))

    def _before_swallow(self) -> None:
        self._at_a_request("swallow")

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


FAULTS = (
    *("kill", "kill", "kill", "interrupt", "interrupt_twice", "terminate", "kill_worker"),
    *("cut_connections", "second_run", "grow", "reset", "swallow", "busy", "touch", "torn_state"),
)
