"""Dates in unusual forms, and none at all, on the command line."""

from __future__ import annotations

from pathlib import Path

from tests.support import people
from tests.support.command import Workplace
from tests.support.contents import results
from tests.support.database import query
from tests.support.searches import search, write
from tests.support.target import Target


def found(folder: Path, ts: str | None, status: str) -> None:
    """A file with a search of that time."""
    document = search("Tansy", "OH", "PH1")
    document["metadata"]["search_timestamp"] = ts
    document["search_result"]["licenses"][0]["license_status"] = status
    write(folder, "OH/T", document)


def statuses(target: Target) -> list[object]:
    return [row["license_status"] for row in results(target.database_url)]


def test_a_newer_search_whose_date_ends_in_utc_is_newer(
    place: Workplace, target: Target, tmp_path: Path
) -> None:
    found(tmp_path / "day1", "2026-03-02T09:00:00", "OLD")
    found(tmp_path / "day2", "2026-03-03 09:00:00 UTC", "NEW")
    place.run("states", tmp_path / "day1", "--tag", "t")
    last = place.run("states", tmp_path / "day2", "--tag", "t", "--verify-writes")
    assert "1 updated" in last.out
    assert statuses(target) == ["NEW"]


def test_a_search_without_a_date_is_told_and_taken_only_when_that_is_asked_for(
    place: Workplace, target: Target, tmp_path: Path
) -> None:
    found(tmp_path / "day1", "2026-03-02T09:00:00", "OLD")
    found(tmp_path / "day2", "2026-03-03 09:00:00 EST", "NEW")
    place.run("states", tmp_path / "day1", "--tag", "t")
    command = ("states", tmp_path / "day2", "--tag", "t")
    failed = place.run(*command, exit_code=3)
    assert "unknown which is newer" in failed.out
    assert "--if-exists replace" in failed.out
    assert statuses(target) == ["OLD"]
    place.run(*command, "--if-exists", "replace")
    assert statuses(target) == ["NEW"]


def test_a_newer_person_whose_date_ends_in_utc_is_newer(
    place: Workplace, target: Target, tmp_path: Path
) -> None:
    for folder, name, modified in (
        ("people1", "Ada Old", "2026-03-02 10:00:00"),
        ("people2", "Ada New", "2026-03-05 10:00:00 UTC"),
    ):
        record = people.person("n1", modified=modified, full_name=name)
        people.write(tmp_path / folder, "a.json", [record])
        place.run("people", tmp_path / folder, "--tag", "t")
    assert query(target.database_url, "SELECT full_name FROM people.identities") == [("Ada New",)]
    assert people.files(tmp_path / "people2") == []


def test_the_file_of_a_person_whose_date_nobody_can_read_is_kept(
    place: Workplace, target: Target, tmp_path: Path
) -> None:
    source = tmp_path / "trees" / "people"
    people.write(source, "a.json", [people.person("n1", modified="2026-03-05 10:00:00 IST")])
    failed = place.run("people", source, "--tag", "t", exit_code=3)
    assert "profile_last_modified_date cannot be read as a date" in failed.out
    assert people.count(target.database_url) == 0
    assert people.files(tmp_path / "trees" / "failed_uploads") == ["a.errors.json", "a.json"]
