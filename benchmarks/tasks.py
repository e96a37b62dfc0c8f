"""The tasks of a bench: each makes a few measurements, and a round runs all of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import recognitions
from delay import delayed
from generate_annotations import load_recognitions
from importer import check_rows, command_for, help_text, import_source, row_watch
from measurement import Measurement, measure
from reading_insights import read_insights
from scale import Scale
from workshop import ROOT, Sample, Target, Workshop, environment

from imports.kinds import all_kinds

Measured = Iterator[tuple[str, Measurement]]

STATES_TABLE = "search_results"
BATCH_SIZES = (25, 100, 500, 2_000)
DEFAULTS = "defaults"
ROUND_TRIP = 0.05
REMOTE_FLAGS = (
    (),
    ("--batch-size", "25"),
    ("--batch-size", "100"),
    ("--batch-size", "2000"),
    ("--max-workers", "4"),
    ("--max-workers", "32"),
)
DLT_PYTHON = ROOT / ".venv-bench" / "bin" / "python"

_TIMES_IN_A_ROUND = 3
_HERE = Path(__file__).resolve().parent


class Task(NamedTuple):
    """A task: its group, by which it is selected, its sample, and its function."""

    group: str
    sample: Sample | None
    run: Callable[[Workshop], Measured]
    once: bool = False


def tasks_of(scale: Scale, dlt_python: Path | None) -> list[Task]:
    """All tasks of a scale; compared ones follow each other."""
    tasks: list[Task] = [Task("start", None, start_up)]
    for sample in (*scale.states, *scale.once):
        once = sample in scale.once
        some = [
            Task("postgresql", sample, partial(limit_postgresql, sample=sample)),
            Task("postgresql", sample, partial(limit_postgresql, sample=sample, streamed=True)),
            Task("postgresql", sample, partial(importer, sample=sample, backend="postgresql")),
        ]
        if not once and dlt_python is not None:
            some.append(Task("dlt", sample, partial(dlt, sample=sample, python=dlt_python)))
        some += [
            Task("supabase", sample, partial(limit_supabase, sample=sample)),
            Task("supabase", sample, partial(importer, sample=sample, backend="supabase")),
        ]
        tasks += [each._replace(once=once) for each in some]
    for sample in scale.pictured:
        tasks += [
            Task("images", sample, partial(limit_postgresql, sample=sample)),
            Task("images", sample, partial(limit_images, sample=sample)),
            Task("images", sample, partial(importer, sample=sample, backend="postgresql")),
            Task("images", sample, partial(limit_supabase, sample=sample)),
            Task("images", sample, partial(limit_images_supabase, sample=sample)),
            Task("images", sample, partial(importer, sample=sample, backend="supabase")),
        ]
    for sample in scale.recognitions:
        backends = ("postgresql", "supabase") if sample.images else ("postgresql",)
        for backend in backends:
            limits = partial(recognitions.limits, sample=sample, backend=backend)
            first = partial(recognitions.importer, sample=sample, backend=backend)
            tasks += [Task("recognitions", sample, run) for run in (limits, first)]
    tasks += [Task("kinds", each, partial(other_kind, sample=each)) for each in scale.others]
    tasks.append(Task("annotations", scale.boxes, partial(annotations, sample=scale.boxes)))
    tasks += [
        Task("insights", scale.insights, partial(limit_insights, sample=scale.insights)),
        Task("insights", scale.insights, partial(other_kind, sample=scale.insights)),
    ]
    tasks += [
        Task("batches", scale.batches, partial(batch_size, sample=scale.batches, size=size))
        for size in BATCH_SIZES
    ]
    tasks += [
        Task("remote", scale.batches, partial(remote, sample=scale.batches, flags=flags))
        for flags in REMOTE_FLAGS
    ]
    tasks.append(Task("remote", scale.pictured[0], partial(remote, sample=scale.pictured[0])))
    tasks.append(Task("reading", None, partial(read_insights, contacts=scale.contacts), once=True))
    tasks.append(Task("overhead", scale.judged, partial(overhead, sample=scale.judged)))
    return tasks


# --- the importer ----------------------------------------------------------------------------


def start_up(workshop: Workshop) -> Measured:
    """`--help`, and an import of one file; each several times, since they are short."""
    source = workshop.source(Sample("states", 1))
    helps, imports = [], []
    for _ in range(_TIMES_IN_A_ROUND):
        with workshop.working_folder() as folder, workshop.postgresql() as target:
            helps.append(help_text(folder))
            imports.append(import_source("states", source, target, folder, rows=1))
    yield "help", _middle(helps)
    yield "one-file", _middle(imports)


def _middle(measurements: list[Measurement]) -> Measurement:
    return sorted(measurements, key=lambda each: each.seconds)[len(measurements) // 2]


def importer(workshop: Workshop, sample: Sample, backend: str) -> Measured:
    """A first import, a second one without changes, and one with one file in a thousand changed."""
    source, rows = workshop.source(sample), sample.items
    with target_on(workshop, backend) as target, workshop.working_folder() as folder:
        run = partial(import_source, "states", source, target, folder, rows=rows)
        yield f"first/{backend}/{sample.name}", run(watched=True)
        workshop.settle()
        yield f"second/{backend}/{sample.name}", run()
        workshop.settle()
        with workshop.changed(sample):
            yield f"changed/{backend}/{sample.name}", run()


def target_on(workshop: Workshop, backend: str) -> AbstractContextManager[Target]:
    """A new target."""
    return workshop.supabase() if backend == "supabase" else workshop.postgresql()


def other_kind(workshop: Workshop, sample: Sample) -> Measured:
    """A first import of another kind."""
    source = workshop.source(sample)
    try:
        with workshop.postgresql() as target, workshop.working_folder() as folder:
            measured = import_source(sample.kind, source, target, folder)
            yield f"first/postgresql/{sample.name}", measured
    finally:
        if all_kinds()[sample.kind].items_are_folders:
            for status_file in (*source.rglob("success.json"), *source.rglob("failed.json")):
                status_file.unlink()


def annotations(workshop: Workshop, sample: Sample) -> Measured:
    """The boxes of a file, of recognitions that are there already; and its limit."""
    source = workshop.source(sample)
    for is_limit in (True, False):
        with workshop.postgresql() as target, workshop.working_folder() as folder:
            load_recognitions(target.database_url, sample.items)
            workshop.settle()
            if is_limit:
                program = [sys.executable, str(_HERE / "limit_annotations.py")]
                file, url = str(source / "qwen_annotations.json"), target.database_url
                command = [*program, file, "--database-url", url]
                measurement, said = measure(command, folder, environment())
                measurement = replace(measurement, seconds=json.loads(said)["seconds"])
                yield f"limit/postgresql/{sample.name}", measurement
            else:
                measurement = import_source("annotations", source, target, folder)
                yield f"first/postgresql/{sample.name}", measurement
            check_rows(target, "raw.qwen_annotations", sample.items, sample.name)


def batch_size(workshop: Workshop, sample: Sample, size: int) -> Measured:
    """A first import with another batch size."""
    source = workshop.source(sample)
    with workshop.postgresql() as target, workshop.working_folder() as folder:
        flags = ("--batch-size", str(size))
        yield (
            f"batch-size-{size}/postgresql/{sample.name}",
            import_source("states", source, target, folder, *flags, rows=sample.items),
        )


def overhead(workshop: Workshop, sample: Sample) -> Measured:
    """A first import in a process that times ledger and checkpoints."""
    source = workshop.source(sample)
    with workshop.postgresql() as target, workshop.working_folder() as folder:
        command = command_for("states", source, folder)
        program = [sys.executable, str(_HERE / "overhead.py"), *command[3:]]
        measurement, said = measure(program, folder, environment(target))
        check_rows(target, STATES_TABLE, sample.items, said)
        parts = json.loads(said.splitlines()[-1])
        yield f"overhead/postgresql/{sample.name}", replace(measurement, parts=parts)


def remote(workshop: Workshop, sample: Sample, flags: Sequence[str] = ()) -> Measured:
    """A first and a second import into a Supabase with the latency of the internet."""
    source = workshop.source(sample)
    with (
        workshop.supabase() as near,
        delayed(near.url, ROUND_TRIP) as url,
        workshop.working_folder() as folder,
    ):
        run = partial(
            import_source, "states", source, replace(near, url=url), folder, rows=sample.items
        )
        name = f"remote/{sample.name}/{' '.join(flags) or DEFAULTS}"
        yield name, run(*flags)
        if not flags:
            yield f"{name}, second import", run()


# --- the limits ------------------------------------------------------------------------------


def limit_postgresql(workshop: Workshop, sample: Sample, *, streamed: bool = False) -> Measured:
    """The rows of a sample, by one COPY and one merge."""
    part = "rows-postgresql-streamed" if streamed else "rows-postgresql"
    source = workshop.source(sample)
    with workshop.postgresql() as target, workshop.working_folder() as folder:
        measurement = _limit(part, source, folder, "--database-url", target.database_url)
        check_rows(target, STATES_TABLE, sample.items, part)
    key = "limit-streamed" if streamed else "limit"
    yield f"{key}/postgresql/{sample.name}", measurement


def limit_supabase(workshop: Workshop, sample: Sample) -> Measured:
    """The rows of a sample, as prepared bodies: only the time of the calls."""
    source = workshop.source(sample)
    with workshop.supabase() as target, workshop.working_folder() as folder:
        flags = ("--supabase-url", target.url, "--key", target.key)
        measurement = _limit("rows-supabase", source, folder, *flags)
        check_rows(target, STATES_TABLE, sample.items, "rows-supabase")
    calls = replace(measurement, seconds=measurement.parts["seconds"])
    yield f"limit/supabase/{sample.name}", calls


def limit_insights(workshop: Workshop, sample: Sample) -> Measured:
    """The insights of a sample, by one COPY and one insert of a row for each contact."""
    source = workshop.source(sample)
    with workshop.postgresql() as target, workshop.working_folder() as folder:
        flags = ("--database-url", target.database_url)
        measurement = _limit("insights-postgresql", source, folder, *flags)
    yield f"limit/postgresql/{sample.name}", measurement


def limit_images(workshop: Workshop, sample: Sample) -> Measured:
    """`sha256sum` and `cp` of a sample's images."""
    source = workshop.source(sample)
    with workshop.working_folder() as folder:
        (folder / "copy").mkdir()
        find = ["find", str(source), "-name", "*.png", "-exec"]
        for key, command in (
            ("sha256sum", [*find, "sha256sum", "{}", "+"]),
            ("cp", [*find, "cp", "-t", "copy", "{}", "+"]),
        ):
            yield f"{key}/{sample.name}", measure(command, folder, environment())[0]


