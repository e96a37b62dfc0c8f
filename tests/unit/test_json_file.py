from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.errors import RecordError
from imports.items.source import Signature
from imports.source import json_file
from imports.source.cleaning import NUL_REMOVED, Tally
from imports.source.json_file import MAX_JSON_BYTES, parse_object, read_object
from imports.source.json_flaws import UnreadableValue
from imports.source.json_text import MAX_DEPTH, as_json
from imports.source.tree import signature_of


def write(path: Path, content: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def read(path: Path, tally: Tally | None = None) -> dict[str, Any]:
    return read_object(str(path), signature_of(path.stat()), Counter() if tally is None else tally)


# Memory


def test_a_document_whose_values_would_take_too_much_memory_is_refused_alone() -> None:
    # 3 MiB of text, 45 MiB of lists for each.
    content = b'{"x":[' + b"[]," * 6_000_000 + b"1]}"
    with pytest.raises(
        RecordError, match=r"about [\d,]+ MiB of memory; one file may use at most 256"
    ):
        parse_object(content, Counter())


def test_a_large_document_of_usual_values_is_read() -> None:
    content = json.dumps({"x": [{"name": "n" * 60, "number": 1}] * 200_000}).encode()
    assert len(parse_object(content, Counter())["x"]) == 200_000


# Parsing


def test_an_object_is_read() -> None:
    assert parse_object(b' {"a": [1, "\xc3\xa9"]}\n', Counter()) == {"a": [1, "é"]}


def test_a_utf_8_byte_order_mark_is_accepted() -> None:
    assert parse_object(b'\xef\xbb\xbf{"a": 1}', Counter()) == {"a": 1}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_and_named(encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    with pytest.raises(RecordError, match="UTF-16"):
        parse_object(f'{mark}{{"a": 1}}'.encode(encoding), Counter())


@pytest.mark.parametrize("content", [b"", b"  \n"])
def test_an_empty_file_is_called_empty(content: bytes) -> None:
    with pytest.raises(RecordError, match="is empty"):
        parse_object(content, Counter())


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"a": 1} x',
        b"<html>",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": \xff}',
        b'{"a": 1,}',
        '{"a": 1}'.encode("utf-16-le"),
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_what_is_not_json_is_refused(content: bytes) -> None:
    with pytest.raises(RecordError, match="is not JSON: "):
        parse_object(content, Counter())


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"[{}]", "an array"),
        (b'"text"', "a string"),
        (b"null", "null"),
        (b"12", "a number"),
        (b"true", "a boolean"),
    ],
)
def test_another_value_than_an_object_is_refused_by_name(content: bytes, named: str) -> None:
    with pytest.raises(RecordError, match=f"^is {named}, not an object$"):
        parse_object(content, Counter())


def test_escaped_nul_is_removed_everywhere_and_counted() -> None:
    tally: Tally = Counter()
    content = rb'{"a": "\u0000x\u0000", "b": [{"c\u0000": "y\u0000"}], "n": 1}'
    assert parse_object(content, tally) == {"a": "x", "b": [{"c": "y"}], "n": 1}
    assert tally == {NUL_REMOVED: 4}


def test_nul_in_a_name_of_the_outermost_object_is_removed_too() -> None:
    tally: Tally = Counter()
    assert parse_object(rb'{"a\u0000": 1}', tally) == {"a": 1}
    assert tally == {NUL_REMOVED: 1}


def test_an_escaped_backslash_before_u0000_is_text_and_stays() -> None:
    tally: Tally = Counter()
    assert parse_object(rb'{"a": "\\u0000"}', tally) == {"a": "\\u0000"}
    assert not tally


@given(st.binary(max_size=200) | st.text().map(lambda text: json.dumps([text]).encode()))
def test_no_content_makes_parsing_fail_otherwise_than_by_its_own_error(content: bytes) -> None:
    # Nothing else than RecordError may come out.
    with contextlib.suppress(RecordError):
        assert isinstance(parse_object(content, Counter()), dict)


