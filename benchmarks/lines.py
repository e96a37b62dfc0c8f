"""The lines of the table: the label of each, and its references."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import reading_insights as reading
from fill_insights import FREQUENT, RARE
from results import Results
from scale import Scale
from tasks import BATCH_SIZES, DEFAULTS
from workshop import Sample

BACKENDS = {"postgresql": "PostgreSQL", "supabase": "local Supabase"}


@dataclass(frozen=True, slots=True)
class Line:
    """A measurement, and the limit for comparison, which may be a sum."""

    label: str
    key: str
    references: tuple[str, ...] = ()
    items: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """The lines under one heading."""

    title: str
    lines: tuple[Line, ...]


def sections_of(scale: Scale, results: Results) -> list[Section]:
    """The sections with at least one measurement."""
    wanted = [
        *(_states(sample, backend) for backend in BACKENDS for sample in _plain(scale)),
        *(_pictured(sample, backend) for backend in BACKENDS for sample in scale.pictured),
        *(_trays(sample, backend) for backend in BACKENDS for sample in scale.recognitions),
        _others(scale),
        _annotations(scale.boxes),
        _insights(scale.insights),
        _batches(scale.batches),
        _starts(),
        _reading(scale),
        _remote(results),
    ]
    found = []
    for section in wanted:
        lines = tuple(line for line in section.lines if line.key in results)
        if lines:
            found.append(Section(section.title, lines))
    return found


def image_references(sample: Sample, backend: str) -> tuple[str, ...]:
    """The limits of the images of a sample."""
    if backend == "supabase":
        return (f"limit-images/supabase/{sample.name}",)
    return (f"sha256sum/{sample.name}", f"cp/{sample.name}")


def _plain(scale: Scale) -> tuple[Sample, ...]:
    return (*scale.states, *scale.once)


def _states(sample: Sample, backend: str) -> Section:
    place = f"{backend}/{sample.name}"
    limit, items = f"limit/{place}", sample.items
    return Section(
        f"states, {items:,} files without images, {BACKENDS[backend]}",
        (
            Line("limit", limit, (), items),
            Line("(limit, read while COPY runs)", f"limit-streamed/{place}", (limit,), items),
            Line("first import", f"first/{place}", (limit,), items),
            Line("second import, nothing changed", f"second/{place}", (limit,), items),
            Line("one file in a thousand changed", f"changed/{place}", (limit,), items),
            Line("dlt, first import", f"dlt/{place}", (limit,), items),
        ),
    )


def _pictured(sample: Sample, backend: str) -> Section:
    place = f"{backend}/{sample.name}"
    images = image_references(sample, backend)
    whole = (f"limit/{place}", *images)
    parts = {
        f"limit-images/supabase/{sample.name}": "limit: images, ten callers",
        f"sha256sum/{sample.name}": "limit: sha256sum",
        f"cp/{sample.name}": "limit: cp",
    }
    return Section(
        f"states, {sample.items:,} files and {sample.images:,} images, {BACKENDS[backend]}",
        (
            Line("limit: rows", f"limit/{place}", (), sample.items),
            *(Line(parts[key], key, (), sample.images) for key in images),
            Line("first import, to the limits' sum", f"first/{place}", whole, sample.items),
            Line("second import, nothing changed", f"second/{place}", whole, sample.items),
            Line("one file in a thousand changed", f"changed/{place}", whole, sample.items),
        ),
    )


def tray_references(sample: Sample, backend: str) -> tuple[str, ...]:
    """The limits of recognitions: those of the photos, and for PostgreSQL that of the rows."""
    images = image_references(sample, backend)
    return images if backend == "supabase" else (f"limit/{backend}/{sample.name}", *images)


def _trays(sample: Sample, backend: str) -> Section:
    place, items = f"{backend}/{sample.name}", sample.items
    photos = f"{sample.images:,} photos" if sample.images else "tiny photos"
    limits = tray_references(sample, backend)
    parts = {
        f"limit/{place}": "limit: rows and what is derived",
        f"limit-images/{place}": "limit: photos, ten callers",
        f"sha256sum/{sample.name}": "limit: sha256sum",
        f"cp/{sample.name}": "limit: cp",
    }
    return Section(
        f"recognitions, {items:,} with {photos}, {BACKENDS[backend]}",
        (
            *(Line(parts[key], key, (), items) for key in limits),
            Line("first import, to the limits' sum", f"first/{place}", limits, items),
            Line("second import, to the first", f"second/{place}", (f"first/{place}",), items),
        ),
    )


def _others(scale: Scale) -> Section:
    lines = [
        Line(f"{each.kind}, {each.items:,} work items", _first(each), (), each.items)
        for each in scale.others
    ]
    return Section("Other kinds, first import, PostgreSQL", tuple(lines))


def _annotations(sample: Sample) -> Section:
    limit = f"limit/postgresql/{sample.name}"
    return Section(
        f"annotations, {sample.items:,} boxes in one file, PostgreSQL",
        (
            Line("limit: ijson, and one COPY", limit, (), sample.items),
            Line("first import", _first(sample), (limit,), sample.items),
        ),
    )


def _insights(sample: Sample) -> Section:
    limit = f"limit/postgresql/{sample.name}"
    return Section(
        f"insights, {sample.items:,} files, PostgreSQL",
        (
            Line("limit", limit, (), sample.items),
            Line("first import", _first(sample), (limit,), sample.items),
        ),
    )


def _first(sample: Sample) -> str:
    return f"first/postgresql/{sample.name}"


def _batches(sample: Sample) -> Section:
    default = f"batch-size-500/postgresql/{sample.name}"
    lines = []
    for size in BATCH_SIZES:
        key = f"batch-size-{size}/postgresql/{sample.name}"
        references = () if key == default else (default,)
        lines.append(Line(f"--batch-size {size}", key, references, sample.items))
    return Section(
        f"Batch sizes, {sample.items:,} files, PostgreSQL (to the default)", tuple(lines)
    )


def _starts() -> Section:
    return Section("Start", (Line("--help", "help"), Line("a run with one file", "one-file")))


def _reading(scale: Scale) -> Section:
    name = partial(reading.key, contacts=scale.contacts)
    first = name(reading.FIRST)
    return Section(
        f"Reading insights of {scale.contacts:,} contacts by the client, PostgreSQL",
        (
            *(
                Line(f"search of a {how} word, 50 results", name(reading.SEARCH, word=word), (), 1)
                for how, word in (("rare", RARE), ("frequent", FREQUENT))
            ),
            Line("first page of 50", first, (), 1),
            Line("page at the far end, after the one before it", name(reading.FAR), (first,), 1),
            Line("page at the far end, at once", name(reading.ELSEWHERE), (first,), 1),
        ),
    )


def _remote(results: Results) -> Section:
    lines = []
    for key in results.keys("remote/"):
        sample, setting = key.split("/")[1:]
        default = f"remote/{sample}/{DEFAULTS}"
        references = () if key == default else (default,)
        lines.append(Line(f"{sample}, {setting}", key, references))
    return Section("Supabase behind a round trip of 50 ms (to the defaults)", tuple(lines))
