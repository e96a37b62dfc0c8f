from __future__ import annotations

import pytest

from imports.source.name_patterns import matcher


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPG", "photo.Jpg", ".jpg", "two.dots.jpg", "a\nb.jpg"]
)
def test_a_name_matches_in_upper_and_lower_case(name: str) -> None:
    assert matcher(("*.png", "*.jpg"))(name)
    assert matcher(("*.JPG",))(name)


@pytest.mark.parametrize("name", ["a.jpg.bak", "ajpg", "jpg", "", "a.jpg\n"])
def test_a_name_matches_as_a_whole_or_not_at_all(name: str) -> None:
    assert not matcher(("*.jpg",))(name)


def test_a_name_without_wildcards_matches_itself_alone() -> None:
    matches = matcher(("stats.json",))
    assert matches("stats.json")
    assert not matches("my_stats.json")
    assert not matches("statsxjson"), "a dot is a dot"


def test_a_pattern_may_leave_signs_open() -> None:
    matches = matcher(("img_??.[jp][pn]g",))
    assert matches("img_01.png")
    assert not matches("img_001.png")
    assert not matches("img_01.gif")


def test_without_patterns_nothing_matches() -> None:
    assert not matcher(())("anything")
    assert not matcher(())("")


def test_a_pattern_that_is_half_a_wildcard_is_taken_as_it_stands() -> None:
    assert matcher(("a[.png",))("a[.png")
