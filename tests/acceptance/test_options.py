"""What each option does, seen from outside."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.command import Workplace
from tests.support.contents import assets, count, results, stored_images, versions
from tests.support.database import query
from tests.support.searches import generate, png, search, write
from tests.support.target import Target


def test_single_file_alone(place: Workplace, target: Target, small_source: Path) -> None:
    file = next(small_source.rglob("Pharmacy0000002_parse.json"))
    first = place.run("states", "--single-file", file, "--tag", "T")
    assert "1 inserted" in first.out
    assert [row["search_name"] for row in results(target.database_url)] == ["Pharmacy 2"]
    assert len(stored_images(target, place.folder)) == 1
    # It is imported, or at least compared, each time.
    again = place.run("states", "--single-file", file, "--tag", "T")
    assert "1 unchanged" in again.out


def test_single_file_of_a_source(
    pg_place: Workplace, postgresql: Target, small_source: Path
) -> None:
    file = next(small_source.rglob("Pharmacy0000002_parse.json"))
    pg_place.run("states", "--states-dir", small_source, "--single-file", file, "--tag", "T")
    assert pg_place.state["total_files"] == 1
    assert count(postgresql.database_url) == 1
    # The rest follows, and this one is not imported twice.
    whole = pg_place.run("states", "--states-dir", small_source, "--tag", "T")
    assert "11 inserted, 0 updated, 0 skipped, 0 unchanged" in whole.out
    assert "1 were imported before" in whole.out
    # And a single file leaves the others alone.
    pg_place.run("states", "--states-dir", small_source, "--single-file", file, "--tag", "T")
    again = pg_place.run("states", "--states-dir", small_source, "--tag", "T")
    assert "Nothing to do" in again.out
    assert count(postgresql.database_url) == 12


def test_single_file_outside_of_the_source(
    pg_place: Workplace, small_source: Path, tmp_path: Path
) -> None:
    file = write(tmp_path, "x", search())
    told = pg_place.run(*("states", small_source, "--single-file", file, "--tag", "T"), exit_code=2)
    assert "not below the source" in told.err


def test_limit(pg_place: Workplace, postgresql: Target, small_source: Path) -> None:
    for rows, left in ((3, "9 files are left"), (6, "6 files are left"), (9, "3 files")):
        ended = pg_place.run("states", small_source, "--tag", "T", "--limit", "3")
        assert count(postgresql.database_url) == rows
        assert left in ended.out
        assert "3 inserted" in ended.out
    last = pg_place.run("states", small_source, "--tag", "T")
    assert "3 inserted" in last.out
    assert count(postgresql.database_url) == 12
    assert "Nothing to do" in pg_place.run("states", small_source, "--tag", "T").out


def test_force_brings_back_what_was_lost(
    place: Workplace, target: Target, small_source: Path
) -> None:
    place.run("states", small_source, "--tag", "T")
    query(target.database_url, "DELETE FROM search_results WHERE search_name = 'Pharmacy 3'")
    remove_an_image(place, target)
    again = place.run("states", small_source, "--tag", "T", "--force")
    assert "1 inserted, 0 updated, 0 skipped, 11 unchanged" in again.out
    assert count(target.database_url) == 12
    assert len(stored_images(target, place.folder)) == 4


def remove_an_image(place: Workplace, target: Target) -> str:
    """Removes one stored image behind the importer's back; where it was."""
    path: str = assets(target.database_url)[0]["storage_path"]
    if target.supabase_url is None:
        (place.folder / ".importer" / "imagecache" / path).unlink()
        return path
    with httpx.Client(headers={"apikey": target.supabase_key or ""}, trust_env=False) as client:
        client.request(
            "DELETE",
            f"{target.supabase_url}/storage/v1/object/imagecache",
            json={"prefixes": [path]},
        ).raise_for_status()
    return path


