from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports import json_file
from imports.cleaning import NUL_REMOVED, Tally
from imports.errors import RecordError
from imports.json_file import MAX_JSON_BYTES, parse_object, read_object
from imports.source_tree import signature_of
from imports.work_item import Signature


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
    with pytest.raises(RecordError, match=r"about [\d,]+ MiB of memory; more than 256"):
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
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
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
        (b"[{}]", "a list"),
        (b'"text"', "a text"),
        (b"null", "null"),
        (b"12", "a number"),
        (b"true", "true or false"),
    ],
)
def test_another_value_than_an_object_is_refused_by_name(content: bytes, named: str) -> None:
    with pytest.raises(RecordError, match=f"^holds {named} where an object belongs$"):
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
    assert parse_object(json.dumps(value).encode(), Counter()) == expected


def _without_nul(value: Any) -> Any:
    if isinstance(value, list):
        return [each.replace("\0", "") for each in value]
    return value if value is None else value.replace("\0", "")


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
    with pytest.raises(RecordError, match="changed while the run was under way"):
        read_object(str(path), signature, Counter())


def test_a_file_that_was_written_again_with_the_same_size_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", '{"a": 1}')
    signature = signature_of(path.stat())
    write(path, '{"a": 2}')
    os.utime(path, ns=(0, signature.mtime_ns + 1))
    with pytest.raises(RecordError, match="changed while the run was under way"):
        read_object(str(path), signature, Counter())


def test_a_file_that_is_gone_or_a_folder_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.json", tmp_path):
        with pytest.raises(RecordError, match="cannot be read: "):
            read_object(str(path), Signature(2, 0), Counter())


def test_a_file_that_is_too_large_is_not_even_opened(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="bytes long; more than"):
        read_object(str(tmp_path / "gone.json"), Signature(MAX_JSON_BYTES + 1, 0), Counter())


def test_a_file_comes_whole_also_when_the_system_hands_it_over_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.json", '{"a": "bcd"}')
    whole = os.read
    monkeypatch.setattr(json_file.os, "read", lambda file, size: whole(file, min(size, 5)))
    assert read(path) == {"a": "bcd"}