readable = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(readable, st.none() | readable | st.lists(readable)))
def test_any_object_is_read_back_without_its_nul_characters(value: dict[str, Any]) -> None:
    expected = {name.replace("\0", ""): _without_nul(each) for name, each in value.items()}
    content = json.dumps(value).encode()
    if len(expected) < len(value):
        with pytest.raises(RecordError, match="occurs twice"):
            parse_object(content, Counter())
    else:
        assert parse_object(content, Counter()) == expected


def _without_nul(value: Any) -> Any:
    if isinstance(value, list):
        return [each.replace("\0", "") for each in value]
    return value if value is None else value.replace("\0", "")


# Numbers, names that stand twice, text that cannot be decoded, depth


@pytest.mark.parametrize(
    "number",
    [
        *("123456789012345678901234567890", "18446744073709551616", "-9223372036854775809"),
        *(
            "0.1234567890123456789012345",
            "1e400",
            "-1E+400",
            "1e-400",
            "5e-400",
            "9007199254740993e0",
        ),
        *("9007199254740993.0", "2.2250738585072011e-309", "1" * 4300, "0." + "1" * 5000),
        *("1e131071", "1e-16383"),
    ],
)
@pytest.mark.parametrize("around", ['{{"a": {}}}', '{{\n  "a": {}\n}}', '{{"\\u00e9":[{} ]}}'])
def test_a_number_keeps_all_its_digits(number: str, around: str) -> None:
    (value,) = parse_object(around.format(number).encode(), Counter()).values()
    only = value[0] if isinstance(value, list) else value
    assert isinstance(only, Decimal)
    assert (only, only.as_tuple().digits) == (Decimal(number), Decimal(number).as_tuple().digits)


UNREAD = [
    *("1" * 4301, "-" + "9" * 4301, "7" * 50_000),
    *("1e99999999999999999999", "-1e-99999999999999999999"),
]
"""Numbers that Python does not read."""


@pytest.mark.parametrize("number", UNREAD)
@pytest.mark.parametrize("before", ["", '{"c": 1, "d": ""}, "\\"", ', '"x", ' * 7_000])
def test_a_number_that_python_cannot_read_is_called_too_large(number: str, before: str) -> None:
    with pytest.raises(RecordError, match=r"^a.b is a number that is too large"):
        parse_object(f'{{"a": {{"b": {number}}}, "d": [{before}1]}}'.encode(), Counter())


@pytest.mark.parametrize("number", UNREAD)
def test_a_number_that_python_cannot_read_costs_its_record_alone(number: str) -> None:
    text = f'{{"r": [{{"a": 1}}, {{"a": [{number}]}}, {{"a": "{number}"}}], "b": ["{number}"]}}'
    document = parse_object(text.encode(), Counter(), "r")
    first, second, third = document["r"]
    assert (first, third, document["b"]) == ({"a": 1}, {"a": number}, [number])
    assert second.reason.startswith("a[0] is a number that is too large")


