from __future__ import annotations

import gc
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.errors import InterruptedRunError, UsageError
from imports.files.system_names import is_system_name
from imports.items.source import Signature, Source
from imports.items.work_item import ListedItem
from imports.kinds import kind_named
from imports.kinds.folders import FOLDERS, PATTERNS
from imports.kinds.states import STATES
from imports.phases import listed_folders
from imports.phases.listed_folders import (
    Links,
    ListJob,
    list_folders,
    read_large,
    subfolders_of_large,
)
from imports.source.tree import ListedEntry, ListingProblem, signature_of
from imports.workers.executors import Workers
from tests.support.walk import take, walk

MARKED = (".png", "stats.json")


@pytest.fixture(autouse=True, scope="module", params=[listed_folders.MOST_ENTRIES, 1, 0])
def most_entries(request: pytest.FixtureRequest) -> Iterator[int]:
    """Each test once with folders as they are, once with most and once with all of them large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listed_folders, "MOST_ENTRIES", request.param)
        yield request.param


def listed(folder: Path) -> list[ListedEntry]:
    """The walk is in no order, so these are put in that of their paths."""
    return walk(Source(str(folder), ("*.json",)), "states")


def paths(folder: Path) -> list[str]:
    return [entry.path for entry in listed(folder)]


def problems(folder: Path) -> dict[str, str]:
    return {
        entry.path: entry.reason for entry in listed(folder) if isinstance(entry, ListingProblem)
    }


def write(path: Path, content: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def below(folder: Path, name: bytes) -> Path:
    """A path with any bytes in its name."""
    return Path(os.fsdecode(os.fsencode(folder) + b"/" + name))


def write_odd(folder: Path, *names: bytes) -> None:
    try:
        for name in names:
            write(below(folder, name))
    except OSError:
        pytest.skip("this file system takes no such names")


def unreadable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Makes folders of this name unreadable; rights do not stop the superuser."""
    whole = os.scandir

    def guarded(path: str) -> Iterator[os.DirEntry[str]]:
        if os.path.basename(path.rstrip("/")) == name:
            raise PermissionError(13, "Permission denied")
        return whole(path)

    monkeypatch.setattr(listed_folders.os, "scandir", guarded)


def folders(folder: Path) -> dict[str, ListedEntry]:
    """The entries of a walk over folders, by path; each path comes once."""
    found = walk(Source(str(folder), PATTERNS), "folders")
    by_path = {entry.path: entry for entry in found}
    assert len(by_path) == len(found)
    return by_path


def signature(folder: Path) -> Signature:
    return FOLDERS.sign(Source(str(folder), PATTERNS), ".")


# Walking


def test_every_file_is_listed_once_at_any_depth(tmp_path: Path) -> None:
    for name in ("b.json", "a/z.json", "a/b/c.json", "a/a.json", "B.json", "c/a.json", "a.txt"):
        write(tmp_path / name)
    assert paths(tmp_path) == ["B.json", "a/a.json", "a/b/c.json", "a/z.json", "b.json", "c/a.json"]


