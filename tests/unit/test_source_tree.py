from __future__ import annotations

import errno
import os
import random as random_module
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.items.source import Signature
from imports.items.work_item import ListedItem
from imports.source.local_file import LocalFile, files_in
from imports.source.tree import (
    FolderFile,
    ListedEntry,
    ListingProblem,
    files_called,
    folder_holding,
    is_utf8,
    printable,
    signature_of,
    signature_of_file,
    signature_of_folder,
)


def write(path: Path, content: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def ignored(name: str) -> bool:
    return name in {"success.json", ".success.json.part"}


def marked(name: str) -> bool:
    return name.endswith((".png", "stats.json"))


def signature(folder: Path, marks: str = "") -> Signature:
    return signature_of_folder(files_in(str(folder), ignored), marks)


def holding(folder: Path, prefix: str = "a/", marks: str = "") -> list[ListedEntry]:
    with os.scandir(folder) as entries:
        files = [LocalFile(entry) for entry in entries if not entry.is_dir(follow_symlinks=False)]
    return list(folder_holding(prefix, files, marked, ignored, marks))


# The work items that a folder makes


def test_the_files_of_a_folder_that_are_wanted_are_items(tmp_path: Path) -> None:
    one = write(tmp_path / "a.json", "{ }")
    write(tmp_path / "b.txt")
    with os.scandir(tmp_path) as entries:
        files = [LocalFile(entry) for entry in entries]
    found = list(files_called("x/y/", files, lambda name: name.endswith(".json")))
    assert found == [ListedItem("x/y/a.json", signature_of(one.stat()))]


def test_a_folder_that_holds_a_wanted_file_is_an_item_with_all_its_files(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    write(tmp_path / "notes.txt")
    write(tmp_path / "success.json")
    assert holding(tmp_path) == [ListedItem("a", signature(tmp_path))]
    assert holding(tmp_path, "x/y z/") == [ListedItem("x/y z", signature(tmp_path))]
    assert holding(tmp_path, "") == [ListedItem(".", signature(tmp_path))]
    assert holding(tmp_path, marks="x") == [ListedItem("a", signature(tmp_path, "x"))]


def test_a_folder_that_holds_none_is_no_item(tmp_path: Path) -> None:
    assert holding(tmp_path) == []
    write(tmp_path / "notes.txt")
    write(tmp_path / "success.json")
    assert holding(tmp_path) == []


def test_a_folder_whose_path_is_not_utf_8_is_a_problem_if_it_holds_one(tmp_path: Path) -> None:
    prefix = os.fsdecode(b"b\xe9/")
    assert holding(tmp_path, prefix) == []
    write(tmp_path / "a.png")
    (found,) = holding(tmp_path, prefix)
    assert isinstance(found, ListingProblem)
    assert found.path == "b\\xe9"
    assert "not valid UTF-8" in found.reason


def test_the_names_of_bytes_that_are_no_utf_8_are_told_apart() -> None:
    assert is_utf8("plain")
    assert is_utf8("Prüfung 薬局")
    assert not is_utf8(os.fsdecode(b"b\xe9"))


# The files of a folder


def test_the_files_of_a_folder_come_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "Z.png", "sub/c.png"):
        write(tmp_path / name)
    found = files_in(str(tmp_path), ignored)
    assert [file.name for file in found] == ["Z.png", "a.png", "b.png"]
    assert found[1].signature == signature_of_file(str(tmp_path / "a.png"))


def test_the_files_of_a_folder_that_is_gone_or_no_folder_cannot_be_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files_in(str(tmp_path / "gone"), ignored)
    with pytest.raises(NotADirectoryError):
        files_in(str(write(tmp_path / "file")), ignored)


# Signatures of folders


def change_content(folder: Path) -> None:
    status = (folder / "a.png").stat()
    write(folder / "a.png", "longer content")
    os.utime(folder / "a.png", ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file more": lambda folder: write(folder / "more.txt"),
    "an empty file more": lambda folder: write(folder / "more.txt", ""),
    "a file less": lambda folder: (folder / "notes.txt").unlink(),
    "another name": lambda folder: (folder / "a.png").rename(folder / "A.png"),
    "another size": change_content,
    "a later mtime": lambda folder: os.utime(folder / "a.png", ns=(0, 2_000_000_001)),
    "an earlier mtime": lambda folder: os.utime(folder / "a.png", ns=(0, 1)),
    "two files with each other's names": lambda folder: swap(folder / "a.png", folder / "b.png"),
}


def swap(one: Path, other: Path) -> None:
    one.rename(one.with_name("between"))
    other.rename(one)
    one.with_name("between").rename(other)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A folder with four files."""
    folder = tmp_path / "device"
    for number, name in enumerate(("a.png", "b.png", "notes.txt", "stats.json")):
        os.utime(write(folder / name, "." * number), ns=(0, 2_000_000_000 - number))
    return folder


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_folder_is_another_one_after(device: Path, change: Callable[[Path], object]) -> None:
    before = signature(device)
    assert signature(device) == before
    change(device)
    assert signature(device).digest != before.digest


def test_a_folder_is_the_same_one_when_its_status_file_comes_goes_or_changes(device: Path) -> None:
    before = signature(device)
    for content in ("", "done", "done again"):
        write(device / "success.json", content)
        assert signature(device) == before
    (device / "success.json").unlink()
    assert signature(device) == before


def test_a_folder_is_the_same_one_whatever_is_in_the_folders_below_it(device: Path) -> None:
    before = signature(device)
    write(device / "deeper/a.png")
    assert signature(device) == before


def test_a_folder_that_was_moved_with_its_files_is_the_same_one(device: Path) -> None:
    before = signature(device)
    moved = device.with_name("moved")
    shutil.copytree(device, moved)
    assert signature(moved) == before


def test_other_marks_make_another_folder(device: Path) -> None:
    found = {signature(device, marks).digest for marks in ("", "*.tif", "*.tif\0*.png")}
    assert len(found) == 3


def test_a_folder_without_files_has_a_signature_too() -> None:
    found = signature_of_folder([])
    assert (found.size, found.mtime_ns, found.file_count) == (0, 0, 0)
    assert found.digest


some_files = st.dictionaries(
    st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1),
    st.tuples(st.integers(0, 2**40), st.integers(-(2**62), 2**62)),
    max_size=6,
)


def folder_files(files: dict[str, tuple[int, int]]) -> list[FolderFile]:
    return [FolderFile(name, Signature(*values)) for name, values in files.items()]


@given(some_files, some_files)
def test_two_folders_have_the_same_digest_only_with_the_same_files(
    one: dict[str, tuple[int, int]], other: dict[str, tuple[int, int]]
) -> None:
    same = signature_of_folder(folder_files(one)) == signature_of_folder(folder_files(other))
    assert same == (one == other)


@given(some_files, st.randoms())
def test_the_order_of_files_does_not_matter(
    files: dict[str, tuple[int, int]], random: random_module.Random
) -> None:
    shuffled = folder_files(files)
    random.shuffle(shuffled)
    assert signature_of_folder(shuffled) == signature_of_folder(folder_files(files))


# What is no regular file


def test_a_link_to_a_file_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    target = write(tmp_path / "data.bin", "content")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.png").symlink_to(target)
    found = files_in(str(tmp_path / "a"), ignored)
    assert found == [FolderFile("x.png", signature_of(target.stat()))]


def test_folders_and_links_to_folders_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path)
    assert files_in(str(tmp_path), ignored) == []
    assert holding(tmp_path) == []


def test_pipes_sockets_and_links_to_nowhere_are_no_regular_files() -> None:
    # The path of a socket may be no longer than about 100 signs.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.mkfifo(folder / "pipe.png")
        (folder / "lost.png").symlink_to(folder / "gone")
        (folder / "circle.png").symlink_to("circle.png")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / "socket.png"))
        names = ("circle.png", "lost.png", "pipe.png", "socket.png")
        nothing = Signature(0, 0)
        found = files_in(str(folder), ignored)
        assert found == [FolderFile(name, nothing, regular=False) for name in names]
        assert holding(folder) == [ListedItem("a", signature_of_folder(found))]
        write(folder / "x.png")
        assert files_in(str(folder), ignored)[-1].regular


def test_a_device_is_no_regular_file() -> None:
    (found,) = [file for file in files_in("/dev", ignored) if file.name == "null"]
    assert found == FolderFile("null", Signature(0, 0), regular=False)


def test_a_link_that_comes_to_lead_to_a_file_is_a_change(tmp_path: Path) -> None:
    folder = tmp_path / "device"
    write(folder / "stats.json")
    (folder / "x.png").symlink_to(tmp_path / "x.png")
    before = signature(folder)
    assert signature(folder) == before
    write(tmp_path / "x.png")
    assert signature(folder) != before


class Entry:
    """An entry of which nothing can be told but its name and what kind of name it is."""

    name = "x.png"

    def __init__(self, error: OSError, *, link: bool = False) -> None:
        self._error = error
        self._link = link

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return False

    def is_symlink(self) -> bool:
        return self._link

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        raise self._error


def entry(number: int, *, link: bool = False) -> LocalFile:
    found = Entry(OSError(number, os.strerror(number)), link=link)
    return LocalFile(cast("os.DirEntry[str]", found))


def test_what_vanished_meanwhile_is_no_part_of_a_folder() -> None:
    assert list(folder_holding("a/", [entry(errno.ENOENT)], marked, ignored)) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
@pytest.mark.parametrize("link", [False, True])
def test_where_it_cannot_be_told_what_something_is_the_folder_cannot_be_listed(
    number: int, link: bool
) -> None:
    with pytest.raises(OSError, match=os.strerror(number)):
        list(folder_holding("a/", [entry(number, link=link)], marked, ignored))


def test_what_is_ignored_is_not_even_looked_at() -> None:
    odd = entry(errno.EIO)
    assert list(folder_holding("a/", [odd], marked, lambda name: True)) == []


def test_a_text_with_a_name_in_it_can_be_printed() -> None:
    assert printable("Prüfung 薬局") == "Prüfung 薬局"
    odd = os.fsdecode(b"b\xe9")
    assert printable(f"{odd} is odd") == "b\\xe9 is odd"
