"""Links in a source: what may be read is followed, once; what may not is named, and left alone."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from imports.run.report import RunReport
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.device_tests import add, add_many, status_file
from tests.support.device_tests import rows as folder_rows
from tests.support.people import age, page, person
from tests.support.people import person_ids as people
from tests.support.searches import search
from tests.support.source import png

SECRET = b'{"private_key": "SECRET"}'


@pytest.fixture
def source(bench: Bench) -> Path:
    return bench.source.folder


@pytest.fixture
def home(bench: Bench) -> Path:
    """A folder that nobody said may be read."""
    folder = bench.folder / "home of the user"
    folder.mkdir()
    return folder


@pytest.fixture
def disk(bench: Bench) -> Path:
    """A folder beside the source: links may lead there."""
    folder = bench.source.folder.parent / "disk2"
    folder.mkdir(parents=True)
    return folder


def put(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def link(path: Path, place: Path | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(place)
    return path


def failures(report: RunReport) -> dict[str, str]:
    return {each.path: each.reason for each in report.failures}


def names(bench: Bench) -> list[str]:
    return [row[0] for row in bench.rows("search_name", "search_name")]


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# Folders


def test_a_day_on_another_disk_is_imported_by_way_of_its_link(
    bench: Bench, source: Path, disk: Path
) -> None:
    day = disk / "2026-03-03/FL"
    document = search("On disk 2")
    document["metadata"]["source_image_file"] = "on_disk.png"
    put(day / "b_parse.json", document)
    put(day / "on_disk.png", png(7))
    put(source / "2026-03-02/a_parse.json", search("Here"))
    link(source / "2026-03-03", "../disk2/2026-03-03")
    link(source / "latest", "2026-03-03")
    link(day / "back", "../../../source")
    report = bench.run()
    assert (report.exit_code, failures(report)) == (0, {})
    assert names(bench) == ["Here", "On disk 2"]
    assert len(bench.images()) == 1
    before = bench.versions()
    assert bench.run().nothing_to_do
    assert bench.versions() == before
    assert bench.verify().clean


def test_folders_behind_a_link_are_imported_under_its_path(
    bench: Bench, source: Path, disk: Path
) -> None:
    add(source, "here", {"device_id": "1"})
    add(disk, "line/there", {"device_id": "2"}, {"a.png": png(1)})
    link(source / "line", "../disk2/line")
    link(source / "again", "../disk2/line/there")
    report = bench.run(kind="folders")
    assert (report.exit_code, failures(report)) == (0, {})
    assert [row["folder_path"] for row in folder_rows(bench.url)] == ["here", "line/there"]
    assert status_file(disk / "line/there")["folder"] == "line/there"
    assert bench.run(kind="folders").nothing_to_do
    assert bench.verify(kind="folders").clean


@pytest.mark.parametrize("kind", ["states", "folders", "people"])
def test_a_linked_folder_that_is_passed_over_is_told_of_by_each_run(
    bench: Bench, source: Path, home: Path, kind: str
) -> None:
    put(home / "day/x_parse.json", search("Outside"))
    put(home / "day/stats.json", {"device_id": "Outside"})
    put(source / "a/a_parse.json", search("Inside"))
    put(source / "a/stats.json", {"device_id": "Inside"})
    link(source / "day", home / "day")
    link(source / "not there", bench.folder / "unmounted")
    before = everything(home)
    flags = {
        "kind": kind,
        "on_success": "keep",
        "on_failure": "keep",
        "progress_csv": bench.folder / "progress.csv",
    }
    for _ in range(2):
        report = bench.run(**flags)
        assert report.exit_code == 3
        told = failures(report)
        assert "is a link" in told["day"]
        assert "leads nowhere" in told["not there"]
    assert everything(home) == before
    if kind == "states":
        assert names(bench) == ["Inside"]
        assert bench.run(image_roots=(home,), retry_failed=True).exit_code == 3
        assert names(bench) == ["Inside", "Outside"]


# Files


def test_no_file_is_read_by_a_link_that_leads_out(bench: Bench, source: Path, home: Path) -> None:
    secret = put(home / "credentials.json", SECRET)
    put(home / "search.json", search("Outside"))
    put(source / "good_parse.json", search("Inside"))
    link(source / "a_parse.json", secret)
    link(source / "b_parse.json", home / "search.json")
    link(source / "c_parse.json", "good_parse.json")
    report = bench.run()
    assert report.exit_code == 3
    assert set(failures(report)) == {"a_parse.json", "b_parse.json"}
    assert all("--image-root" in reason for reason in failures(report).values())
    assert names(bench) == ["Inside"]
    assert bench.run(image_roots=(home,), retry_failed=True).exit_code == 3, "no search is in a"
    assert names(bench) == ["Inside", "Outside"]


def test_no_stats_are_read_by_a_link_that_leads_out(
    bench: Bench, source: Path, home: Path, disk: Path
) -> None:
    secret = put(home / "credentials.json", SECRET)
    shared = put(disk / "shared.json", {"device_id": "shared"})
    add(source, "a", None, {"x.png": png(3)})
    link(source / "a/stats.json", secret)
    link(source / "b/stats.json", shared)
    report = bench.run(kind="folders")
    assert report.exit_code == 3
    assert set(failures(report)) == {"a"}
    assert "stats.json cannot be read: leads out" in failures(report)["a"]
    assert [(row["folder_path"], row["device_id"]) for row in folder_rows(bench.url)] == [
        ("b", "shared")
    ]
    assert len(bench.images()) == 1, "its image is stored all the same"
    assert b"SECRET" not in (source / "a/failed.json").read_bytes()
    assert secret.read_bytes() == SECRET


def test_no_file_is_read_moved_or_deleted_by_a_link_that_leads_out(
    bench: Bench, source: Path, home: Path
) -> None:
    put(home / "people.json", page(person("outside")))
    put(home / "private.txt", b"private")
    put(source / "good.json", page(person("inside")))
    link(source / "a.json", home / "people.json")
    link(source / "b.json", home / "private.txt")
    age(source / "good.json")
    before = everything(home)
    for _ in range(2):
        report = bench.run(kind="people", progress_csv=bench.folder / "progress.csv")
        assert report.exit_code == 3
        assert set(failures(report)) == {"a.json", "b.json"}
        # Nothing was moved, so nobody is sent to look for it.
        [command] = report.next_commands
        assert command.startswith("When the causes are mended, this tries the failed ones again")
    assert sorted(path.name for path in source.iterdir()) == ["a.json", "b.json"]
    assert all(path.is_symlink() for path in source.iterdir())
    assert everything(home) == before
    assert everything(bench.source.folder.parent / "failed_uploads") == {}
    assert len(people(bench.url)) == 1


def test_a_source_is_not_consumed_through_a_link_to_a_folder(
    bench: Bench, source: Path, disk: Path
) -> None:
    """Files are deleted only where the user said that they may be."""
    put(disk / "day/a.json", page(person("outside")))
    put(source / "good.json", page(person("inside")))
    link(source / "day", "../disk2/day")
    age(source / "good.json")
    report = bench.run(kind="people", progress_csv=bench.folder / "progress.csv")
    assert report.exit_code == 3
    assert set(failures(report)) == {"day"}
    assert "failed_uploads" not in "".join(report.next_commands)
    assert (disk / "day/a.json").exists()
    assert [path.name for path in source.iterdir()] == ["day"]


# What came after the listing


@pytest.mark.parametrize("kind", ["states", "folders", "people"])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_became_a_link_after_it_was_listed_is_not_read(
    bench: Bench, source: Path, home: Path, kind: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same size and time as what was listed: nothing else would tell."""
    name = "stats.json" if kind == "folders" else "a_parse.json"
    secret = page(person("SECRET")) if kind == "people" else json.dumps(search("SECRET")).encode()
    listed = put(source / "day" / name, secret.replace(b"SECRET", b"listed"))
    put(home / name, secret)
    for path in (listed, home / name):
        os.utime(path, ns=(0, 1_700_000_000 * 10**9))
    before = everything(home)

    def swap(session: object) -> None:
        if what == "file":
            listed.unlink()
            listed.symlink_to(home / name)
        elif not (source / "day").is_symlink():
            shutil.rmtree(source / "day")
            (source / "day").symlink_to(home)
        planned(session)

    from imports.phases import steps

    planned = steps.plan_items
    monkeypatch.setattr(steps, "plan_items", swap)
    report = bench.run(kind=kind, progress_csv=bench.folder / "progress.csv", no_status_files=True)
    assert report.exit_code == 3
    tables = ("search_results", "device_test", "people.identities")
    text = str([query(bench.url, f"SELECT t::text FROM {table} t") for table in tables])
    assert "SECRET" not in text
    assert everything(home) == before


