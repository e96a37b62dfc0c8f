"""The kind `folders` on the command line: what the earlier upload manager's users type."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Workplace, wait_until
from tests.support.contents import (
    count,
    held,
    stored_images,
    until_somebody_waits,
    versions,
)
from tests.support.database import query
from tests.support.device_tests import (
    BATCHES_QUERY,
    BROKEN,
    FAILED_QUERY,
    add,
    add_examples,
    add_many,
    ask_ledger,
    rows,
    states_of,
    status_file,
    status_files,
)
from tests.support.searches import search, write
from tests.support.source import png
from tests.support.target import Target

SUMS = "SELECT sum(total_folders), sum(successful_uploads), sum(failed_uploads) FROM upload_batches"
RULE = "=" * 50


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source that a test may change, which has other folders beside it."""
    source = tmp_path / "data"
    source.mkdir()
    return source


def imported(source: Path, *options: object, tag: str = "T") -> list[object]:
    return ["folders", source, "--tag", tag, *options]


def ledger(place: Workplace) -> Path:
    return place.folder / "upload_tracker.db"


def in_order(text: str, *wanted: str) -> None:
    """Checks that lines begin with these words, one after the other."""
    lines = iter(text.splitlines())
    for words in wanted:
        assert any(line.startswith(words) for line in lines), f"{words!r} is not next in:\n{text}"


def typed(place: Workplace, text: str, marker: str) -> None:
    """Types what the importer said to type."""
    line = next(each for each in text.splitlines() if marker in each)
    place.run("-c", line.partition(marker)[2], program=("/bin/sh",))


# folders


def test_the_examples(place: Workplace, target: Target, source: Path) -> None:
    add_examples(source)
    ended = place.run(*imported(source), exit_code=3)
    for words in (
        "📁 Total Folders: 4  |  Images: 4",
        "3 inserted, 0 updated, 0 skipped, 0 unchanged",
        "4 uploaded, 0 already stored, 0 missing",
        "❌ Failed Items: 1",
        "Done, with problems.",
    ):
        assert words in ended.out
    line = next(each for each in ended.out.splitlines() if "Batch57" in each)
    assert "stats.json is not JSON" in line
    assert status_file(source / "Batch57", "failed")["tag"] == "T"
    assert "3 records and 4 images" in place.run("verify", "--deep").out


def test_verify_goes_by_the_last_run(pg_place: Workplace, postgresql: Target, source: Path) -> None:
    """Its kind, its patterns and its ledger need not be named again."""
    add_many(source, 5)
    for folder in source.rglob("Test*"):
        (folder / "stats.json").rename(folder / "result.json")
        (folder / "stats.json").write_bytes(BROKEN)
    (pg_place.folder / "elsewhere").mkdir()
    options = ("--patterns", "result.json, *.png", "--db-path", "elsewhere/my.db")
    pg_place.run(*imported(source, *options))
    assert "5 records" in pg_place.run("verify").out
    os.utime(next(source.rglob("result.json")), (0, 0))
    found = pg_place.run("verify", exit_code=3)
    assert "1 different" in found.out
    typed(pg_place, found.out, "To repair the differences:")
    assert "5 records" in pg_place.run("verify").out
    assert not ledger(pg_place).exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["folders", "--tag", "T"], ["source is missing"]),
        (["folders", "SOURCE"], ["--tag"]),
        (["folders", "SOURCE", "--tag", "T"], ["No folders found", "stats.json", "*.jpg"]),
        (["folders", "SOURCE", "--tag", "T", "--single-file", "x"], ["--single-file"]),
        (["folders", "SOURCE", "--tag", "T", "--batch-delay", "-1"], ["--batch-delay"]),
        (["folders", "SOURCE", "--tag", "T", "--batch-delay", "soon"], ["--batch-delay"]),
        (["folders", "nowhere", "--tag", "T"], ["nowhere", "not a folder"]),
        (["folder"], ["PATH"]),
        (["folder", "nowhere"], ["nowhere", "no such folder"]),
        (["folder", "FILE"], ["no such folder"]),
        (["folder", "SOURCE", "--source", "/usr"], ["not below the source"]),
        (["states", "SOURCE", "--tag", "T", "--no-status-files"], ["--no-status-files"]),
    ],
)
def test_wrong_usage(
    pg_place: Workplace, source: Path, arguments: list[str], words: list[str]
) -> None:
    file = source / "notes.txt"
    file.write_text("x")
    places = {"SOURCE": str(source), "FILE": str(file)}
    told = pg_place.run(*(places.get(each, each) for each in arguments), exit_code=2)
    for word in words:
        assert word in told.err
    assert "Traceback" not in told.text