def test_a_listed_file_has_its_signature(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", "{ }")
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    assert listed(tmp_path) == [ListedItem("a.json", Signature(3, 1_700_000_000_123_456_789))]


def test_an_empty_source_has_no_files(tmp_path: Path) -> None:
    assert listed(tmp_path) == []


def test_a_name_that_is_not_utf_8_is_a_problem_that_can_be_printed(tmp_path: Path) -> None:
    write(tmp_path / "good.json")
    write_odd(tmp_path, b"b\xe9.json", b"folder\xff/a.json")
    found = problems(tmp_path)
    assert set(found) == {"b\\xe9.json", "folder\\xff/a.json"}
    assert all("not valid UTF-8" in reason for reason in found.values())
    assert "good.json" in paths(tmp_path)


def test_names_in_any_script_are_fine(tmp_path: Path) -> None:
    write(tmp_path / "Apotheke Ümläut 薬局.json")
    assert not problems(tmp_path)
    assert paths(tmp_path) == ["Apotheke Ümläut 薬局.json"]


def test_a_folder_that_cannot_be_read_is_a_problem_and_the_others_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1.json", "b/2.json", "c/3.json"):
        write(tmp_path / name)
    unreadable(monkeypatch, "b")
    assert paths(tmp_path) == ["a/1.json", "b", "c/3.json"]
    assert problems(tmp_path) == {"b": "cannot be listed: Permission denied"}


def test_a_source_that_cannot_be_listed_is_itself_the_problem(tmp_path: Path) -> None:
    assert problems(tmp_path / "gone") == {
        str(tmp_path / "gone"): "cannot be listed: No such file or directory"
    }


def test_a_pipe_is_not_a_regular_file_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    assert problems(tmp_path) == {"pipe.json": "is not a regular file"}


def test_a_link_to_nowhere_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to(tmp_path / "gone")
    assert problems(tmp_path) == {"a.json": "cannot be read: No such file or directory"}


# Links to folders


def linked(tmp_path: Path, **links: str) -> Source:
    """A source with links in it, which may lead to what lies beside it."""
    source = tmp_path / "all/source"
    write(source / "a.json")
    for path, place in links.items():
        link = source / path.replace("__", "/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(place)
    return Source(str(source), ("*.json",), roots=(f"{tmp_path}/all/",))


def test_a_linked_folder_beside_the_source_is_followed(tmp_path: Path) -> None:
    """So it is with a source whose days lie on several disks."""
    write(tmp_path / "all/disk2/2026-03-03/FL/b.json")
    source = linked(tmp_path, day="../disk2/2026-03-03", deep__day="../../disk2/2026-03-03/FL")
    assert [entry.path for entry in walk(source, "states")] == ["a.json", "day/FL/b.json"]
    assert walk(source, "states")[1] == ListedItem(
        "day/FL/b.json", signature_of((tmp_path / "all/disk2/2026-03-03/FL/b.json").stat())
    )


def test_a_link_to_what_is_listed_anyway_lists_nothing_twice(tmp_path: Path) -> None:
    write(tmp_path / "real/a.json")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "latest").symlink_to("link")
    (tmp_path / "real/circle").symlink_to(tmp_path)
    (tmp_path / "real/itself").symlink_to(".")
    assert paths(tmp_path) == ["real/a.json"]


@pytest.mark.parametrize("workers", [1, 8])
def test_of_several_links_to_a_folder_always_the_same_one_is_followed(
    tmp_path: Path, workers: int
) -> None:
    write(tmp_path / "all/disk/1/b.json")
    links = {f"z{number}": "../disk" for number in range(20)}
    links |= {f"a{number}__deep": "../../disk/1" for number in range(20)}
    source = linked(tmp_path, **links, m="../disk")
    several = Workers(workers)
    try:
        found = walk(source, "states", workers=several)
    finally:
        several.close()
    assert [entry.path for entry in found] == ["a.json", "m/1/b.json"]


def test_links_within_linked_folders_lead_in_no_circle(tmp_path: Path) -> None:
    disk, other = tmp_path / "all/disk", tmp_path / "all/other"
    write(disk / "b.json")
    write(other / "c.json")
    for link, place in (
        (disk / "back", "../source"),
        (disk / "itself", "."),
        (disk / "other", "../other"),
        (other / "disk", "../disk"),
        (other / "deep", "../disk/itself"),
    ):
        link.symlink_to(place)
    source = linked(tmp_path, disk="../disk")
    assert [entry.path for entry in walk(source, "states")] == [
        "a.json",
        "disk/b.json",
        "disk/other/c.json",
    ]


def test_a_link_to_a_parent_of_a_listed_folder_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "all/disk/day/b.json")
    (tmp_path / "all/disk/day/up").symlink_to("..")
    source = linked(tmp_path, up="..", day="../disk/day")
    found = {entry.path: entry for entry in walk(source, "states")}
    assert set(found) == {"a.json", "up", "day/b.json", "day/up"}
    for path in ("up", "day/up"):
        entry = found[path]
        assert isinstance(entry, ListingProblem)
        assert "is a link to a parent of a listed folder" in entry.reason


