"""What would take too much memory fails alone, and the others go in."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import Workplace
from tests.support.contents import count
from tests.support.source import Source, license_
from tests.support.target import Target


def test_a_file_whose_rows_would_fill_the_memory_fails_alone(
    place: Workplace, target: Target, tmp_path: Path
) -> None:
    source = Source(tmp_path / "source")
    source.add_many(5, prefix="good")
    # Half a megabyte beside 400 licences: each of these has a row that repeats it.
    many = [license_(f"Q{number}") for number in range(400)]
    source.add("bad", licenses=many, notes="w" * 500_000)
    ended = place.run("states", source.folder, "--tag", "t", exit_code=3)
    assert "5 inserted" in ended.out
    assert "bad_parse.json: is too large to import: its rows take more than 64 MiB" in ended.out
    assert count(target.database_url, "search_results") == 5


def test_a_file_of_more_values_than_memory_can_hold_fails_alone(
    pg_place: Workplace, postgresql: Target, tmp_path: Path
) -> None:
    source = Source(tmp_path / "source")
    source.add_many(5, prefix="good")
    content = source.add("bad").read_bytes()
    source.write("bad_parse.json", content[:-1] + b',"x":[' + b"[]," * 5_000_000 + b"1]}")
    ended = pg_place.run("states", source.folder, "--tag", "t", exit_code=3)
    assert "5 inserted" in ended.out
    assert "bad_parse.json: has so many values" in ended.out
    assert count(postgresql.database_url, "search_results") == 5
