from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from imports.configuration.choices import Backend
from imports.errors import DiskError, ImporterError, UsageError
from imports.items.phase import Phase
from imports.ledger.work_state import (
    DamagedStateError,
    FailedItem,
    ListedWork,
    PhaseState,
    WorkState,
    as_json,
    keep_unusable,
    load_work_state,
    new_run_ids,
    save_work_state,
)

ROOT = Path(__file__).parents[2]
NOON = datetime(2025, 11, 18, 12, 0, 0, 123456, UTC)


def state(**changes: Any) -> WorkState:
    values: dict[str, Any] = {
        "run_id": "96790915-7233-4593-9022-eaa6f22dd730",
        "run_name": "batch_20251118_120000_967909",
        "process_id": 7,
        "kind": "states",
        "source": "/data/2025-08-04",
        "tag": "Aug-04",
        "backend": "postgresql",
        "target": "PostgreSQL, db at host",
        "target_id": "t",
        "start_time": NOON,
        "last_update": NOON,
    }
    return WorkState(**values | changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "work_state.json"


def test_a_password_that_an_earlier_version_wrote_is_not_read(path: Path) -> None:
    save_work_state(state(target="Supabase at https://me:pa55@x.supabase.co, rows by COPY"), path)
    loaded = load_work_state(path)
    assert loaded is not None
    assert loaded.target == "Supabase at https://x.supabase.co, rows by COPY"


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_a_state_and_its_lock_are_for_their_owner(path: Path, umask: int) -> None:
    path.touch(mode=0o644)
    before = os.umask(umask)
    try:
        save_work_state(state(), path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o077 == 0


def test_a_saved_state_is_loaded_unchanged(path: Path) -> None:
    full = state(
        single_file="FL/a_parse.json",
        dataset_id=32,
        status="interrupted",
        total_files=515,
        total_images=514,
        current_phase=Phase.UPLOAD,
        phases={"sha256": PhaseState("completed", counts={"processed": 514})},
        failed_items=[FailedItem(path="é.json", phase="import", reason="bad\n'", tries=2)],
        failed_items_total=1,
        work_items=[ListedWork(path="FL/a_parse.json", state="planned")],
        work_items_remaining=4_000,
        parameters={"batch_size": 25},
    )
    save_work_state(full, path)
    assert load_work_state(path) == full


def test_the_file_has_what_its_users_were_promised(path: Path) -> None:
    save_work_state(state(dataset_id=32, tag="Aug-04-scrape"), path)
    written = orjson.loads(path.read_bytes())
    for name in [
        "run_id",
        "batch_id",
        "source",
        "tag",
        "dataset_id",
        "backend",
        "target",
        "total_files",
        "total_images",
        "start_time",
        "last_update",
        "current_phase",
        "phases",
        "failed_items",
        "work_items",
        "work_items_remaining",
        "parameters",
    ]:
        assert name in written, name
    assert list(written["phases"]) == ["planning", "sha256", "upload", "import"]
    assert written["phases"]["import"] == {"status": "pending", "duration_seconds": 0.0}
    assert path.read_bytes().endswith(b"\n")


def test_where_there_is_no_file_there_is_no_state(path: Path) -> None:
    assert load_work_state(path) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"run_id": 5}',
        b"\xff\xfe",
        b"\0" * 100,
    ],
)
def test_something_else_in_the_file_is_damage(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DamagedStateError):
        load_work_state(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "wrong",
    [
        {"phases": 5},
        {"phases": {"import": 5}},
        {"run_id": 5},
        {"start_time": "noon"},
        {"cycle": ""},
        {"cycle": 0},
        {"run_id": "r"},
        {"batch_id": "/home/me/important"},
        {"batch_id": "../../victim"},
        {"batch_id": "batch_20251118_120000_967909/../../../victim"},
        {"batch_id": "batch_20251118_120000_967909\n"},
        {"batch_id": "batch_２０２５1118_120000_967909"},
        {"batch_id": "batch_20251118_120000_967909' or 1=1 --"},
        {"kind": "../kinds"},
        {"kind": ""},
        {"source": "data"},
        {"source": "/data\0"},
        {"single_file": "/etc/passwd"},
        {"single_file": "a/../../b"},
        {"backend": "mysql"},
        {"backend": "auto"},
        {"status": "gone"},
        {"current_phase": "wait"},
        {"phases": {"wait": {}}},
        {"phases": {"import": {"status": "\x1b[31m"}}},
        {"phases": {"import": {"completed_batches": "many"}}},
        {"failed_items_total": -1},
        {"parameters": {"db_path": 5}},
        {"parameters": {"db_path": "a\0b"}},
        {"parameters": {"image_roots": "/"}},
        {"parameters": {"image_roots": [5]}},
        {"parameters": {"patterns": {"a": 1}}},
    ],
    ids=str,
)
def test_a_state_with_something_else_in_a_field_is_damage(
    path: Path, wrong: dict[str, object]
) -> None:
    path.write_bytes(orjson.dumps(as_json(state()) | wrong))
    with pytest.raises(DamagedStateError):
        load_work_state(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_torn_state_is_damage(path: Path, part: float) -> None:
    save_work_state(state(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(DamagedStateError):
        load_work_state(path)


def test_a_file_that_cannot_be_read_is_not_damage(path: Path) -> None:
    path.mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        load_work_state(path)


def test_a_field_of_a_later_version_is_ignored(path: Path) -> None:
    path.write_bytes(orjson.dumps(as_json(state()) | {"invented": 1}))
    assert load_work_state(path) == state()


@pytest.mark.parametrize("missing", ["repairing", "cycle", "single_file", "phases", "parameters"])
def test_a_state_of_an_earlier_version_is_read(path: Path, missing: str) -> None:
    written = as_json(state())
    del written[missing]
    path.write_bytes(orjson.dumps(written))
    assert load_work_state(path) == state()


def test_the_example_is_what_would_be_written(path: Path) -> None:
    example = ROOT / "work_state.json.example"
    found = load_work_state(example)
    assert found is not None
    assert found.phases["import"].counts["total_imported"] == 4
    save_work_state(found, path)
    assert path.read_bytes() == example.read_bytes()


def test_enumeration_members_are_stored_as_text(path: Path) -> None:
    phases = {Phase.VERIFY: PhaseState("running", 1)}
    saved = state(backend=Backend.SUPABASE, current_phase=Phase.VERIFY, phases=phases)
    save_work_state(saved, path)
    written = orjson.loads(path.read_bytes())
    assert (written["backend"], written["current_phase"]) == ("supabase", "verify")
    assert written["phases"] == {"verify": {"status": "running", "duration_seconds": 1}}
    assert load_work_state(path) == saved


@pytest.mark.parametrize(
    ("second", "text"),
    [
        (NOON, "2025-11-18T12:00:00.123456Z"),
        (datetime(2025, 1, 2, tzinfo=UTC), "2025-01-02T00:00:00Z"),
    ],
)
def test_moments_stand_there_in_iso_form(path: Path, second: datetime, text: str) -> None:
    save_work_state(state(last_update=second), path)
    assert orjson.loads(path.read_bytes())["last_update"] == text


def test_saving_replaces_the_file_and_leaves_nothing_beside_it(path: Path) -> None:
    save_work_state(state(total_files=1), path)
    save_work_state(state(total_files=2), path)
    loaded = load_work_state(path)
    assert loaded is not None
    assert loaded.total_files == 2
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_reader_never_sees_a_state_half_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_work_state(state(total_files=1), path)
    seen: list[int] = []

    def look(descriptor: int) -> None:
        loaded = load_work_state(path)
        assert loaded is not None
        seen.append(loaded.total_files)

    monkeypatch.setattr(os, "fsync", look)
    save_work_state(state(total_files=2), path)
    assert seen == [1], "it is brought to disk once, and before it takes the old one's place"


def test_the_old_state_stays_when_the_new_one_cannot_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_work_state(state(total_files=1), path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match=r"No space left on device.*Free space"):
        save_work_state(state(total_files=2), path)
    loaded = load_work_state(path)
    assert loaded is not None
    assert loaded.total_files == 1


def test_a_folder_that_is_gone_is_an_error_that_offers_another_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--state-file"):
        save_work_state(state(), tmp_path / "gone" / "work_state.json")


def test_a_damaged_state_is_keep_unusable_and_never_overwrites_an_older_one(path: Path) -> None:
    kept = []
    for number in range(3):
        path.write_text(f"damage {number}")
        kept.append(keep_unusable(path))
    assert not path.exists()
    assert len(set(kept)) == 3
    assert [each.read_text() for each in kept] == ["damage 0", "damage 1", "damage 2"]
    assert all(each.name.startswith(f"{path.name}.damaged-") for each in kept)


def test_a_run_has_ids_of_its_own_and_a_readable_batch_id() -> None:
    run_id, run_name = new_run_ids()
    assert new_run_ids()[0] != run_id
    day = datetime.strptime(run_name[:21], "batch_%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - day).total_seconds()) < 60
    assert run_name[21:] == f"_{run_id[:6]}"


@pytest.mark.parametrize(
    ("status", "finished"),
    [("completed", True), ("running", False), ("interrupted", False), ("failed", False)],
)
def test_only_a_completed_run_is_finished(status: str, finished: bool) -> None:
    assert state(status=status).finished is finished


def test_damage_has_an_error_class_of_its_own() -> None:
    assert issubclass(DamagedStateError, ImporterError)
    assert not issubclass(DamagedStateError, UsageError)