@pytest.mark.parametrize("kind", ["states", "folders", "people"])
def test_a_link_out_of_what_may_be_read_is_named_and_not_followed(
    tmp_path: Path, kind: str
) -> None:
    for name in ("secret.json", "stats.json", "x.png"):
        write(tmp_path / f"home/{name}")
    source = replace(linked(tmp_path, home=str(tmp_path / "home")), patterns=("*.json", "*.png"))
    found = {entry.path: entry for entry in walk(source, kind)}
    assert set(found) == {"." if kind == "folders" else "a.json", "home"}
    entry = found["home"]
    assert isinstance(entry, ListingProblem)
    if kind != "people":
        assert "--image-root" in entry.reason
    trusting = replace(source, roots=(*source.roots, f"{tmp_path}/home/"), follows_links=True)
    assert len(walk(trusting, kind)) > 1
    assert not any(isinstance(entry, ListingProblem) for entry in walk(trusting, kind))


def test_a_source_that_is_consumed_is_not_followed_through_links(tmp_path: Path) -> None:
    write(tmp_path / "all/disk/b.json")
    source = replace(linked(tmp_path, disk="../disk", same="."), follows_links=False)
    found = {entry.path: entry for entry in walk(source, "people")}
    assert set(found) == {"a.json", "disk"}
    entry = found["disk"]
    assert isinstance(entry, ListingProblem)
    assert "with a separate command" in entry.reason


def test_a_link_to_a_disk_that_is_not_there_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.json")
    for name in ("day", "b.json", ".#lock"):
        (tmp_path / name).symlink_to("gone")
    (tmp_path / "round").symlink_to("round")
    assert problems(tmp_path) == {
        "day": "is a link that leads nowhere: No such file or directory",
        "round": "is a link that leads nowhere: Too many levels of symbolic links",
        "b.json": "cannot be read: No such file or directory",
    }


@pytest.mark.parametrize("kind", ["states", "people"])
def test_a_file_behind_a_link_out_is_named_and_is_no_item(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "home/credentials.json")
    write(tmp_path / "all/beside.json")
    source = linked(
        tmp_path,
        **{"out.json": str(tmp_path / "home/credentials.json"), "in.json": "../beside.json"},
        **{"through.json": "out.json"},
    )
    found = {entry.path: entry for entry in walk(source, kind)}
    assert {path for path, entry in found.items() if isinstance(entry, ListedItem)} == {
        "a.json",
        "in.json",
    }
    for path in ("out.json", "through.json"):
        entry = found[path]
        assert isinstance(entry, ListingProblem)
        assert "is a link that leads out" in entry.reason


# What systems leave


SYSTEM_NAMES = (
    "._a.json ._x.png .DS_Store Thumbs.db THUMBS.DB desktop.ini __MACOSX/a.json __MACOSX/x.png"
    " .Trashes/a.json .Spotlight-V100/a.json @eaDir/a.json @eaDir/x.png/a.json #recycle/a.json"
    " $RECYCLE.BIN/a.json $Recycle.Bin/x.png System?Volume?Information/a.json lost+found/a.json"
    " .Trash-1000/a.json .nfs000000000001a2b3 .importer/imagecache/x.png .importer/a.json"
).replace("?", "\0")


@pytest.mark.parametrize("kind", ["states", "folders", "people"])
def test_what_systems_leave_is_no_item_and_no_part_of_one(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "day/a.json")
    write(tmp_path / "day/x.png")
    source = Source(str(tmp_path), ("*.json", "*.png"))
    before = walk(source, kind)
    sign = kind_named(kind).sign
    signed = sign(source, before[0].path)
    for name in SYSTEM_NAMES.split():
        write(tmp_path / "day" / name.replace("\0", " "))
        write(tmp_path / name.replace("\0", " "))
    assert walk(source, kind) == before
    assert sign(source, before[0].path) == signed