def test_logs(pg_place: Workplace, postgresql: Target, tmp_path: Path) -> None:
    source = tmp_path / "source"
    log = pg_place.folder / "resilient_import.log"
    debug_log = pg_place.folder / "resilient_import_debug.log"
    belmar = write(source, "a", search("Belmar", "FL", "PH23408", moment="2025-08-03T10:00:00"))
    write(source, "b", search("Belmar", "FL", "PH24499", moment="2025-08-03T10:00:00"))
    pg_place.run("states", source, "--tag", "T")
    assert log.stat().st_size > 0
    assert not debug_log.exists()

    write(source, "a", search("Belmar", "FL", "PH23408", moment="2025-08-04T10:00:00"))
    write(source, "b", search("Belmar", "FL", "PH24499", moment="2025-08-01T10:00:00"))
    write(source, "c", search("Quill", "TX", None))
    pg_place.run("states", source, "--tag", "T", "--debug-log")
    lines = debug_log.read_text().splitlines()
    assert any(line.endswith("updated Belmar/FL/PH23408") for line in lines)
    assert any(line.endswith("skipped, older Belmar/FL/PH24499") for line in lines)
    assert any("inserted Quill/TX/" in line for line in lines)
    assert any("database.merge: 1 calls, 0 retries, 0 failures, " in line for line in lines)
    assert not any("updated Belmar" in line for line in log.read_text().splitlines())
    assert belmar.exists()

    # A failure is in the log that is always written.
    write(source, "d", b"{")
    pg_place.run("states", source, "--tag", "T", exit_code=3)
    assert "d_parse.json" in log.read_text()


def test_the_later_search_wins_in_any_order(
    pg_place: Workplace, postgresql: Target, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for stem, day in (("a", 2), ("b", 5), ("c", 3), ("d", 5), ("e", 1)):
        moment = f"2025-08-0{day}T10:00:00"
        write(source, stem, search(moment=moment, license_status=f"{stem}{day}"))
    ended = pg_place.run("states", source, "--tag", "T", "--batch-size", 2)
    (row,) = results(postgresql.database_url)
    assert row["license_status"] in ("b5", "d5")
    assert "The same search in more than one file: 1" in ended.out
    before = versions(postgresql.database_url)
    pg_place.run("states", source, "--tag", "T", "--force", "--batch-size", 2)
    assert versions(postgresql.database_url)["search_results"] == before["search_results"]


def test_created_by_and_description(place: Workplace, target: Target, small_source: Path) -> None:
    about = ("--created-by", "Grace H.", "--description", "Second scrape, all states")
    place.run("states", small_source, "--tag", "Aug-04 scrape", *about)
    place.run("states", small_source, "--tag", "Aug-04 scrape")
    found = query(target.database_url, "SELECT kind, tag, created_by, description FROM datasets")
    assert found == [("states", "Aug-04 scrape", "Grace H.", "Second scrape, all states")]


def test_image_root(pg_place: Workplace, postgresql: Target, tmp_path: Path) -> None:
    source, elsewhere = tmp_path / "tree" / "source", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "shot.png").write_bytes(png(1))
    write(source, "a", search("A", image=str(elsewhere / "shot.png")))
    shut = pg_place.run("states", source, "--tag", "T")
    assert "--image-root" in shut.out
    assert results(postgresql.database_url)[0]["image_hash"] is None
    assert stored_images(postgresql, pg_place.folder) == {}

    pg_place.run("states", source, "--tag", "T", "--force", "--image-root", elsewhere)
    (image,) = assets(postgresql.database_url)
    assert results(postgresql.database_url)[0]["image_hash"] == image["content_hash"]
    assert stored_images(postgresql, pg_place.folder) == {
        image["storage_path"]: image["content_hash"]
    }


def test_state_file_elsewhere(pg_place: Workplace, small_source: Path) -> None:
    (pg_place.folder / "elsewhere").mkdir()
    ended = pg_place.run(
        *("states", small_source, "--tag", "T", "--state-file", "elsewhere/mine.json")
    )
    assert "--state-file elsewhere/mine.json" in ended.out
    beside = {path.name for path in (pg_place.folder / "elsewhere").iterdir()}
    assert {"mine.json", "upload_tracker.db", "resilient_import.log"} <= beside
    assert not (pg_place.folder / "work_state.json").exists()
    assert "completed" in pg_place.run("status", "--state-file", "elsewhere/mine.json").out
    pg_place.run("verify", "--state-file", "elsewhere/mine.json")


def test_settings_of_the_document(pg_place: Workplace, postgresql: Target, tmp_path: Path) -> None:
    """Few workers, many workers, one record a batch: the same rows."""
    source = tmp_path / "source"
    generate(source, 30, images=5, image_bytes=1_000)
    found = []
    for tag, options in (
        ("a", ["--batch-size", 1, "--max-workers", 1, "--max-concurrent-uploads", 1]),
        ("b", ["--batch-size", 50, "--max-workers", 32, "--max-concurrent-uploads", 20]),
    ):
        pg_place.run("states", source, "--tag", tag, *options)
        found.append(results(postgresql.database_url))
        query(postgresql.database_url, "DELETE FROM search_results")
    assert found[0] == found[1]
    assert len(found[0]) == 30
