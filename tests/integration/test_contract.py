"""What is promised of every kind, on every backend. A kind's part is in `kinds_under_contract`.

How a kind is killed and goes on is in `tests/acceptance/test_contract_killed.py`.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from imports.phases.resetting import open_reset, run_to_reset
from imports.run.display import SilentDisplay
from imports.run.report import RunReport
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.kinds_under_contract import KINDS, KindUnderContract
from tests.support.target import Target

pytestmark = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def run(bench: Bench, kind: KindUnderContract, **flags: Any) -> RunReport:
    return bench.run(kind=kind.name, **{**kind.flags, **flags})


def sizes(bench: Bench, kind: KindUnderContract) -> dict[str, int]:
    return {table: len(rows) for table, rows in kind.contents(bench.url).items()}


def outcomes(report: RunReport) -> Counter[str]:
    names = ("inserted", "updated", "skipped", "unchanged")
    return +Counter({name: report.count(f"import.{name}") for name in names})


def check_images(bench: Bench) -> None:
    """Every image that is listed is stored, with the content that it is called after."""
    for sha256, place in bench.images().items():
        assert hashlib.sha256(bench.stored(place) or b"").hexdigest() == sha256


@pytest.fixture
def imported(bench: Bench, kind: KindUnderContract) -> RunReport:
    """The examples are in."""
    kind.prepare(bench.url)
    kind.add_examples(bench.source.folder)
    return run(bench, kind)


def test_good_items_go_in_and_bad_ones_beside_them_are_told(
    bench: Bench, kind: KindUnderContract, imported: RunReport
) -> None:
    assert imported.exit_code == 3
    assert sizes(bench, kind) == kind.rows
    assert imported.count("import.inserted") == kind.inserted
    assert imported.count("upload.completed") == kind.images[0]
    check_images(bench)
    assert bench.count("import_merges") == 0
    assert {each.path: each.phase for each in imported.failures} == {
        path: phase for path, (phase, _) in kind.failures.items()
    }
    for each in imported.failures:
        assert kind.failures[each.path][1] in each.reason
    assert [each.path for each in imported.state.failed_items] == sorted(kind.failures)
    assert (imported.state.status, imported.state.work_items_remaining) == ("completed", 0)


def test_what_is_in_is_not_written_again(
    bench: Bench, kind: KindUnderContract, imported: RunReport
) -> None:
    """By the same ledger, by another one, and by force."""
    before = kind.versions(bench.url)
    again = run(bench, kind)
    assert again.count("planning.unchanged") > 0
    assert again.count("import.inserted") == again.count("import.updated") == 0
    assert again.count("upload.completed") == again.count("sha256.processed") == 0
    forced = run(bench, kind, force=True)
    bench.forget()
    elsewhere = run(bench, kind)
    for report in (forced, elsewhere):
        assert report.exit_code == 3
        assert outcomes(report).keys() <= {"unchanged", "skipped"}
        assert report.count("upload.completed") == 0
        skipped = report is elsewhere and kind.skips_known
        assert report.count("upload.skipped") == (0 if skipped else kind.images[0])
        known = report.state.total_files - len(kind.failures)
        assert report.count("planning.known") == (known if skipped else 0)
    assert kind.versions(bench.url) == before
    assert bench.count("import_merges") == 0


def test_of_what_changed_that_alone_is_written(
    bench: Bench, kind: KindUnderContract, imported: RunReport
) -> None:
    before = kind.versions(bench.url)
    kind.change(bench.source.folder)
    report = run(bench, kind, **kind.change_flags)
    assert (report.exit_code, report.count("import.updated")) == (3, 1)
    assert report.count("upload.completed") == kind.images[1]
    written = kind.versions(bench.url) - before
    assert Counter(table for table, *_ in written) == kind.changed
    check_images(bench)
    assert bench.verify(kind=kind.name, **kind.flags).clean


def test_what_was_mended_goes_in(
    bench: Bench, kind: KindUnderContract, imported: RunReport
) -> None:
    before = kind.versions(bench.url)
    kind.mend(bench.source.folder)
    report = run(bench, kind)
    assert (report.exit_code, report.failures) == (0, [])
    assert report.count("planning.to_import") == len(kind.failures)
    assert kind.versions(bench.url) > before
    assert bench.verify(kind=kind.name, **kind.flags).clean
    assert run(bench, kind).nothing_to_do


def test_damage_in_the_target_is_found_and_repaired(
    bench: Bench, kind: KindUnderContract, imported: RunReport
) -> None:
    flags = {"kind": kind.name, "deep": True, **kind.flags}
    whole = kind.contents(bench.url)
    report = bench.verify(**flags)
    assert (report.clean, report.failed) == (True, len(kind.failures))
    assert report.images == kind.images[0]
    for statement, found in kind.damage.items():
        before = kind.versions(bench.url)
        query(bench.url, statement)
        undamaged = before & kind.versions(bench.url)
        assert bench.verify(**flags).found.keys() == {found}, statement
        assert bench.verify(repair=True, **flags).clean
        assert kind.contents(bench.url) == whole
        # Nothing else is written, but for owners: with them, what they own is replaced.
        written_again = undamaged - kind.versions(bench.url)
        assert {table for table, *_ in written_again} <= kind.owners
    for place in [*bench.images().values()][:1]:
        bench.store(place, None)
        assert bench.verify(**flags).found == {"missing": 1}
        assert bench.verify(repair=True, **flags).clean
        check_images(bench)


def test_a_reset_deletes_what_a_run_wrote_and_the_same_import_brings_it_back(
    bench: Bench, kind: KindUnderContract, imported: RunReport
) -> None:
    """Not its dataset, nor images that no row named before. Repeated, it finds nothing more."""
    whole = kind.contents(bench.url)
    images = bench.images()
    named = query(bench.url, "SELECT importer_named(ARRAY(SELECT content_hash FROM image_assets))")
    unnamed = images.keys() - {sha256 for (sha256,) in named}
    assert len(unnamed) < max(len(images), 1)
    run_name = imported.state.run_name
    flags = {"kind": kind.name, "tag": None, "source": None}
    to_reset = run_to_reset(bench.settings(**flags), run_name, None)
    with open_reset(to_reset, threading.Event(), SilentDisplay()) as reset:
        found = reset.find()
        rows = {label: each.rows for label, each in found.written.tables.items() if each.rows}
        assert rows == {
            table.removeprefix("public."): count
            for table, count in kind.rows.items()
            if table not in {"public.datasets", "public.image_assets"}
        }
        assert sizes(bench, kind) == kind.rows, "nothing is deleted yet"
        report = reset.delete()
        placed = 0 if kind.uploads is None else kind.uploads[0]
        assert (report.complete, report.images) == (True, len(named) + placed)
        assert reset.find().nothing
        assert reset.delete().deleted.total() == 0
    left = {"public.datasets": 1, "public.image_assets": len(unnamed)}
    assert sizes(bench, kind) == {table: count for table, count in left.items() if count}
    assert {each for each, place in images.items() if bench.stored(place) is not None} == unnamed
    again = run(bench, kind)
    assert again.state.run_name != run_name
    assert kind.contents(bench.url) == whole
    check_images(bench)
    assert bench.verify(kind=kind.name, deep=True, **kind.flags).clean


def test_both_backends_end_with_the_same_contents(
    kind: KindUnderContract, shared_database_url: str, supabase_bench_shared: Bench, tmp_path: Path
) -> None:
    other = Bench(Target("postgresql", shared_database_url), tmp_path / "postgresql")
    other.target.empty()
    found = []
    for bench in (supabase_bench_shared, other):
        kind.prepare(bench.url)
        kind.add_examples(bench.source.folder)
        run(bench, kind)
        images = {place: bench.stored(place) for place in bench.images().values()}
        found.append((kind.contents(bench.url), images))
    assert found[0] == found[1]
