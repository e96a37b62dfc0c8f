"""ResilientImporter from Python: its phases one by one, and how it is stopped."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from imports import ResilientImporter
from imports.items.phase import Phase
from imports.ledger.work_state import WorkState, load_work_state, save_work_state
from tests.support.bench import Bench, one_backend
from tests.support.source import license_
from tests.support.stopper import Stopper


def fill(bench: Bench) -> None:
    bench.source.add_many(12)
    bench.source.add_many(4, images=True)
    bench.source.add("older", name="Twice", ts="2025-01-01")
    bench.source.add("newer", name="Twice", ts="2025-01-02", licenses=[license_(), license_(None)])
    bench.source.add("lost", name="Lost", image="FL/lost.png", licenses=[])
    bench.source.write("bad_parse.json", b"[]")


COLUMNS = "search_name, license_number, license_status, search_ts, image_hash, raw, meta"


def test_the_phases_one_by_one_are_a_run(bench: Bench) -> None:
    fill(bench)
    report = bench.run(tag="whole")
    whole = bench.rows(COLUMNS, "search_name, license_number")
    bench.forget()
    with ResilientImporter(bench.settings(tag="parts")) as importer:
        listing = importer.plan_work()
        assert (listing.total, listing.new, listing.problems) == (16, 16, 0)
        importer.compute_sha256_hashes()
        importer.upload_images()
        importer.import_search_results()
        verified = importer.verify_writes()
        counts = importer.session.counts()
    assert verified.clean
    parts = bench.rows(f"dataset_id, {COLUMNS}", "dataset_id, search_name, license_number")
    assert [row[1:] for row in parts if row[0] != report.state.dataset_id] == whole
    expected = dict(report.counts)
    # The second time the target had the images already.
    assert expected.pop("upload.completed") == counts.pop("upload.skipped") == 4
    assert expected.pop("uploaded_bytes") > 0
    assert counts == expected


def test_each_phase_by_itself_in_a_session_of_its_own(bench: Bench) -> None:
    fill(bench)
    for phase in ("plan_work", "compute_sha256_hashes", "upload_images", "import_search_results"):
        with ResilientImporter(bench.settings()) as importer:
            getattr(importer, phase)()
    report = bench.run()
    assert report.exit_code == 3
    assert [each.path for each in report.failures] == ["bad_parse.json"]
    assert report.count("import.inserted") == bench.count() == 15
    assert report.count("import.skipped") == 1
    assert report.count("upload.completed") == 4
    assert bench.verify(deep=True).clean


PHASES = ("planning", "sha256", "upload", "import")


def seen_on_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """How far each phase is in the file, whenever it is replaced: what a kill may leave."""
    seen: list[tuple[str, ...]] = []

    def save(state: WorkState, path: Path) -> None:
        save_work_state(state, path)
        found = load_work_state(path)
        assert found is not None
        seen.append(tuple(found.phases[phase].status for phase in PHASES))

    monkeypatch.setattr("imports.run.session.save_work_state", save)
    return seen


@one_backend
def test_the_file_knows_of_every_phase_that_began_and_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.source.add_many(2, images=True)
    seen = seen_on_disk(bench, monkeypatch)
    bench.run()
    later = ("pending", "pending", "pending")
    assert list(dict.fromkeys(seen)) == [
        ("running", *later),
        ("completed", "running", *later[1:]),
        ("completed", "completed", "running", *later[2:]),
        ("completed", "completed", "completed", "running"),
        ("completed",) * 4,
    ]


@one_backend
def test_a_phase_by_itself_is_in_the_file_at_its_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.source.add_many(2)
    with ResilientImporter(bench.settings()) as importer:
        importer.run()
        seen = seen_on_disk(bench, monkeypatch)
        for done, phase in enumerate(
            ("plan_work", "compute_sha256_hashes", "upload_images", "import_search_results"), 1
        ):
            getattr(importer, phase)()
            assert seen[-1] == ("completed",) * done + ("pending",) * (4 - done)


def test_a_phase_that_is_repeated_does_nothing(bench: Bench) -> None:
    bench.source.add_many(6, images=True)
    with ResilientImporter(bench.settings()) as importer:
        for _ in range(2):
            importer.plan_work()
            importer.plan_work()
            importer.compute_sha256_hashes()
            importer.compute_sha256_hashes()
            importer.upload_images()
            importer.import_search_results()
            importer.import_search_results()
            importer.upload_images()
        counts = importer.session.counts()
    assert counts["planning.to_import"] == counts["sha256.processed"] == 6
    assert counts["upload.completed"] == counts["import.inserted"] == 6
    assert "import.unchanged" not in counts
    assert bench.count() == 6


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("after", [1, 3])
def test_a_stop_in_the_import(bench: Bench, after: int, workers: int) -> None:
    bench.source.add_many(60)
    bench.source.add_many(3, images=True)
    stopper = Stopper(Phase.IMPORT, after)
    settings = bench.settings(batch_size=5, max_workers=workers)
    report = ResilientImporter(settings, stopper, stopper.stop).run()
    assert (report.exit_code, report.state.status) == (130, "interrupted")
    assert report.state.phases["import"].status == "interrupted"
    inserted = report.count("import.inserted")
    assert after * 5 <= inserted == bench.count() < 60
    assert report.state.work_items_remaining == 60 - inserted
    assert len(report.state.work_items) == 60 - inserted
    assert "To resume" in report.next_commands[1]

    again = bench.run(batch_size=7)
    assert again.exit_code == 0
    assert again.state.run_name == report.state.run_name
    assert again.count("import.inserted") == 60 == bench.count()
    assert again.count("import.unchanged") == 0
    assert again.count("planning.to_import") == 60
    assert (again.count("sha256.processed"), again.count("upload.completed")) == (3, 3)
    assert bench.verify(deep=True).clean


@pytest.mark.parametrize("phase", [Phase.PLANNING, Phase.SHA256, Phase.UPLOAD, Phase.VERIFY])
def test_a_stop_in_another_phase(bench: Bench, phase: Phase) -> None:
    bench.source.add_many(20, images=True)
    stopper = Stopper(phase, 1)
    settings = bench.settings(verify_writes=True, max_concurrent_uploads=2)
    report = ResilientImporter(settings, stopper, stopper.stop).run()
    assert (report.exit_code, report.state.current_phase) == (130, phase)
    again = bench.run(verify_writes=True)
    assert again.exit_code == 0
    assert again.count("import.inserted") == 20 == bench.count()
    assert again.count("planning.to_import") == again.count("sha256.processed") == 20
    assert again.count("upload.completed") + again.count("upload.skipped") == 20
    assert again.verification is not None
    assert (again.verification.clean, again.verification.records) == (True, 20)


def test_a_stop_before_it_begins(bench: Bench) -> None:
    bench.source.add_many(5)
    stop = threading.Event()
    stop.set()
    assert ResilientImporter(bench.settings(), stop=stop).run().exit_code == 130
    assert bench.count() == 0
    assert bench.run().count("import.inserted") == 5


def test_the_batch_size_changes_between_two_runs(bench: Bench) -> None:
    """What was merged in one cut is not counted again in another."""
    bench.source.add_many(40)
    for size, after in ((10, 2), (3, 1), (500, 1)):
        stopper = Stopper(Phase.IMPORT, after)
        settings = bench.settings(batch_size=size, max_workers=1)
        assert ResilientImporter(settings, stopper, stopper.stop).run().exit_code == 130
    report = bench.run()
    assert report.exit_code == 0
    assert report.count("import.inserted") == 40 == bench.count()
    assert report.count("import.unchanged") == 0
