from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.ledger.cause import cause_of

LONGEST = 161

SAME = [
    ["has 65,000,000 bytes; a file may have at most 67,108,864"],
    [
        "stats.json is not JSON: unexpected character: line 1 column 2 (char 1)",
        "stats.json is not JSON: unexpected character: line 30 column 14 (char 2041)",
    ],
    [
        "image 'a.png' was not found",
        "image '/srv/scans/b c.png' was not found",
        'image "it\'s.png" was not found',
        "image “薬局.png” was not found",
    ],
    [
        "cannot be read: /data/a/x.json: Permission denied",
        "cannot be read: /data/other folder/y.json: Permission denied",
    ],
    [
        "record Belmar/FL/PH1: the database refused it",
        "record Larkspur Pharmacy, Inc./GA/(no licence): the database refused it",
    ],
    [
        "record nested/line-2/Batch56: value out of range",
        "record Batch\n57: value out of range",
    ],
    [
        "Image upload failed: 413 for sha256 " + "ab" * 32,
        "Image upload failed: 413 for sha256 " + "0f" * 32,
    ],
    [
        "search_result.licenses[0].license_number: expected a string, found an array",
        "search_result.licenses[12].license_number: expected a string, found an array",
    ],
    ["took 1.5 seconds", "took 12 seconds", "took 1,234.5 seconds"],
]


@pytest.mark.parametrize("reasons", SAME, ids=lambda reasons: reasons[0][:40])
def test_reasons_that_differ_by_names_places_and_numbers_have_one_cause(
    reasons: list[str],
) -> None:
    assert len({cause_of(reason) for reason in reasons}) == 1


def test_reasons_of_another_kind_have_other_causes() -> None:
    assert len({cause_of(reasons[0]) for reasons in SAME}) == len(SAME)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("is empty", "is not JSON: unexpected end"),
        ("metadata.state is missing", "metadata.pharmacy_name is missing"),
        ("is an array, not an object", "is a string, not an object"),
        ("cannot be read: Permission denied", "cannot be read: Input/output error"),
        ("cannot be listed: No such file or directory", "cannot be listed: Permission denied"),
        ("record a/b/c: value too long", "record a/b/c: value out of range"),
        ("is UTF-8 no more", "is UTF-16 no more"),
        ("has sha256 twice", "has sha512 twice"),
        ("refused (SQLSTATE 22003)", "refused (SQLSTATE 23505)"),
        ("refused (SQLSTATE 22P02)", "refused (SQLSTATE 22P05)"),
    ],
)
def test_different_reasons_have_different_causes(one: str, other: str) -> None:
    assert cause_of(one) != cause_of(other)


def test_what_has_nothing_of_its_item_in_it_is_its_own_cause() -> None:
    for reason in (
        "is empty",
        "metadata.state is missing",
        "is nested too deeply",
        "its name is not valid UTF-8; rename it and run again",
        "the database refused it (SQLSTATE 22003)",
        "holds an int4 too large",
    ):
        assert cause_of(reason) == reason


def test_a_cause_names_the_problem() -> None:
    reason = "record Belmar/FL/PH1: image '/srv/a.png' has 12,345 bytes"
    assert cause_of(reason) == "image … has … bytes"


def test_a_long_reason_is_cut() -> None:
    cause = cause_of("word " * 1_000)
    assert len(cause) == LONGEST
    assert cause.endswith("…")


@given(st.text(max_size=400) | st.text("ab/'\"“”:; \n01f", max_size=400))
def test_every_reason_has_a_cause_that_fits_into_a_line(reason: str) -> None:
    assert len(cause_of(reason)) <= LONGEST
    assert cause_of(reason) == cause_of(reason)


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_no_number_makes_another_cause(one: int, other: int) -> None:
    assert cause_of(f"line {one} is bad") == cause_of(f"line {other} is bad")
    assert cause_of(f"line {one:,} is bad") == cause_of(f"line {other} is bad")


quotable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="'"), max_size=60)


@given(quotable, quotable)
def test_no_quoted_text_makes_another_cause(one: str, other: str) -> None:
    assert cause_of(f"image '{one}' was not found") == cause_of(f"image '{other}' was not found")


@pytest.mark.parametrize("sign", ["/", "'", "record ", "a" * 16, "1", "/ ", "record a: "])
def test_reasons_of_any_length_are_read_in_no_time(sign: str) -> None:
    assert len(cause_of(sign * 200_000)) <= LONGEST
