from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.errors import NotOursError, RecordError
from imports.source import json_members
from imports.source.cleaning import NUL_REMOVED, Tally
from imports.source.json_flaws import UnreadableValue
from imports.source.json_members import Member, read_members
from imports.source.json_pieces import Piece
from imports.source.tree import signature_of_file


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "a.json"
        path.write_bytes(content)
        return path

    return write


@pytest.fixture(params=[40, 200, json_members._BLOCK_BYTES])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks of members: one or none, a few, all."""
    monkeypatch.setattr(json_members, "_BLOCK_BYTES", request.param)
    return int(request.param)


def pieces(
    path: Path, size: int = 2, start: int = 0, tally: Tally | None = None
) -> Iterator[Piece]:
    tally = Counter() if tally is None else tally
    return read_members(str(path), signature_of_file(str(path)), size, start, tally)


def members(path: Path, start: int = 0, tally: Tally | None = None) -> list[Member]:
    return [member for piece in pieces(path, 3, start, tally) for member in piece.records]


def problem(found: Iterator[Piece]) -> tuple[list[Member], str]:
    """The members before the error, and its message."""
    before: list[Piece] = []
    with pytest.raises(RecordError) as caught:
        before.extend(found)
    return [member for piece in before for member in piece.records], str(caught.value)


ENTRY = {"dishes": [{"box": [1, 2.5], "label": '},\n"{'}], "plates": {}}
WHOLE = {f"photo {number}": {**ENTRY, "number": number} for number in range(7)}


@pytest.mark.parametrize("indent", [None, 0, 2, 7])
@pytest.mark.parametrize(
    ("start", "size"), [(0, 3), (0, 7), (0, 99), (4, 2), (6, 1), (7, 5), (9, 5)]
)
def test_members_come_in_pieces_in_their_order(
    write: Callable[[bytes], Path], block: int, indent: int | None, start: int, size: int
) -> None:
    path = write(json.dumps(WHOLE, indent=indent).encode())
    found = list(pieces(path, size, start))
    assert [member for piece in found for member in piece.records] == [*WHOLE.items()][start:]
    firsts = [*range(start, 7, size)] or [7]
    assert [(piece.first, piece.last) for piece in found] == [
        (first, first == firsts[-1]) for first in firsts
    ]


@pytest.mark.parametrize("content", [b"{}", b"\xef\xbb\xbf {\n} \n", b'{"a": {}}'])
def test_an_object_may_be_empty(write: Callable[[bytes], Path], content: bytes) -> None:
    (piece,) = pieces(write(content))
    assert (len(piece.records), piece.last) == (content.count(b"a"), True)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("12345678901234567890123", Decimal(12345678901234567890123)),
        ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
        ("[1e400]", [Decimal("1E+400")]),
        ('{"a": 1, "a": 2}', UnreadableValue("a occurs twice", {"a": 2})),
        (
            '"\\ud83d"',
            UnreadableValue(" contains half of a surrogate pair (an emoji cut in two)", 0),
        ),
        ('{"a": "x\\u0000y"}', {"a": "xy"}),
        ("[" * 300 + "]" * 300, UnreadableValue("is nested more than 250 levels deep", 0)),
        ("null", None),
    ],
)
def test_nothing_of_a_value_is_lost_and_the_others_go_on(
    write: Callable[[bytes], Path], block: int, value: str, read: Any
) -> None:
    text = json.dumps(WHOLE, indent=2)
    path = write(f'{text[:-2]},\n  "odd": {value},\n  "last": {{}}\n}}'.encode())
    tally: Tally = Counter()
    found = members(path, 0, tally)
    assert found[:7] == [*WHOLE.items()]
    assert found[8] == ("last", {})
    (name, odd) = found[7]
    assert name == "odd"
    if isinstance(read, UnreadableValue):
        assert isinstance(odd, UnreadableValue)
        assert odd.reason == read.reason
    else:
        assert odd == read
    assert tally == ({NUL_REMOVED: 1} if "u0000" in value else {})
    assert members(path, 8) == [("last", {})]


def test_a_name_that_comes_twice_has_both_members(
    write: Callable[[bytes], Path], block: int
) -> None:
    path = write(b'{"a": {"x": 1}, "b": {"x": 2}, "a": {"x": 3}}')
    expected = [("a", {"x": 1}), ("b", {"x": 2}), ("a", {"x": 3})]
    assert members(path) == expected
    assert members(path, 2) == expected[2:]


def test_names_are_cleaned_and_their_flaws_told(write: Callable[[bytes], Path]) -> None:
    found = members(write(b'{"a\\u0000": {}, "\xff": {"x": 1}, "c": {}}'))
    assert found[0] == ("a", {})
    assert found[2] == ("c", {})
    (name, value) = found[1]
    assert name == "\ufffd"
    assert value == UnreadableValue("its name contains bytes that are not UTF-8", None)


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (b',\n  "cut": {"a": [1,', "in record 7, at bytes"),
        (b',\n  "odd": {"a": tru},\n  "c": {}\n}', "in record 7, at bytes"),
        (b",\n}", "in record 7, at bytes"),
        (b"\n} {}", "at bytes"),
        (b"", "in record 7, at bytes"),
    ],
)
def test_members_before_broken_text_come_first(
    write: Callable[[bytes], Path], block: int, tail: bytes, reason: str
) -> None:
    content = json.dumps(WHOLE, indent=2).encode()[:-2] + tail
    before, message = problem(pieces(write(content)))
    assert before == [*WHOLE.items()]
    assert message.startswith(f"is not JSON {reason}")
    start, end = (
        int(each.replace(",", ""))
        for each in message.split("at bytes ")[1].split(":")[0].split(" to ")
    )
    assert start <= end <= len(content)


@pytest.mark.parametrize(
    ("content", "error", "reason"),
    [
        (b"[]", NotOursError, "is an array, not an object"),
        (b" 5", NotOursError, "is a number, not an object"),
        (b" \n", RecordError, "is empty"),
        (b"\xff\xfe{\0", RecordError, "is UTF-16"),
        (b"{,}", RecordError, "is not JSON"),
    ],
)
def test_what_is_no_object_is_told(
    write: Callable[[bytes], Path], content: bytes, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        list(pieces(write(content)))


def test_a_file_that_changes_meanwhile_is_not_read_on(write: Callable[[bytes], Path]) -> None:
    path = write(json.dumps(WHOLE).encode())
    found = pieces(path)
    assert len(next(found).records) == 2
    write(b'{"other": {}}')
    _, message = problem(found)
    assert "changed during the run" in message


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    document=st.dictionaries(st.text(max_size=6), VALUES, max_size=8),
    indent=st.sampled_from([None, 1, 2]),
    ascii_only=st.booleans(),
    block=st.integers(1, 300),
    start=st.integers(0, 9),
)
def test_any_object_is_read_as_python_reads_it(
    document: dict[str, Any],
    indent: int | None,
    ascii_only: bool,
    block: int,
    start: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    def plain(value: Any) -> Any:
        return json.loads(json.dumps(value).replace("\\u0000", ""))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_members, "_BLOCK_BYTES", block)
        found = members(path, start)
    expected = [(name.replace("\0", ""), value) for name, value in document.items()][start:]
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (_, value), (_, wanted) in zip(found, expected, strict=True):
        if not isinstance(value, UnreadableValue):
            shown = json.loads(json.dumps(value, default=float))
            assert shown == plain(wanted)
