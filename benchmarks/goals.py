"""The speed goals of this project, compared with the measurements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import reading_insights as reading
from fill_insights import RARE
from lines import image_references, tray_references
from measurement import Measurement
from results import Results
from scale import Scale
from tasks import BATCH_SIZES
from workshop import Sample


@dataclass(frozen=True, slots=True)
class Goal:
    """A value with a limit, at most or at least; `value` is None if it was not measured."""

    name: str
    bound: float
    value: float | None
    unit: str = "×"
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None if it was not measured."""
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def goals_of(scale: Scale, results: Results) -> list[Goal]:
    """All goals, measured or not."""
    goals: list[Goal] = []
    sample = scale.judged
    files = f"{sample.items:,} files"
    for backend, key, what, bound in (
        ("postgresql", "first", "first import", 1.0),
        ("postgresql", "second", "second import", 0.15),
        ("postgresql", "changed", "one in a thousand changed", 0.2),
        ("supabase", "first", "first import", 1.5),
    ):
        ratio = results.ratio(f"{key}/{backend}/{sample.name}", f"limit/{backend}/{sample.name}")
        goals.append(Goal(f"{backend}, {files}: {what} to the limit", bound, ratio))
    for backend in ("postgresql", "supabase"):
        goals += _image_goals(scale.pictured[-1], backend, results)
    for trays in scale.recognitions:
        goals += _tray_goals(trays, results)
    place = f"postgresql/{sample.name}"
    goals.append(
        Goal(
            f"dlt to ours, {files}",
            4.0,
            results.ratio(f"dlt/{place}", f"first/{place}"),
            at_least=True,
        )
    )
    for large in scale.once:
        goals += _large_goals(sample, large, results)
    goals += _annotation_goals(scale.boxes, results)
    merged = f"postgresql/{scale.insights.name}"
    ratio = results.ratio(f"first/{merged}", f"limit/{merged}")
    goals.append(Goal(f"{scale.insights.items:,} insights to the limit", 1.5, ratio))
    goals.append(Goal("--batch-size 25 to the best one", 1.5, _smallest_batch(scale, results)))
    goals += _overhead_goals(sample, results)
    goals += _reading_goals(scale.contacts, results)
    start = results.seconds("help")
    goals.append(Goal("--help", 150.0, None if start is None else 1_000 * start, "ms"))
    return goals


def _reading_goals(contacts: int, results: Results) -> list[Goal]:
    name = partial(reading.key, contacts=contacts)
    found = results.seconds(name(reading.SEARCH, word=RARE))
    place = f"insights of {contacts:,} contacts"
    pages = results.ratio(name(reading.FAR), name(reading.FIRST))
    return [
        Goal(f"{place}: a search", 20.0, None if found is None else 1_000 * found, "ms"),
        Goal(f"{place}: a page at the far end to the first", 1.2, pages),
    ]


def _image_goals(sample: Sample, backend: str, results: Results) -> list[Goal]:
    key, images = f"first/{backend}/{sample.name}", image_references(sample, backend)
    phases = results.ratio_of(key, image_seconds, *images)
    whole = results.ratio(key, f"limit/{backend}/{sample.name}", *images)
    name = f"{backend}, {sample.images:,} images"
    return [
        Goal(f"{name}: sha256 and upload to their limits", 1.2, phases),
        Goal(f"{name}: the whole run to all limits", 1.2, whole),
    ]


def _tray_goals(sample: Sample, results: Results) -> list[Goal]:
    key, name = f"first/postgresql/{sample.name}", f"{sample.items:,} recognitions"
    if not sample.images:
        second = results.ratio(f"second/postgresql/{sample.name}", key)
        return [Goal(f"postgresql, {name}: second import to the first", 0.15, second)]
    ratio = results.ratio(key, *tray_references(sample, "postgresql"))
    callers = tray_references(sample, "supabase")
    taken = results.ratio(f"first/supabase/{sample.name}", *callers)
    return [
        Goal(f"postgresql, {name}: sha256sum, cp and rows", 1.3, ratio),
        Goal(
            f"supabase, {name}: of the photos a second of ten callers",
            0.8,
            None if taken is None else 1 / taken,
            at_least=True,
        ),
    ]


def image_seconds(measurement: Measurement) -> float | None:
    """The seconds that a run needed for its images."""
    parts = measurement.parts
    return parts["sha256"] + parts["upload"] if "upload" in parts else None


def _large_goals(sample: Sample, large: Sample, results: Results) -> list[Goal]:
    key, base = f"first/postgresql/{large.name}", f"first/postgresql/{sample.name}"
    # Compared with the median of all rounds: the large sample is measured in only one of them.
    seconds, usual = results.seconds(key), results.seconds(base)
    growth = None
    if seconds is not None and usual is not None:
        growth = 100 * (seconds / large.items / (usual / sample.items) - 1)
    memory = results.median(key, lambda each: each.peak_mb)
    files = f"{large.items:,} files"
    return [
        Goal(f"{files}: more time for a file than at {sample.items:,}", 10, growth, "%"),
        Goal(f"{files}: peak memory", 350, memory, "MB"),
    ]


def _annotation_goals(sample: Sample, results: Results) -> list[Goal]:
    key, limit = f"first/postgresql/{sample.name}", f"limit/postgresql/{sample.name}"
    memory = results.median(key, lambda each: each.peak_mb)
    name = f"{sample.items:,} boxes"
    return [
        Goal(f"{name}: first import to ijson and COPY", 2.0, results.ratio(key, limit)),
        Goal(f"{name}: peak memory", 250, memory, "MB"),
    ]


def _smallest_batch(scale: Scale, results: Results) -> float | None:
    sizes = {
        size: results.seconds(f"batch-size-{size}/postgresql/{scale.batches.name}")
        for size in BATCH_SIZES
    }
    smallest = sizes[min(BATCH_SIZES)]
    best = min((seconds for seconds in sizes.values() if seconds is not None), default=None)
    return None if smallest is None or best is None else smallest / best


def _overhead_goals(sample: Sample, results: Results) -> list[Goal]:
    def share(each: Measurement, suffix: str = "") -> float:
        parts = each.parts
        return 100 * (parts[f"ledger{suffix}"] + parts[f"checkpoints{suffix}"]) / parts["run"]

    by_processor = partial(share, suffix="_cpu")
    key, name = f"overhead/postgresql/{sample.name}", "checkpoints and ledger, of a run"
    return [
        Goal(f"{name}: wall time", 5.0, results.median(key, share), "%"),
        Goal(f"{name}: processor time", 5.0, results.median(key, by_processor), "%"),
    ]
