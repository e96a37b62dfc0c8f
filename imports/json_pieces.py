"""Reading a JSON file that is too large for memory: the list in it, some records at a time."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple

# The fastest of its parsers that the machine has, with wheels for most: `yajl2_c`.
import ijson

from imports.cleaning import Tally, json_type, without_nul
from imports.errors import NotOursError, RecordError
from imports.json_file import no_list
from imports.regular_file import OpenedFile, open_regular
from imports.source_tree import is_unchanged
from imports.work_item import Signature

_CHUNK_BYTES = 16 * 1024
"""Small: of larger ones there are so many events at once that Python's collector is busy."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_CUTS = tuple(b' ,:"\n\r\t{}[]')
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_UP_TO_LONE_SURROGATE = re.compile(
    rb"((?:[^\\]++|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\(?!u[dD][89a-fA-F]).)*+)\\u[dD]", re.DOTALL
)
_LEAST_INTEGER, _INTEGER_END = -(2**63), 2**64

_OPENING = frozenset({"start_map", "start_array"})
_MADE = _OPENING | {"number"}
_CLOSING = frozenset({"end_map", "end_array"})
_EMPTY_VALUES: dict[str, object] = {"start_map": {}, "start_array": []}

_MOST_NAMES = 10

Event = tuple[str, Any]


class Piece(NamedTuple):
    """Some records of the list in a file: the index of the first, and whether these are the last.

    The last piece may be empty, no other is.
    """

    first: int
    records: list[Any]
    last: bool


def read_pieces(
    path: str,
    signature: Signature,
    key: str,
    size: int,
    start: int,
    tally: Tally,
    opener: Callable[[str], OpenedFile] = open_regular,
) -> Iterator[Piece]:
    """The list under a name of the outermost object, `size` records at a time.

    Values come as `json_file.read_object` gives them, NUL characters removed and counted; the
    first `start` records are passed over without being built. In memory is one piece, and the
    record after it.

    That the file is broken is noticed where it is broken: the whole records before that place
    have been yielded, none of them as the last piece, which comes only when all of the file has
    been read. Each piece is of a file that was still the one of the signature.

    Raises:
        NotOursError: if it is JSON and no object, or has no list under the key.
        RecordError: if the file changed or cannot be read, is no JSON in UTF-8, or has the key
            twice.
    """
    try:
        descriptor, _ = opener(path)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from error
    try:
        yield from _pieces(_Content(descriptor, signature), key, size, start, tally)
    finally:
        os.close(descriptor)


def _pieces(content: _Content, key: str, size: int, start: int, tally: Tally) -> Iterator[Piece]:
    walk = _Walk(chain.from_iterable(_events(content)), key, start)
    first, records = start, list[Any]()
    try:
        content.check_unchanged()
        for record in walk.records():
            if len(records) == size:
                content.check_unchanged()
                yield Piece(first, records, last=False)
                first, records = first + size, []
            records.append(without_nul(record, tally) if content.has_nul else record)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from error
    except (ijson.JSONError, ValueError, ArithmeticError, RecursionError) as error:
        # A file that is being written again looks broken, and is not.
        content.check_unchanged()
        if records:
            yield Piece(first, records, last=False)
        raise RecordError(_complaint(error, content, walk)) from error
    content.check_unchanged()
    yield Piece(min(first, walk.passed), records, last=True)


def _complaint(error: Exception, content: _Content, walk: _Walk) -> str:
    if content.blank:
        return "is empty"
    place = f"at bytes {content.chunk_start:,} to {content.chunk_end:,}"
    if walk.in_list:
        place = f"in record {walk.passed}, {place}"
    if isinstance(error, RecursionError):
        return f"is nested too deeply {place}"
    reason = error.args[0] if error.args else ""
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason or error)
    # The parser goes on with the text around the place, which is nobody's business.
    return f"is not JSON {place}: {text.strip().partition(chr(10))[0].rstrip('. ')}"


class _Content:
    """The bytes of a file in chunks that end between two tokens or within a plain text.

    No chunk ends within an escape sequence, or between the two of a surrogate pair.
    """

    def __init__(self, descriptor: int, signature: Signature) -> None:
        self._descriptor = descriptor
        self._signature = signature
        self.chunk_start = 0
        self.chunk_end = 0
        self.blank = True
        self.has_nul = False

    def check_unchanged(self) -> None:
        """Raises RecordError if the file is another one than that of the signature."""
        if not is_unchanged(os.fstat(self._descriptor), self._signature):
            raise RecordError("changed while the run was under way; run again to import it")

    def chunks(self) -> Iterator[bytes]:
        """The content, without a byte-order mark."""
        chunk = self._without_mark(os.read(self._descriptor, _CHUNK_BYTES))
        held: list[bytes] = []
        while chunk:
            # What follows the last of these bytes cannot be within an escape sequence.
            cut = max(map(chunk.rfind, _CUTS)) + 1
            if cut:
                yield self._seen(b"".join([*held, chunk[:cut]]))
                held = []
            held.append(chunk[cut:])
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
        # Not if nothing is left: an empty chunk is the end to the parser.
        if rest := b"".join(held):
            yield self._seen(rest)

    def _without_mark(self, chunk: bytes) -> bytes:
        if chunk.startswith(_UTF16_MARKS):
            raise RecordError("is UTF-16, not UTF-8; convert it and run again")
        if chunk.startswith(_BYTE_ORDER_MARK):
            self.chunk_end = len(_BYTE_ORDER_MARK)
        return chunk.removeprefix(_BYTE_ORDER_MARK)

    def _seen(self, chunk: bytes) -> bytes:
        self.chunk_start, self.chunk_end = self.chunk_end, self.chunk_end + len(chunk)
        self.blank = self.blank and not chunk.strip()
        self.has_nul = self.has_nul or b"\\u0000" in chunk
        return chunk


