"""Images that were missing, or could not be read, when their item was imported."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from imports import ResilientImporter
from imports.cli.report import render_report, render_verification
from imports.run.report import RunReport, VerifyReport
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.device_tests import add
from tests.support.source import license_, png


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def place(content: bytes) -> str:
    name = sha256(content)
    return f"sha256/{name[:2]}/{name[2:4]}/{name}.png"


def hashes(bench: Bench) -> dict[str, str | None]:
    return dict(query(bench.url, "SELECT license_number, image_hash FROM search_results"))


def add_search(bench: Bench, name: str, image: str | None = None, **more: Any) -> None:
    fields = {"name": name, "licenses": [license_(name)], "image": image or f"FL/{name}.png"}
    bench.source.add(name, **{**fields, **more})


def wrote_nothing(report: RunReport) -> bool:
    names = ("inserted", "updated", "unchanged", "skipped")
    return report.count("planning.to_import") == 0 and not any(
        report.count(f"import.{name}") for name in names
    )


# --- pictures that come later ------------------------------------------------------------------


def test_a_picture_that_comes_later_is_taken_in_by_the_same_command(bench: Bench) -> None:
    add_search(bench, "A")
    add_search(bench, "B")
    bench.source.write("FL/B.png", png(2))
    first = bench.run()
    assert (first.exit_code, first.warnings_total, first.lacking.images) == (0, 1, 1)

    before = bench.versions()
    second = bench.run()
    assert (second.exit_code, wrote_nothing(second)) == (0, True)
    assert second.lacking == (1, 1, 0)
    assert [path for path, _ in second.warnings] == ["A_parse.json"]
    assert "Images still missing: 1 (1 not found)" in render_report(second)
    assert bench.versions() == before

    bench.source.write("FL/A.png", png(1))
    third = bench.run()
    assert (third.exit_code, third.warnings_total, third.lacking.images) == (0, 0, 0)
    assert (third.count("planning.to_import"), third.count("planning.unchanged")) == (1, 1)
    assert third.count("import.updated") == 1
    assert hashes(bench) == {"A": sha256(png(1)), "B": sha256(png(2))}
    assert bench.stored(place(png(1))) == png(1)

    before = bench.versions()
    fourth = bench.run()
    assert fourth.nothing_to_do
    assert bench.versions() == before
    assert bench.verify(deep=True).clean


def test_a_picture_that_was_none_is_looked_at_again_when_it_changes(bench: Bench) -> None:
    bench.source.write("FL/A.png", b"<html>captcha</html>")
    add_search(bench, "A")
    assert bench.run().lacking == (1, 0, 1)
    before = bench.versions()
    second = bench.run()
    assert (wrote_nothing(second), second.warnings_total, second.lacking) == (True, 1, (1, 0, 1))
    assert second.count("sha256.unusable") == 0
    assert bench.versions() == before
    bench.source.write("FL/A.png", png(1))
    third = bench.run()
    assert (third.warnings_total, third.lacking.images) == (0, 0)
    assert hashes(bench) == {"A": sha256(png(1))}


def test_a_picture_that_was_cut_off_is_taken_in_when_it_is_whole(bench: Bench) -> None:
    """A scraper was still writing it when the run came by."""
    whole = png(1)
    file = bench.source.write("FL/A.png", whole[:40])
    add_search(bench, "A")
    assert bench.run().warnings_total == 1
    assert bench.verify(deep=True).clean
    before = bench.versions()
    assert (wrote_nothing(bench.run()), bench.versions()) == (True, before)

    bench.source.write("FL/A.png", whole)
    report = bench.verify()
    assert (report.found, report.repairable) == ({"different": 1}, True)
    third = bench.run()
    assert (third.exit_code, third.warnings_total) == (0, 0)
    assert (third.count("planning.to_import"), third.count("planning.unchanged")) == (1, 0)
    assert hashes(bench) == {"A": sha256(whole)}
    assert bench.stored(place(whole)) == whole
    assert bench.verify(deep=True).clean
    before = bench.versions()
    file.unlink()
    assert (wrote_nothing(bench.run()), bench.versions()) == (True, before)


def test_a_picture_that_was_cut_off_stays_stored_when_it_is_gone(bench: Bench) -> None:
    cut_off = png(1)[:40]
    file = bench.source.write("FL/A.png", cut_off)
    add_search(bench, "A")
    bench.run()
    before = bench.versions()
    file.unlink()
    assert (wrote_nothing(bench.run()), bench.versions()) == (True, before)
    assert hashes(bench) == {"A": sha256(cut_off)}


def test_verification_counts_what_is_missing_and_finds_what_has_come(bench: Bench) -> None:
    add_search(bench, "A")
    add_search(bench, "B")
    bench.run()
    report = bench.verify()
    assert (report.clean, report.missing) == (True, 2)
    assert "Images still missing: 2" in "\n".join(render_verification(report))
    before = bench.versions()
    bench.source.write("FL/A.png", png(1))
    report = bench.verify()
    assert (report.found, report.repairable) == ({"different": 1}, True)
    ((subject, detail),) = [(each.subject, each.detail) for each in report.findings]
    assert subject == "A_parse.json"
    assert "is there now" in detail
    assert bench.versions() == before
    repaired = bench.verify(repair=True)
    assert (repaired.clean, repaired.missing) == (True, 1)
    assert hashes(bench) == {"A": sha256(png(1)), "B": None}


def test_a_folder_counts_its_images_that_are_none(bench: Bench) -> None:
    folder = bench.source.folder
    add(folder, "a", {"device_id": "D"}, {"good.png": png(1), "bad.png": b"text"})
    report = bench.run(kind="folders")
    assert (report.exit_code, report.lacking) == (0, (1, 0, 1))
    again = bench.run(kind="folders")
    assert (wrote_nothing(again), again.lacking, again.warnings_total) == (True, (1, 0, 1), 1)
    (folder / "a" / "bad.png").write_bytes(png(2))
    last = bench.run(kind="folders")
    assert (last.count("import.updated"), last.lacking.images, last.warnings_total) == (1, 0, 0)
    assert query(bench.url, "SELECT image_count FROM device_test") == [(2,)]


def test_an_image_root_that_is_named_later_is_looked_at(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "private" / "photo.png"
    outside.parent.mkdir()
    outside.write_bytes(png(5))
    add_search(bench, "A", str(outside))
    assert bench.run().lacking == (1, 1, 0)
    report = bench.run(image_roots=(outside.parent,))
    assert (report.exit_code, report.lacking.images) == (0, 0)
    assert hashes(bench) == {"A": sha256(png(5))}
    assert bench.run().nothing_to_do, "what is in stays in, also when the root is not named"
    assert hashes(bench) == {"A": sha256(png(5))}


def test_a_limit_holds_for_what_has_come_too(bench: Bench) -> None:
    for name in ("A", "B", "C"):
        add_search(bench, name)
    bench.run()
    for number, name in enumerate(("A", "B"), 1):
        bench.source.write(f"FL/{name}.png", png(number))
    report = bench.run(limit=1)
    assert (report.count("import.updated"), report.lacking.images) == (1, 2)
    assert bench.run(limit=1).count("import.updated") == 1
    report = bench.run(limit=1)
    assert (wrote_nothing(report), report.lacking.images) == (True, 1)
    assert hashes(bench) == {"A": sha256(png(1)), "B": sha256(png(2)), "C": None}


def test_a_single_file_is_looked_at_alone(bench: Bench) -> None:
    add_search(bench, "A")
    add_search(bench, "B")
    bench.run()
    bench.source.write("FL/A.png", png(1))
    bench.source.write("FL/B.png", png(2))
    file = bench.source.folder / "A_parse.json"
    report = bench.run(single_file=file, state_file=bench.folder / "single.json")
    assert (report.count("import.updated"), report.lacking.images) == (1, 0)
    assert hashes(bench) == {"A": sha256(png(1)), "B": None}
    assert bench.run().count("import.updated") == 1
    assert hashes(bench) == {"A": sha256(png(1)), "B": sha256(png(2))}


def test_of_files_with_the_same_search_the_last_stays_the_one_that_counts(bench: Bench) -> None:
    """A picture comes for the first of them: its row must not replace that of the last."""
    for path, status in (("a", "Old"), ("b", "New")):
        bench.source.add(path, licenses=[license_("L", license_status=status)], image=f"{path}.png")
    bench.run()
    assert bench.rows() == [("L", "New")]
    bench.source.write("a.png", png(1))
    assert bench.run().exit_code == 0
    assert bench.rows() == [("L", "New")]
    assert bench.verify().clean


def test_a_file_that_cannot_be_read_any_more_keeps_its_row(bench: Bench) -> None:
    add_search(bench, "A")
    bench.run()
    path = bench.source.folder / "A_parse.json"
    content, status = path.read_bytes(), path.stat()
    path.write_bytes(b"{" * len(content))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    bench.source.write("FL/A.png", png(1))
    report = bench.run()
    assert (report.exit_code, wrote_nothing(report), report.lacking.images) == (0, True, 1)
    assert bench.count() == 1


def test_a_scan_changes_nothing(bench: Bench) -> None:
    add_search(bench, "A")
    bench.run()
    bench.source.write("FL/A.png", png(1))
    assert bench.run(scan_only=True).exit_code == 0
    assert hashes(bench) == {"A": None}
    assert bench.run().count("import.updated") == 1


def test_many_that_are_missing_are_looked_for_by_the_worker_processes(bench: Bench) -> None:
    for number in range(700):
        bench.source.add(
            f"d/{number:04}",
            name=f"N{number}",
            licenses=[license_(f"{number:04}")],
            image=f"d/{number:04}.png",
        )
    assert bench.run().lacking == (700, 700, 0)
    for number in (3, 333, 699):
        bench.source.write(f"d/{number:04}.png", png(number % 250))
    report = bench.run()
    assert (report.count("planning.to_import"), report.count("import.updated")) == (3, 3)
    assert report.lacking == (697, 697, 0)


def test_a_run_that_is_resumed_takes_in_what_came_meanwhile(bench: Bench) -> None:
    for name in ("A", "B", "C"):
        add_search(bench, name)
    with ResilientImporter(bench.settings()) as importer:
        importer.plan_work()
    bench.source.write("FL/A.png", png(1))
    report = bench.run()
    assert (report.exit_code, report.count("planning.to_import"), report.lacking.images) == (
        0,
        3,
        2,
    )
    assert hashes(bench) == {"A": sha256(png(1)), "B": None, "C": None}


@pytest.mark.parametrize("kind", ["states", "folders"])
@pytest.mark.parametrize("phases", [0, 1], ids=["planned", "hashed"])
def test_a_run_that_is_resumed_takes_images_as_they_are_now(
    bench: Bench, phases: int, kind: str
) -> None:
    if kind == "states":
        for number, name in enumerate(("A", "B", "C")):
            add_search(bench, name)
            bench.source.write(f"FL/{name}.png", png(number))
    else:
        for number, name in enumerate(("A", "B", "C")):
            add(bench.source.folder, name, {}, {"x.png": png(number)})
    with ResilientImporter(bench.settings(kind=kind)) as importer:
        importer.plan_work()
        if phases:
            importer.compute_sha256_hashes()
    place = "FL/A.png" if kind == "states" else "A/x.png"
    bench.source.write(place, png(9) + b"another")
    report = bench.run(kind=kind)
    assert (report.exit_code, report.failures_total, report.warnings_total) == (0, 0, 0)
    assert set(bench.images()) == {sha256(each) for each in (png(9) + b"another", png(1), png(2))}
    assert bench.verify(kind=kind, deep=True).clean


# --- images that could not be read -------------------------------------------------------------


@pytest.mark.parametrize("kind", ["states", "folders"])
def test_an_image_that_grows_between_planning_and_hashing_is_taken_in_by_the_next_run(
    bench: Bench, kind: str
) -> None:
    if kind == "states":
        add_search(bench, "A")
        add_search(bench, "B")
        bench.source.write("FL/B.png", png(2))
        grown = bench.source.write("FL/A.png", png(1))
    else:
        add(bench.source.folder, "FL", {"device_id": "D"}, {"A.png": png(1)})
        add(bench.source.folder, "GA", {"device_id": "D"}, {"B.png": png(2)})
        grown = bench.source.folder / "FL" / "A.png"
    with ResilientImporter(bench.settings(kind=kind)) as importer:
        importer.plan_work()
        with grown.open("ab") as file:
            file.write(b"more")
        importer.compute_sha256_hashes()
        importer.upload_images()
        importer.import_search_results()
        total, failures = importer.session.items.failures(9)
    assert (total, failures[0].phase) == (1, "sha256")
    assert "changed during the run" in failures[0].reason
    table = "search_results" if kind == "states" else "device_test"
    assert bench.count(table) == 1, "the other one is not concerned"

    report = bench.run(kind=kind)
    assert (report.exit_code, report.failures_total) == (0, 0)
    assert bench.count(table) == 2
    assert set(bench.images()) == {sha256(png(1) + b"more"), sha256(png(2))}
    assert bench.verify(kind=kind, deep=True).clean


def test_an_image_that_cannot_be_read_once_costs_no_row_its_image(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_search(bench, "A")
    bench.source.write("FL/A.png", png(1))
    bench.run()
    bench.source.write("FL/A.png", png(3))
    add_search(bench, "A", status="other")

    def refused(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("imports.source.image_file.open_real", refused)
        report = bench.run()
    assert (report.exit_code, report.failures_total) == (3, 1)
    assert "Input/output error" in report.failures[0].reason
    assert hashes(bench) == {"A": sha256(png(1))}
    report = bench.run()
    assert (report.exit_code, report.failures_total) == (0, 0)
    assert hashes(bench) == {"A": sha256(png(3))}


# --- image_assets ------------------------------------------------------------------------------


def found(report: VerifyReport) -> list[tuple[str, str]]:
    return sorted((each.found, each.subject) for each in report.findings)


def unlist(bench: Bench, *contents: bytes) -> None:
    """Takes images out of `image_assets`, past the rows that refer to them."""
    names = ", ".join(f"'{sha256(content)}'" for content in contents)
    query(
        bench.url,
        "SET LOCAL session_replication_role = replica;"
        f" DELETE FROM image_assets WHERE content_hash IN ({names})",
    )


CHANGES = {
    "content_type": "image/gif",
    "storage_path": "elsewhere",
    "storage_type": "s3",
    "file_size": 7,
    "width": None,
    "height": 99,
}


@pytest.mark.parametrize("column", CHANGES)
def test_a_changed_row_of_an_image_is_found_and_mended(bench: Bench, column: str) -> None:
    bench.source.add_many(3, images=True)
    bench.run()
    rows = query(bench.url, "SELECT * FROM image_assets ORDER BY 1")
    query(
        bench.url,
        f"UPDATE image_assets SET {column} = %s WHERE content_hash = %s",
        CHANGES[column],
        sha256(png(2)),
    )
    report = bench.verify()
    assert found(report) == [("different", f"image_assets/{sha256(png(2))}")]
    assert column in report.findings[0].detail
    assert report.repairable
    assert bench.verify(repair=True).clean
    assert query(bench.url, "SELECT * FROM image_assets ORDER BY 1") == rows


def test_a_row_of_an_image_that_is_gone_is_mended_also_without_the_picture(bench: Bench) -> None:
    bench.source.add_many(3, images=True)
    bench.run()
    rows = "SELECT content_hash, storage_path, file_size, width FROM image_assets ORDER BY 1"
    before = query(bench.url, rows)
    unlist(bench, *(png(number) for number in (1, 2, 3)))
    (bench.source.folder / "day" / "0001.png").unlink()
    report = bench.verify()
    assert report.found == {"missing": 3}
    assert bench.verify(repair=True).clean
    assert query(bench.url, rows) == before
    assert (None,) not in bench.rows("image_hash"), "what is stored is not given up"


def test_an_image_that_is_neither_listed_nor_stored_is_mended(bench: Bench) -> None:
    bench.source.add_many(2, images=True)
    bench.run()
    bench.store(place(png(1)), None)
    unlist(bench, png(1))
    bench.store(place(png(2)), None)
    query(bench.url, "UPDATE image_assets SET width = 99")
    assert bench.verify().found == {"missing": 3, "different": 1}
    assert bench.verify(repair=True).clean
    assert bench.stored(place(png(1))) == png(1)
    assert len(bench.images()) == 2


def test_the_images_of_a_folder_that_failed_are_verified(bench: Bench) -> None:
    add(bench.source.folder, "good", {"device_id": "D"}, {"a.png": png(1)})
    add(bench.source.folder, "bad", {"device_id": "D"}, {"b.png": png(2)})
    (bench.source.folder / "bad" / "stats.json").write_text("{")
    assert bench.run(kind="folders").exit_code == 3
    assert len(bench.images()) == 2
    report = bench.verify(kind="folders")
    assert report.images == 2
    bench.store(place(png(2)), None)
    unlist(bench, png(2))
    report = bench.verify(kind="folders")
    assert report.found["missing"] == 2
    repaired = bench.verify(kind="folders", repair=True)
    assert "missing" not in repaired.found
    assert repaired.images == 2
    assert bench.stored(place(png(2))) == png(2)
    assert len(bench.images()) == 2
