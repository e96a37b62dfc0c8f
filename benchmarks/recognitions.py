"""The measurements of recognitions: tasks, lines and goals; see `limit_recognitions.py`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from importer import check_rows, import_source, table_of
from measurement import Measurement, measure
from workshop import Sample, Target, Workshop, environment

from imports.servers.local_supabase import Rest

_LIMIT = Path(__file__).resolve().parent / "limit_recognitions.py"


def importer(workshop: Workshop, sample: Sample, backend: str) -> Iterator[tuple[str, Measurement]]:
    """A first import of recognitions, and a second one without changes."""
    source, rows = workshop.source(sample), sample.items
    with _target_on(workshop, backend) as target, workshop.working_folder() as folder:
        run = partial(import_source, sample.kind, source, target, folder, rows=rows)
        yield f"first/{backend}/{sample.name}", run()
        workshop.settle()
        yield f"second/{backend}/{sample.name}", run()


def limits(workshop: Workshop, sample: Sample, backend: str) -> Iterator[tuple[str, Measurement]]:
    """The limits for a backend; those of PostgreSQL only if the photos are not tiny."""
    if backend == "supabase":
        yield from _photos_into_supabase(workshop, sample)
    elif sample.images:
        yield from _limits_postgresql(workshop, sample)


def _limits_postgresql(workshop: Workshop, sample: Sample) -> Iterator[tuple[str, Measurement]]:
    """`sha256sum` and `cp` of the photos, and the rows with what is derived from them."""
    source = workshop.source(sample)
    with workshop.postgresql() as target, workshop.working_folder() as folder:
        (folder / "copy").mkdir()
        find = ["find", str(source), "-name", "*.jpg", "-exec"]
        for key, command in (
            ("sha256sum", [*find, "sha256sum", "{}", "+"]),
            ("cp", [*find, "cp", "-t", "copy", "{}", "+"]),
        ):
            yield f"{key}/{sample.name}", measure(command, folder, environment())[0]
        workshop.settle()
        measured = _limit("rows", source, folder, "--database-url", target.database_url)
        check_rows(target, table_of(sample.kind), sample.items, "rows")
        yield f"limit/postgresql/{sample.name}", measured


def _photos_into_supabase(workshop: Workshop, sample: Sample) -> Iterator[tuple[str, Measurement]]:
    """The photos, posted by ten callers: only the time of the calls."""
    source = workshop.source(sample)
    with _target_on(workshop, "supabase") as target, workshop.working_folder() as folder:
        flags = ("--supabase-url", target.url, "--key", target.key)
        measured = _limit("photos", source, folder, *flags)
    calls = replace(measured, seconds=measured.parts["seconds"])
    yield f"limit-images/supabase/{sample.name}", calls


def _target_on(workshop: Workshop, backend: str) -> AbstractContextManager[Target]:
    # With the real PostgREST.
    return workshop.supabase(Rest.POSTGREST) if backend == "supabase" else workshop.postgresql()


def _limit(part: str, source: Path, folder: Path, *flags: str) -> Measurement:
    command = [sys.executable, str(_LIMIT), part, str(source), *flags]
    measurement, said = measure(command, folder, environment())
    return replace(measurement, parts=json.loads(said))
