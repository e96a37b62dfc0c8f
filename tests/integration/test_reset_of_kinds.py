"""A reset of each kind: an image of two batches, a row that was updated, killed in the middle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imports.phases.resetting import open_reset, run_to_reset
from imports.run.display import SilentDisplay
from tests.support import annotations, device_tests, insights, people, recognitions, searches
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.fault_points import FaultPoint
from tests.support.killing import killed_at
from tests.support.kinds_under_contract import KINDS, KindUnderContract
from tests.support.source import png

_PAGES = {"imports.backends.reading:_PAGE_SIZE": 1}
"""A reset deletes its rows one by one."""

_DELETED = "imports.backends.retrying:RetryingDatabase.delete_written"
_POINTS = (
    FaultPoint("imports.run.reset:undo_runs", before=False),
    FaultPoint(_DELETED, number=2, values=_PAGES),
    FaultPoint("imports.run.reset:remove_images"),
    FaultPoint("imports.run.reset:remove_images", before=False),
    FaultPoint("imports.phases.resetting:_forget_state_file"),
)
_IMAGES = (
    FaultPoint("imports.backends.retrying:RetryingStore.remove", before=False),
    FaultPoint("imports.backends.retrying:RetryingDatabase.forget_noted"),
)
_PLACES = (
    FaultPoint("imports.phases.reset_places:named_places"),
    FaultPoint("imports.backends.places:Places.remove", before=False),
)


@dataclass(frozen=True)
class Batches:
    """Two batches of a kind: the second changes an item of the first, and adds one.

    `left` are the keys that only the first batch has written, by the column `key`; `images` are
    those that they name.
    """

    first: Callable[[Path], object]
    second: Callable[[Path], object]
    key: str
    left: list[object]
    images: tuple[bytes, ...] = ()
    flags: Mapping[str, Any] = field(default_factory=dict)
    points: tuple[FaultPoint, ...] = ()


def _search(source: Path, name: str, image: int, status: str = "Active") -> None:
    (source / f"{name}.png").write_bytes(png(image))
    moment = "2026-04-03T10:00:00" if status == "Active" else "2026-05-03T10:00:00"
    content = searches.search(
        name, "TX", name, image=f"{name}.png", moment=moment, license_status=status
    )
    searches.write(source, name, content)


def _page(source: Path, name: str, company: str, *, later: bool = False) -> None:
    moment = people.LATER if later else people.MOMENT
    address = people.emails(f"{name}@{moment[:4]}.example")
    record = people.person(name, people.job(company), emails=address, modified=moment)
    people.write(source, f"{name}.json", [record])


def _photos(source: Path, number: int, *more: int) -> None:
    content = {annotations.key(300100 + number): annotations.entry([50, *more])}
    annotations.write(source / f"{number}.json", content)


def _insight(source: Path, name: str, month: int = 1) -> None:
    # The second content of a group is a delivery more: the first one stays.
    told = insights.document(
        f"CNT-{name * 6}",
        sections={"personal": f"* Sails in month {month} [2024-01-01,ENI-1]"},
        generated_at=f"2025-{month:02}-01T00:00:00",
    )
    insights.write(source, f"{name}.json", told, mtime=month)


BATCHES = {
    "states": Batches(
        first=lambda source: [_search(source, name, image) for name, image in (("a", 1), ("b", 2))],
        # Its image is of the first batch, too.
        second=lambda source: [_search(source, "b", 3, "Revoked"), _search(source, "c", 1)],
        key="search_name",
        left=["a"],
        images=(png(1),),
        points=_IMAGES,
    ),
    "folders": Batches(
        first=lambda source: [
            device_tests.add(source, name, {"result": [1]}, {"shot.png": png(image)})
            for name, image in (("a", 1), ("b", 2))
        ],
        second=lambda source: [
            device_tests.add(source, "b", {"result": []}, {"shot.png": png(3)}),
            device_tests.add(source, "c", None, {"shot.png": png(1)}),
        ],
        key="folder_path",
        left=["a"],
        images=(png(1),),
        points=_IMAGES,
    ),
    # They name no image. The company is of both batches.
    "people": Batches(
        first=lambda source: [_page(source, name, "both") for name in ("a", "b")],
        second=lambda source: [
            _page(source, "b", "both", later=True), _page(source, "c", "both", later=True)
        ],
        key="neuron360_profile_id",
        left=["a"],
        flags={"on_success": "keep"},
    ),
    # The first photo of the updated one was put by the first batch.
    "recognitions": Batches(
        first=lambda source: [recognitions.add(source, number) for number in (1, 2)],
        second=lambda source: [
            recognitions.add(source, 2, photos=[recognitions.photo(4), recognitions.photo(9)]),
            recognitions.add(source, 3),
        ],
        key="recognition_id",
        left=[1],
        images=(recognitions.photo(2), recognitions.photo(3)),
        flags={"force": True},
        points=_PLACES,
    ),
    # Its rows are added, never updated.
    "annotations": Batches(
        first=lambda source: [_photos(source, 1), _photos(source, 2)],
        second=lambda source: [_photos(source, 2, 60), _photos(source, 3)],
        key="recognition_id || ' ' || (bbox ->> 'x')",
        left=["300101 50", "300102 50"],
        flags={"patterns": ("*.json",)},
    ),
    "insights": Batches(
        first=lambda source: [_insight(source, name) for name in ("a", "b")],
        second=lambda source: [_insight(source, "b", 2), _insight(source, "c")],
        key="contact_id",
        left=["CNT-aaaaaa"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_second_batch_is_undone_however_often_the_reset_is_killed(
    bench: Bench, kind: KindUnderContract
) -> None:
    batches, source = BATCHES[kind.name], bench.source.folder
    source.mkdir(parents=True, exist_ok=True)

    def run() -> str:
        report = bench.run(kind=kind.name, **batches.flags)
        assert (report.exit_code, report.failures) == (0, [])
        return str(report.state.run_name)

    def rows() -> dict[object, object]:
        return dict(
            query(bench.url, f"SELECT {batches.key}, to_jsonb(t)::text FROM {kind.root} AS t")
        )

    kind.prepare(bench.url)
    batches.first(source)
    run()
    of_first = rows()
    batches.second(source)
    second = run()
    stays = {key: rows()[key] for key in batches.left}
    assert stays.items() <= of_first.items()
    whole = kind.contents(bench.url), stored(bench)
    for number, point in enumerate((*_POINTS, *batches.points)):
        assert killed_at(point, partial(reset, bench, kind, second)), point
        assert stays.items() <= rows().items(), point
        names = [second]
        if number % 2:
            # Nobody goes on with the reset: the import brings back what it has deleted.
            names.append(run())
            assert (kind.contents(bench.url), stored(bench)) == whole, point
        for name in names:
            reset(bench, kind, name)
        assert rows() == stays, point
        assert set(batches.images) <= set(stored(bench).values()), point
        second = run()
        assert (kind.contents(bench.url), stored(bench)) == whole, point
    assert bench.verify(kind=kind.name, deep=True, **batches.flags).clean


def reset(bench: Bench, kind: KindUnderContract, run_name: str) -> None:
    settings = bench.settings(kind=kind.name, tag=None, source=None)
    to_reset = run_to_reset(settings, run_name, None)
    with open_reset(to_reset, threading.Event(), SilentDisplay()) as opened:
        assert opened.delete().problems == []


def stored(bench: Bench) -> dict[str, bytes | None]:
    """All images that the target has, by their places."""
    cached: dict[str, bytes | None] = {
        place: bench.stored(place) for place in bench.images().values()
    }
    return {**recognitions.stored(bench), **cached}
