from __future__ import annotations

import os
from pathlib import Path

import pytest

from imports.source import folder_names
from imports.source.folder_names import FolderNames

OLD = (1_000_000_000, 1_000_000_000)


def alike(folder: Path, *parts: str) -> list[str]:
    found = FolderNames().paths_alike(str(folder), parts)
    return sorted(os.path.relpath(path, folder) for path in found)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("A.png", "a.PNG", "b.png", "Pen\u0303a.png", "stra\u00dfe.png"):
        (tmp_path / name).touch()
    (tmp_path / "FL").mkdir()
    (tmp_path / "FL" / "C.png").touch()
    return tmp_path


def test_names_alike_but_for_case_are_found(folder: Path) -> None:
    assert alike(folder, "a.png") == ["A.png", "a.PNG"]
    assert alike(folder, "B.PNG") == ["b.png"]
    assert alike(folder, "STRASSE.png") == ["stra\u00dfe.png"]
    assert alike(folder, "PE\u00d1A.png") == ["Pen\u0303a.png"]
    assert alike(folder, "Pe\u00f1a.png") == ["Pen\u0303a.png"]
    assert alike(folder, "fl", "c.PNG") == ["FL/C.png"]
    assert alike(folder, "gone") == alike(folder, "gone", "a") == alike(folder, "A.png", "b") == []


def test_a_folder_is_read_again_only_when_it_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def listed(folder: str) -> object:
        read.append(folder)
        return real(folder)

    real = folder_names._listed
    monkeypatch.setattr(folder_names, "_listed", listed)
    monkeypatch.setattr(folder_names, "_LISTINGS", folder_names._Listings())
    alike(folder, "b.png")
    alike(folder, "b.png")
    assert len(read) == 2, "it changed just now"
    os.utime(folder, OLD)
    for _ in range(3):
        alike(folder, "b.png")
    assert len(read) == 3
    (folder / "B.png").touch()
    os.utime(folder, OLD)
    assert alike(folder, "b.PNG") == ["B.png", "b.png"], "a change whose mtime was put back"


def test_no_more_is_kept_than_a_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listings = folder_names._Listings()
    monkeypatch.setattr(folder_names, "_LISTINGS", listings)
    monkeypatch.setattr(folder_names, "MOST_BYTES", 2_000)
    for number in range(20):
        place = folder / str(number)
        place.mkdir()
        for name in "abc":
            (place / name).touch()
        os.utime(place, OLD)
        assert alike(place, "A") == ["a"]
    assert 0 < listings._bytes <= 2_000
    assert listings._bytes == sum(size for _, _, size in listings._kept.values())
    assert alike(folder / "0", "A") == ["a"]


def test_of_a_folder_of_too_many_names_none_is_kept_and_normal_forms_are_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings = folder_names._Listings()
    monkeypatch.setattr(folder_names, "_LISTINGS", listings)
    monkeypatch.setattr(folder_names, "MOST_BYTES", 500)
    os.utime(folder, OLD)
    assert "Pen\u0303a.png" in alike(folder, "Pe\u00f1a.png")
    assert alike(folder, "B.PNG") == ["B.PNG"], "whether it is there is for the caller to see"
    assert listings._bytes == 0
    assert listings._kept[str(folder)][1] is None
