"""Reading JSON exactly, as a stream of events, and building values from them.

Slower than orjson, and used for what orjson loses or refuses: numbers keep all their digits,
duplicate names are detected, and a flaw affects only the value that has it.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from decimal import Decimal, InvalidOperation, localcontext
from itertools import chain
from typing import Any

# It uses the fastest parser that is available; most machines have a wheel of `yajl2_c`.
import ijson

from imports.errors import NotOursError, RecordError
from imports.source.cleaning import NUL_REMOVED, Tally, json_type, without_nul
from imports.source.json_flaws import (
    HALF,
    MOST_READ,
    NOT_UTF_8,
    SPOILED,
    TOO_DEEP,
    DuplicateName,
    NestedTooDeeply,
    UnreadableValue,
    duplicate_name,
    encoding_flaw,
    flaw_in,
    is_flawed_number,
    member_path,
    number_flaw,
)
from imports.source.json_text import BYTE_ORDER_MARK, MAX_DEPTH, UTF16_MARKS, exact_number

_CHUNK_BYTES = 16 * 1024
"""Small: larger chunks make so many events at once that garbage collection becomes slow."""

_CUTS = tuple(b' ,:"\n\r\t{}[]')
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)
_UNDECODED = re.compile("[\udc80-\udcff]+")
_WRITTEN_HALF = HALF.encode()

# One byte in this many is checked first: most chunks have no long number, and this is fast.
_STRIDE = 256
_MANY_DIGITS = re.compile(rb"[0-9]{%d}" % (MOST_READ // _STRIDE))
# Possessive, so that a string of megabytes needs no memory for backtracking.
_TEXT = rb'[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_REST_OF_TEXT = re.compile(_TEXT, re.DOTALL)
_LONG_NUMBER = re.compile(
    rb'"%b|(?<![0-9.eE+-])(-?[1-9][0-9]{%d,})(?![0-9.eE])' % (_TEXT, MOST_READ), re.DOTALL
)
_NO_NUMBER = b"1e99999999999999999999"
"""A number that Decimal reads as NaN."""

_OPENING = frozenset({"start_map", "start_array"})
_MADE = _OPENING | {"number"}
_CLOSING = frozenset({"end_map", "end_array"})
_EMPTY_VALUES: dict[str, object] = {"start_map": {}, "start_array": []}

# The approximate memory of a member of an object, and of an element of an array.
_MEMBER_BYTES, _ELEMENT_BYTES = 150, 80

MOST_NAMES = 1_000_000
"""The most names in an object outside the records."""

Event = tuple[str, Any]

BROKEN = (ijson.JSONError, ValueError, ArithmeticError)
"""The errors of reading events if a text is not JSON."""


class Content:
    """JSON in chunks that end between two tokens or inside a string.

    No chunk ends inside an escape sequence or a surrogate pair. `read` returns the next bytes, at
    most the number that it is given. Invalid parts of a string are replaced by a mark of
    `json_flaws`; `spoiled` says whether there was any. A whole number that Python cannot read is
    replaced by one that is read as NaN.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.chunk_start = 0
        self.chunk_end = 0
        self.blank = True
        self.has_nul = False
        self.spoiled = False
        self._in_text = False

    def chunks(self) -> Iterator[bytes]:
        """The content, without a byte-order mark."""
        chunk = self._without_mark(self._read(_CHUNK_BYTES))
        held: list[bytes] = []
        while chunk:
            # The byte after one of these cannot be inside an escape sequence.
            cut = max(map(chunk.rfind, _CUTS)) + 1
            if cut:
                yield self._seen(b"".join([*held, chunk[:cut]]))
                held = []
            held.append(chunk[cut:])
            chunk = self._read(_CHUNK_BYTES)
        # Not if nothing is left: an empty chunk ends the parser.
        if rest := b"".join(held):
            yield self._seen(rest)

    def check(self, place: str, text: str) -> None:
        """Refuses a string of the content that has a mark.

        Raises:
            RecordError: naming the place.
        """
        # If nothing was spoiled, the file itself contains the characters of a mark.
        if self.spoiled and SPOILED in text:
            raise RecordError(encoding_flaw(place, text))

    def _without_mark(self, chunk: bytes) -> bytes:
        if chunk.startswith(UTF16_MARKS):
            raise RecordError("is UTF-16, not UTF-8; convert it and run again")
        if chunk.startswith(BYTE_ORDER_MARK):
            self.chunk_end = len(BYTE_ORDER_MARK)
        return chunk.removeprefix(BYTE_ORDER_MARK)

    def _seen(self, chunk: bytes) -> bytes:
        self.chunk_start, self.chunk_end = self.chunk_end, self.chunk_end + len(chunk)
        self.blank = self.blank and not chunk.strip()
        self.has_nul = self.has_nul or b"\\u0000" in chunk
        marked = _decodable(chunk)
        self.spoiled = self.spoiled or marked is not chunk
        readable = marked
        if _MANY_DIGITS.search(marked[::_STRIDE]):
            readable = _with_readable_numbers(marked, in_text=self._in_text)
        plain = marked
        if b'\\"' in marked:
            plain = marked.replace(b"\\\\", b"").replace(b'\\"', b"")
        self._in_text ^= plain.count(b'"') % 2 == 1
        return readable