# Status files of others


def test_success_and_failed_files_that_we_did_not_write_stay(bench: Bench, source: Path) -> None:
    folders = add_many(source, 4)
    add(source, "broken", b"{not json")
    (folders[0] / "success.json").write_text('{"mine": true}')
    (folders[1] / "failed.json").write_text("mine too")
    (source / "broken/failed.json").write_text("")
    for _ in range(2):
        report = bench.run(kind="folders", force=True)
        assert report.exit_code == 3
        assert (folders[0] / "success.json").read_text() == '{"mine": true}'
        assert (folders[1] / "failed.json").read_text() == "mine too"
        assert (source / "broken/failed.json").read_text() == ""
        assert json.loads((folders[1] / "success.json").read_bytes())["status"] == "success"
        assert report.count("status_files.foreign") == 3
        assert len(folder_rows(bench.url)) == 4


# Pipes


def test_a_pipe_under_the_name_of_a_draft_holds_nobody_up(bench: Bench, source: Path) -> None:
    folders = add_many(source, 3)
    for folder, name in zip(
        folders, ("success.json", ".success.json.part", "failed.json"), strict=True
    ):
        os.mkfifo(folder / name)
    report = bench.run(kind="folders")
    assert (report.exit_code, len(folder_rows(bench.url))) == (0, 3)
    assert report.count("status_files.foreign") == 2
    assert report.count("status_files.unwritten") == 1


@pytest.mark.parametrize("kind", ["states", "folders", "people"])
def test_what_became_a_pipe_after_it_was_listed_holds_nobody_up(
    bench: Bench, source: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "stats.json" if kind == "folders" else "a_parse.json"
    listed = put(source / "day" / name, b"{}")
    age(listed)

    def swap(session: object) -> None:
        if listed.is_file():
            listed.unlink()
            os.mkfifo(listed)
        planned(session)

    from imports.phases import steps

    planned = steps.plan_items
    monkeypatch.setattr(steps, "plan_items", swap)
    report = bench.run(kind=kind, progress_csv=bench.folder / "progress.csv")
    assert report.exit_code == 3
    assert report.failures