def test_a_ledger_that_is_none(pg_place: Workplace, source: Path) -> None:
    add(source, "a", {})
    (pg_place.folder / "my.db").write_text("not a database at all, but a text of some length" * 9)
    told = pg_place.run(*imported(source, "--db-path", "my.db"), exit_code=1)
    assert "my.db" in told.err
    assert "Traceback" not in told.text


def test_a_ledger_that_cannot_be_there(pg_place: Workplace, source: Path) -> None:
    add(source, "a", {})
    for path, words in ((source, "is a folder"), ("gone/my.db", "its folder does not exist")):
        told = pg_place.run(*imported(source, "--db-path", path), exit_code=2)
        assert words in told.err
        assert "--db-path" in told.err
        assert "Traceback" not in told.text


def test_a_source_whose_name_is_not_utf_8(pg_place: Workplace, source: Path) -> None:
    odd = os.fsdecode(os.fsencode(source) + b"/b\xe9d")
    try:
        add(Path(odd), "a", {})
    except OSError:
        pytest.skip("this file system takes no such names")
    for command in (imported(Path(odd)), ["folder", odd], ["folder", f"{odd}/a"]):
        told = pg_place.run(*command, exit_code=2)
        assert "not valid UTF-8" in told.err
        assert "Traceback" not in told.text


# The working folder as the source


@pytest.mark.parametrize("debug", [False, True])
def test_the_working_folder_is_imported_without_what_the_importer_left_there(
    pg_place: Workplace, postgresql: Target, debug: bool
) -> None:
    url = postgresql.database_url
    folder = pg_place.folder
    add(folder, ".", {"device_id": "root"}, {"a.png": png(1)})
    add_many(folder, 3, images=3)
    command = ["folders", ".", "--tag", "T", *(["--debug-log"] if debug else [])]
    pg_place.run(*command)
    found = rows(url)
    assert [row["folder_path"] for row in found] == [
        ".",
        *(f"line-{number}/Test{number:05}" for number in range(3)),
    ]
    assert found[0]["file_count"] == 2
    before = versions(url)
    for _ in range(2):
        again = pg_place.run(*command)
        assert "Nothing to do" in again.out
        assert "Folders: 4 were imported before" in again.out
    assert versions(url) == before
    assert "4 records and 3 images" in pg_place.run("verify", "--deep").out


def test_files_in_the_working_folder_are_imported_without_those_of_the_importer(
    pg_place: Workplace, postgresql: Target
) -> None:
    write(pg_place.folder, "a", search())
    command = ("states", ".", "--tag", "T", "--patterns", "*.json")
    pg_place.run(*command)
    assert "Nothing to do" in pg_place.run(*command).out
    assert count(postgresql.database_url, "search_results") == 1


def test_the_working_folder_as_a_single_folder(pg_place: Workplace, postgresql: Target) -> None:
    url = postgresql.database_url
    add(pg_place.folder, ".", {"device_id": "root"}, {"a.png": png(1)})
    assert "(inserted)" in pg_place.run("folder", ".").out
    before = versions(url)
    assert "(unchanged)" in pg_place.run("folder", ".").out
    assert versions(url) == before
    assert "Nothing to do" in pg_place.run("folders", ".", "--tag", "default").out
    (row,) = rows(url)
    assert (row["folder_path"], row["file_count"]) == (".", 2)


def test_the_working_folder_by_both_commands_in_turn(
    pg_place: Workplace, postgresql: Target
) -> None:
    """Each has a work state of its own, which is no part of the source for the other either."""
    url = postgresql.database_url
    add(pg_place.folder, ".", {"device_id": "root"})
    pg_place.run("folders", ".", "--tag", "T")
    before = versions(url)
    assert "(unchanged)" in pg_place.run("folder", ".").out
    assert "Nothing to do" in pg_place.run("folders", ".", "--tag", "T").out
    assert versions(url) == before


# What may be typed next


