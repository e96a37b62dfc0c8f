"""Points of the importer at which a command kills itself: such a kill hits what it aims at.

As a script it is `python -m imports` with such a point, as the warm interpreter is.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any

VARIABLE = "TESTS_FAULT_POINT"


@dataclass(frozen=True)
class FaultPoint:
    """The `number`th call of a function, `before` or `after` it, in a phase of the run.

    `where` is the function as `module:name` or `module:Class.name`. `values` are other values of
    constants, by such names. After the kill the work state has the run in this `phase`.
    """

    where: str
    phase: str
    number: int = 1
    before: bool = True
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a command is started with that is to die there."""
        return {VARIABLE: json.dumps(asdict(self))}

    def __str__(self) -> str:
        when = "before" if self.before else "after"
        return f"{when} call {self.number} of {self.where.rpartition(':')[2]} in {self.phase}"


def arm() -> None:
    """Makes this process one that dies at the point that its environment names, if it does."""
    if (given := os.environ.pop(VARIABLE, None)) is None:
        return
    point = FaultPoint(**json.loads(given))
    for where, value in point.values.items():
        _set(where, value)
    owner, name = _found(point.where)
    call, left = getattr(owner, name), point.number

    def die() -> None:
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(*arguments: Any, **flags: Any) -> Any:
        nonlocal left
        left -= 1
        if point.before:
            die()
        result = call(*arguments, **flags)
        die()
        return result

    setattr(owner, name, counted)


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

    arm()
    runpy.run_module("imports", run_name="__main__", alter_sys=True)
