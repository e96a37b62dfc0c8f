from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.errors import RecordError
from imports.source.json_text import as_json, exact_number, may_be_rounded, parse_answer

numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?", fullmatch=True
)


def kept(number: str) -> bool:
    """Whether orjson gives back the value of a number."""
    try:
        again = orjson.dumps(orjson.loads(number)).decode()
    except orjson.JSONDecodeError:
        return False
    return Decimal(again) == Decimal(number)


@given(numbers, st.sampled_from(["[{}]", '{{"a":{}}}', "[1, {}, 2]", '{{"a": {}\n}}']))
def test_no_number_that_orjson_changes_is_overlooked(number: str, around: str) -> None:
    content = around.format(number).encode()
    assert kept(number) or may_be_rounded(content, by_doubles=False)


@given(numbers, st.sampled_from(["[{}]", '{{"a":{}}}', "[1, {}, 2]", '{{"a": {}\n}}']))
def test_no_number_that_javascript_would_round_is_overlooked(number: str, around: str) -> None:
    rounded = Decimal(repr(float(number))) if abs(float(number)) != float("inf") else None
    content = around.format(number).encode()
    assert rounded == Decimal(number) or may_be_rounded(content, by_doubles=True)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**64 - 1))
def test_what_a_double_or_64_bits_hold_is_taken_as_it_is(double: float, whole: int) -> None:
    content = orjson.dumps([double, whole])
    far = bool(re.search(rb"e[-+]?[0-9]{3}", content))
    assert may_be_rounded(content, by_doubles=False) == far
    exact = Decimal(repr(float(whole))) == whole
    assert may_be_rounded(content, by_doubles=True) == (far or not exact)


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 123456789012345, "b": -0.12345678901234, "c": 1e22, "d": 1.5E-10}',
        b'{"hash": "12345678901234567890e400", "id": "1111-2222-3333-4444-5555", "x": "0e000"}',
        b'{"at": "2025-08-03T14:03:10.123456+00:00", "path": "20250803_12345678901234567.png"}',
        b'{"version": "see 1.2.3.4.5.6.7.8.9.10 , 1.1.1.1.1.1.1.1.1, --1234567890123456 "}',
        b'{"card": "4111 1111 1111 1111", "uuid": "12345678-1234-1234-1234-123456789012"}',
    ],
)
def test_short_numbers_and_long_ones_in_texts_are_not_suspected(content: bytes) -> None:
    assert not may_be_rounded(content, by_doubles=True)


@given(numbers)
def test_a_number_is_as_orjson_has_it_or_exact(number: str) -> None:
    found = exact_number(Decimal(number))
    if isinstance(found, Decimal):
        assert found == Decimal(number)
    else:
        assert Decimal(repr(found)) == Decimal(number)
        assert kept(number)


@pytest.mark.parametrize(
    "number", ["18446744073709551616", "1E+400", "1E-400", "0.10000000000000000000"]
)
def test_a_decimal_is_written_with_all_its_digits_at_any_depth(number: str) -> None:
    value = Decimal(number)
    assert as_json({"a": [value, {"b": (value,)}]}) == (
        f'{{"a":[{number},{{"b":[{number}]}}]}}'.encode()
    )


@pytest.mark.parametrize("value", [{1, 2}, object(), "\ud800", 2**64])
def test_what_cannot_be_written_is_a_problem_of_its_record(value: object) -> None:
    with pytest.raises(RecordError, match="cannot be written as JSON again"):
        as_json({"a": value})


@given(st.lists(numbers), st.text(st.characters(exclude_categories=["Cs"])))
def test_an_answer_keeps_all_digits(some: list[str], text: str) -> None:
    content = f"[{json.dumps(text)}, [{', '.join(some)}]]"
    for answer in (content, content.encode()):
        found: list[Any] = parse_answer(answer)
        assert found[0] == text
        assert [Decimal(repr(each) if type(each) is float else each) for each in found[1]] == [
            Decimal(each) for each in some
        ]


def test_an_answer_may_hold_a_number_with_more_digits_than_python_reads() -> None:
    (found,) = parse_answer("[1" + "0" * 5000 + "]")
    assert found == Decimal("1e5000")


@pytest.mark.parametrize("answer", ["", "[", "<html>", "[1111111111111111111111", "[1e4000"])
def test_an_answer_that_is_no_json_is_refused(answer: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_answer(answer)
