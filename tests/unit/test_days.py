from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.source.days import day_in


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02",
        "2026_3_2",
        "2026.03.02",
        "2026 03 02",
        "20260302",
        "20260302T100000Z",
        "20260302100000",
        "2026-03-02T10-00",
        "2026-03-02_1000",
        "scrape_2026-03-02",
        "2026-03-02-retry",
        "Mar-02-2026",
        "2026_Mar_02",
        "March 2nd, 2026",
        "2 march 2026",
        "02Mar2026",
        "x/2026/03/02/OH",
        "x/2026-03/02/OH",
        "x/2026/March/2/OH",
        "backup/2025-01-31/x/2026-03-02/OH",
        "2026/2026-03/2026-03-02",
        "10/12/2026-03-02",
    ],
)
def test_spellings_of_one_day_are_the_same(text: str) -> None:
    day = day_in("2026-03-02")
    assert day is not None
    assert day.is_same(day_in(text))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("03-02-2026", "3_2_2026", True),
        ("03-02-2026", "03022026", True),
        ("03-02-2026", "02-03-2026", False),
        ("03-02-2026", "2026-03-02", False),
        ("13-02-2026", "02-13-2026", True),
        ("13-02-2026", "2026-02-13", True),
        ("02-02-2026", "2026-02-02", True),
        ("03-02-26", "03.02.26", True),
        ("03-02-26", "02-03-26", False),
        ("03-02-26", "2026-03-02", False),
        ("Aug-04-scrape", "august_4", True),
        ("Aug-04-scrape", "2025-08-04", False),
        ("2026-03-02T10-00", "2026-03-02_1000", True),
        ("2026-03-02T10-00", "2026-03-02 10:00:30", True),
        ("2026-03-02T10-00", "2026-03-02/1100", False),
        ("2026-03-02 10-00 AM", "2026-03-02 10-00 PM", False),
        ("2026-03-01_2026-03-07", "2026-03-02_2026-03-07", False),
        ("2026-03-01_2026-03-07", "2026-03-07", False),
        ("2026-03-02", "OH", False),
    ],
)
def test_only_what_is_surely_the_same_day_is_the_same(one: str, other: str, same: bool) -> None:
    days = day_in(one), day_in(other)
    assert days[0] is not None
    assert days[0].is_same(days[1]) is same
    assert days[1] is None or days[1].is_same(days[0]) is same


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OH",
        "20261399",
        "12345678",
        "2026-02-30",
        "2026-13-01",
        "1772445600",
        "1772445600000",
        "PH120260302",
        "2026-03",
        "2026",
        "v1.2.3",
        "1-2-3",
        "maypole 3",
        "augustus_4",
        "08-04",
    ],
)
def test_what_only_looks_like_a_day_is_none(text: str) -> None:
    assert day_in(text) is None


@given(st.text("0123456789-_./ marchAug年T\u0662", max_size=40))
def test_any_text_has_a_day_or_none(text: str) -> None:
    day = day_in(text)
    assert day is None or day.is_same(day)


def test_a_long_text_of_what_is_almost_a_day_is_no_trouble() -> None:
    for text in ("1-" * 2_000, "may" * 1_300, "2026/" * 800, "2 " * 2_000):
        day_in(text)
