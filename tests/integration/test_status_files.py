"""`success.json` and `failed.json`: written into each folder, and never a reason for anything."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from imports import ResilientImporter
from imports.cli.report import render_report
from imports.items.images import storage_path
from imports.run.display import SilentDisplay
from tests.support.bench import Bench
from tests.support.device_tests import (
    BROKEN,
    add,
    add_examples,
    add_many,
    ask_ledger,
    rows,
    run,
    status_file,
    status_files,
)
from tests.support.proxy import STORE_IMAGE, http_answer
from tests.support.source import png


class Listener(SilentDisplay):
    """Hears what is said to the user."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def test_what_they_say(bench: Bench) -> None:
    source = add_examples(bench.source.folder)
    report = run(bench)
    for path, files, test_status in (
        ("Batch54", ["shot.png", "stats.json"], "passed"),
        ("Batch55", ["a.jpg", "b.png", "stats.json"], "failed"),
        ("nested/line-2/Batch56", ["only_image.png"], "pending"),
    ):
        content = status_file(source / path)
        assert content["timestamp"] == content["time"]
        moment = datetime.fromisoformat(content.pop("time"))
        assert report.state.start_time <= moment <= report.state.last_update
        del content["timestamp"]
        images = sum(not name.endswith(".json") for name in files)
        assert content == {
            "written_by": "resilient-importer",
            "status": "success",
            "folder": path,
            "batch_id": report.state.run_name,
            "tag": "test",
            "target": report.state.target,
            "counts": {"images": images, "inserted": 1},
            "uploaded_files": files,
            "test_status": test_status,
            "upload_batch": report.state.run_name,
        }
    failed = status_file(source / "Batch57", "failed")
    assert (failed["status"], failed["folder"], failed["phase"]) == (
        "failed",
        "Batch57",
        "planning",
    )
    assert failed["reason"] == failed["error"] == report.failures[0].reason
    assert failed["batch_id"] == failed["upload_batch"] == report.state.run_name
    assert failed["timestamp"] == failed["time"]
    assert not any((source / "empty_folder").glob("*.json"))
    assert len(status_files(source)) == 4


def test_the_source_itself_may_be_a_folder_of_the_kind(bench: Bench) -> None:
    source = bench.source.folder
    add(source, ".", {"device_id": "root"}, {"a.png": png(1)})
    assert run(bench).exit_code == 0
    assert status_file(source)["folder"] == "."
    (row,) = rows(bench.url)
    assert (row["folder_path"], row["folder_name"], row["file_count"]) == (".", source.name, 2)
    assert run(bench).nothing_to_do
    found = ask_ledger(
        bench.settings().ledger_file, "SELECT folder_path, folder_name FROM folder_status"
    )
    assert found == [(str(source), source.name)]


def test_each_is_replaced_by_the_other(bench: Bench) -> None:
    source = bench.source.folder
    folder = add(source, "a", {"device_id": "D"}, {"a.png": png(1)})
    with_none = add(source, "b", BROKEN)
    run(bench)
    assert status_file(folder)["counts"] == {"images": 1, "inserted": 1}
    assert "not JSON" in status_file(with_none, "failed")["reason"]

    (folder / "stats.json").write_bytes(BROKEN)
    add(source, "b", {})
    first = run(bench)
    assert status_file(folder, "failed")["phase"] == "import"
    assert status_file(with_none)["batch_id"] == first.state.run_name

    (folder / "stats.json").write_text('{"device_id": "E"}')
    second = run(bench)
    assert status_file(folder)["counts"] == {"images": 1, "updated": 1}
    assert status_file(folder)["batch_id"] == second.state.run_name
    assert status_file(with_none)["batch_id"] == first.state.run_name


def test_they_are_no_part_of_the_folder(bench: Bench) -> None:
    """Neither written nor removed nor foreign ones are a change, and none is stats."""
    source = bench.source.folder
    folders = add_many(source, 6)
    add(source, "only status", None, {"success.json": b"{}", "failed.json": b"{}"})
    (folders[0] / "success.json").write_text("an old one, of another program")
    assert run(bench).state.total_files == 6
    assert {row["file_count"] for row in rows(bench.url)} == {1}
    assert (folders[0] / "success.json").read_text() == "an old one, of another program"
    before = bench.versions()
    assert run(bench).nothing_to_do
    (folders[1] / "success.json").unlink()
    (folders[2] / "success.json").write_text("scribbled over")
    (folders[3] / "failed.json").write_text("{}")
    (folders[4] / ".success.json.part").write_text("left by a kill")
    assert run(bench).nothing_to_do
    assert bench.versions() == before
    assert bench.verify(kind="folders").clean


