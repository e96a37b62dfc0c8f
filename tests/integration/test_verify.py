"""Verification: what was written is read back, and put right where that is asked for."""

from __future__ import annotations

from hashlib import sha256

import pytest

from imports import ResilientImporter
from imports.cli.report import render_verification
from imports.run.report import VerifyReport
from imports.run.session import RunSession
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.source import license_, png


@pytest.fixture
def bench(any_bench: Bench) -> Bench:
    """Each of the backends, and `@supabase/lite`: this is what all of them do."""
    return any_bench


RECORDS, IMAGES = 10, 3
OTHER = png(2)[:-1] + b"!"
"""As long as the second image, and another."""


@pytest.fixture
def done(bench: Bench) -> Bench:
    """A finished import of ten records, three of them with images."""
    bench.source.add_many(RECORDS)
    bench.source.add_many(IMAGES, images=True)
    assert bench.run().exit_code == 0
    return bench


def change(bench: Bench, number: str, **values: object) -> None:
    sets = ", ".join(f"{name} = %s" for name in values)
    statement = f"UPDATE search_results SET {sets} WHERE license_number = %s"
    query(bench.url, statement, *values.values(), number)


def delete(bench: Bench, number: str) -> None:
    query(bench.url, "DELETE FROM search_results WHERE license_number = %s", number)


def image_of(bench: Bench, number: str) -> str:
    ((place,),) = query(
        bench.url,
        "SELECT storage_path FROM image_assets JOIN search_results ON image_hash = content_hash"
        " WHERE license_number = %s",
        number,
    )
    return str(place)


def found(report: VerifyReport) -> list[tuple[str, str, str]]:
    return sorted((each.found, each.subject, each.path) for each in report.findings)


def test_a_finished_import_is_clean(done: Bench) -> None:
    for deep in (False, True):
        report = done.verify(deep=deep)
        assert report.clean
        assert (report.records, report.images, report.findings) == (RECORDS, IMAGES, [])
    assert "10 records and 3 images are as their files say" in render_verification(report)[0]


