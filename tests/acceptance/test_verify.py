"""Verification, after rows and images were changed by hand; and repair."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.test_options import remove_an_image
from tests.support.command import Workplace
from tests.support.contents import count, results, stored_images, versions
from tests.support.database import query
from tests.support.searches import generate, search, write
from tests.support.target import Target


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source that a test may change."""
    source = tmp_path / "source"
    generate(source, 12, images=4, image_bytes=2_000)
    write(source, "none", search("No licence", "FL", None))
    return source


def test_clean(place: Workplace, target: Target, source: Path) -> None:
    ended = place.run("states", source, "--tag", "T", "--verify-writes")
    assert "13 records and 4 images match their files" in ended.out
    assert place.counts("verify")["status"] == "completed"
    before = versions(target.database_url)
    assert "13 records and 4 images" in place.run("verify").out
    assert "13 records and 4 images" in place.run("verify", "--deep").out
    assert "13 records and 4 images" in place.run("verify", "--repair").out
    assert versions(target.database_url) == before


def test_what_was_changed_by_hand_is_found_and_repaired(
    place: Workplace, target: Target, source: Path
) -> None:
    url = target.database_url
    place.run("states", source, "--tag", "T")
    rows = results(url)
    query(url, "UPDATE search_results SET city = 'ELSEWHERE' WHERE search_name = 'Pharmacy 2'")
    query(url, "UPDATE search_results SET raw = '{}' WHERE search_name = 'Pharmacy 5'")
    query(url, "DELETE FROM search_results WHERE search_name IN ('Pharmacy 7', 'No licence')")
    image = remove_an_image(place, target)

    found = place.run("verify", exit_code=3)
    assert "1 image" not in found.out
    assert "2 different, 3 missing" in found.out
    assert "Pharmacy 2/PA/PH00000002" in found.out
    assert "city is 'ELSEWHERE', should be 'MADISON'" in found.out
    assert "Pharmacy 5/OH/PH00000005" in found.out
    assert "Pharmacy 7/GA/PH00000007" in found.out
    assert image in found.out
    assert "verify --repair" in found.out
    again = place.run("states", source, "--tag", "T", "--verify-writes", exit_code=3)
    assert "2 different, 3 missing" in again.out
    assert "verify --repair" in again.out

    repaired = place.run("verify", "--repair")
    assert "13 records and 4 images match their files" in repaired.out
    assert results(url) == rows
    assert len(stored_images(target, place.folder)) == 4
    place.run("verify", "--deep")


def stored_image(place: Workplace, target: Target) -> Path:
    """The file of one of the images."""
    (path, *_) = stored_images(target, place.folder)
    return place.folder / ".importer/imagecache" / path


def test_deep_finds_an_image_with_other_content(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    pg_place.run("states", source, "--tag", "T")
    path = stored_image(pg_place, postgresql)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    pg_place.run("verify")
    found = pg_place.run("verify", "--deep", exit_code=3)
    assert "1 different" in found.out
    pg_place.run("verify", "--deep", "--repair")
    assert path.read_bytes() == content


def test_a_truncated_image_is_found_without_deep(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    pg_place.run("states", source, "--tag", "T")
    path = stored_image(pg_place, postgresql)
    content = path.read_bytes()
    path.write_bytes(content[:100])
    assert "stored with 100 bytes" in pg_place.run("verify", exit_code=3).out
    pg_place.run("verify", "--repair")
    assert path.read_bytes() == content


def test_a_row_without_a_file_is_an_orphan(place: Workplace, target: Target, source: Path) -> None:
    place.run("states", source, "--tag", "T")
    (source / "none_parse.json").unlink()
    place.run("states", source, "--tag", "T")
    found = place.run("verify", exit_code=3)
    assert "1 orphaned" in found.out
    assert "1 orphaned" in found.err, "cron has standard output alone thrown away"
    assert "No licence" in found.out
    assert count(target.database_url) == 13


def test_a_file_that_was_changed_since(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    """What is compared is what the file says now."""
    pg_place.run("states", source, "--tag", "T")
    changed = search("No licence", "FL", None)
    changed["metadata"]["search_timestamp"] = "2025-08-09T10:00:00"
    write(source, "none", changed)
    found = pg_place.run("verify", exit_code=3)
    assert "1 different" in found.out
    pg_place.run("verify", "--repair")
    newest = {row["search_name"]: row["search_ts"] for row in results(postgresql.database_url)}
    assert newest["No licence"].startswith("2025-08-09")


def test_an_older_search_is_no_difference(
    pg_place: Workplace, postgresql: Target, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    write(source, "old", search(moment="2025-08-01T10:00:00", license_status="Old"))
    write(source, "new", search(moment="2025-08-02T10:00:00", license_status="New"))
    ended = pg_place.run("states", source, "--tag", "T", "--verify-writes")
    assert "match their files" in ended.out
    assert count(postgresql.database_url) == 1
