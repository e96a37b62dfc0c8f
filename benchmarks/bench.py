"""Measures the importer, its limits and another tool; `make bench` calls it.

    python benchmarks/bench.py [--scale quick|normal|full] [--rounds N] [--only NAME …]
        [--samples NAME …]

Each round makes every measurement once, so that noise of the machine affects all equally. It prints
one table and which goals are met, and writes the results below `.bench/results/`.
"""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from goals import goals_of
from lines import sections_of
from measurement import CommandFailedError, Measurement
from results import Results
from scale import GOALS_ITEMS, SCALES
from table import as_markdown, as_text
from tasks import DLT_PYTHON, Task, tasks_of
from workshop import ROOT, Workshop, open_workshop, say

_MUCH_STOLEN = 0.1

GROUPS = {
    "start": "--help, and a run with one file",
    "postgresql": "states without images into PostgreSQL, and its limit",
    "supabase": "the same through a local Supabase",
    "dlt": "the same files by dlt",
    "images": "states with images, on both backends, and their limits",
    "recognitions": "recognitions with their photos, on both backends, and their limits",
    "kinds": "the other kinds",
    "annotations": "a file of annotations",
    "insights": "insights, their limit, and what a client reads",
    "batches": "several batch sizes",
    "overhead": "the share of checkpoints and ledger",
    "remote": "Supabase behind a round trip of 50 ms (only if it is named)",
}


def main() -> int:
    """Measures what the arguments select; returns 1 if a command failed."""
    given = _arguments()
    # Like Ctrl-C: ends the running command and stops the server.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scale = SCALES[given.scale]
    rounds = given.rounds or scale.rounds
    folder: Path = given.folder.absolute()
    results = Results()
    about: dict[str, object] = {"scale": given.scale, "rounds": rounds, **machine()}
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{given.scale}"
    # After each task, so that an interrupted bench keeps its results.
    save = partial(results.write, folder / "results" / f"{stem}.json", about)
    with open_workshop(folder) as workshop:
        tasks = chosen(tasks_of(scale, _dlt_python()), given.only, given.samples)
        failures = run_rounds(workshop, tasks, rounds, results, save)
    sections, goals = sections_of(scale, results), goals_of(scale, results)
    markdown = f"{_sentence(about)}\n\n{as_markdown(sections, results, goals)}"
    if given.json is not None:
        results.write(given.json, about)
    for path in (folder / "results" / f"{stem}.md", given.markdown):
        if path is not None:
            path.write_text(markdown, encoding="utf-8")
    print(f"{_sentence(about)}\n\n{as_text(sections, results, goals)}")
    if scale.judged.items < GOALS_ITEMS:
        say(
            f"The goals are meant for {GOALS_ITEMS:,} files (SCALE=normal): of"
            f" {scale.judged.items:,} the start of Python is a large part."
        )
    for failure in failures:
        say(failure)
    return 1 if failures else 0


def chosen(tasks: Sequence[Task], only: Sequence[str], samples: Sequence[str] = ()) -> list[Task]:
    """The tasks of the given groups (default: all except `remote`) and samples."""
    return [
        task
        for task in tasks
        if (task.group in only if only else task.group != "remote")
        and (not samples or (task.sample is not None and task.sample.name in samples))
    ]


def run_rounds(
    workshop: Workshop,
    tasks: Sequence[Task],
    rounds: int,
    results: Results,
    save: Callable[[], None],
) -> list[str]:
    """Runs all tasks once a round, and saves the results after each; returns the failures."""
    failures = []
    # A first run does additional work, which must not be measured.
    compileall.compile_dir(ROOT / "imports", quiet=1)
    for sample in dict.fromkeys(task.sample for task in tasks if task.sample is not None):
        workshop.warm(sample)
    for number in range(1, rounds + 1):
        for task in tasks:
            if task.once and number > 1:
                continue
            try:
                for key, measurement in task.run(workshop):
                    results.add(key, number, measurement)
                    say(f"round {number}: {key}: {measurement.seconds:.2f} s{_doubt(measurement)}")
            except CommandFailedError as failure:
                failures.append(str(failure))
                say(str(failure))
            save()
    return failures


def _doubt(measurement: Measurement) -> str:
    """A note if the host gave much processor time to others during a measurement."""
    if measurement.stolen < _MUCH_STOLEN * measurement.seconds:
        return ""
    return f"  (the host kept {measurement.stolen:.2f} s of processors for others)"


def machine() -> dict[str, object]:
    """A description of the machine."""
    return {
        "processors": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _sentence(about: dict[str, object]) -> str:
    return (
        f"Scale {about['scale']}, {about['rounds']} rounds; {about['processors']} processors"
        f" ({about['processor']}), {about['system']}, Python {about['python']}."
    )


def _dlt_python() -> Path | None:
    if DLT_PYTHON.exists():
        return DLT_PYTHON
    say("dlt is left out: `make bench` installs it into .venv-bench.")
    return None


def _arguments() -> argparse.Namespace:
    groups = "\n".join(f"  {name:12} {what}" for name, what in GROUPS.items())
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=f"names for --only:\n{groups}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scale", choices=tuple(SCALES), default="quick")
    parser.add_argument("--rounds", type=int, help="instead of the scale's number")
    parser.add_argument("--only", nargs="+", choices=tuple(GROUPS), default=[], metavar="NAME")
    parser.add_argument(
        "--samples", nargs="+", default=[], metavar="NAME", help="only these, as states-100000"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table as well")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="where to work")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