def _events(content: _Content) -> Iterator[list[Event]]:
    """What the parser says of each chunk; of a broken one, what is before the break."""
    events: list[Event] = ijson.sendable_list()
    # Not `use_float`: it refuses whole numbers beyond 63 bits.
    parser = ijson.basic_parse_coro(events)
    try:
        for chunk in content.chunks():
            problem: Exception | None = None
            if (flaw := _passed_by_the_parser(chunk)) is not None:
                problem = ValueError(flaw.reason)
                chunk = chunk[: flaw.place]
            try:
                if chunk:
                    parser.send(chunk)
            except (ijson.JSONError, ValueError, ArithmeticError) as error:
                problem = error
            except SystemError:
                # A whole number with more digits than Python reads: the parser in C does not notice
                # that it has no value, and the last event must not be looked at.
                del events[-1]
                problem = ValueError("a number that is too large")
            yield events
            if problem is not None:
                raise problem
            events.clear()
        parser.close()
        yield events
    finally:
        # Nobody reads on, or it was broken: that it is not at its end is no news.
        with contextlib.suppress(ijson.JSONError):
            parser.close()


class _Flaw(NamedTuple):
    place: int
    reason: str


def _passed_by_the_parser(chunk: bytes) -> _Flaw | None:
    """The first thing in a chunk that the parser would let pass, and orjson does not."""
    flaws = [
        _Flaw(place, "unexpected control character")
        for character in (b"\x0b", b"\x0c")
        if (place := chunk.find(character)) >= 0
    ]
    # The parser would make a question mark of it.
    if _SURROGATE.search(chunk) and (lone := _UP_TO_LONE_SURROGATE.match(chunk)):
        flaws.append(_Flaw(lone.end(1), "a surrogate without its other half"))
    return min(flaws, default=None)


class _Walk:
    """Goes through the events of one file. `passed` is how many records are behind it."""

    def __init__(self, events: Iterator[Event], key: str, start: int) -> None:
        self._events = events
        self._key = key
        self._start = start
        self.passed = 0
        self.in_list = False

    def records(self) -> Iterator[Any]:
        """The records of the list, after the first `start`; ends with the file."""
        events = self._events
        event, value = next(events)
        if event != "start_map":
            raise NotOursError(f"holds {json_type(_outside(event, value))} where an object belongs")
        found = False
        # Some names of what it has, for the message; not all of what may be millions.
        names: dict[str, object] = {}
        for _, name in events:  # ends after the `end_map`, whose name is None
            if name is None:
                continue
            event, value = next(events)
            if name.replace("\0", "") != self._key:
                if len(names) < _MOST_NAMES:
                    names[name] = None
                _pass_over(events, event)
                continue
            if found:
                raise RecordError(f'has "{self._key}" twice')
            found = True
            if event != "start_array":
                raise no_list(self._key, {self._key: _outside(event, value)})
            yield from self._elements()
        if not found:
            raise no_list(self._key, names)

    def _elements(self) -> Iterator[Any]:
        self.in_list = True
        for event, value in self._events:
            if event == "end_array":
                break
            if self.passed < self._start:
                _pass_over(self._events, event)
                self.passed += 1
            else:
                record = _built(self._events, event, value)
                self.passed += 1
                yield record
        self.in_list = False


def _outside(event: str, value: object) -> object:
    """The value that begins with this event, without what is in it."""
    return _EMPTY_VALUES.get(event, value)


def _pass_over(events: Iterator[Event], event: str) -> None:
    """Takes the rest of a value that began with this event."""
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


def _built(events: Iterator[Event], event: str, value: Any) -> Any:
    """The value that begins with this event."""
    if event == "number":
        return _number(value)
    if event == "start_map":
        return _object(events)
    if event == "start_array":
        return _list(events)
    return value


def _object(events: Iterator[Event]) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for event, name in events:
        if event == "end_map":
            break
        event, value = next(events)
        # Most values are texts or nothing: they go no further.
        built[name] = _built(events, event, value) if event in _MADE else value
    return built


def _list(events: Iterator[Event]) -> list[Any]:
    built: list[Any] = []
    for event, value in events:
        if event == "end_array":
            break
        built.append(_built(events, event, value) if event in _MADE else value)
    return built


def _number(value: Any) -> int | float:
    """A number as orjson has it: a whole one within 64 bits is an int, any other a float."""
    if type(value) is int and _LEAST_INTEGER <= value < _INTEGER_END:
        return value
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("a number that is too large")
    return number
