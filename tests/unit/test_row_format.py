"""Rows are decoded here by the rules of PostgreSQL's manual (COPY, File Formats; Arrays)."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.tables.row_format import RowFormat, encoder
from imports.tables.table import Column, Keep, Table

_SHORTHANDS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def table_of(*types: str) -> Table:
    columns = tuple(Column(f"c{index}", name) for index, name in enumerate(types))
    return Table(name="things", columns=columns, key=("c0",), on_conflict=Keep())


def copy_line(types: list[str], *values: object) -> bytes:
    return encoder(table_of(*types), RowFormat.COPY)(values)


def decode_copy(line: bytes) -> list[str | None]:
    """The fields of one line, unescaped; None for NULL."""
    text = line.decode()
    assert text.endswith("\n")
    assert "\n" not in text[:-1], "a row is one line"
    assert "\r" not in text, "a carriage return would end the line for some servers"
    return [None if raw == "\\N" else _unescape(raw) for raw in text[:-1].split("\t")]


def _unescape(raw: str) -> str:
    found = []
    characters = iter(raw)
    for character in characters:
        if character == "\\":
            escaped = next(characters)
            assert escaped in _SHORTHANDS or not escaped.isalnum(), f"\\{escaped}"
            found.append(_SHORTHANDS.get(escaped, escaped))
        else:
            found.append(character)
    return "".join(found)


def decode_array(literal: str) -> list[str | None]:
    """The elements of a one-dimensional array literal."""
    assert literal[0] == "{"
    assert literal[-1] == "}"
    elements: list[str | None] = []
    rest = literal[1:-1]
    while rest:
        if rest[0] == '"':
            text, end = "", 1
            while rest[end] != '"':
                end += rest[end] == "\\"
                text += rest[end]
                end += 1
            elements.append(text)
            rest = rest[end + 1 :]
        else:
            bare = rest.split(",", 1)[0]
            elements.append(None if bare == "NULL" else bare)
            rest = rest[len(bare) :]
        assert not rest or rest[0] == ","
        rest = rest[1:]
    return elements


# PostgreSQL's text holds any character but NUL and surrogates.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
awkward = st.text(st.sampled_from('\\\t\n\r"N,{}. \x08\x0b\x0cé😀'))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts | awkward,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | awkward, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("plain", b"plain"),
        ("C:\\new", b"C:\\\\new"),
        ("a\tb", b"a\\tb"),
        ("a\nb", b"a\\nb"),
        ("a\rb", b"a\\rb"),
        ("\\N", b"\\\\N"),
        ("\\.", b"\\\\."),
        ("", b""),
        ("é😀", "é😀".encode()),
    ],
)
def test_text_is_escaped_for_copy(text: str, field: bytes) -> None:
    assert copy_line(["text"], text) == field + b"\n"


def test_null_and_the_text_that_looks_like_it_are_distinguished() -> None:
    assert copy_line(["text", "text"], None, "\\N") == b"\\N\t\\\\N\n"


@pytest.mark.parametrize("type_", ["text", "jsonb", "date", "timestamptz", "boolean", "text[]"])
def test_none_is_null_in_every_type(type_: str) -> None:
    assert copy_line([type_], None) == b"\\N\n"


@given(texts | awkward, json_values, st.none() | texts, st.lists(st.none() | texts | awkward))
def test_a_copied_line_is_read_back_as_the_values(
    text: str, value: Any, maybe: str | None, elements: list[str | None]
) -> None:
    line = copy_line(["text", "jsonb", "text", "text[]"], text, value, maybe, elements)
    found = decode_copy(line)
    assert found[0] == text
    # JSON's null in a column of jsonb is NULL: nothing can be asked of either.
    assert (None if found[1] is None else json.loads(found[1])) == value
    assert found[2] == maybe
    assert found[3] is not None
    assert decode_array(found[3]) == elements


def test_jsonb_keeps_quotes_backslashes_and_newlines() -> None:
    value = {'say "hi"': "C:\\new\nline\ttab\\N", "deep": [{"a": None}]}
    (field,) = decode_copy(copy_line(["jsonb"], value))
    assert field is not None
    assert json.loads(field) == value


def test_dates_moments_and_booleans_are_written_as_postgresql_reads_them() -> None:
    line = copy_line(
        ["date", "timestamptz", "boolean", "boolean", "bigint", "double precision"],
        dt.date(2027, 2, 28),
        dt.datetime(2025, 8, 3, 14, 3, 10, 123456, dt.UTC),
        True,
        False,
        -7,
        1.5,
    )
    assert line == b"2027-02-28\t2025-08-03T14:03:10.123456+00:00\tt\tf\t-7\t1.5\n"


def test_an_array_distinguishes_null_from_the_word_and_keeps_commas() -> None:
    (field,) = decode_copy(copy_line(["text[]"], [None, "NULL", "a,b", "", '"', "\\"]))
    assert field is not None
    assert decode_array(field) == [None, "NULL", "a,b", "", '"', "\\"]
    assert copy_line(["text[]"], []) == b"{}\n"


def test_a_row_with_a_value_too_many_or_too_few_is_a_defect() -> None:
    for row_format in RowFormat:
        encode = encoder(table_of("text", "text"), row_format)
        for row in (("a",), ("a", "b", "c")):
            with pytest.raises(ValueError, match=r"zip\(\)"):
                encode(row)


@given(texts, json_values, st.none() | st.dates(), st.lists(texts), st.booleans())
def test_a_row_as_json_is_read_back_by_column(
    text: str, value: Any, day: dt.date | None, elements: list[str], flag: bool
) -> None:
    types = ("text", "jsonb", "date", "text[]", "boolean")
    row = (text, value, day, elements, flag)
    encoded = encoder(table_of(*types), RowFormat.JSON)(row)
    assert json.loads(encoded) == {
        "c0": text,
        "c1": value,
        "c2": day.isoformat() if day else None,
        "c3": elements,
        "c4": flag,
    }


def test_a_moment_in_json_carries_its_offset() -> None:
    timestamp = dt.datetime(2025, 8, 3, 14, 3, 10, 5, dt.UTC)
    encoded = orjson.loads(encoder(table_of("timestamptz"), RowFormat.JSON)((timestamp,)))
    assert dt.datetime.fromisoformat(encoded["c0"]) == timestamp


def test_rows_as_json_can_be_put_together_as_one_array() -> None:
    encode = encoder(table_of("text"), RowFormat.JSON)
    joined = b"[" + b",".join([encode(("a\nb",)), encode((None,))]) + b"]"
    assert json.loads(joined) == [{"c0": "a\nb"}, {"c0": None}]


@pytest.mark.parametrize(
    "number", ["18446744073709551616", "0.1234567890123456789012345", "1E-400"]
)
def test_a_number_is_written_with_all_its_digits_in_both_formats(number: str) -> None:
    row = ({"a": [Decimal(number)]}, [number])
    fields = decode_copy(copy_line(["jsonb", "text[]"], *row))
    assert fields[0] == f'{{"a":[{number}]}}'
    encoded = encoder(table_of("jsonb", "text[]"), RowFormat.JSON)(row)
    assert encoded == f'{{"c0":{{"a":[{number}]}},"c1":["{number}"]}}'.encode()
