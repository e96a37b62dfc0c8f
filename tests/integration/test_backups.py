"""Each imported file is copied, before it is deleted, and never a failed one."""

from __future__ import annotations

from pathlib import Path

import pytest

from imports.errors import UsageError
from imports.phases import prepare
from tests.support.bench import Bench, one_backend
from tests.support.people import person, write

pytestmark = one_backend


def kept(folder: Path) -> list[str]:
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*.json*"))


def test_imported_files_are_copied_before_they_are_deleted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "LARGE_BYTES", 4_000)
    source = bench.source.folder
    write(source, "sub/a.json", [person("p-1")])
    write(source, "b.json", [person("p-2"), {"id": None}])
    write(source, "large.json", [person(f"q-{number}") for number in range(30)])
    folder = bench.folder / "kept"
    content = (source / "large.json").read_bytes()
    assert bench.run(kind="people", backup_dir=folder).exit_code == 3
    assert kept(source) == []
    assert kept(folder) == ["large.json", "sub/a.json"]
    assert (folder / "large.json").read_bytes() == content
    write(source, "sub/a.json", [person("p-3")])
    assert bench.run(kind="people", backup_dir=folder, max_workers=1).exit_code == 0
    assert len(kept(folder)) == 3


def test_copies_inside_the_source_are_not_imported(bench: Bench) -> None:
    write(bench.source.folder, "a.json", [person("p-1")])
    folder = bench.source.folder / "kept"
    flags = {"kind": "people", "backup_dir": folder, "on_success": "keep"}
    for _ in range(2):
        report = bench.run(**flags)
        assert report.state.total_files == 1
    assert kept(folder) == ["a.json"]
    with pytest.raises(UsageError, match="--backup-dir"):
        bench.run(**{**flags, "backup_dir": bench.source.folder})