def test_scan_first_and_then_all(place: Workplace, target: Target, source: Path) -> None:
    add_many(source, 12, images=2)
    scan = place.run(*imported(source, "--scan-only"))
    assert "Scanned only: 12 folders to import." in scan.out
    assert (count(target.database_url, "device_test"), status_files(source)) == (0, {})
    assert stored_images(target, place.folder) == {}
    assert states_of(ledger(place)) == {"pending": 12}
    shown = place.run(*imported(source, "--status"))
    assert "pending: 12" in shown.out
    typed(place, scan.out, "To import:")
    assert count(target.database_url, "device_test") == 12
    assert states_of(ledger(place)) == {"success": 12}


def test_a_scan_after_a_kill_leaves_the_run_to_be_resumed(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    url = postgresql.database_url
    add_many(source, 40, images=4)
    command = imported(source, "--batch-size", 5)
    with held(url, "device_test"), pg_place.started(*command) as running:
        until_somebody_waits(url)
        running.kill()
    unfinished = pg_place.state
    add(source, "new", {})
    scan = pg_place.run(*imported(source, "--scan-only"))
    assert "41 folders to import" in scan.out
    assert "To resume:" in pg_place.run("status").out
    whole = pg_place.run(*command)
    assert "Resuming the run" in whole.err
    assert pg_place.state["run_id"] == unfinished["run_id"]
    assert (count(url, "device_test"), pg_place.counts("import")["inserted"]) == (41, 41)


def test_the_status(pg_place: Workplace, source: Path, tmp_path: Path) -> None:
    add_many(source, 12)
    add(source, "broken", BROKEN)
    pg_place.run(*imported(source, "--batch-size", 5), exit_code=3)
    write(tmp_path / "searches", "a", search())
    pg_place.run("states", tmp_path / "searches", "--tag", "S")
    files = {path: path.read_bytes() for path in pg_place.files("*.json")}

    shown = pg_place.run(*imported(source, "--status")).out
    in_order(
        shown,
        f"STATUS REPORT: folders from {source}, tag T",
        "Total tracked: 13",
        "Status breakdown:",
        "  success: 12",
        "  pending: 0",
        "  failed: 1",
        "Recent batches:",
        "Most frequent failures:",
        "  1 × stats.json is not JSON",
        "      example: broken: stats.json is not JSON",
    )
    assert shown.count(" successful, ") == 3
    assert "states" not in shown
    assert pg_place.run("status", "--kind", "folders").out == shown
    both = pg_place.run("status").out
    assert "tag T" in both
    assert "tag S" in both
    assert pg_place.run("status", "--tag", "S").out.count("STATUS REPORT") == 1
    assert "STATUS REPORT: states" in pg_place.run("status", "--kind", "states").out
    assert "STATUS REPORT" not in pg_place.run("status", "--tag", "nobody").out
    assert {path: path.read_bytes() for path in pg_place.files("*.json")} == files


def test_the_status_for_programs(pg_place: Workplace, source: Path) -> None:
    add_many(source, 12)
    add(source, "broken", BROKEN)
    pg_place.run(*imported(source, "--batch-size", 5), exit_code=3)
    found: dict[str, Any] = json.loads(pg_place.run("status", "--json").out)
    (scope,) = found["scopes"]
    assert (scope["kind"], scope["source"], scope["tag"]) == ("folders", str(source), "T")
    states = [scope[name] for name in ("total", "success", "pending", "failed")]
    assert states == [13, 12, 0, 1]
    assert sorted(each["items"] for each in scope["batches"]) == [2, 5, 5]
    assert scope["causes"][0]["path"] == "broken"
    assert found["last_run"]["batch_id"] == pg_place.state["batch_id"]
    nothing = json.loads(pg_place.run("status", "--json", "--tag", "nobody").out)
    assert nothing == {"scopes": [], "last_run": None, "unfinished": []}


def test_the_status_changes_no_ledger(bare_place: Workplace, source: Path) -> None:
    ledger(bare_place).touch()
    for command in (["status"], ["status", "--json"], ["folders", source, "--status"]):
        bare_place.run(*command)
    assert bare_place.files() == [ledger(bare_place)]
    assert ledger(bare_place).read_bytes() == b""
    assert "--kind" in bare_place.run("status", "--kind", "folder", exit_code=2).err


def test_the_status_before_any_run(bare_place: Workplace, source: Path) -> None:
    assert "No run yet" in bare_place.run("folders", source, "--status").out
    assert json.loads(bare_place.run("status", "--json").out) == {
        "scopes": [],
        "last_run": None,
        "unfinished": [],
    }
    assert bare_place.files() == []


def test_the_queries_of_the_document(pg_place: Workplace, source: Path) -> None:
    add_examples(source)
    pg_place.run(*imported(source, "--batch-size", 2), exit_code=3)
    ((name, reason),) = ask_ledger(ledger(pg_place), FAILED_QUERY)
    assert (name, reason.partition(":")[0]) == ("Batch57", "stats.json is not JSON")
    batches = ask_ledger(ledger(pg_place), BATCHES_QUERY)
    assert sorted(row[1:] for row in batches) == [(1, 0), (2, 0)]
    columns = {
        "folder_status": "folder_path, folder_name, last_modified, file_count, file_hash,"
        " upload_status, upload_timestamp, error_message, retry_count, created_at, updated_at",
        "upload_batches": "batch_id, batch_name, total_folders, successful_uploads,"
        " failed_uploads, start_time, end_time, status, created_at",
    }
    for view, names in columns.items():
        assert ask_ledger(ledger(pg_place), f"SELECT {names} FROM {view}")
    before = ask_ledger(
        ledger(pg_place),
        "SELECT upload_timestamp FROM folder_status WHERE upload_status = 'success'",
    )
    assert all(row[0] > 1_700_000_000 for row in before)
    assert len(before) == 3


def test_failures_are_given_up_and_taken_up_again(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    add_many(source, 3)
    add(source, "broken", BROKEN)
    command = imported(source, "--max-retries", 1)
    assert "Given up" not in pg_place.run(*command, exit_code=3).out
    told = pg_place.run(*command, exit_code=3)
    assert "Given up: 1 that failed too often" in told.out
    assert pg_place.state["failed_items"][0]["tries"] == 1
    assert "--retry-failed" in pg_place.run("status").out.splitlines()[-1]
    pg_place.run(*command, "--retry-failed", exit_code=3)
    assert pg_place.state["failed_items"][0]["tries"] == 2
    (source / "broken" / "stats.json").write_text("{}")
    assert "1 inserted" in pg_place.run(*command).out
    assert count(postgresql.database_url, "device_test") == 4


def test_a_ledger_elsewhere(pg_place: Workplace, source: Path) -> None:
    elsewhere = pg_place.folder / "led gers"
    elsewhere.mkdir()
    add_many(source, 6)
    option = ("--db-path", "led gers/my.db")
    scan = pg_place.run(*imported(source, "--scan-only", *option))
    assert states_of(elsewhere / "my.db") == {"pending": 6}
    typed(pg_place, scan.out, "To import:")
    assert states_of(elsewhere / "my.db") == {"success": 6}
    assert "Nothing to do" in pg_place.run(*imported(source, *option)).out
    assert "success: 6" in pg_place.run("status", *option).out
    assert "success: 6" in pg_place.run(*imported(source, "--status", *option)).out
    told = pg_place.run("folder", source / "line-1" / "Test00001", *option)
    assert "(unchanged)" in told.out
    add(source, "broken", BROKEN)
    failed = pg_place.run(*imported(source, *option), exit_code=3)
    assert "--db-path 'led gers/my.db'" in failed.out
    assert "--db-path 'led gers/my.db'" in pg_place.run("status", *option).out
    assert not ledger(pg_place).exists()


def test_the_status_finds_the_ledger_of_the_last_run(pg_place: Workplace, source: Path) -> None:
    add_many(source, 6)
    pg_place.run(*imported(source, "--db-path", "my.db"))
    assert "success: 6" in pg_place.run("status").out
    assert "success: 6" in pg_place.run(*imported(source, "--status")).out


def test_variables_stand_for_the_options(pg_place: Workplace, source: Path) -> None:
    add_many(source, 4)
    add(source, "other", None, {"result.json": b"{}"})
    environment = {
        "IMPORTER_TAG": "T",
        "IMPORTER_PATTERNS": "stats.json,result.json",
        "IMPORTER_DB_PATH": "my.db",
        "IMPORTER_BATCH_SIZE": "2",
        "IMPORTER_BATCH_DELAY": "0.01",
        "IMPORTER_NO_STATUS_FILES": "true",
    }
    pg_place.run("folders", source, environment=environment)
    assert states_of(pg_place.folder / "my.db") == {"success": 5}
    assert ask_ledger(pg_place.folder / "my.db", SUMS) == [(5, 5, 0)]
    assert status_files(source) == {}
    shown = pg_place.run("folders", source, "--status", environment=environment)
    assert "success: 5" in shown.out


# folder


def test_a_folder_is_not_taken_for_another_with_its_path_and_tag(
    pg_place: Workplace, postgresql: Target, source: Path, tmp_path: Path
) -> None:
    add(source, "a", {"device_id": "first"})
    pg_place.run("folder", source / "a")
    other = add(tmp_path, "elsewhere/a", {"device_id": "second"})
    told = pg_place.run("folder", other, exit_code=2)
    assert "--tag" in told.err
    assert str(source) in told.err
    assert [row["device_id"] for row in rows(postgresql.database_url)] == ["first"]
    pg_place.run("folder", other, "--tag", "Other")
    assert [row["device_id"] for row in rows(postgresql.database_url, "Other")] == ["second"]
    assert "(unchanged)" in pg_place.run("folder", source / "a").out


def test_a_named_work_state_of_a_larger_run_is_left_alone(
    pg_place: Workplace, source: Path
) -> None:
    add_many(source, 3)
    option = ("--state-file", "mine.json")
    pg_place.run(*imported(source, *option))
    before = (pg_place.folder / "mine.json").read_bytes()
    told = pg_place.run("folder", source / "line-1" / "Test00001", *option)
    assert "(unchanged)" in told.out
    assert (pg_place.folder / "mine.json").read_bytes() == before
    assert (pg_place.folder / "mine.folder.json").exists()


def test_a_single_folder_tells_its_story(place: Workplace, target: Target, source: Path) -> None:
    add_examples(source)
    told = place.run("folder", source / "Batch54")
    in_order(
        told.out,
        "🚀 Quick Upload",
        RULE,
        "📁 Uploading folder: Batch54",
        "📸 Found 1 image files",
        "📊 Found stats.json file",
        "✅ Loaded stats.json successfully",
        "🏷️  Test status: passed",
        "🚀 Execut",
        "✅ Successfully uploaded folder: Batch54",
        "📄 Created success.json in Batch54",
        RULE,
        "✅ Upload completed successfully!",
    )
    (row,) = rows(target.database_url)
    assert (row["folder_path"], row["image_count"]) == ("Batch54", 1)
    assert len(stored_images(target, place.folder)) == 1
    assert list(status_files(source)) == ["Batch54/success.json"]
    # It is imported, or at least compared, each time.
    before = versions(target.database_url)
    again = place.run("folder", source / "Batch54")
    assert "(unchanged)" in again.out
    assert versions(target.database_url) == before
    (source / "Batch54" / "shot.png").unlink()
    changed = place.run("folder", source / "Batch54", "--no-status-files")
    in_order(changed.out, "📸 Found 0 image files", "✅ Successfully uploaded folder: Batch54")
    assert "success.json" not in changed.out
    assert rows(target.database_url)[0]["images"] == []


def test_a_single_folder_that_fails(pg_place: Workplace, postgresql: Target, source: Path) -> None:
    add_examples(source)
    told = pg_place.run("folder", source / "Batch57", exit_code=3)
    in_order(
        told.out,
        "📁 Uploading folder: Batch57",
        "📸 Found 0 image files",
        "📊 Found stats.json file",
        "❌ stats.json is not JSON",
        "❌ Not uploaded: stats.json is not JSON",
        "📄 Created failed.json in Batch57",
        "❌ Upload failed",
    )
    assert "successfully" not in told.out
    assert "Executed database insert" not in told.out
    assert "Traceback" not in told.text
    assert status_file(source / "Batch57", "failed")["folder"] == "Batch57"
    assert count(postgresql.database_url, "device_test") == 0


def test_a_single_folder_belongs_to_the_source_that_had_it(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    """Its row is the one that the large import wrote: source and tag are in the ledger."""
    url = postgresql.database_url
    add_many(source, 12)
    pg_place.run(*imported(source, tag="Mine"))
    state = pg_place.state
    folder = source / "line-3" / "Test00003"
    (folder / "stats.json").write_text('{"test_status": "passed at last"}')
    told = pg_place.run("folder", folder)
    assert "(updated)" in told.out
    found = {row["folder_path"]: row["test_status"] for row in rows(url, "Mine")}
    assert (len(found), found["line-3/Test00003"]) == (12, "passed at last")
    assert count(url, "datasets") == 1
    # One that no import has had yet.
    add(source, "line-3/New", {})
    pg_place.run("folder", source / "line-3" / "New")
    assert "line-3/New" in {row["folder_path"] for row in rows(url, "Mine")}
    assert pg_place.state == state
    assert "Nothing to do" in pg_place.run(*imported(source, tag="Mine")).out
    # With another tag it is another row, under the same path.
    pg_place.run("folder", folder, "--tag", "Other", "--source", source)
    assert [row["folder_path"] for row in rows(url, "Other")] == ["line-3/Test00003"]
    ambiguous = pg_place.run("folder", folder, exit_code=2)
    assert "Mine, Other" in ambiguous.err
    assert "--tag" in ambiguous.err


def test_a_single_folder_does_not_disturb_an_unfinished_run(
    place: Workplace, target: Target, source: Path
) -> None:
    url = target.database_url
    add_many(source, 40, images=4)
    command = imported(source, "--batch-size", 5)
    with held(url, "device_test"), place.started(*command) as running:
        until_somebody_waits(url)
        running.kill()
    work_state = (place.folder / "work_state.json").read_bytes()
    told = place.run("folder", source / "line-2" / "Test00002")
    assert "✅ Upload completed successfully!" in told.out
    assert (place.folder / "work_state.json").read_bytes() == work_state
    assert "line-2/Test00002" in {row["folder_path"] for row in rows(url, "T")}
    whole = place.run(*command)
    assert "Resuming the run" in whole.err
    assert len(rows(url, "T")) == 40
    assert count(url, "datasets") == 1
    assert len(stored_images(target, place.folder)) == 4
    assert len(status_files(source)) == 40
    assert states_of(ledger(place)) == {"success": 40}
    place.run("verify", "--deep")


def test_a_single_folder_while_a_run_is_under_way(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    url = postgresql.database_url
    add_many(source, 40)
    single = ("folder", source / "line-9" / "Test00039")
    with pg_place.started(*imported(source, "--batch-size", 5)) as running:
        with contextlib.ExitStack() as beside:
            with held(url, "device_test"):
                until_somebody_waits(url)
                other = beside.enter_context(pg_place.started(*single))
                wait_until(lambda: "Uploading folder: Test00039" in other.out)
            told = other.finish(0)
        running.finish(0)
    assert "✅ Upload completed successfully!" in told.out
    assert len(rows(url)) == 40
    assert states_of(ledger(pg_place)) == {"success": 40}
    assert pg_place.state["status"] == "completed"


def test_an_image_alone_makes_a_folder(pg_place: Workplace, source: Path) -> None:
    folder = add(source, "a", None, {"only.png": png(1)})
    told = pg_place.run("folder", folder)
    in_order(told.out, "📁 Uploading folder: a", "📸 Found 1 image files", "🚀 Execut")
    assert "stats.json" not in told.out


def test_a_folder_that_is_no_work_item(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    """What an import of its source would pass by is not imported by itself either."""
    add_examples(source)
    told = pg_place.run("folder", source / "empty_folder", exit_code=2)
    assert "empty_folder" in told.err
    assert "stats.json" in told.err
    assert "Successfully" not in told.out
    assert count(postgresql.database_url, "device_test") == 0


def test_what_a_failed_folder_says_to_type(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    folder = add(source, "broken", BROKEN)
    told = pg_place.run("folder", folder, exit_code=3)
    (folder / "stats.json").write_text("{}")
    typed(pg_place, told.out, "retry the failed ones:")
    assert count(postgresql.database_url, "device_test") == 1


def test_no_status_files_stays_so(pg_place: Workplace, postgresql: Target, source: Path) -> None:
    """In what it says to type, and in a repair."""
    add_many(source, 3)
    scan = pg_place.run(*imported(source, "--scan-only", "--no-status-files"))
    typed(pg_place, scan.out, "To import:")
    assert status_files(source) == {}
    pg_place.run(*imported(source, "--force", "--no-status-files"))
    query(postgresql.database_url, "DELETE FROM device_test WHERE folder_name = 'Test00001'")
    pg_place.run("verify", "--repair")
    assert count(postgresql.database_url, "device_test") == 3
    assert status_files(source) == {}


def test_images_that_a_run_from_within_a_source_stored_there_are_no_folders_of_a_later_one(
    pg_place: Workplace, postgresql: Target, source: Path
) -> None:
    add(source, "a", images={"x.png": png()})
    inside = Workplace(source, pg_place.environment)
    inside.run("folders", ".", "--tag", "T")
    assert (source / ".importer" / "imagecache").is_dir()
    pg_place.run(*imported(source))
    assert [row["folder_path"] for row in rows(postgresql.database_url)] == ["a"]