@pytest.fixture
def few_digits() -> Iterator[None]:
    """Python reads so few digits as it can be told to."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("few_digits")
def test_where_python_reads_fewer_digits_the_file_fails_alone() -> None:
    with pytest.raises(RecordError, match="is not JSON"):
        parse_object(b'{"a": [1, ' + b"1" * 700 + b"]}", Counter())


@given(st.lists(st.sampled_from(['"', "\\", "9" * 4301, " ", ",", "x", "\n", "é"])).map("".join))
def test_digits_in_a_text_are_no_number(text: str) -> None:
    value = {"a": text, "b": [text, "7" * 4400], "c": 1.5, "e": 10**30 + 1}
    content = json.dumps(value, ensure_ascii=False).encode()
    assert parse_object(content, Counter()) == value


@pytest.mark.parametrize(
    "number", ["0" * 4301, "1" * 4301 + "x", "--" + "1" * 4301, "1" * 4301 + "-"]
)
def test_digits_that_are_no_number_stay_none(number: str) -> None:
    with pytest.raises(RecordError, match="is not JSON"):
        parse_object(f'{{"a": [{number}]}}'.encode(), Counter())


FLAWS = {
    "at the top": (b'{"a": 1, "b": 2, "a": 1}', "a occurs twice"),
    "in a list": (b'{"a": [0, {"b": [[{"c": 1, "c": 2}]]}]}', "a[1].b[0][0].c occurs twice"),
    "escaped": (rb'{"a": {"b": 1, "\u0062": 1}}', "a.b occurs twice"),
    "both escaped": (rb'{"a": {"\u0062\"": 1, "\u0062\u0022": 1}}', "a.'b\"' occurs twice"),
    "without NUL": (rb'{"a": {"b\u0000": 1, "b": 2}}', "a.b occurs twice"),
    "with much escaped": (rb'{"\\": "\"\\\"", "\/": {"x": 1, "x": ""}}', "'/'.x occurs twice"),
    "three times": (b'{"a": {"b": 1, "b": 2, "b": 3}}', "a.b occurs twice"),
    "an empty name": (b'{"": 1, "": 1}', "'' occurs twice"),
    "the same value": (b'{\n  "a": {\n    "b": 1,\n    "b": 1\n  }\n}', "a.b occurs twice"),
    "half a character": (
        rb'{"a": ["x", "y \ud83d\ude00\ud83d"]}',
        "a[1] contains half of a surrogate",
    ),
    "the other half": (rb'{"a": {"b c": "\ude00\ud83d"}}', "a.'b c' contains half of a surrogate"),
    "half a character in a name": (
        rb'{"a": {"\ud83d": 1}}',
        "the name a.'\ufffd' contains half of a",
    ),
    "bytes that are no text": (
        b'{"a": [{"b": "caf\xe9"}]}',
        "a[0].b contains bytes that are not UTF-8",
    ),
    "a half in bytes": (b'{"a": "\xed\xa0\xbd"}', "a contains bytes that are not UTF-8"),
    "too many digits": (
        b'{"a": [{"b": 1e131072}]}',
        "a[0].b is a number that PostgreSQL cannot store",
    ),
    "too many decimals": (b'{"a": [{"b": 1e-16384}]}', "a[0].b is a number that PostgreSQL cannot"),
    "escape sequences": (
        b'{"a": {"\\u001b[31m": 1, "\\u001b[31m": 1}}',
        r"a.'\x1b[31m' occurs twice",
    ),
}


@pytest.mark.parametrize(("content", "reason"), FLAWS.values(), ids=FLAWS)
def test_a_flaw_is_refused_at_every_depth_with_its_path(content: bytes, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        parse_object(content, Counter())
    assert str(caught.value).startswith(reason)
    around = rb'{"query": 1, "results": [{"a": "\u0000"}, ' + content + b", 3]}"
    with pytest.raises(RecordError) as caught:
        parse_object(around, Counter(), "others")
    assert "results[1]" in str(caught.value)

    tally: Tally = Counter()
    found = parse_object(around, tally, "results")["results"]
    assert (found[0], found[2]) == ({"a": ""}, 3)
    assert isinstance(found[1], UnreadableValue)
    assert found[1].reason.startswith(reason)


@pytest.mark.parametrize("spaces", ["", " ", "\n  "])
@pytest.mark.parametrize(("opened", "closed"), ["[]", ('{"a":', "}"), ('["\\u0000",', "]")])
def test_the_most_levels_are_read_and_one_more_is_refused(
    spaces: str, opened: str, closed: str
) -> None:
    def nested(levels: int) -> bytes:
        inner = f"{spaces}{opened}" * levels + "1" + closed * levels
        return f'{{{spaces}"x": {inner}{spaces}}}'.encode()

    as_json(("in a row", parse_object(nested(MAX_DEPTH - 1), Counter())))
    for levels in (MAX_DEPTH, MAX_DEPTH + 20, 400, 1_000, 1_100, 100_000):
        with pytest.raises(RecordError, match=r"^is nested more than 250 levels deep$"):
            parse_object(nested(levels), Counter())


def test_many_brackets_are_no_depth() -> None:
    document = {"a": [[]] * 1000, "b": "[{" * 1000, "c": {"d": {}}}
    assert parse_object(json.dumps(document).encode(), Counter()) == document


texts = st.text(st.sampled_from('ab "\\\0é😀/\n')) | st.text(
    st.characters(exclude_categories=["Cs"])
)
literals = st.from_regex(
    r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)


@st.composite
def json_texts(draw: st.DrawFn, levels: int = 3) -> str:
    """Any JSON, written in any way; names may stand twice."""
    space = draw(st.sampled_from(["", " ", "\n\t"]))
    kind = draw(st.sampled_from("ntol" if levels else "nt"))
    if kind == "n":
        return draw(literals | st.sampled_from(["null", "true", "false"])) + space
    if kind == "t":
        return json.dumps(draw(texts), ensure_ascii=draw(st.booleans())) + space
    inner = draw(st.lists(json_texts(levels - 1), max_size=4))
    if kind == "l":
        return f"[{space}{','.join(inner)}]{space}"
    return members(draw, inner) + space


def members(draw: st.DrawFn, values: list[str]) -> str:
    def name() -> str:
        text = draw(texts)
        if text == "a" and draw(st.booleans()):
            return r'"\u0061"'
        return json.dumps(text, ensure_ascii=draw(st.booleans()))

    return f"{{{', '.join(f'{name()} : {each}' for each in values)}}}"


class Twice(Exception):  # noqa: N818 - it is none of the importer's
    """A name stands twice."""


def exactly(content: str) -> Any:
    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = {name.replace("\0", ""): value for name, value in pairs}
        if len(found) < len(pairs):
            raise Twice
        return found

    return json.loads(content, object_pairs_hook=checked, parse_float=Decimal, parse_int=Decimal)


def plain(value: Any) -> Any:
    """A value with all numbers as Decimal, and texts without NUL."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return value.replace("\0", "")
    return Decimal(repr(value)) if type(value) in (int, float) else value


