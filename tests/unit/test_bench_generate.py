"""Sources that are generated, and how one in a thousand files changes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from generate import change, generate
from generate_recognitions import generate_recognitions, jpeg

from imports.items.images import ImageFile
from imports.source.image_content import read_image
from imports.source.tree import signature_of


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_source_is_always_the_same(tmp_path: Path) -> None:
    generate(tmp_path / "a", 12, images=2, image_bytes=500)
    generate(tmp_path / "b", 12, images=2, image_bytes=500)

    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert len(contents(tmp_path / "a")) == 14


def test_one_in_so_many_files_becomes_a_later_search(tmp_path: Path) -> None:
    generate(tmp_path, 25)
    before = contents(tmp_path)

    originals = change(tmp_path, 25, every=10)

    after = contents(tmp_path)
    different = sorted(name for name in before if before[name] != after[name])
    assert [Path(name).name for name in different] == [
        f"Pharmacy{number:07}_parse.json" for number in (0, 10, 20)
    ]
    for name in different:
        old, new = json.loads(before[name]), json.loads(after[name])
        assert new["metadata"]["search_timestamp"] > old["metadata"]["search_timestamp"]
        assert new["search_result"]["licenses"][0]["license_status"] == "Revoked"
        assert originals[tmp_path / name] == before[name]


def test_a_change_is_always_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate(tmp_path / name, 12)
        change(tmp_path / name, 12, every=5)

    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_recognitions_are_always_the_same_and_no_two_photos_are(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate_recognitions(tmp_path / name, 3, photo_bytes=600)

    found = contents(tmp_path / "a")
    assert found == contents(tmp_path / "b")
    photos = [content for name, content in found.items() if name.endswith(".jpg")]
    assert len({*photos}) == len(photos) == 6
    assert len(found) == 12


@pytest.mark.parametrize(("size", "pixels"), [(600, (72, 8)), (120_000, (400, 296))])
def test_a_photo_is_a_whole_jpeg_of_about_its_size(
    tmp_path: Path, size: int, pixels: tuple[int, int]
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(random.Random(1), size))

    image = read_image(ImageFile(str(path), signature_of(path.stat())))
    assert (image.extension, image.width, image.height, image.flaw) == ("jpg", *pixels, None)
    assert size - 1_500 < path.stat().st_size < size + 300
