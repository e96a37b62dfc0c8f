"""Copies of imported files: nothing is overwritten, and a repeat copies nothing again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imports.errors import ImporterError
from imports.items.source import Source
from imports.source.backups import Backups
from imports.source.tree import signature_of_file

MTIME = 1_700_000_000  # 2023-11-14 22:13:20 UTC
STAMPED = "a_20231114_221320"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source/sub").mkdir(parents=True)
    return tmp_path / "source"


@pytest.fixture
def backups(tmp_path: Path, source: Path) -> Backups:
    return Backups(str(tmp_path / "kept/here"), Source(str(source), ("*.json",)))


def keep(backups: Backups, path: str, content: str, mtime: int = MTIME) -> None:
    file = Path(backups.source.folder, path)
    file.write_text(content)
    os.utime(file, (mtime, mtime))
    backups.keep([(path, signature_of_file(str(file)))])


def kept(backups: Backups) -> dict[str, str]:
    folder = Path(backups.folder)
    files = (each for each in folder.rglob("*") if each.is_file())
    return {each.relative_to(folder).as_posix(): each.read_text() for each in files}


def test_a_file_is_copied_under_its_path_with_its_time(backups: Backups) -> None:
    keep(backups, "sub/a.json", "one")
    assert kept(backups) == {"sub/a.json": "one"}
    assert Path(backups.folder, "sub/a.json").stat().st_mtime == MTIME


def test_another_content_of_the_name_gets_the_time_of_the_file(backups: Backups) -> None:
    keep(backups, "a.json", "one", MTIME - 99)
    for _ in range(2):
        keep(backups, "a.json", "two")
    assert kept(backups) == {"a.json": "one", f"{STAMPED}.json": "two"}
    keep(backups, "a.json", "three in the same second")
    assert kept(backups)[f"{STAMPED}.1.json"] == "three in the same second"
    keep(backups, "a.json", "one", MTIME + 99)
    assert len(kept(backups)) == 3


def test_a_file_that_changed_or_went_meanwhile_is_left_out(backups: Backups, source: Path) -> None:
    (source / "a.json").write_text("old")
    old = signature_of_file(str(source / "a.json"))
    (source / "a.json").write_text("newer")
    backups.keep([("a.json", old)])
    (source / "a.json").unlink()
    backups.keep([("a.json", old)])
    assert kept(backups) == {}


def test_a_folder_that_cannot_be_written_is_an_error(backups: Backups) -> None:
    Path(backups.folder).parent.write_text("a file")
    with pytest.raises(ImporterError, match=r"^a\.json is imported, but .*--backup-dir"):
        keep(backups, "a.json", "one")