def test_none_are_written_if_so_wished(bench: Bench) -> None:
    source = add_examples(bench.source.folder)
    report = run(bench, no_status_files=True)
    assert (report.exit_code, len(rows(bench.url))) == (3, 3)
    assert status_files(source) == {}
    # Later with them: what is imported is not told of again, what fails again is.
    run(bench)
    assert list(status_files(source)) == ["Batch57/failed.json"]


def test_a_kind_of_files_has_none(bench: Bench) -> None:
    bench.source.add_many(3)
    bench.source.write("bad_parse.json", b"{")
    bench.run()
    assert status_files(bench.source.folder) == {}


def test_an_image_that_cannot_be_stored(bench: Bench) -> None:
    folder = add(bench.source.folder, "a", {}, {"a.png": png(1)})
    add_many(bench.source.folder, 2)
    if bench.target.supabase_url is None:
        place = storage_path(hashlib.sha256(png(1)).hexdigest(), "png")
        (bench.data_folder / "imagecache" / place).mkdir(parents=True)  # a folder is in the way
    else:
        proxy = bench.proxied()
        proxy.add(STORE_IMAGE, action="answer", answer=http_answer("400 Bad Request", b"{}"))
    report = run(bench)
    assert report.exit_code == 3
    failed = status_file(folder, "failed")
    assert failed["phase"] == "upload"
    assert failed["reason"] == report.failures[0].reason
    assert len(rows(bench.url)) == 2


@pytest.fixture
def unwritable(bench: Bench) -> Iterator[list[Path]]:
    """Folders into which no status file can be written, by whomever: the draft's name is taken."""
    folders = add_many(bench.source.folder, 30, images=2)
    folders.append(add(bench.source.folder, "broken", BROKEN))
    for folder in folders[5:]:
        for name in (".success.json.part", ".failed.json.part"):
            (folder / name).mkdir()
    yield folders
    shutil.rmtree(bench.source.folder)


def test_where_they_cannot_be_written_one_warning_is_given(
    bench: Bench, unwritable: list[Path]
) -> None:
    listener = Listener()
    settings = bench.settings(kind="folders", batch_size=5)
    report = ResilientImporter(settings, listener).run()
    assert (report.exit_code, len(rows(bench.url))) == (3, 30)
    warnings = [text for text in listener.said if "cannot be written" in text]
    assert len(warnings) == 1
    assert "--no-status-files" in warnings[0]
    assert report.count("status_files.unwritten") == 26
    assert "Status files: 26 not written" in render_report(report)
    assert [path for path, _ in report.warnings] == []
    written = [folder for folder in unwritable if (folder / "success.json").exists()]
    assert written == unwritable[:5]
    assert run(bench).count("planning.unchanged") == 30


def test_of_files_that_are_not_ours_one_warning_names_the_first_and_the_report_how_many(
    bench: Bench,
) -> None:
    for folder in add_many(bench.source.folder, 3):
        (folder / "success.json").write_text("done")
    listener = Listener()
    report = ResilientImporter(bench.settings(kind="folders", batch_size=1), listener).run()
    assert (report.exit_code, len(rows(bench.url))) == (0, 3)
    (warning,) = [text for text in listener.said if "success.json" in text]
    assert "is not a file of the importer" in warning
    assert "Status files: 3 not written by the importer stay unchanged" in render_report(report)


def test_a_link_in_the_place_of_a_draft_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    """A source may come from anybody: no file elsewhere is overwritten by way of it."""
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    folder = add(bench.source.folder, "a", {})
    (folder / ".success.json.part").symlink_to(mine)
    (folder / "success.json").symlink_to(mine)
    report = run(bench)
    assert report.exit_code == 0
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["success.json", "failed.json"])
def test_a_folder_in_the_place_of_one_is_left_alone(bench: Bench, name: str) -> None:
    """And no draft is left beside it."""
    folder = add(bench.source.folder, "a", {} if name == "success.json" else BROKEN)
    (folder / name).mkdir()
    report = run(bench)
    assert report.count("status_files.foreign") == 1
    assert [each.name for each in folder.glob(".*")] == []
    assert (folder / name).is_dir()