@pytest.mark.parametrize(
    "name",
    [
        "a._b.json",
        "thumbs.json",
        "__MACOSX.json",
        "DS_Store",
        "lost",
        "@eaDir2",
        "recycle",
        ".",
        "importer",
    ],
)
def test_names_like_those_are_data(name: str) -> None:
    assert not is_system_name(name)


def test_a_linked_file_is_listed_with_the_signature_of_what_it_leads_to(tmp_path: Path) -> None:
    target = write(tmp_path / "data.txt", '{"a": 1}')
    (tmp_path / "a.json").symlink_to(target)
    assert listed(tmp_path) == [ListedItem("a.json", signature_of(target.stat()))]


def test_a_folder_with_the_name_of_a_file_is_walked(tmp_path: Path) -> None:
    write(tmp_path / "a.json/b.json")
    assert paths(tmp_path) == ["a.json/b.json"]


# A folder that fails, or a walk that ends, half-way


class BreakingOff:
    """The entries of a folder, of which the second cannot be read any more."""

    def __init__(self, entries: Any) -> None:
        self._entries = entries
        self._read = 0

    def __enter__(self) -> BreakingOff:
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.close()

    def __iter__(self) -> BreakingOff:
        return self

    def __next__(self) -> os.DirEntry[str]:
        self._read += 1
        if self._read == 2:
            raise OSError(5, "Input/output error")
        found: os.DirEntry[str] = next(self._entries)
        return found


def break_off(monkeypatch: pytest.MonkeyPatch, name: str, *times: int) -> None:
    """Has folders of this name break off when they are read for these times, or else always."""
    whole = os.scandir
    opened = count(1)

    def breaking(path: str) -> object:
        if os.path.basename(path.rstrip("/")) != name or (times and next(opened) not in times):
            return whole(path)
        return BreakingOff(whole(path))

    monkeypatch.setattr(listed_folders.os, "scandir", breaking)


def test_a_folder_that_breaks_off_is_a_problem_and_the_others_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1.json", "b/2.json", "b/3.json", "c/4.json", "5.json"):
        write(tmp_path / name)
    break_off(monkeypatch, "b")
    assert problems(tmp_path) == {"b": "cannot be listed: Input/output error"}
    assert {"a/1.json", "c/4.json", "5.json"} <= set(paths(tmp_path))


def test_a_folder_that_breaks_off_is_no_item_with_a_part_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1.png", "b/2.png", "b/3.png", "c/4.png"):
        write(tmp_path / name)
    break_off(monkeypatch, "b")
    found = folders(tmp_path)
    assert found["b"] == ListingProblem("b", "cannot be listed: Input/output error")
    assert isinstance(found["a"], ListedItem)
    assert isinstance(found["c"], ListedItem)


