"""The cost of resuming: the share of ledger and checkpoints in a run.

    python benchmarks/overhead.py states SOURCE --tag bench …

Runs the importer in this process, with the arguments of its command line, and times every method of
the ledger and every checkpoint. The last line of its output is JSON: the wall time of the `run`, of
`ledger` and of `checkpoints` (which use the ledger too), and with `_cpu` the processor time of
each. The wall time is longer, since it includes other threads of Python.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

_END = object()


class Clock:
    """Adds up the seconds in which something is under way, by name, in each thread.

    Of what is called within each other, the outer one counts.
    """

    def __init__(self) -> None:
        """Starts with no call in progress."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.cpu: defaultdict[str, float] = defaultdict(float)
        self._thread = threading.local()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed; and so is each step of an iterator that it returns.

        The steps of an iterator that it is given are not: those are somebody else's work.
        """

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._current is not None:
                return function(*args, **kwargs)
            args = tuple(map(self._untimed, args))
            kwargs = {key: self._untimed(value) for key, value in kwargs.items()}
            result = self._within(name, function, *args, **kwargs)
            return self._steps(name, result) if isinstance(result, Iterator) else result

        return call

    def _untimed(self, value: Any) -> Any:
        return self._steps(None, value) if isinstance(value, Iterator) else value

    def _steps(self, name: str | None, values: Iterator[Any]) -> Iterator[Any]:
        while (value := self._within(name, next, values, _END)) is not _END:
            yield value

    def _within(
        self, name: str | None, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        before = self._current
        self._switch(name)
        try:
            return function(*args, **kwargs)
        finally:
            self._switch(before)

    @property
    def _current(self) -> str | None:
        return getattr(self._thread, "name", None)

    def _switch(self, name: str | None) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        if self._current is not None:
            self.seconds[self._current] += now - self._thread.since
            self.cpu[self._current] += cpu - self._thread.cpu
        self._thread.name, self._thread.since, self._thread.cpu = name, now, cpu


def time_everything(clock: Clock) -> None:
    """Times the methods of the ledger, and the checkpoints."""
    # Not at the top: worker processes load this module, and do not need them.
    import importlib
    import inspect
    import pkgutil

    import imports.ledger
    from imports.run.session import RunSession

    RunSession.checkpoint = clock.timed("checkpoints", RunSession.checkpoint)  # type: ignore[method-assign]
    for info in pkgutil.iter_modules(imports.ledger.__path__, "imports.ledger."):
        module = importlib.import_module(info.name)
        for class_ in vars(module).values():
            if not inspect.isclass(class_) or class_.__module__ != info.name:
                continue
            for name, method in list(vars(class_).items()):
                if inspect.isfunction(method) and not name.startswith("_"):
                    setattr(class_, name, clock.timed("ledger", method))


def main() -> None:
    """Runs the importer with the arguments, and prints the times."""
    began = time.perf_counter()
    from imports.cli.main import main as importer

    clock = Clock()
    time_everything(clock)
    code: object = 0
    try:
        importer()
    except SystemExit as end:
        code = end.code
    parts = {"run": time.perf_counter() - began, "run_cpu": time.process_time()}
    for name in ("ledger", "checkpoints"):
        parts |= {name: clock.seconds[name], f"{name}_cpu": clock.cpu[name]}
    print(json.dumps(parts))
    sys.exit(code)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