def _decodable(chunk: bytes) -> bytes:
    """A chunk with marks for its invalid parts; the same object if it is valid."""
    marked = chunk
    try:
        chunk.decode()
    except UnicodeDecodeError:
        text = chunk.decode("utf-8", "surrogateescape")
        marked = _UNDECODED.sub(NOT_UTF_8, text).encode()
    if _SURROGATE.search(marked):
        # The parser would silently replace half of a pair by a question mark.
        found = _ESCAPE.sub(lambda escape: _WRITTEN_HALF if escape[1] else escape[0], marked)
        return marked if found == marked else found
    return marked


def _with_readable_numbers(chunk: bytes, *, in_text: bool) -> bytes:
    """A chunk without whole numbers that Python cannot read; `in_text`: it begins in a string."""
    end = _REST_OF_TEXT.match(chunk).end() if in_text else 0  # type: ignore[union-attr]
    # Not `sub`: it would copy the strings too.
    places = [each.span(1) for each in _LONG_NUMBER.finditer(chunk, end) if each[1] is not None]
    for start, end in reversed(places):
        chunk = b"".join((chunk[:start], _NO_NUMBER, chunk[end:]))
    return chunk


def events_of(content: Content) -> Iterator[Event]:
    """Yields the events of a content, until its end or its first error.

    Raises:
        Exception: one of those in `BROKEN`, or an error of reading.
    """
    return chain.from_iterable(_events(content))


def _events(content: Content) -> Iterator[list[Event]]:
    """Yields the events of each chunk; of a broken one, the events before the error."""
    events: list[Event] = ijson.sendable_list()
    # Not `use_float`: it refuses whole numbers beyond 63 bits.
    parser = ijson.basic_parse_coro(events)
    try:
        for chunk in content.chunks():
            problem: Exception | None = None
            if (flaw := _passed_by_the_parser(chunk)) is not None:
                problem = ValueError("unexpected control character")
                chunk = chunk[:flaw]
            try:
                if chunk:
                    with localcontext() as context:
                        # An exponent that Decimal cannot read becomes NaN.
                        context.traps[InvalidOperation] = False
                        parser.send(chunk)
            except (ijson.JSONError, ValueError) as error:
                problem = error
            except SystemError:
                # Python's limit of digits was lowered. The parser in C does not notice that it has
                # no value; the last event must not be used.
                del events[-1]
                problem = ValueError("a number that is too large")
            yield events
            if problem is not None:
                raise problem
            events.clear()
        parser.close()
        yield events
    finally:
        # The caller stopped, or the text was broken: an error about its end says nothing new.
        with contextlib.suppress(ijson.JSONError):
            parser.close()


def _passed_by_the_parser(chunk: bytes) -> int | None:
    """The position of the first byte that the parser would accept, but orjson refuses."""
    places = [place for each in (b"\x0b", b"\x0c") if (place := chunk.find(each)) >= 0]
    return min(places, default=None)


