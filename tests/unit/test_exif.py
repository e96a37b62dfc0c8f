"""Whether a JPEG is turned, by its EXIF data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.source.exif import is_turned
from tests.support.pictures import turned
from tests.support.source import jpeg, png


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("orientation", "expected"), [(0, False), (1, False), (3, True), (8, True),
                                                       (9, False)])  # fmt: skip
def test_an_orientation_says_whether_it_is_turned(
    order: str, orientation: int, expected: bool
) -> None:
    assert is_turned(turned(jpeg(), orientation, order)) is expected


def test_what_has_no_orientation_is_not_turned() -> None:
    whole = turned(jpeg(), 6)
    assert not any(map(is_turned, (b"", png(), jpeg(), jpeg() + whole, b"\xff\xd8\xff\xe1\0\x01")))
    assert not is_turned(whole[:30])


@given(st.binary(max_size=60), st.integers(2, 60))
def test_damaged_data_are_no_error(noise: bytes, place: int) -> None:
    whole = turned(jpeg(), 6)
    is_turned(whole[:place] + noise + whole[place + len(noise) :])
