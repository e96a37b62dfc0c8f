"""Looking again for images that were missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imports.items.images import ImageFile
from imports.items.source import Source as ImportSource
from imports.items.work_item import LackingItem
from imports.kinds import kind_named
from imports.phases.lacking import Looked, LookJob, changed_items, look_again, replaced_items
from imports.source.image_finder import image_finder
from imports.source.tree import signature_of
from tests.support.device_tests import add
from tests.support.source import Source, png


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "day")


def look(
    source: Source, *paths: str, known: tuple[ImageFile, ...] = (), kind: str = "states"
) -> Looked:
    of = ImportSource(str(source.folder), kind_named(kind).patterns)
    items = [
        LackingItem(
            number, path, kind_named(kind).sign(of, path), frozenset(known), has_usable=False
        )
        for number, path in enumerate(paths, 1)
    ]
    return look_again(LookJob(kind, of, image_finder(source.folder, ()), items))


def on_disk(path: Path) -> ImageFile:
    return ImageFile(os.path.realpath(path), signature_of(path.stat()))


def test_an_image_that_has_come_is_found(source: Source) -> None:
    for name in "ab":
        source.add(name, image=f"FL/{name}.png")
    assert look(source, "a_parse.json", "b_parse.json") == Looked(2)
    source.write("FL/b.png", png(1))
    assert look(source, "a_parse.json", "b_parse.json") == Looked(2, [2])


def test_an_unchanged_image_does_not_count_as_new(source: Source) -> None:
    source.add("a", image="FL/a.png")
    file = source.write("FL/a.png", b"no image")
    known = on_disk(file)
    assert look(source, "a_parse.json", known=(known,)) == Looked(1)
    file.write_bytes(png(1))
    assert look(source, "a_parse.json", known=(known,)) == Looked(1, [1])


def test_an_image_that_is_gone_is_none_that_has_come(source: Source) -> None:
    source.add("a", image="FL/a.png")
    file = source.write("FL/a.png", b"no image")
    known = on_disk(file)
    file.unlink()
    assert look(source, "a_parse.json", known=(known,)) == Looked(1)


def test_a_folder_is_asked_as_any_other_kind(source: Source) -> None:
    folder = add(source.folder, "x", {}, {"bad.png": b"text", "good.png": png(1)})
    files = tuple(on_disk(folder / name) for name in ("bad.png", "good.png"))
    assert look(source, "x", known=files, kind="folders") == Looked(1)
    assert look(source, "x", known=files[1:], kind="folders") == Looked(1, [1])


def test_an_unreadable_item_is_reported_and_the_others_are_examined(source: Source) -> None:
    source.add("a", image="FL/a.png")
    source.write("b_parse.json", b"{")
    source.write("FL/a.png", png(1))
    looked = look(source, "b_parse.json", "a_parse.json")
    assert looked.found == [2]
    ((path, reason),) = looked.problems
    assert path == "b_parse.json"
    assert "is not JSON" in reason


def test_a_defect_of_a_kind_costs_one_item(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.add("a", image="FL/a.png")
    monkeypatch.setattr("imports.source.image_finder.ImageFinder.find", lambda *_: 1 / 0)
    ((path, reason),) = look(source, "a_parse.json").problems
    assert path == "a_parse.json"
    assert "unexpected ZeroDivisionError" in reason


def test_an_item_with_an_image_known_to_be_usable_is_not_read(source: Source) -> None:
    of = ImportSource(str(source.folder), ("*_parse.json",))
    item = LackingItem(5, "gone", on_disk(source.folder).signature, frozenset(), has_usable=True)
    job = LookJob("states", of, image_finder(source.folder, ()), [item])
    assert look_again(job) == Looked(1, [5])


def test_items_whose_images_changed_or_are_gone_are_found(source: Source) -> None:
    files = [source.write(f"{number}.png", png(number)) for number in range(3)]
    images = [(number, on_disk(file)) for number, file in enumerate(files)]
    assert changed_items(images) == []
    files[1].write_bytes(png(1) + b"more")
    files[2].unlink()
    assert changed_items(images) == [1, 2]


def test_items_with_a_replaced_image_are_found_but_not_those_with_a_deleted_one(
    source: Source,
) -> None:
    files = [source.write(f"{number}.png", png(number)[:30]) for number in range(3)]
    images = [(number, on_disk(file)) for number, file in enumerate(files)]
    files[0].write_bytes(png(0))
    files[1].unlink()
    assert replaced_items(images) == [0]