@given(st.data())
def test_what_is_read_and_written_again_is_what_an_exact_parser_reads(data: st.DataObject) -> None:
    content = members(data.draw, data.draw(st.lists(json_texts(), max_size=4)))
    try:
        expected = exactly(content)
    except Twice:
        with pytest.raises(RecordError, match=r"occurs twice$"):
            parse_object(content.encode(), Counter())
        return
    found = parse_object(content.encode(), Counter())
    assert plain(exactly(as_json(found).decode())) == plain(expected)


# Reading


def test_a_file_is_read_by_its_signature(tmp_path: Path) -> None:
    tally: Tally = Counter()
    assert read(write(tmp_path / "a.json", '{"a": "\\u0000b"}'), tally) == {"a": "b"}
    assert tally == {NUL_REMOVED: 1}


@pytest.mark.parametrize("changed", ['{"a": 12}', "{}", ""])
def test_a_file_that_changed_its_size_is_refused(tmp_path: Path, changed: str) -> None:
    path = write(tmp_path / "a.json", '{"a": 1}')
    signature = signature_of(path.stat())
    write(path, changed)
    with pytest.raises(RecordError, match="changed during the run"):
        read_object(str(path), signature, Counter())


def test_a_file_that_was_written_again_with_the_same_size_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", '{"a": 1}')
    signature = signature_of(path.stat())
    write(path, '{"a": 2}')
    os.utime(path, ns=(0, signature.mtime_ns + 1))
    with pytest.raises(RecordError, match="changed during the run"):
        read_object(str(path), signature, Counter())


def test_a_file_that_is_gone_or_a_folder_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.json", tmp_path):
        with pytest.raises(RecordError, match="cannot be read: "):
            read_object(str(path), Signature(2, 0), Counter())


def test_a_file_that_is_too_large_is_not_even_opened(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="bytes; a file may have at most"):
        read_object(str(tmp_path / "gone.json"), Signature(MAX_JSON_BYTES + 1, 0), Counter())


def test_a_file_comes_whole_also_when_the_system_hands_it_over_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.json", '{"a": "bcd"}')
    whole = os.read
    monkeypatch.setattr(json_file.os, "read", lambda file, size: whole(file, min(size, 5)))
    assert read(path) == {"a": "bcd"}