def test_rows_of_a_file_whose_image_failed_are_accounted_for(
    postgresql_bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = postgresql_bench
    bench.source.add("a", image="a.png")
    bench.source.write("a.png", png(1))
    assert bench.run(verify_writes=True).exit_code == 0
    bench.source.add("a", image="a.png")
    digest = sha256(bench.source.write("a.png", png(2)).read_bytes()).hexdigest()
    taken = bench.data_folder / f"imagecache/sha256/{digest[:2]}/{digest[2:4]}/{digest}.png"
    taken.mkdir(parents=True)
    report = bench.run(verify_writes=True)
    assert [each.phase for each in report.failures] == ["upload"]
    assert report.verification is not None
    assert report.verification.clean
    assert [each for each in caplog.messages if each.startswith("verify:")] == []


def test_with_the_run(bench: Bench) -> None:
    bench.source.add_many(RECORDS)
    report = bench.run(verify_writes=True)
    assert (report.exit_code, report.state.phases["verify"].status) == (0, "completed")
    assert report.verification is not None
    assert report.verification.clean
    change(bench, "PH0003", city="Elsewhere")
    again = bench.run(verify_writes=True)
    assert again.exit_code == 3
    assert again.verification is not None
    assert again.verification.found == {"different": 1}


def test_a_row_that_was_changed(done: Bench) -> None:
    change(done, "PH0004", license_status="Revoked", expiration_date="1999-12-31", zip=None)
    report = done.verify()
    assert found(report) == [
        ("different", "Pharmacy 0004/FL/PH0004", "day/0004_parse.json"),
    ]
    detail = report.findings[0].detail
    assert "license_status is 'Revoked', should be 'Active'" in detail
    assert "expiration_date is '1999-12-31', should be '2027-02-28'" in detail
    assert "zip is None, should be '33601'" in detail
    assert "city" not in detail


def test_a_change_in_json_and_in_the_image(done: Bench) -> None:
    query(
        done.url,
        'UPDATE search_results SET meta = meta || \'{"state": "XX"}\', image_hash = NULL'
        " WHERE license_number = 'PH0001'",
    )
    report = done.verify()
    assert report.found == {"different": 1}
    assert "meta is" in report.findings[0].detail
    assert "image_hash is None, should be" in report.findings[0].detail


def test_a_file_that_was_changed_since(done: Bench) -> None:
    """The record is compared with what its file says now."""
    done.source.add(
        "day/0006", name="Pharmacy 0006", licenses=[license_("PH0006", license_status="Closed")]
    )
    report = done.verify()
    assert found(report) == [("different", "Pharmacy 0006/FL/PH0006", "day/0006_parse.json")]
    assert "license_status is 'Active', should be 'Closed'" in report.findings[0].detail


def test_images_that_were_deleted_and_cut_short(done: Bench) -> None:
    gone, short = image_of(done, "PH0000"), image_of(done, "PH0001")
    done.store(gone, None)
    done.store(short, png(2)[:20])
    report = done.verify()
    assert found(report) == sorted([("missing", gone, ""), ("different", short, "")])
    detail = {each.subject: each.detail for each in report.findings}[short]
    assert "20 bytes" in detail
    assert f"{len(png(2))}" in detail


def test_the_same_size_with_another_content(done: Bench) -> None:
    place = image_of(done, "PH0001")
    done.store(place, OTHER)
    assert done.verify().clean
    assert found(done.verify(deep=True)) == [("different", place, "")]


def test_a_file_that_is_gone_leaves_an_orphan(done: Bench) -> None:
    (done.source.folder / "day/0007_parse.json").unlink()
    label = "Pharmacy 0007/FL/PH0007"
    assert ("orphaned", label, "") in found(done.verify())

    assert done.run().exit_code == 0
    report = done.verify()
    assert found(report) == [("orphaned", label, "")]
    assert report.records == RECORDS - 1
    assert done.count() == RECORDS  # nothing is deleted for it


def test_a_licence_that_its_file_dropped_leaves_an_orphan(bench: Bench) -> None:
    bench.source.add("a", licenses=[license_("A"), license_("B")])
    bench.run()
    bench.source.add("a", licenses=[license_("A")])
    bench.run()
    assert found(bench.verify()) == [("orphaned", "Belmar/FL/B", "")]


def test_rows_of_another_source_are_no_orphans(done: Bench) -> None:
    query(
        done.url,
        "INSERT INTO search_results (dataset_id, batch_id, search_name, search_state)"
        " SELECT id, 'another', 'By hand', 'FL' FROM datasets",
    )
    assert done.verify().clean


@pytest.mark.parametrize("batch_size", [1, 500])
def test_what_was_superseded_is_no_finding(bench: Bench, batch_size: int) -> None:
    for place, ts in enumerate(
        ["2025-08-03T00:00:00", "2025-08-01T00:00:00", "2025-08-02T00:00:00"]
    ):
        bench.source.add(
            f"{place}", ts=ts, licenses=[license_(license_status=str(ts)), license_(None)]
        )
    bench.run(batch_size=batch_size)
    report = bench.verify(batch_size=batch_size)
    assert report.clean
    assert report.records == 6


def test_of_the_same_search_only_the_last_counts(bench: Bench) -> None:
    for place in "abc":
        bench.source.add(place, licenses=[license_(license_status=place)])
    bench.run()
    assert bench.verify().clean
    assert bench.verify(batch_size=1).clean


def test_failed_files_are_not_verified(bench: Bench) -> None:
    bench.source.add_many(2)
    bench.source.write("bad_parse.json", b"{")
    assert bench.run().exit_code == 3
    report = bench.verify()
    assert (report.clean, report.records) == (True, 2)


def test_repair_puts_right_what_is_wrong_and_nothing_else(done: Bench) -> None:
    change(done, "PH0004", license_status="Revoked")
    change(done, "PH0000", image_hash=None)
    delete(done, "PH0005")
    gone, short = image_of(done, "PH0001"), image_of(done, "PH0002")
    done.store(gone, None)
    done.store(short, b"\x89PNG")
    touched = {"PH0000", "PH0004", "PH0005"}
    before = dict(done.rows("license_number, xmin::text"))
    assets = done.versions()["image_assets"]

    first = done.verify()
    assert first.found == {"different": 3, "missing": 2}
    report = done.verify(repair=True, deep=True)
    assert report.clean
    after = dict(done.rows("license_number, xmin::text"))
    assert {number for number in after if before.get(number) != after[number]} == touched
    assert done.versions()["image_assets"] == assets
    assert (done.stored(gone), done.stored(short)) == (png(2), png(3))
    assert dict(done.rows())["PH0004"] == "Active"
    assert done.verify(deep=True).clean
    assert done.run().nothing_to_do


def test_repair_of_another_content_needs_deep(done: Bench) -> None:
    place = image_of(done, "PH0001")
    done.store(place, OTHER)
    assert done.verify(repair=True).clean
    assert done.stored(place) == OTHER
    assert done.verify(repair=True, deep=True).clean
    assert done.stored(place) == png(2)


def test_repair_of_a_clean_import_writes_nothing(done: Bench) -> None:
    before = done.versions()
    assert done.verify(repair=True).clean
    assert done.versions() == before


def test_repair_tells_what_it_cannot_put_right(done: Bench) -> None:
    (done.source.folder / "day/0007_parse.json").unlink()
    (done.source.folder / "day/0000.png").unlink()
    place = image_of(done, "PH0000")
    done.store(place, None)
    done.run()
    report = done.verify(repair=True)
    assert ("orphaned", "Pharmacy 0007/FL/PH0007", "") in found(report)
    assert not report.clean
    assert done.count() == RECORDS


def test_repair_of_a_changed_row_with_a_later_time_is_left_alone(done: Bench) -> None:
    """Whoever wrote a later search there knows more than our file."""
    change(done, "PH0004", license_status="Newer", search_ts="2030-01-01")
    assert done.verify(repair=True).clean
    assert dict(done.rows())["PH0004"] == "Newer"


def test_repair_leaves_a_damaged_image_that_it_has_no_other_for(done: Bench) -> None:
    place = image_of(done, "PH0001")
    done.store(place, b"\x89PNG short")
    (done.source.folder / "day/0001.png").unlink()
    before = done.versions()
    report = done.verify(repair=True)
    assert found(report) == [("different", place, "")]
    assert done.stored(place) == b"\x89PNG short"
    assert done.versions() == before


def test_what_is_not_yet_imported_is_not_called_clean(bench: Bench) -> None:
    bench.source.add_many(RECORDS)
    with ResilientImporter(bench.settings()) as importer:  # it never comes to its end
        importer.plan_work()
    report = bench.verify()
    assert report.found == {"not yet imported": RECORDS}
    assert bench.run().exit_code == 0
    assert bench.verify().clean


def test_a_repair_that_was_killed_is_gone_on_with(
    done: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = image_of(done, "PH0001")
    done.store(place, b"\x89PNG short")
    delete(done, "PH0005")
    with monkeypatch.context() as patched:

        def killed(session: RunSession) -> None:
            raise KeyboardInterrupt

        patched.setattr("imports.phases.repair.upload_planned", killed)
        with pytest.raises(KeyboardInterrupt):
            done.verify(repair=True)
    assert not done.verify().clean
    assert done.run().exit_code == 0
    assert done.stored(place) == png(2)
    assert done.verify(deep=True).clean
    assert done.count() == RECORDS
