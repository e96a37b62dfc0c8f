from __future__ import annotations

import contextlib
import json
import os
import pickle
import socket
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imports.items.phase import Phase
from imports.items.source import Source
from imports.kinds.folders import FOLDERS
from imports.kinds.kind import as_told
from imports.source import status_files
from imports.source.status_files import StatusFiles, Unwritten, is_status_file
from tests.support.patience import within_seconds


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "line-2/Batch54").mkdir(parents=True)
    return folder


@pytest.fixture
def batch(source: Path) -> Path:
    return source / "line-2/Batch54"


PATH = "line-2/Batch54"


def files(source: Path, run_name: str = "batch_1") -> StatusFiles:
    place = Source(str(source), ())
    return StatusFiles(place, run_name, "Nov-line", "PostgreSQL, mydb at db", as_told)


def succeed(source: Path, path: str = PATH, **counts: int) -> list[Unwritten]:
    return files(source).succeed([(path, counts, {})])


def fail(source: Path, reason: str = "is empty", path: str = PATH) -> list[Unwritten]:
    return files(source).fail(Phase.IMPORT, [(path, reason)])


def content(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_what_went_in_is_told_with_run_time_target_and_counts(source: Path, batch: Path) -> None:
    began = datetime.now(UTC)
    assert succeed(source, inserted=1, images=2) == []
    found = content(batch / "success.json")
    assert abs(datetime.fromisoformat(found.pop("time")) - began) < timedelta(minutes=1)
    assert found == {
        "written_by": "resilient-importer",
        "status": "success",
        "folder": PATH,
        "batch_id": "batch_1",
        "tag": "Nov-line",
        "target": "PostgreSQL, mydb at db",
        "counts": {"inserted": 1, "images": 2},
    }
    assert names(batch) == ["success.json"]


def test_what_failed_is_told_with_run_time_target_phase_and_reason(
    source: Path, batch: Path
) -> None:
    assert fail(source, "stats.json is not JSON: “{”") == []
    found = content(batch / "failed.json")
    assert datetime.fromisoformat(found.pop("time")).tzinfo is not None
    assert found == {
        "written_by": "resilient-importer",
        "status": "failed",
        "folder": PATH,
        "batch_id": "batch_1",
        "tag": "Nov-line",
        "target": "PostgreSQL, mydb at db",
        "phase": "import",
        "reason": "stats.json is not JSON: “{”",
    }
    assert names(batch) == ["failed.json"]


def test_one_file_replaces_the_other(source: Path, batch: Path) -> None:
    fail(source)
    succeed(source)
    assert names(batch) == ["success.json"]
    fail(source)
    assert names(batch) == ["failed.json"]


def test_a_file_of_an_earlier_run_is_replaced(source: Path, batch: Path) -> None:
    files(source, "longer than the next one " * 100).succeed([(PATH, {}, {})])
    succeed(source)
    files(source, "batch_2").succeed([(PATH, {}, {})])
    assert content(batch / "success.json")["batch_id"] == "batch_2"
    assert names(batch) == ["success.json"]


def test_several_folders_are_told_each_its_own(source: Path) -> None:
    for name in ("a", "b", "c"):
        (source / name).mkdir()
    assert (
        files(source).succeed([("a", {"images": 1}, {}), ("b", {"images": 2}, {"more": [1]})]) == []
    )
    assert files(source).fail(Phase.PLANNING, [("c", "is empty")]) == []
    assert content(source / "a/success.json")["counts"] == {"images": 1}
    assert content(source / "b/success.json")["counts"] == {"images": 2}
    assert content(source / "b/success.json")["more"] == [1]
    assert content(source / "c/failed.json")["phase"] == "planning"


def test_the_source_itself_can_be_told_of(source: Path) -> None:
    assert succeed(source, ".") == []
    assert content(source / "success.json")["folder"] == "."


def test_of_nothing_nothing_is_told(source: Path, batch: Path) -> None:
    assert files(source).succeed([]) == files(source).fail(Phase.IMPORT, []) == []
    assert names(batch) == []


# Whatever happens in between


def in_parts(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """The system takes at most so many bytes at once, as it does when a disk is filling up."""
    whole = os.write
    monkeypatch.setattr(status_files.os, "write", lambda file, data: whole(file, data[:size]))


@pytest.mark.parametrize("size", [1, 20, 100])
def test_a_file_is_whole_also_when_the_system_takes_it_in_parts(
    source: Path, batch: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    in_parts(monkeypatch, size)
    unwritten = succeed(source, inserted=1)
    if unwritten:
        assert "success.json" not in names(batch)
    else:
        assert content(batch / "success.json")["counts"] == {"inserted": 1}


def test_where_the_disk_is_full_the_old_file_stays_as_it_was(
    source: Path, batch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed(source, inserted=1)
    before = (batch / "success.json").read_bytes()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(status_files.os, "write", full)
    assert succeed(source) == [Unwritten(f"{PATH}/success.json", "No space left on device")]
    assert fail(source) == [Unwritten(f"{PATH}/failed.json", "No space left on device")]
    assert (batch / "success.json").read_bytes() == before
    assert "failed.json" not in names(batch)


def test_a_file_is_replaced_at_once_and_never_written_in_place(source: Path, batch: Path) -> None:
    succeed(source, inserted=1)
    with (batch / "success.json").open("rb") as reader:
        files(source, "batch_2").succeed([(PATH, {}, {})])
        assert json.loads(reader.read())["batch_id"] == "batch_1", "whoever reads it has it whole"
    assert content(batch / "success.json")["batch_id"] == "batch_2"


def test_a_run_that_is_killed_before_the_replacement_leaves_the_old_file(
    source: Path, batch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed(source, inserted=1)
    before = (batch / "success.json").read_bytes()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(status_files.os, "replace", killed)
        for act in (succeed, fail):
            with pytest.raises(KeyboardInterrupt):
                act(source)
    assert (batch / "success.json").read_bytes() == before
    assert all(is_status_file(name) for name in names(batch))
    fail(source)
    assert "success.json" not in names(batch)
    assert content(batch / "failed.json")["status"] == "failed"


@pytest.mark.parametrize(
    "draft",
    [
        b"",
        b'{\n  "wri',
        b'{\n  "written_by": "resilient-importer",\n  "status": "suc',
        b'{\n  "status": "success",\n  "folder": "' + b"x" * 10_000,
    ],
)
def test_a_draft_that_a_killed_run_left_does_no_harm(
    source: Path, batch: Path, draft: bytes
) -> None:
    for name in (".success.json.part", ".failed.json.part"):
        (batch / name).write_bytes(draft)
    assert succeed(source) == []
    assert content(batch / "success.json")["status"] == "success"
    assert fail(source) == []
    assert content(batch / "failed.json")["status"] == "failed"
    assert names(batch) == ["failed.json"]


def test_a_draft_that_is_a_link_is_not_followed(source: Path, batch: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    (batch / ".success.json.part").symlink_to(precious)
    (batch / ".failed.json.part").symlink_to(tmp_path / "made by following")
    (told,) = succeed(source)
    assert told.path == f"{PATH}/success.json"
    assert len(fail(source)) == 1
    assert precious.read_text() == "keep me"
    assert not (tmp_path / "made by following").exists()


def test_a_file_that_is_a_link_is_neither_replaced_nor_followed(
    source: Path, batch: Path, tmp_path: Path
) -> None:
    succeed(source)
    precious = (batch / "success.json").rename(tmp_path / "precious")
    before = precious.read_bytes()
    for name in ("success.json", "failed.json"):
        (batch / name).symlink_to(precious)
    assert [each.foreign for each in succeed(source)] == [True, True]
    assert [each.foreign for each in fail(source)] == [True, True]
    assert names(batch) == ["failed.json", "success.json"]
    assert all(each.is_symlink() for each in batch.iterdir())
    assert precious.read_bytes() == before


# Whose they are


FOREIGN = [
    b"",
    b"done",
    b"[]",
    b"{}",
    b'{"status": "success"}',
    b'{"status": "success", "folder": "a", "batch_id": 1, "time": 2, "tag": 3, "target": 4}',
    b'{"written_by": "upload_manager.py", "status": "success", "uploaded": 7}',
    b'{"status": "success", "written_by": "resilient-importer"',
    b"[" * 100_000,
    b'{"written_by": "resilient-importer"}' + b" " * 2_000_000,
]


@pytest.mark.parametrize("content", FOREIGN, ids=range(len(FOREIGN)))
def test_a_file_that_we_did_not_write_is_neither_overwritten_nor_deleted(
    source: Path, batch: Path, content: bytes
) -> None:
    for name in ("success.json", "failed.json"):
        (batch / name).write_bytes(content)
    for told in (succeed(source), fail(source)):
        assert sorted(each.path for each in told) == [f"{PATH}/failed.json", f"{PATH}/success.json"]
        assert all(each.foreign for each in told)
    assert {each.name: each.read_bytes() for each in batch.iterdir()} == {
        "success.json": content,
        "failed.json": content,
    }


def test_ours_is_replaced_and_removed_beside_one_that_is_not(source: Path, batch: Path) -> None:
    (batch / "failed.json").write_text("mine")
    (told,) = succeed(source)
    assert (told.path, told.foreign) == (f"{PATH}/failed.json", True)
    assert content(batch / "success.json")["status"] == "success"
    (told,) = fail(source)
    assert (told.path, told.foreign) == (f"{PATH}/failed.json", True)
    assert names(batch) == ["failed.json"], "what we said before is no longer true"
    assert (batch / "failed.json").read_text() == "mine"


def test_files_of_earlier_versions_are_known_as_ours(source: Path, batch: Path) -> None:
    for act, name in ((succeed, "success"), (fail, "failed")):
        act(source)
        earlier = content(batch / f"{name}.json")
        del earlier["written_by"]
        (batch / f"{name}.json").write_text(json.dumps(earlier))
    succeed(source)
    assert names(batch) == ["success.json"]
    assert content(batch / "success.json")["written_by"] == "resilient-importer"


@pytest.mark.parametrize(
    "name", ["success.json", "failed.json", ".success.json.part", ".failed.json.part"]
)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: bind(path)])
def test_what_is_no_regular_file_is_not_waited_for_and_stays(
    source: Path, batch: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(batch / name)
    before = (batch / name).lstat()
    for act in (succeed, fail):
        with within_seconds(10):
            act(source)
    assert (batch / name).lstat().st_ino == before.st_ino
    assert stat.S_IFMT((batch / name).lstat().st_mode) == stat.S_IFMT(before.st_mode)


def bind(path: Path) -> None:
    """Makes a socket; the path of one may be no longer than about 100 signs."""
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


def test_a_draft_of_somebody_else_stays(source: Path, batch: Path) -> None:
    (batch / ".success.json.part").write_text("x" * 10_000)
    (told,) = succeed(source)
    assert (told.path, told.foreign) == (f"{PATH}/success.json", False)
    assert ".success.json.part is taken" in told.reason
    assert names(batch) == [".success.json.part"]


def test_a_folder_that_became_a_link_is_not_written_to(
    source: Path, batch: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    batch.rename(elsewhere)
    batch.symlink_to(elsewhere)
    (told,) = succeed(source)
    assert "leads out" in told.reason
    assert names(elsewhere) == []


# Where it cannot be written


def test_a_folder_that_is_gone_is_told_and_not_made(source: Path) -> None:
    assert succeed(source, "gone") == [Unwritten("gone/success.json", "No such file or directory")]
    assert fail(source, path="gone") == [Unwritten("gone/failed.json", "No such file or directory")]
    assert not (source / "gone").exists()


def test_a_read_only_folder_is_told(
    source: Path, batch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object, **__: object) -> int:
        # Rights do not stop the superuser, whom tests may run as.
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(status_files.os, "open", read_only)
    assert succeed(source) == [Unwritten(f"{PATH}/success.json", "Read-only file system")]
    assert fail(source) == [Unwritten(f"{PATH}/failed.json", "Read-only file system")]
    assert names(batch) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="rights do not stop the superuser")
def test_a_folder_without_the_right_to_write_is_told(source: Path, batch: Path) -> None:
    batch.chmod(0o555)
    try:
        assert succeed(source) == [Unwritten(f"{PATH}/success.json", "Permission denied")]
    finally:
        batch.chmod(0o755)


def test_where_one_cannot_be_written_the_others_are(source: Path, batch: Path) -> None:
    (told,) = files(source).succeed([("gone", {}, {}), (PATH, {}, {})])
    assert told.path == "gone/success.json"
    assert names(batch) == ["success.json"]


def test_a_folder_in_its_place_is_told_and_stays(source: Path, batch: Path) -> None:
    (batch / "success.json").mkdir()
    (batch / "success.json/mine").write_text("keep me")
    (told,) = succeed(source)
    assert told.path == f"{PATH}/success.json"
    assert (batch / "success.json/mine").read_text() == "keep me"


def test_what_could_not_be_written_leaves_no_draft(source: Path, batch: Path) -> None:
    (batch / "success.json").mkdir()
    succeed(source)
    assert names(batch) == ["success.json"]


# Its names


@pytest.mark.parametrize(
    "name", ["success.json", "failed.json", ".success.json.part", ".failed.json.part"]
)
def test_it_knows_its_own_files(name: str) -> None:
    assert is_status_file(name)


@pytest.mark.parametrize("name", ["stats.json", "Success.json", "success.json.bak", "", "a.png"])
def test_it_knows_no_others(name: str) -> None:
    assert not is_status_file(name)


def test_no_status_file_makes_a_folder_another_one(source: Path, batch: Path) -> None:
    (batch / "a.png").write_bytes(b"")
    before = FOLDERS.sign(Source(str(batch), FOLDERS.patterns), ".")
    for _ in range(2):
        succeed(source)
        assert FOLDERS.sign(Source(str(batch), FOLDERS.patterns), ".") == before
        fail(source)
        assert FOLDERS.sign(Source(str(batch), FOLDERS.patterns), ".") == before


def test_it_can_be_handed_to_a_worker(source: Path) -> None:
    mine = files(source)
    assert pickle.loads(pickle.dumps(mine)) == mine
