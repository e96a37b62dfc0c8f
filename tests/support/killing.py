"""A run that ends after any of its steps, as after `kill -9`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

from imports.backends.places import Places
from imports.backends.postgresql import PostgreSQLDatabase
from imports.backends.supabase import SupabaseDatabase
from imports.ledger import ImportQueue, PlacementLedger
from tests.support.fault_points import FaultPoint, arm


class Killed(BaseException):
    """In place of a signal that nobody can catch."""


def killed(*_: object) -> None:
    """In place of a function: the run ends there."""
    raise Killed


STEPS = {
    PlacementLedger: ("note", "record_skipped", "commit", "record_taken_back", "forget_copies"),
    Places: ("put", "copy", "remove"),
    PostgreSQLDatabase: ("merge",),
    SupabaseDatabase: ("merge",),
    ImportQueue: ("record_imported", "record_piece"),
}


def killed_after(step: int, run: Callable[[], object]) -> bool:
    """Does something in a process that ends at once after so many steps; whether it came to that.

    Nothing is closed, rolled back or written any more, as after `kill -9`.
    """

    def count_steps() -> None:
        done = count(1)
        for owner, names in STEPS.items():
            for name in names:
                setattr(owner, name, _counted(getattr(owner, name), done, step))

    return _exit_code(count_steps, run) == 9


def killed_at(point: FaultPoint, run: Callable[[], object]) -> bool:
    """Does something in a process that gets a SIGKILL at a point; whether it came to that."""
    return _exit_code(partial(arm, point), run) == -signal.SIGKILL


def _exit_code(prepare: Callable[[], object], run: Callable[[], object]) -> int:
    """Does both in a process of their own."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        prepare()
        run()
        code = 0
    finally:
        os._exit(code)


def _counted(method: Callable[..., Any], done: Iterator[int], last: int) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        answer = method(*args, **kwargs)
        if next(done) == last:
            os._exit(9)
        return answer

    return counted
