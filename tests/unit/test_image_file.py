from __future__ import annotations

import os
from pathlib import Path

import pytest

from imports.errors import ImageProblemError
from imports.items.images import ImageFile
from imports.source.image_file import open_unchanged, read_pieces, read_whole
from imports.source.tree import signature_of

CONTENT = bytes(range(250))


@pytest.fixture
def image(tmp_path: Path) -> ImageFile:
    path = tmp_path / "a.png"
    path.write_bytes(CONTENT)
    return ImageFile(str(path), signature_of(path.stat()))


def test_an_image_is_read_as_a_whole_or_in_pieces(image: ImageFile) -> None:
    with open_unchanged(image) as file:
        assert read_whole(file, image) == CONTENT
    with open_unchanged(image) as file:
        pieces = list(read_pieces(file, image, 100))
    assert [len(piece) for piece in pieces] == [100, 100, 50]
    assert b"".join(pieces) == CONTENT


@pytest.mark.parametrize("length", [0, 99, 100, 249])
def test_an_image_that_became_shorter_while_it_is_read_is_a_problem(
    image: ImageFile, length: int
) -> None:
    def shorten_and_read() -> None:
        with open_unchanged(image) as file:
            os.truncate(image.path, length)
            list(read_pieces(file, image, 100))

    with pytest.raises(ImageProblemError, match=r"a\.png changed during the run"):
        shorten_and_read()


def test_an_image_that_is_written_to_while_it_is_read_is_a_problem(image: ImageFile) -> None:
    def read_and_lengthen() -> None:
        with open_unchanged(image) as file, open(image.path, "ab") as growing:
            assert read_whole(file, image) == CONTENT
            growing.write(b"more")

    with pytest.raises(ImageProblemError, match="changed during the run"):
        read_and_lengthen()
