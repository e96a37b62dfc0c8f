"""Kinds list files that are nowhere on this machine: objects of a store, say."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from imports.items.source import Signature, Source, folder_prefix
from imports.items.work_item import ListedItem
from imports.kinds import all_kinds, kind_named
from imports.kinds.wording import WORDINGS
from imports.source.tree import FolderFile, ListedEntry, signature_of_folder


class StoredObject(NamedTuple):
    """An object of a store, as the listing of its bucket has it."""

    name: str
    size: int
    mtime_ns: int
    etag: str

    def as_item(self, path: str, exact: bool) -> ListedEntry:
        digest = self.etag if exact else ""
        return ListedItem(path, Signature(self.size, self.mtime_ns, digest=digest))

    def as_part(self) -> FolderFile:
        return FolderFile(self.name, Signature(self.size, self.mtime_ns))


class OnlyNamed:
    """An object that nobody may look at."""

    name = "notes.txt"

    def as_item(self, path: str, exact: bool) -> ListedEntry:
        raise AssertionError

    def as_part(self) -> FolderFile:
        raise AssertionError


OBJECTS = [
    StoredObject("x_parse.json", 12, 1_700_000_000_000_000_000, "abc"),
    StoredObject("x.png", 34, 1_800_000_000_000_000_000, "def"),
]


FOLDERS = {"recognitions": "export_1/recognition_5", "insights": "."}
"""Where a kind looks for its items, if that is not anywhere."""


def listed(kind: str, *more: OnlyNamed) -> list[ListedEntry]:
    source = Source("/nowhere", kind_named(kind).patterns)
    prefix = folder_prefix(FOLDERS.get(kind, "a/b"))
    return list(kind_named(kind).items_in(source, prefix, [*OBJECTS, *more]))


@pytest.mark.parametrize("kind", WORDINGS)
def test_every_kind_lists_objects_of_a_store(kind: str) -> None:
    (item,) = listed(kind)
    if all_kinds()[kind].items_are_folders:
        folder = FOLDERS.get(kind, "a/b")
        assert item == ListedItem(folder, signature_of_folder([each.as_part() for each in OBJECTS]))
    else:
        exact = all_kinds()[kind].consumes_source
        prefix = folder_prefix(FOLDERS.get(kind, "a/b"))
        assert item == OBJECTS[0].as_item(f"{prefix}x_parse.json", exact)


@pytest.mark.parametrize("kind", ["states", "people"])
def test_a_file_whose_name_is_not_wanted_is_not_looked_at(kind: str) -> None:
    assert len(listed(kind, OnlyNamed())) == 1
