"""Pictures that come later, or cannot be read once, as a user meets them."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import pytest

from tests.support.command import MODULE, Workplace
from tests.support.contents import held, stored_images, until_somebody_waits, versions
from tests.support.database import query
from tests.support.searches import png, search, write
from tests.support.target import Target

FEW_FILES = ("/bin/sh", "-c", 'ulimit -n 30; exec "$0" "$@"', *MODULE)
"""The command, where no more than 30 files may be open."""


def hashes(url: str) -> list[bool]:
    """Whether the searches have their pictures, by name."""
    rows = query(url, "SELECT image_hash IS NOT NULL FROM search_results ORDER BY search_name")
    return [has for (has,) in rows]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two searches, whose pictures are not there."""
    source = tmp_path / "source"
    for name in ("a", "b"):
        write(source, name, search(name, image=f"/srv/shots/FL/{name}.png"))
    (source / "FL").mkdir()
    return source


def test_a_picture_that_arrives_is_taken_in_by_the_same_command(
    place: Workplace, target: Target, source: Path
) -> None:
    url = target.database_url
    command = ("states", source, "--tag", "T")
    first = place.run(*command)
    assert "Imported with a warning: 2" in first.out
    before = versions(url)
    second = place.run(*command)
    assert "a_parse.json: image '/srv/shots/FL/a.png' was not found" in second.out
    assert "Images still missing: 2 (2 not found)" in second.out
    assert "Images still missing: 2" in place.run("verify").out
    assert versions(url) == before

    (source / "FL" / "a.png").write_bytes(png(1))
    found = place.run("verify", exit_code=3)
    assert "an image that was missing or damaged at its import is there now" in found.out
    third = place.run(*command, "--verify-writes")
    assert "0 inserted, 1 updated" in third.out
    assert "Images still missing: 1" in third.out
    assert hashes(url) == [True, False]
    assert len(stored_images(target, place.folder)) == 1

    before = versions(url)
    fourth = place.run(*command)
    assert "Nothing to do" in fourth.out
    assert versions(url) == before


def test_all_warnings_can_be_listed(pg_place: Workplace, source: Path) -> None:
    assert pg_place.run("status", "--warnings").out == ""
    pg_place.run("states", source, "--tag", "T")
    shown = pg_place.run("status").out
    assert "Images still missing: 2" in shown
    assert "--warnings lists them" in shown
    assert pg_place.run("status", "--warnings").out.splitlines() == [
        f"{name}_parse.json: image '/srv/shots/FL/{name}.png' was not found" for name in ("a", "b")
    ]
    assert len(pg_place.run("status", "--warnings", "--limit", "1").out.splitlines()) == 1
    assert pg_place.run("status", "--warnings", "--kind", "folders").out == ""
    assert pg_place.run("status", "--warnings", "--tag", "other").out == ""
    lines = pg_place.run("status", "--warnings", "--json").out.splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["a_parse.json", "b_parse.json"]
    assert json.loads(lines[0])["warnings"] == ["image '/srv/shots/FL/a.png' was not found"]
    (scope,) = json.loads(pg_place.run("status", "--json").out)["scopes"]
    assert (scope["warned"], scope["images_not_found"], scope["images_unusable"]) == (2, 2, 0)
    pg_place.run("status", "--limit", "1", exit_code=2)


def test_killed_while_what_has_come_is_imported(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    url = postgresql.database_url
    command = ("states", source, "--tag", "T")
    pg_place.run(*command)
    for number, name in enumerate(("a", "b")):
        (source / "FL" / f"{name}.png").write_bytes(png(number))
    with held(url), pg_place.started(*command) as running:
        until_somebody_waits(url)
        running.kill()
    assert hashes(url) == [False, False]
    assert "Resuming" in pg_place.run(*command).err
    assert hashes(url) == [True, True]
    pg_place.run("verify", "--deep")


def test_with_few_files_that_may_be_open_no_image_is_left_out(
    pg_place: Workplace, postgresql: Target, tmp_path: Path
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 30:
        pytest.skip("even fewer may be open")
    source = tmp_path / "source"
    for number in range(300):
        file = write(source, f"{number}", search(f"{number}", image=f"{number}.png"))
        file.with_name(f"{number}.png").write_bytes(png(number))
    pg_place.run("states", source, "--tag", "T", program=FEW_FILES)
    assert hashes(postgresql.database_url) == [True] * 300
    pg_place.run("verify", "--deep", program=FEW_FILES)


CHANGING = """
import sys
from pathlib import Path
from imports import ResilientImporter, load_settings

if __name__ == "__main__":
    with ResilientImporter(load_settings(source=sys.argv[1], tag="T")) as importer:
        importer.plan_work()
        {change}
        importer.compute_sha256_hashes()
        importer.upload_images()
        importer.import_search_results()
"""


def changing(change: str) -> tuple[str, ...]:
    """A program that imports a source, and changes the image `path` between two phases."""
    return (sys.executable, "-c", CHANGING.replace("{change}", f"path = sys.argv[2]; {change}"))


def test_an_image_that_grew_while_a_run_was_under_way_is_taken_in_by_the_next(
    place: Workplace, target: Target, source: Path
) -> None:
    url = target.database_url
    for number, name in enumerate(("a", "b")):
        (source / "FL" / f"{name}.png").write_bytes(png(number))
    place.run(source, source / "FL" / "a.png", program=changing('open(path, "ab").write(b"more")'))
    assert hashes(url) == [True], "the other one goes in"
    assert "Failed Items: 0" in place.run("states", source, "--tag", "T").out
    assert hashes(url) == [True, True]
    assert "2 records and 2 images match their files" in place.run("verify", "--deep").out


def test_an_image_that_is_gone_before_it_is_read_fails_its_file_and_is_missing_for_the_next_run(
    place: Workplace, target: Target, source: Path
) -> None:
    url = target.database_url
    for number, name in enumerate(("a", "b")):
        (source / "FL" / f"{name}.png").write_bytes(png(number))
    place.run(source, source / "FL" / "a.png", program=changing("Path(path).unlink()"))
    assert hashes(url) == [True]
    failed = json.loads(place.run("status", "--json").out)["scopes"][0]
    assert (failed["failed"], failed["causes"][0]["phase"]) == (1, "sha256")
    shown = place.run("states", source, "--tag", "T")
    assert "Images still missing: 1 (1 not found)" in shown.out
    assert hashes(url) == [False, True]


def test_rows_of_images_that_were_deleted_or_changed_are_found_and_repaired(
    place: Workplace, target: Target, source: Path
) -> None:
    url = target.database_url
    for number, name in enumerate(("a", "b")):
        (source / "FL" / f"{name}.png").write_bytes(png(number))
    place.run("states", source, "--tag", "T")
    rows = query(url, "SELECT content_hash, storage_path, width FROM image_assets ORDER BY 1")
    query(
        url,
        "SET LOCAL session_replication_role = replica; DELETE FROM image_assets"
        " WHERE content_hash = (SELECT min(content_hash) FROM image_assets)",
    )
    query(url, "UPDATE image_assets SET width = 9, storage_path = 'x'")
    found = place.run("verify", exit_code=3)
    assert "1 different, 1 missing" in found.out
    assert f"image_assets/{rows[0][0]}" in found.out
    assert "storage_path is 'x', should be 'sha256/" in found.out
    assert "2 records and 2 images match their files" in place.run("verify", "--repair").out
    assert query(url, "SELECT content_hash, storage_path, width FROM image_assets ORDER BY 1") == (
        rows
    )
    place.run("verify", "--deep")
