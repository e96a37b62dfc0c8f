from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imports.errors import NotOursError, RecordError
from imports.items.source import Signature
from imports.source import json_chunks, json_events, json_pieces, json_values
from imports.source.cleaning import NUL_REMOVED, Tally
from imports.source.json_file import parse_object
from imports.source.json_flaws import UnreadableValue
from imports.source.json_pieces import Piece, read_pieces
from imports.source.tree import signature_of_file


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "a.json"
        path.write_bytes(content)
        return path

    return write


def pieces(
    path: Path, size: int = 2, start: int = 0, tally: Tally | None = None, key: str = "results"
) -> Iterator[Piece]:
    tally = Counter() if tally is None else tally
    return read_pieces(str(path), signature_of_file(str(path)), key, size, start, tally)


def taken(found: Iterator[Piece]) -> tuple[list[Piece], str]:
    """The pieces until the error, and its message."""
    before: list[Piece] = []
    with pytest.raises(RecordError) as caught:
        before.extend(found)
    return before, str(caught.value)


@pytest.fixture(params=["yajl2_c", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    backend = importlib.import_module(f"ijson.backends.{request.param}")
    monkeypatch.setattr(json_events.ijson, "basic_parse_coro", backend.basic_parse_coro)
    return str(request.param)


# Pieces


WHOLE = [{"a": 1}, 2, [3], "4", None]


@pytest.mark.parametrize(
    ("start", "size", "expected"),
    [
        (0, 2, [Piece(0, WHOLE[:2], False), Piece(2, WHOLE[2:4], False), Piece(4, [None], True)]),
        (0, 5, [Piece(0, WHOLE, True)]),
        (0, 9, [Piece(0, WHOLE, True)]),
        (1, 2, [Piece(1, WHOLE[1:3], False), Piece(3, WHOLE[3:], True)]),
        (4, 2, [Piece(4, [None], True)]),
        (5, 2, [Piece(5, [], True)]),
        (9, 2, [Piece(5, [], True)]),
    ],
)
def test_the_list_comes_in_pieces(
    write: Callable[[bytes], Path], parser: str, start: int, size: int, expected: list[Piece]
) -> None:
    path = write(orjson.dumps({"query": {"results": [0]}, "results": WHOLE, "more": [1, {}]}))
    assert list(pieces(path, size, start)) == expected


@pytest.mark.parametrize(
    "document",
    [{"results": []}, {"a": {"results": [1]}, "results": []}, {"results": [], "x": [1]}],
)
def test_an_empty_list_has_one_empty_piece(
    write: Callable[[bytes], Path], parser: str, document: dict[str, Any]
) -> None:
    assert list(pieces(write(orjson.dumps(document)))) == [Piece(0, [], True)]
    assert list(pieces(write(orjson.dumps(document)), start=3)) == [Piece(0, [], True)]


@pytest.mark.parametrize(
    "document",
    [{}, {"a": {"results": [1]}}, {"results.item": 5}, {"x": [{"results": [1]}]}, [], 7, "results"]
    + [{"results": each} for each in (None, {}, {"results": []}, "", 0, False)],
)
@pytest.mark.parametrize("start", [0, 3])
def test_a_file_without_the_list_has_no_piece(
    write: Callable[[bytes], Path], parser: str, document: Any, start: int
) -> None:
    """Else it would be taken for an empty one, and deleted."""
    found = []
    with pytest.raises(NotOursError):
        found += pieces(write(orjson.dumps(document)), start=start)
    assert found == []


def test_what_looks_like_the_list_elsewhere_is_not_taken(write: Callable[[bytes], Path]) -> None:
    path = write(b'{"results.item": 5, "x": {"results": [6]}, "results": [7]}')
    assert list(pieces(path)) == [Piece(0, [7], True)]


documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@example("results", {"": {"\ufdd0\ufdd1": None}}, [], 1, 0, True, 1)
@example(
    "results", {"": ["\ufdd0\ufdd1"]}, [{"\ufdd0\ufdd1": "\ufdd0\ufdd1\ufdd3"}], 1, 0, False, 1
)
@given(
    names,
    st.dictionaries(names, documents, max_size=3),
    st.lists(documents),
    st.integers(1, 4),
    st.integers(0, 4),
    st.booleans(),
    st.integers(1, 40),
)
def test_the_pieces_together_are_what_a_small_file_has(
    tmp_path_factory: pytest.TempPathFactory,
    key: str,
    others: dict[str, Any],
    records: list[Any],
    size: int,
    start: int,
    ascii_only: bool,
    chunk: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    content = json.dumps({**others, key: records}, ensure_ascii=ascii_only).encode()
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_chunks, "_CHUNK_BYTES", chunk + 2)
        try:
            expected = parse_object(content, Counter(), key)[key]
        except RecordError as error:
            refusal = re.escape(str(error))
        else:
            refusal = None
            found = list(pieces(path, size, start, key=key))
        if refusal is not None:
            with pytest.raises(RecordError, match=f"^{refusal}$"):
                list(pieces(path, size, start, key=key))
            return
    together = [record for piece in found for record in piece.records]
    assert repr(together) == repr(expected[start:]), "with their types"
    assert [piece.last for piece in found] == [False] * (len(found) - 1) + [True]
    assert all(len(piece.records) == size for piece in found[:-1])


@given(st.binary(max_size=60) | st.text('{}[]",:0\\u d8 results', max_size=60).map(str.encode))
def test_no_content_makes_reading_fail_otherwise_than_by_its_own_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "none.json"
    path.write_bytes(b'{"results": [' + content)
    with contextlib.suppress(RecordError):
        list(pieces(path))


# Values


@pytest.mark.parametrize(
    "number",
    ["0", "-0", "-0.0", "1.0", "1E5", "0.1", "1e-400", "5e-324", "1.7976931348623157e308"]
    + [
        str(sign * 2**power + more)
        for sign in (1, -1)
        for power in (53, 63, 64)
        for more in (-1, 0, 1)
    ]
    + ["123456789012345678901234567890", "3.14159265358979323846264338327950288"]
    + ["1e400", "-1e400", "1" * 400],
)
def test_a_number_is_what_a_small_file_makes_of_it(
    write: Callable[[bytes], Path], parser: str, number: str
) -> None:
    content = f'{{"results": [{number}]}}'.encode()
    ((only,),) = [piece.records for piece in pieces(write(content))]
    expected = parse_object(content, Counter())["results"][0]
    assert (type(only), repr(only)) == (type(expected), repr(expected))


@pytest.mark.parametrize("number", ["1" * 5000, "-" + "1" * 90_000, "1e99999999999999999999"])
@pytest.mark.parametrize("text", ["", "x" * 16_000, r"\"" * 30_000, "1" * 5000])
def test_a_number_that_python_cannot_read_costs_its_record_alone(
    write: Callable[[bytes], Path], parser: str, number: str, text: str
) -> None:
    (piece,) = pieces(write(f'{{"results": ["{text}", {{"a": {number}}}, 2]}}'.encode()), 5)
    first, second, third = piece.records
    assert (first, third) == (text.replace("\\", ""), 2)
    assert second.reason.startswith("a is a number that is too large")


def test_a_number_that_python_cannot_read_outside_of_records_is_refused(
    write: Callable[[bytes], Path], parser: str
) -> None:
    with pytest.raises(RecordError, match=r"^q.n is a number that is too large"):
        list(pieces(write(b'{"q": {"n": ' + b"1" * 5000 + b'}, "results": [0]}')))


def test_nul_characters_are_removed_and_counted(
    write: Callable[[bytes], Path], parser: str
) -> None:
    tally: Tally = Counter()
    content = rb'{"q": "\u0000", "results\u0000": [{"b\u0000": "\u0000x"}, "\\u0000", "y\u0000"]}'
    found = list(pieces(write(content), 5, 0, tally))
    assert found == [Piece(0, [{"b": "x"}, "\\u0000", "y"], True)]
    assert tally == {NUL_REMOVED: 3}


def test_a_nul_after_many_records_is_found(write: Callable[[bytes], Path]) -> None:
    tally: Tally = Counter()
    records = [*range(200_000), "a\0"]
    path = write(orjson.dumps({"results": records}))
    assert sum(len(piece.records) for piece in pieces(path, 1000, 0, tally)) == len(records)
    assert tally == {NUL_REMOVED: 1}


@pytest.mark.parametrize("chunk", range(3, 40))
def test_escapes_are_read_wherever_a_chunk_ends(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(json_chunks, "_CHUNK_BYTES", chunk)
    tally: Tally = Counter()
    content = rb'{"results": ["\\\ud83d\ude00\u0000", "\\ud83d", "\\\\\\", "\ud83d\ude00"]}'
    found = list(pieces(write(content), 9, 0, tally))
    assert found == [Piece(0, ["\\😀", "\\ud83d", "\\\\\\", "😀"], True)]
    assert tally == {NUL_REMOVED: 1}


# Files that are not as they should be


def test_a_byte_order_mark_is_accepted(write: Callable[[bytes], Path], parser: str) -> None:
    assert list(pieces(write(b'\xef\xbb\xbf{"results": [1]}'))) == [Piece(0, [1], True)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_refused_and_named(write: Callable[[bytes], Path], encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    _, message = taken(pieces(write(f'{mark}{{"results": []}}'.encode(encoding))))
    assert message == "is UTF-16, not UTF-8; convert it and run again"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_called_empty(
    write: Callable[[bytes], Path], parser: str, content: bytes
) -> None:
    assert taken(pieces(write(content))) == ([], "is empty")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[",
        b'{"a": [1, ',
        b'"abc',
        b"tru",
        b"4 5",
        b"}",
        b"4]",
        b"4] }}",
        b"4] } x",
        b'4], "a": nul}',
        b"[1,]]}",
        b"NaN]}",
        b"\xff]}",
        b'"a\tb"]}',
        b"\x0b4]}",
        b"/* */ 4]}",
        b"4]}{}",
    ],
)
def test_a_broken_file_is_refused_with_the_place_and_after_what_is_whole(
    write: Callable[[bytes], Path], parser: str, broken: bytes
) -> None:
    content = b'{"results": [0, {"a": 1}, 2, ' + broken
    found, message = taken(pieces(write(content)))
    assert message.startswith("is not JSON ")
    assert "at bytes " in message
    assert "\n" not in message
    together = [record for piece in found for record in piece.records]
    # The parser in Python decodes a chunk before it looks into it.
    if parser == "yajl2_c" or broken.isascii():
        assert together[:3] == [0, {"a": 1}, 2]
    assert not any(piece.last for piece in found)


@pytest.mark.parametrize("flaw", [b"\x0b4", b"\x0c4"])
def test_a_record_that_the_parser_would_read_otherwise_is_not_yielded(
    write: Callable[[bytes], Path], parser: str, flaw: bytes
) -> None:
    found, message = taken(pieces(write(b'{"results": [0, 1, ' + flaw + b", 3, 4, 5, 6]}")))
    assert found == [Piece(0, [0, 1], False)]
    assert message.startswith("is not JSON in record 2, at bytes ")


def test_the_place_is_the_record_and_the_bytes(write: Callable[[bytes], Path]) -> None:
    content = b'{"results": [' + b"[1], " * 100_000 + b"[oops]]}"
    _, message = taken(pieces(write(content), 1000, 50))
    start, _, end = message.partition(": ")[0].partition("at bytes ")[2].partition(" to ")
    assert message.startswith("is not JSON in record 100000, ")
    assert int(start.replace(",", "")) < content.index(b"oops") < int(end.replace(",", ""))


def test_the_text_around_the_place_is_not_told(write: Callable[[bytes], Path]) -> None:
    _, message = taken(pieces(write(b'{"results": [{"email": "ada@mail.example" oops}]}')))
    assert "ada" not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[{}]", "is an array, not an object"),
        (b'"text"', "is a string, not an object"),
        (b"null", "is null, not an object"),
        (b"12 ", "is a number, not an object"),
        (b'{"results": {"item": 3}}', 'has an object as "results", not an array'),
        (b'{"results": true}', 'has a boolean as "results", not an array'),
        (b'{"results": [], "results": []}', "results occurs twice"),
    ],
)
def test_a_file_of_another_shape_is_refused(
    write: Callable[[bytes], Path], parser: str, content: bytes, message: str
) -> None:
    assert taken(pieces(write(content))) == ([], message)


FLAWS = {
    "half": (rb'"a\ud800"', " contains half of a surrogate pair"),
    "the other half": (rb'["\\\udc00"]', "[0] contains half of a surrogate pair"),
    "a half before an escape": (rb'{"a": "\ud83d\n"}', "a contains half of a surrogate pair"),
    "a half and a whole": (rb'{"a": "\ud83d\ud83d\ude00"}', "a contains half of a surrogate pair"),
    "a half in a name": (rb'{"a": {"\ud83d": 1}}', "the name a.'\ufffd' contains half of a"),
    "bytes": (b'{"a": ["caf\xe9"]}', "a[0] contains bytes that are not UTF-8"),
    "a name twice": (rb'{"a": [{"b": 1, "\u0062": 2}]}', "a[0].b occurs twice"),
    "a name twice without NUL": (rb'{"a": {"b": 1, "b\u0000": 2}}', "a.b occurs twice"),
    "too deep": (b'{"a": ' + b"[" * 248 + b"]" * 248 + b"}", "is nested more than 250 levels deep"),
    "far too deep": (b"[" * 30_000 + b"]" * 30_000, "is nested more than 250 levels deep"),
    "beyond PostgreSQL": (b'{"a": [1, 1e131072]}', "a[1] is a number that PostgreSQL cannot store"),
}


@pytest.mark.parametrize(("content", "reason"), FLAWS.values(), ids=FLAWS)
def test_a_flaw_costs_its_record_and_no_other(
    write: Callable[[bytes], Path], parser: str, content: bytes, reason: str
) -> None:
    path = write(b'{"results": [0, ' + content + b', {"a": 1}]}')
    ((zero, flawed, other),) = [piece.records for piece in pieces(path, 5)]
    assert (zero, other) == (0, {"a": 1})
    assert isinstance(flawed, UnreadableValue)
    assert flawed.reason.startswith(reason)
    assert list(pieces(path, start=2)) == [Piece(2, [{"a": 1}], True)], "it is not built"


def test_as_many_levels_as_a_small_file_may_have_are_read(write: Callable[[bytes], Path]) -> None:
    deep = b"[" * 248 + b"]" * 248
    assert list(pieces(write(b'{"results": [' + deep + b"]}"))) == [
        Piece(0, [orjson.loads(deep)], True)
    ]


PAGE_FLAWS = {
    "twice at the top": (b'"a": 1, "a": 2', "a occurs twice"),
    "the list, escaped": (rb'"\u0072esults": []', "results occurs twice"),
    "the list without NUL": (rb'"results\u0000": []', "results occurs twice"),
    "twice in a list": (
        b'"a": [[], {"b": [{"c": 1}, {"c": 1, "c": 2}]}]',
        "a[1].b[1].c occurs twice",
    ),
    "half": (rb'"a": {"b": ["x", {}, "\ud83d"]}', "a.b[2] contains half of a surrogate pair"),
    "half in a name": (rb'"a": {"b": {"\ud83d": 1}}', "the name a.b.'\ufffd' contains half of a"),
    "bytes": (b'"a": "\xff"', "a contains bytes that are not UTF-8"),
    "bytes in a name": (b'"a\xff": 1', "the name 'a\ufffd' contains bytes that are not UTF-8"),
    "half a name": (rb'"\ud83d": 1', "the name '\ufffd' contains half of a surrogate pair"),
    "too deep": (b'"a": ' + b"[" * 250 + b"]" * 250, "is nested more than 250 levels deep"),
    "beyond PostgreSQL": (b'"a": {"b": 1e131072}', "a.b is a number that PostgreSQL cannot store"),
}


@pytest.mark.parametrize(("content", "reason"), PAGE_FLAWS.values(), ids=PAGE_FLAWS)
def test_a_flaw_outside_of_the_records_fails_the_file_as_it_fails_a_small_one(
    write: Callable[[bytes], Path], parser: str, content: bytes, reason: str
) -> None:
    for whole in (
        b'{"results": [0], ' + content + b"}",
        b"{" + content.replace(b"results\\u0000", b"results") + b', "results": [0]}',
    ):
        _, message = taken(pieces(write(whole)))
        assert message.startswith(reason)
        with pytest.raises(RecordError) as caught:
            parse_object(whole, Counter(), "results")
        assert str(caught.value) == message


def test_what_is_beside_the_records_may_be_as_any_json(write: Callable[[bytes], Path]) -> None:
    beside = {"a": [{"b": 1}, {"b": 2}], "b": {"a": {"b": []}, "c": {"b": {}}}, "c": [], "d": None}
    for content in ({**beside, "results": [1]}, {"results": [1], **beside}):
        assert list(pieces(write(orjson.dumps(content)))) == [Piece(0, [1], True)]


def test_a_file_that_is_gone_or_a_folder_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.json", tmp_path):
        with pytest.raises(RecordError, match=r"cannot be read: |changed during"):
            list(read_pieces(str(path), Signature(2, 0), "results", 2, 0, Counter()))


def test_a_file_that_is_another_one_before_the_first_piece_is_refused(
    write: Callable[[bytes], Path],
) -> None:
    path = write(b'{"results": [1]}')
    found = pieces(path)
    os.utime(path, ns=(0, 1))
    assert "changed during" in taken(found)[1]


@pytest.mark.parametrize("change", [b'{"results": [9, 9, 9, 9, 9, 9]}', b'{"resul', b""])
def test_a_file_that_changes_meanwhile_is_refused_before_the_next_piece(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch, change: bytes
) -> None:
    monkeypatch.setattr(json_chunks, "_CHUNK_BYTES", 20)
    path = write(b'{"results": [1, 2, 3, 4, 5, 6]}')
    found = pieces(path, 1)
    assert next(found) == Piece(0, [1], False)
    write(change)
    os.utime(path, ns=(0, 1))
    assert taken(found) == ([], "changed during the run; run again to import it")


def test_the_file_is_closed_when_nobody_reads_on(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    close = os.close
    monkeypatch.setattr(
        json_pieces.os, "close", lambda descriptor: (closed.append(descriptor), close(descriptor))
    )
    found = read_pieces(
        str(path := write(b'{"results": [1, 2, 3]}')),
        signature_of_file(str(path)),
        "results",
        1,
        0,
        Counter(),
    )
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert len(closed) == 1


# Memory


def test_no_more_than_a_piece_and_a_chunk_is_read_ahead(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_chunks, "_CHUNK_BYTES", 1000)
    read = os.read
    taken_bytes = 0

    def counted(descriptor: int, size: int) -> bytes:
        nonlocal taken_bytes
        content = read(descriptor, size)
        taken_bytes += len(content)
        return content

    monkeypatch.setattr(json_pieces.os, "read", counted)
    records = [{"name": "x" * 80}] * 1000
    for piece in pieces(write(orjson.dumps({"results": records})), 10):
        assert taken_bytes <= (piece.first + 11) * 94 + 3000


# Memory


def test_a_record_of_too_many_values_costs_that_record(
    write: Callable[[bytes], Path], parser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_pieces, "MOST_RECORD_BYTES", 1_000_000)
    for huge in ([[]] * 20_000, {f"n{number}": number for number in range(20_000)}, ["x" * 2**20]):
        path = write(orjson.dumps({"results": [{"a": 1}, {"b": huge}, {"c": 1}]}))
        first, bad, last = (record for piece in pieces(path) for record in piece.records)
        assert (first, last) == ({"a": 1}, {"c": 1})
        assert isinstance(bad, UnreadableValue)
        assert "is too large" in bad.reason


def test_a_piece_of_large_records_has_fewer_wherever_reading_begins(
    write: Callable[[bytes], Path], parser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_pieces, "MOST_PIECE_BYTES", 100_000)
    sizes = [10, 90_000, 20_000, 10, 200_000, 10, 10, 60_000, 60_000]
    path = write(orjson.dumps({"results": ["x" * size for size in sizes]}))
    found = [(piece.first, len(piece.records)) for piece in pieces(path)]
    assert [record for piece in pieces(path) for record in piece.records] == [
        "x" * size for size in sizes
    ]
    assert len(found) > 3
    for place, (first, _) in enumerate(found):
        assert [(each.first, len(each.records)) for each in pieces(path, start=first)] == found[
            place:
        ]


def test_an_object_of_too_many_names_is_refused(
    write: Callable[[bytes], Path], parser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_values, "MOST_NAMES", 100)
    names = {f"n{number}": number for number in range(101)}
    for document in ({**names, "results": []}, {"more": names, "results": []}):
        _, message = taken(pieces(write(orjson.dumps(document))))
        assert message == "has more than 100 names in one object"
