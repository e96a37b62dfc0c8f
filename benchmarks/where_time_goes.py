"""Shows where an import spends its time: a table by phase and function, and a flame graph.

    python benchmarks/where_time_goes.py [--kind states] [--items N] [--images N]
        [--backend postgresql|supabase] [--second] [-- any options of the importer]

py-spy looks at all threads and worker processes of an import a hundred times a second, without
changing what runs. Seconds are those of threads: what several do at once adds up. A thread that
waits for a disk, a server or Python's lock counts, one that has nothing to do does not.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from flame import flame_graph
from importer import command_for, import_source, phase_seconds
from measurement import measure
from stacks import COORDINATOR, PLACES, Stack, by_function, by_phase, read_stacks
from table import columns
from tasks import target_on
from workshop import ROOT, Sample, Workshop, environment, open_workshop

SAMPLES_A_SECOND = 100
MOST_FUNCTIONS = 15

_PROFILER = Path(sys.executable).with_name("py-spy")


def main() -> int:
    """Profiles the import that the arguments describe."""
    given = _arguments()
    if not _PROFILER.exists():
        print("py-spy is not installed: run `make setup`.", file=sys.stderr)
        return 1
    sample = Sample(given.kind, given.items, given.images)
    results = given.folder.absolute() / "results"
    with open_workshop(given.folder) as workshop:
        workshop.warm(sample)
        raw, phases = record(workshop, sample, given.backend, given.second, given.flags)
    stacks = list(read_stacks(raw.splitlines()))
    title = f"{sample.name}, {given.backend}, {'second' if given.second else 'first'} import"
    results.mkdir(parents=True, exist_ok=True)
    (results / "profile.folded").write_text(raw, encoding="utf-8")
    graph = flame_graph(stacks, title, 1 / SAMPLES_A_SECOND)
    (results / "profile.svg").write_text(graph, encoding="utf-8")
    print(f"{title}\n\n{report(stacks, phases)}\n")
    print(f"Flame graph:  {results / 'profile.svg'}  (open it in a browser)")
    print(f"Stacks:       {results / 'profile.folded'}  (for speedscope and the like)")
    return 0


def record(
    workshop: Workshop, sample: Sample, backend: str, second: bool, flags: Sequence[str]
) -> tuple[str, dict[str, float]]:
    """Runs an import under the profiler; returns its stacks, and the wall time of each phase."""
    source = workshop.source(sample)
    with target_on(workshop, backend) as target, workshop.working_folder() as folder:
        if second:
            import_source(sample.kind, source, target, folder, *flags)
        stacks = folder / "stacks.txt"
        command = [
            *(str(_PROFILER), "record", "--subprocesses", "--threads", "--idle"),
            *("--rate", str(SAMPLES_A_SECOND), "--format", "raw", "--output", str(stacks), "--"),
            *command_for(sample.kind, source, folder, *flags),
        ]
        measure(command, folder, environment(target))
        return stacks.read_text(encoding="utf-8"), phase_seconds(folder)


def report(stacks: Sequence[Stack], phases: dict[str, float]) -> str:
    """The table by phase, and those by function."""
    parts = [f"By phase, in seconds\n{columns(phase_rows(stacks, phases))}"]
    for place in PLACES:
        rows = function_rows(stacks, place)
        if len(rows) > 1:
            parts.append(f"Functions, {place}, in seconds\n{columns(rows)}")
    return "\n\n".join(parts)


def phase_rows(stacks: Sequence[Stack], phases: dict[str, float]) -> list[tuple[str, ...]]:
    """Each phase: its wall time, the samples of each place, and the waiting of the coordinator."""
    rows: list[tuple[str, ...]] = [("phase", "wall", *PLACES, f"{COORDINATOR} waits")]
    whole: Counter[str] = Counter()
    for name, counts in by_phase(stacks).items():
        whole.update(counts)
        # Listing is a part of planning.
        wall = f"{phases[name]:.2f}" if name in phases else ""
        rows.append((name, wall, *_cells(counts)))
    rows.append(("all", "", *_cells(whole)))
    return rows


def _cells(counts: Counter[str]) -> list[str]:
    return [f"{counts[name] / SAMPLES_A_SECOND:.2f}" for name in (*PLACES, "waiting")]


def function_rows(stacks: Sequence[Stack], place: str) -> list[tuple[str, ...]]:
    """The functions of a place with the most time: their own, and including their calls."""
    mine = [stack for stack in stacks if stack.place == place and not stack.waiting]
    rows: list[tuple[str, ...]] = [("function", "own", "with calls", "phases")]
    for each in by_function(mine)[:MOST_FUNCTIONS]:
        phases: Counter[str] = Counter()
        for stack in mine:
            if stack.frames[-1] == each.function:
                phases[stack.phase] += stack.count
        most = ", ".join(name for name, _ in phases.most_common(2))
        own, total = each.own / SAMPLES_A_SECOND, each.total / SAMPLES_A_SECOND
        rows.append((each.function, f"{own:.2f}", f"{total:.2f}", most))
    return rows


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--kind", choices=("states", "folders", "people", "recognitions"), default="states"
    )
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--backend", choices=("postgresql", "supabase"), default="postgresql")
    parser.add_argument("--second", action="store_true", help="an import with nothing to do")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="where to work")
    parser.add_argument("flags", nargs="*", help="options of the importer, behind --")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