class Builder:
    """Builds values from events. `flawed` says whether a value with a flaw was built.

    NUL characters in names are removed and counted here. `size` is the approximate memory of the
    values since it was set to 0, in bytes; values beyond `most` are left out. The caller resets
    `flawed` and `size`.
    """

    def __init__(self, events: Iterator[Event], tally: Tally, most: int | None = None) -> None:
        self._events = events
        self._tally = tally
        self._most = most
        self.flawed = False
        self.size = 0

    @property
    def overfull(self) -> bool:
        """Whether something was left out."""
        return self._most is not None and self.size > self._most

    def built(self, event: str, value: Any, depth: int) -> Any:
        """The value that begins with this event, at the level `depth` of its document."""
        if event == "number":
            return self._number(value)
        if event not in _OPENING:
            return value
        if depth > MAX_DEPTH:
            self.flawed = True
            skip_value(self._events, event)
            return NestedTooDeeply()
        return self._object(depth) if event == "start_map" else self._list(depth)

    def _object(self, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        duplicates: list[str] = []
        for event, name in self._events:
            if event == "end_map":
                break
            if "\0" in name:
                self._tally[NUL_REMOVED] += name.count("\0")
                name = name.replace("\0", "")
            if name in built:
                duplicates.append(name)
            event, value = next(self._events)
            self.size += _MEMBER_BYTES + (len(value) if event == "string" else 0)
            if self.overfull:
                skip_value(self._events, event)
                continue
            # Most values are strings or null: they need no call.
            built[name] = self.built(event, value, depth + 1) if event in _MADE else value
        if duplicates:
            self.flawed = True
            return DuplicateName(built, duplicates[0])
        return built

    def _list(self, depth: int) -> list[Any]:
        built: list[Any] = []
        for event, value in self._events:
            if event == "end_array":
                break
            self.size += _ELEMENT_BYTES + (len(value) if event == "string" else 0)
            if self.overfull:
                skip_value(self._events, event)
                continue
            built.append(self.built(event, value, depth + 1) if event in _MADE else value)
        return built

    def _number(self, value: int | Decimal) -> int | float | Decimal:
        number = exact_number(value)
        if isinstance(number, Decimal) and is_flawed_number(number):
            self.flawed = True
        return number


def read_exactly(content: bytes, tally: Tally, records: str | None = None) -> dict[str, Any]:
    """The object in a JSON text, as `json_file.parse_object` returns it.

    Raises:
        NotOursError: if it is not an object.
        RecordError: if it has a flaw outside the elements of the array `records`.
        Exception: one of those in `BROKEN`, if it is not JSON.
    """
    text = Content(io.BytesIO(content).read)
    events = events_of(text)
    event, value = next(events)
    builder = Builder(events, tally)
    document: dict[str, Any] = builder.built(event, value, 1)
    for _ in events:  # reads to the end, which fails if anything follows the object
        pass
    if event != "start_map":
        raise NotOursError(f"is {json_type(without_content(event, value))}, not an object")
    if builder.flawed or text.spoiled:
        document = _without_flawed(document, records)
    if text.has_nul:
        document = without_nul(document, tally)
    return document


def _without_flawed(document: dict[str, Any], records: str | None) -> dict[str, Any]:
    """The document, with an UnreadableValue for each element of `records` that has a flaw."""
    listed = document.get(records) if records is not None else None
    others: dict[str, Any] = document
    if records is not None and isinstance(listed, list) and not isinstance(document, DuplicateName):
        others = {name: each for name, each in document.items() if name != records}
        document = {
            **document,
            records: [
                each if (reason := flaw_in(each)) is None else UnreadableValue(reason, each)
                for each in listed
            ],
        }
    if (reason := flaw_in(others)) is not None:
        raise RecordError(reason)
    return document


def check_names(names: Collection[str]) -> None:
    """Refuses an object with so many names that they would need too much memory."""
    if len(names) >= MOST_NAMES:
        raise RecordError(f"has more than {MOST_NAMES:,} names in one object")


def without_content(event: str, value: object) -> object:
    """The value that begins with an event, without its content."""
    return _EMPTY_VALUES.get(event, value)


def skip_value(events: Iterable[Event], event: str) -> None:
    """Skips the rest of a value that began with this event."""
    if event not in _OPENING:
        return
    depth = 1
    for kind, _ in events:
        if kind in _OPENING:
            depth += 1
        elif kind in _CLOSING:
            depth -= 1
            if not depth:
                return


class _Level:
    """An open array or object: its path, and its names or the number of its elements so far."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.names: set[str] = set()
        self.place = ""
        self.count = 0


def check_value(
    content: Content, events: Iterator[Event], event: str, value: Any, path: str, depth: int
) -> None:
    """Checks a value of a content without building it.

    Raises:
        RecordError: if it has a flaw.
    """
    levels: list[_Level] = []
    while True:
        if event == "map_key":
            level, name = levels[-1], value.replace("\0", "")
            level.place = member_path(level.path, name)
            if name in level.names:
                raise RecordError(duplicate_name(level.place))
            check_names(level.names)
            content.check(f"the name {level.place}", name)
            level.names.add(name)
        elif event in _CLOSING:
            levels.pop()
        else:
            place = path
            if levels:
                level = levels[-1]
                place = level.place or f"{level.path}[{level.count}]"
                level.count += 1
            if event in _OPENING:
                if depth + len(levels) > MAX_DEPTH:
                    raise RecordError(TOO_DEEP)
                levels.append(_Level(place))
            elif event == "string":
                content.check(place, value)
            elif isinstance(value, Decimal) and is_flawed_number(value):
                raise RecordError(number_flaw(place, value))
        if not levels:
            return
        event, value = next(events)