def limit_images_supabase(workshop: Workshop, sample: Sample) -> Measured:
    """A sample's images, posted by several callers: only the time of the calls."""
    source = workshop.source(sample)
    with workshop.supabase() as target, workshop.working_folder() as folder:
        flags = ("--supabase-url", target.url, "--key", target.key)
        measurement = _limit("images-supabase", source, folder, *flags)
    calls = replace(measurement, seconds=measurement.parts["seconds"])
    yield f"limit-images/supabase/{sample.name}", calls


def _limit(part: str, source: Path, folder: Path, *flags: str) -> Measurement:
    command = [sys.executable, str(_HERE / "limit.py"), part, str(source), *flags]
    measurement, said = measure(command, folder, environment())
    return replace(measurement, parts=json.loads(said))


# --- other tools -----------------------------------------------------------------------------


def dlt(workshop: Workshop, sample: Sample, python: Path) -> Measured:
    """The same files by dlt, into an empty database of the same server."""
    source = workshop.source(sample)
    with workshop.empty_database() as target, workshop.working_folder() as folder:
        command = [str(python), str(_HERE / "dlt_states.py"), str(source), target.database_url]
        table = f"bench.{STATES_TABLE}"
        watch, close = row_watch(target.database_url, table)
        try:
            measurement, said = measure(command, folder, environment(), watch)
        finally:
            close()
        check_rows(target, table, sample.items, said)
        yield f"dlt/postgresql/{sample.name}", measurement
