"""Killed between the first photo and the ledger, a recognition is in as a whole, or not at all.

Each run has all cases: photos that replace others, new ones, and rows of both that are refused.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from functools import partial

from tests.integration.test_recognitions import check_whole, hashes, run
from tests.support.bench import Bench
from tests.support.fault_points import FaultPoint
from tests.support.killing import killed_at
from tests.support.recognitions import add, numbers, photo, photos_of, stored

_REFUSED = [{"ExternalId": secrets.token_hex(4_000), "Name": "x"}]
"""The unique index of menus refuses it."""

_LEDGER = "imports.ledger:PlacementLedger"
_PLACES = "imports.backends.places:Places"
_MERGE = "imports.backends.retrying:RetryingDatabase.merge"
_IMPORTED = "imports.ledger:ImportQueue.record_imported"
POINTS = {
    "the ledger knows what comes, no photo is there": FaultPoint(f"{_LEDGER}.note", before=False),
    "a photo that is replaced is not copied yet": FaultPoint(f"{_PLACES}.copy"),
    "it is copied, and still there": FaultPoint(f"{_PLACES}.copy", before=False),
    "the first photo is there": FaultPoint(f"{_PLACES}.put", before=False),
    "both photos of one, the first of another": FaultPoint(f"{_PLACES}.put", number=3),
    "all photos are there, the ledger has not heard": FaultPoint(f"{_LEDGER}.note", number=2),
    "the ledger has heard, no row is there": FaultPoint(f"{_LEDGER}.note", number=2, before=False),
    "rows are sent for the first time": FaultPoint(_MERGE, phase="import"),
    "rows were refused, halves are sent": FaultPoint(_MERGE, phase="import", number=2),
    "rows of one are committed": FaultPoint(_MERGE, phase="import", before=False),
    "all rows are committed": FaultPoint(f"{_LEDGER}.record_skipped"),
    "the ledger is about to call them imported": FaultPoint(_IMPORTED),
    "the ledger calls them imported": FaultPoint(_IMPORTED, before=False),
    "it is not noted that their photos stay": FaultPoint(f"{_LEDGER}.commit", number=2),
    "their photos stay, refused ones are there": FaultPoint(
        f"{_LEDGER}.commit", number=2, before=False
    ),
    "one refused photo is taken back": FaultPoint(f"{_PLACES}.remove", before=False),
    "all are, the ledger has not heard": FaultPoint(f"{_LEDGER}.record_taken_back"),
    "copies of replaced photos are still there": FaultPoint(
        f"{_LEDGER}.record_taken_back", before=False
    ),
    "the copies are gone, the ledger has not heard": FaultPoint(f"{_LEDGER}.forget_copies"),
}
_OF_BACKENDS = (_PLACES, _MERGE)
"""What each backend does itself: a Supabase is slow, and the ledger's points are the same there."""


def test_killed_at_named_points_all_recognitions_are_whole_after_the_next_run(
    bench: Bench,
) -> None:
    points = {
        name: point
        for name, point in POINTS.items()
        if bench.target.supabase_url is None or point.where.startswith(_OF_BACKENDS)
    }
    source = bench.source.folder
    for number in (1, 2):
        add(source, number)
    assert run(bench).exit_code == 0
    before = photos_of(bench, 2)
    again = partial(run, bench, force=True, max_concurrent_uploads=1, max_workers=1)
    for step, (name, point) in enumerate(points.items(), 1):
        new = 1_000 + 2 * step
        replacing = photo(10 * new), photo(10 * new + 1)
        add(source, 1, photos=replacing)
        add(source, 2, _REFUSED, photos=[photo(10 * new + 2), photo(10 * new + 3)])
        passing = add(source, new), add(source, new + 1, _REFUSED)
        in_before = numbers(bench)[0]
        assert killed_at(point, again), name
        check_killed(bench)
        report = again()
        assert report.exit_code == 3, name
        refused = [each.path for each in report.failures]
        assert refused == [f"recognition_{number}" for number in (new + 1, 2)], name
        check_whole(bench)
        assert numbers(bench)[1] == sorted([*in_before, new]), name
        assert (photos_of(bench, 1), photos_of(bench, 2)) == (replacing, before), name
        for folder in passing:
            shutil.rmtree(folder)


def check_killed(bench: Bench) -> None:
    """Every row names photos that are there; a replaced one is there as a copy, to be restored."""
    there = stored(bench)
    contents = {hashlib.sha256(content).hexdigest() for content in there.values()}
    for number, named in hashes(bench).items():
        assert contents.issuperset(named)
        for camera in (1, 2):
            assert f"recognitions/{number}/camera{camera}.jpg" in there
    raw, domain = numbers(bench)
    assert raw == domain