class WithoutStatus:
    """An entry of which nothing can be told but its name."""

    def __init__(self, entry: os.DirEntry[str], error: OSError) -> None:
        self.name, self.path = entry.name, entry.path
        self._error = error

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return False

    def is_symlink(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        raise self._error


def no_status(monkeypatch: pytest.MonkeyPatch, path: str, error: OSError) -> None:
    """Has nothing be told of a file."""
    whole = os.scandir

    @contextmanager
    def guarded(folder: str) -> Iterator[Iterator[Any]]:
        with whole(folder) as entries:
            yield (
                WithoutStatus(entry, error) if entry.path.endswith(f"/{path}") else entry
                for entry in entries
            )

    monkeypatch.setattr(listed_folders.os, "scandir", guarded)


# Walking folders


def test_folders_that_hold_a_marked_file_are_listed_at_any_depth(tmp_path: Path) -> None:
    for name in ("one/a.png", "two/b/c/stats.json", "two/b/x.txt", "three/notes.txt"):
        write(tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert set(folders(tmp_path)) == {"one", "two/b/c"}


def test_a_folder_and_those_in_it_are_items_each(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/b/2.png", "a/b/c/3.png", "a/d/4.png"):
        write(tmp_path / name)
    found = folders(tmp_path)
    assert set(found) == {"a", "a/b", "a/b/c", "a/d"}
    assert {entry.signature.file_count for entry in found.values()} == {1}  # type: ignore[union-attr]


def test_the_source_itself_can_be_an_item(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    write(tmp_path / "sub/b.png")
    found = folders(tmp_path)
    assert set(found) == {".", "sub"}
    assert found["."] == ListedItem(".", signature(tmp_path))


def test_folders_may_be_nested_very_deep(tmp_path: Path) -> None:
    folder = tmp_path / "/".join(["d"] * 200)
    write(folder / "a.png")
    assert set(folders(tmp_path)) == {"/".join(["d"] * 200)}


def test_a_source_without_any_such_folder_has_none(tmp_path: Path) -> None:
    write(tmp_path / "a/notes.txt")
    assert folders(tmp_path) == {}


def test_a_listed_folder_has_the_signature_of_its_own_files(tmp_path: Path) -> None:
    for name, size, moment in (("b.png", 3, 5), ("a.txt", 4, 9), ("c.bin", 0, 7)):
        os.utime(write(tmp_path / "x" / name, "." * size), ns=(0, moment))
    write(tmp_path / "x/deeper/d.png", "." * 100)
    found = folders(tmp_path)["x"]
    assert isinstance(found, ListedItem)
    assert found.signature == signature(tmp_path / "x")
    assert (found.signature.size, found.signature.mtime_ns, found.signature.file_count) == (7, 9, 3)


def test_files_that_are_ignored_neither_make_an_item_nor_change_one(tmp_path: Path) -> None:
    write(tmp_path / "a/x.png")
    before = folders(tmp_path)
    for name in ("success.json", ".success.json.part"):
        write(tmp_path / "a" / name)
        write(tmp_path / "b" / name)
    assert folders(tmp_path) == before


def test_a_folder_that_cannot_be_read_is_a_problem_under_its_own_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1.png", "a/b/2.png", "c/3.png"):
        write(tmp_path / name)
    unreadable(monkeypatch, "b")
    found = folders(tmp_path)
    assert set(found) == {"a", "a/b", "c"}
    assert found["a/b"] == ListingProblem("a/b", "cannot be listed: Permission denied")


def test_a_source_of_folders_that_cannot_be_listed_is_itself_the_problem(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert folders(tmp_path / "gone") == {
        gone: ListingProblem(gone, "cannot be listed: No such file or directory")
    }


def test_links_to_folders_are_no_files(tmp_path: Path) -> None:
    write(tmp_path / "real/a.png")
    before = folders(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real/circle").symlink_to(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/album.png").symlink_to(tmp_path / "real")
    assert folders(tmp_path) == before


def test_a_link_to_a_file_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    target = write(tmp_path / "data.bin", "content")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.png").symlink_to(target)
    before = folders(tmp_path)
    assert set(before) == {"a"}
    os.utime(target, ns=(1, 1))
    assert folders(tmp_path) != before, "a change of what it leads to is a change of the folder"


def test_what_is_no_regular_file_makes_an_item_too_by_its_name() -> None:
    # The path of a socket may be no longer than about 100 signs.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("pipe", "lost", "socket"):
            (folder / each).mkdir()
        os.mkfifo(folder / "pipe/pipe.png")
        (folder / "lost/stats.json").symlink_to(folder / "gone")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / "socket/socket.png"))
        found = folders(folder)
        assert set(found) == {"pipe", "lost", "socket"}
        before = found["lost"]
        write(folder / "lost/x.png")
        after = folders(folder)["lost"]
        assert isinstance(before, ListedItem)
        assert isinstance(after, ListedItem)
        assert (before.signature.file_count, after.signature.file_count) == (1, 2)


@pytest.mark.parametrize("name", ["b.png", "notes.txt"])
def test_a_folder_with_a_file_that_cannot_be_examined_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for each in ("a/1.png", "b/2.png", f"b/{name}", "c/4.png"):
        write(tmp_path / each)
    no_status(monkeypatch, f"b/{name}", OSError(5, "Input/output error"))
    found = folders(tmp_path)
    assert found["b"] == ListingProblem("b", "cannot be listed: Input/output error")
    assert isinstance(found["a"], ListedItem)
    assert isinstance(found["c"], ListedItem)


def test_a_file_that_is_gone_meanwhile_is_no_part_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a/x.png")
    before = folders(tmp_path)
    write(tmp_path / "a/gone.png")
    no_status(monkeypatch, "a/gone.png", FileNotFoundError(2, "No such file or directory"))
    assert folders(tmp_path) == before


def test_what_is_left_out_is_neither_listed_nor_walked(tmp_path: Path) -> None:
    for each in ("stats.json", "sub/stats.json", "deep/.own/x/stats.json"):
        write(tmp_path / each)
    source = Source(str(tmp_path), PATTERNS, {"": ("work_state.", ".own")})
    before = walk(source, "folders")
    assert [entry.path for entry in before] == [".", "deep/.own/x", "sub"]
    for each in ("work_state.json", ".own/imagecache/a.png", "work_state.folder.json"):
        write(tmp_path / each)
    assert walk(source, "folders") == before
    deeper = Source(str(tmp_path), PATTERNS, {"deep/": (".own",)})
    assert "deep/.own/x" not in {entry.path for entry in walk(deeper, "folders")}


def test_files_that_are_left_out_are_no_items_either(tmp_path: Path) -> None:
    for each in ("a.json", "work_state.json", ".importer/b.json", "sub/work_state.json"):
        write(tmp_path / each)
    source = Source(str(tmp_path), ("*.json",), {"": ("work_state.", ".importer")})
    assert [entry.path for entry in walk(source, "states")] == ["a.json", "sub/work_state.json"]


# A scan alone


def test_a_scan_alone_has_nothing_tried_again(tmp_path: Path) -> None:
    write(tmp_path / "a/x.png")
    source = Source(str(tmp_path), PATTERNS)
    for settings in ({}, {"force": True}, {"retry_failed": True}, {"max_retries": 9}):
        options = take(source, "folders", scan_only=True, **settings).options
        assert (options["again"], options["most_tries"]) == (False, 0)
    single = take(source, "folders", scan_only=True, single_item="a").options
    assert (single["again"], single["most_tries"]) == (False, 0)
    assert take(source, "folders", force=True).options["again"]
    assert take(source, "folders", retry_failed=True).options["most_tries"] is None
    assert take(source, "folders", max_retries=9).options["most_tries"] == 9


def test_a_folder_whose_name_is_not_utf_8_is_a_problem_that_can_be_printed(tmp_path: Path) -> None:
    write(tmp_path / "good/a.png")
    write_odd(tmp_path, b"b\xe9/a.png", b"b\xe9/deep/b.png", b"un\xe9marked/a.txt")
    found = folders(tmp_path)
    assert set(found) == {"good", "b\\xe9", "b\\xe9/deep"}
    for path in ("b\\xe9", "b\\xe9/deep"):
        entry = found[path]
        assert isinstance(entry, ListingProblem)
        assert "not valid UTF-8" in entry.reason


def test_a_file_whose_name_is_not_utf_8_is_a_part_of_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "a/x.png")
    before = folders(tmp_path)["a"]
    write_odd(tmp_path, b"a/\xe9.png")
    after = folders(tmp_path)["a"]
    assert isinstance(before, ListedItem)
    assert isinstance(after, ListedItem)
    assert after.signature.file_count == 2
    assert after.signature.digest != before.signature.digest


@pytest.mark.parametrize(
    "name", ["Prüfung 薬局", "line\nbreak", "quote'\"", " space ", "-rf", "%s"]
)
def test_folders_may_have_any_other_name(tmp_path: Path, name: str) -> None:
    write(tmp_path / name / "a.png")
    assert set(folders(tmp_path)) == {name}


tree_names = st.sampled_from(["a", "b", "c.d", "é"])
trees = st.sets(
    st.tuples(
        st.lists(tree_names, max_size=4).map("/".join),
        st.sampled_from(["x.png", "stats.json", "notes.txt", "success.json"]),
    ),
    max_size=8,
)


@given(trees)
def test_exactly_the_folders_with_a_marked_file_are_listed(tree: set[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, file in tree:
            write(folder / path / file)
        found = folders(folder)
        expected = {path or "." for path, file in tree if file.endswith(MARKED)}
        assert set(found) == expected
        for path in expected:
            assert found[path] == ListedItem(path, signature(folder / path))


# Very many folders, and large ones


def test_folders_by_the_hundred_are_listed_by_several_at_once(tmp_path: Path) -> None:
    names = {f"{number % 7}/{number:04}" for number in range(600)}
    for name in names:
        write(tmp_path / name / "a.png")
    assert set(folders(tmp_path)) == names


def test_processes_take_over_when_folders_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imports.workers.executors.MANY_FOLDERS", 5)
    names = {f"{number}/{inner}" for number in range(4) for inner in ("a", "b", "c")}
    for name in names:
        write(tmp_path / name / "a.png")
    workers = Workers(2)
    workers.process_count = 2
    try:
        found = walk(Source(str(tmp_path), PATTERNS), "folders", workers=workers)
        assert {entry.path for entry in found} == names
        assert len(found) == len(names)
        _, left = workers.for_listing(0)
        assert left is None, "they were started"
    finally:
        workers.close()


def test_unreadable_folders_of_a_large_folder_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_entries: int
) -> None:
    """Or else all that is below them would be forgotten as if it were gone."""
    for name in ("big/a/1.png", "big/b/2.png", "big/c/3.png", "other/4.png"):
        write(tmp_path / name)
    whole = set(folders(tmp_path))
    # A large folder is read once to see that it is large, then for its files, then its folders.
    for time in (1, 2, 3):
        with monkeypatch.context() as patch:
            break_off(patch, "big", time)
            found = folders(tmp_path)
            complete = whole <= set(found)
            told = any(isinstance(entry, ListingProblem) for entry in found.values())
            assert complete or told, f"read for the {time}. time, with {most_entries} at most"


def test_a_large_folder_that_is_given_up_half_way_is_not_left_open(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"{number}.json")
        write(tmp_path / f"folder {number}/a.json")
    source = Source(str(tmp_path), ("*.json",))
    before = open_files()
    for entries in (
        read_large(STATES, source, "", {}, Links()),
        subfolders_of_large(source, "", {}),
    ):
        next(entries)
        assert open_files() in (before + 1, 0)
        # What is open still would warn when it is collected, and a warning is an error.
        entries.close()  # type: ignore[attr-defined]
        assert open_files() == before


def open_files() -> int:
    """How many files this process has open; 0 where the system does not tell."""
    # What other tests have left to the garbage is none of this one's.
    gc.collect()
    place = Path("/proc/self/fd")
    return sum(1 for _ in place.iterdir()) if place.is_dir() else 0


def test_folders_that_are_listed_come_with_those_in_them(tmp_path: Path, most_entries: int) -> None:
    for name in ("a/1.png", "b/2.png", "3.txt"):
        write(tmp_path / name)
    found = list_folders(ListJob("folders", Source(str(tmp_path), PATTERNS), ["", "a/", "gone/"]))
    assert ListingProblem("gone", "cannot be listed: No such file or directory") in found.entries
    if most_entries < 2:
        assert "" in found.large
    else:
        assert sorted(found.subfolders) == ["a/", "b/"]
        assert ListedItem("a", signature(tmp_path / "a")) in found.entries


# What is told to the ledger


def test_a_source_without_any_item_is_a_mistake_that_is_explained(tmp_path: Path) -> None:
    source = Source(str(tmp_path), PATTERNS)
    with pytest.raises(UsageError, match=r"No folders found: .* holds stats.json or ") as caught:
        take(source, "folders")
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(UsageError, match=r"No JSON files found: .* is called \*_parse\.json\."):
        take(Source(str(tmp_path), STATES.patterns), "states")


def test_the_ledger_gets_the_items_to_retry(tmp_path: Path) -> None:
    write(tmp_path / "a/x.png")
    source = Source(str(tmp_path), PATTERNS)
    expected = {"whole": True, "again": False, "most_tries": 3, "resumed": False}
    assert take(source, "folders").options == expected
    assert take(source, "folders", resumed=True).options["resumed"] is True
    assert take(source, "folders", resumed=True, scan_only=True).options["resumed"] is False
    assert take(source, "folders", max_retries=0).options["most_tries"] == 0
    assert take(source, "folders", retry_failed=True).options["most_tries"] is None
    assert take(source, "folders", force=True).options["again"] is True


def test_a_single_item_is_listed_alone_and_always_again(tmp_path: Path) -> None:
    write(tmp_path / "a/x.png")
    write(tmp_path / "b/x.png")
    source = Source(str(tmp_path), PATTERNS)
    taken = take(source, "folders", single_item="a")
    assert taken.entries == [ListedItem("a", signature(tmp_path / "a"))]
    assert (taken.options["whole"], taken.options["again"]) == (False, True)
    (problem,) = take(source, "folders", single_item="gone").entries
    assert problem == ListingProblem("gone", "cannot be listed: No such file or directory")


def test_a_walk_that_is_to_stop_ends_soon_and_is_no_whole_listing(tmp_path: Path) -> None:
    for number in range(40):
        write(tmp_path / f"{number:02}/deeper/a.png")
    before = open_files()
    with pytest.raises(InterruptedRunError):
        take(Source(str(tmp_path), PATTERNS), "folders", stop_after=1)
    assert open_files() == before


# Folders that are apart, and listings of a run that goes on


def test_folders_that_are_apart_are_not_walked_nor_are_those_in_them(tmp_path: Path) -> None:
    for name in ("a", "x/failed/b", "x/failed/deep/c", "x/failed2/d", "failed/e"):
        write(tmp_path / f"{name}.json")
    source = Source(str(tmp_path), ("*.json",), {}, frozenset({"x/failed/"}))
    found = [entry.path for entry in walk(source, "people")]
    assert found == ["a.json", "failed/e.json", "x/failed2/d.json"]


@pytest.mark.parametrize(
    ("prefix", "name", "left_out"),
    [
        ("", "failed", True),
        ("", "failed2", False),
        ("", "faile", False),
        ("x/", "failed", False),
        ("x/", "done", True),
        ("", "own.json", True),
        ("", "own", False),
        ("x/", "own.json", False),
        ("", "", False),
    ],
)
def test_folders_apart_are_compared_by_their_whole_path(
    prefix: str, name: str, left_out: bool
) -> None:
    apart = frozenset({"failed/", "x/done/"})
    source = Source("/data", ("*",), {"": ("own.",)}, apart)
    assert source.is_left_out(prefix, name) is left_out
    assert not Source("/data", ("*",)).is_left_out(prefix, name)


def test_lists_of_errors_and_the_usual_folders_of_moved_files_are_no_source(tmp_path: Path) -> None:
    for name in (
        "a.json",
        "a.errors.json",
        "B.ERRORS.JSON",
        "errors.json",
        "failed_uploads/a.json",
        "x/done_uploads/y/a.json",
        "x/my_failed_uploads/a.json",
    ):
        write(tmp_path / name)
    found = [entry.path for entry in walk(Source(str(tmp_path), ("*.json",)), "people")]
    assert found == ["a.json", "errors.json", "x/my_failed_uploads/a.json"]


def test_an_empty_source_that_is_consumed_is_no_mistake(tmp_path: Path) -> None:
    assert take(Source(str(tmp_path), ("*.json",)), "people").entries == []
