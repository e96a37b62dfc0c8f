"""Fault points: places in the importer at which a command kills itself.

As a script, this is `python -m imports` with a fault point, like the warm interpreter.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from imports.ledger.work_state import WorkState
from imports.run import session

VARIABLE = "TESTS_FAULT_POINT"


@dataclass(frozen=True)
class FaultPoint:
    """A point before or after (`before`) the `number`th call of a function in a phase of the run.

    `where` is the function, as `module:name` or `module:Class.name`. `values` replaces constants,
    by such names. A phase begins with its checkpoint; without a phase, calls are counted from the
    start.
    """

    where: str
    phase: str | None = None
    number: int = 1
    before: bool = True
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment for a command that is to die at this point."""
        return {VARIABLE: json.dumps(asdict(self))}

    def __str__(self) -> str:
        when = "before" if self.before else "after"
        phase = f" in {self.phase}" if self.phase else ""
        return f"{when} call {self.number} of {self.where.rpartition(':')[2]}{phase}"


def arm_named() -> None:
    """Arms the fault point that the environment of this process names, if any."""
    if (given := os.environ.pop(VARIABLE, None)) is not None:
        arm(FaultPoint(**json.loads(given)))


def arm(point: FaultPoint) -> None:
    """Arms a fault point in this process."""
    for where, value in point.values.items():
        _set(where, value)
    phase = None
    save = session.save_work_state

    def note_phase(state: WorkState, path: Path) -> None:
        nonlocal phase
        save(state, path)
        phase = state.current_phase

    session.save_work_state = note_phase
    owner, name = _found(point.where)
    call, left = getattr(owner, name), point.number

    def pass_by() -> None:
        nonlocal left
        left -= point.phase in (None, phase)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(*arguments: Any, **flags: Any) -> Any:
        if point.before:
            pass_by()
        result = call(*arguments, **flags)
        if not point.before:
            pass_by()
        return result

    setattr(owner, name, watched)


def _set(where: str, value: Any) -> None:
    owner, name = _found(where)
    getattr(owner, name)  # there is such a one
    setattr(owner, name, value)


def _found(where: str) -> tuple[Any, str]:
    module, _, path = where.partition(":")
    owner: Any = import_module(module)
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    return owner, name


if __name__ == "__main__":
    import runpy

    arm_named()
    runpy.run_module("imports", run_name="__main__", alter_sys=True)
