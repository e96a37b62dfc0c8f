"""Reading the records of a JSON file that is too large for memory, some at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from imports.errors import NotOursError, RecordError
from imports.files.regular_file import OpenedFile, open_regular
from imports.items.source import Signature
from imports.source.cleaning import Tally, json_type, without_nul
from imports.source.json_chunks import Content
from imports.source.json_events import BROKEN, Event, events_of, skip_value, without_content
from imports.source.json_file import no_array
from imports.source.json_flaws import UnreadableValue, duplicate_name, flaw_in, member_path
from imports.source.json_values import Builder, check_names, check_value
from imports.source.tree import is_unchanged

MOST_RECORD_BYTES = 128 * 1024 * 1024
"""A record whose values would need more memory is not read."""

MOST_PIECE_BYTES = 32 * 1024 * 1024
"""The records of a piece need about this much memory, or it has a single record that needs more."""


class Piece(NamedTuple):
    """Some records of a file: the index of the first, and whether these are the last.

    Only the last piece may be empty.
    """

    first: int
    records: list[Any]
    last: bool


class Walk(Protocol):
    """A walk through the records of a file, from front to back."""

    @property
    def content(self) -> Content:
        """Where it is."""

    @property
    def passed(self) -> int:
        """The number of records that it has read or skipped."""

    @property
    def in_records(self) -> bool:
        """Whether it is at one of them."""

    @property
    def piece_size(self) -> int:
        """The approximate memory of the records since `begin_piece`, in bytes."""

    def begin_piece(self) -> None:
        """Starts a piece with the last record."""

    def records(self) -> Iterator[Any]:
        """Yields the records that are not skipped; reads to the end of the file."""


def read_pieces(
    path: str,
    signature: Signature,
    key: str,
    size: int,
    start: int,
    tally: Tally,
    opener: Callable[[str], OpenedFile] = open_regular,
) -> Iterator[Piece]:
    """Yields the array `key` of the outermost object, `size` records at a time.

    Values are like those of `json_file.read_object`: NUL characters are removed and counted, and a
    record with a flaw is an UnreadableValue. See `in_pieces`.

    Raises:
        NotOursError: if it is JSON, but not an object, or has no array `key`.
        RecordError: if the file changed or cannot be read, is not JSON in UTF-8, or has a flaw
            outside its records.
    """

    def walk(read: Callable[[int], bytes]) -> Walk:
        return _Elements(Content(read), key, start, tally)

    return in_pieces(path, signature, size, start, opener, walk)


def in_pieces(
    path: str,
    signature: Signature,
    size: int,
    start: int,
    opener: Callable[[str], OpenedFile],
    begin: Callable[[Callable[[int], bytes]], Walk],
) -> Iterator[Piece]:
    """Yields the records of a file, `size` at a time; `begin` begins a walk through what is read.

    The first `start` records are skipped without being built. Memory has one piece, and the record
    after it.

    If the file is broken somewhere, the records before that place are yielded first. The last
    piece is yielded only after the whole file has been read. While a piece was read, the file
    still had its signature.

    Raises:
        RecordError: if the file changed or cannot be read, or is not JSON in UTF-8.
    """
    try:
        descriptor, _ = opener(path)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from error
    try:
        walk = begin(lambda most: os.read(descriptor, most))
        yield from _pieces(descriptor, signature, size, start, walk)
    finally:
        os.close(descriptor)


def _pieces(
    descriptor: int, signature: Signature, size: int, start: int, walk: Walk
) -> Iterator[Piece]:
    def check_unchanged() -> None:
        if not is_unchanged(os.fstat(descriptor), signature):
            raise RecordError("changed during the run; run again to import it")

    first, records = start, list[Any]()
    try:
        check_unchanged()
        for record in walk.records():
            if len(records) == size or (records and walk.piece_size > MOST_PIECE_BYTES):
                walk.begin_piece()
                check_unchanged()
                yield Piece(first, records, last=False)
                first, records = first + len(records), []
            records.append(record)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from error
    except BROKEN as error:
        # A file that is being rewritten looks broken.
        check_unchanged()
        if records:
            yield Piece(first, records, last=False)
        raise RecordError(_complaint(error, walk)) from error
    check_unchanged()
    yield Piece(min(first, walk.passed), records, last=True)


def _complaint(error: Exception, walk: Walk) -> str:
    content = walk.content
    if content.blank:
        return "is empty"
    place = f"at bytes {content.chunk_start:,} to {content.chunk_end:,}"
    if walk.in_records:
        place = f"in record {walk.passed}, {place}"
    reason = error.args[0] if error.args else ""
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason or error)
    # The other lines of the parser's message quote the file, which does not belong into a log.
    return f"is not JSON {place}: {text.strip().partition(chr(10))[0].rstrip('. ')}"


class EventWalk:
    """The common part of walks through the events of a content; `depth` is the level of a record.

    The first `start` records are skipped.
    """

    def __init__(self, content: Content, start: int, tally: Tally, depth: int) -> None:
        self.content = content
        self.events: Iterator[Event] = events_of(content)
        self.tally = tally
        self._builder = Builder(self.events, tally, MOST_RECORD_BYTES)
        self._size_of_last = 0
        self._start = start
        self._depth = depth
        self.piece_size = 0
        self.passed = 0
        self.in_records = False

    def begin_piece(self) -> None:
        """Starts a piece with the last record."""
        self.piece_size = self._size_of_last

    def skips(self, event: str) -> bool:
        """Skips the record that begins with this event, if it is one of the first ones."""
        if self.passed >= self._start:
            return False
        skip_value(self.events, event)
        self.passed += 1
        return True

    def opened(self) -> None:
        """Reads the beginning of the outermost object.

        Raises:
            NotOursError: if it is something else.
        """
        event, value = next(self.events)
        if event != "start_map":
            raise NotOursError(f"is {json_type(without_content(event, value))}, not an object")

    def record(self, event: str, value: Any) -> Any:
        """Builds the record that begins with this event."""
        builder = self._builder
        builder.flawed, builder.size = False, 0
        record = builder.built(event, value, self._depth)
        if builder.overfull:
            self._size_of_last = 0
            return UnreadableValue(
                f"is too large: its values would need more than {MOST_RECORD_BYTES >> 20} MiB of"
                " memory",
                None,
            )
        self._size_of_last = builder.size
        self.piece_size += builder.size
        # `spoiled` may be due to a later record in the same chunk.
        if builder.flawed or self.content.spoiled:
            reason = flaw_in(record)
            if reason is not None:
                return UnreadableValue(reason, record)
        return without_nul(record, self.tally) if self.content.has_nul else record


class _Elements(EventWalk):
    """Walks through the elements of the array `key` of the outermost object."""

    def __init__(self, content: Content, key: str, start: int, tally: Tally) -> None:
        super().__init__(content, start, tally, depth=3)
        self._key = key

    def records(self) -> Iterator[Any]:
        """Yields the records after the first `start`; reads to the end of the file."""
        events = self.events
        self.opened()
        # A dictionary, since it keeps the order.
        names: dict[str, None] = {}
        for _, name in events:  # ends after the `end_map`, whose name is None
            if name is None:
                continue
            event, value = next(events)
            name = name.replace("\0", "")
            if name in names:
                raise RecordError(duplicate_name(member_path("", name)))
            self.content.check(f"the name {member_path('', name)}", name)
            check_names(names)
            names[name] = None
            if name != self._key:
                check_value(self.content, events, event, value, member_path("", name), 2)
            elif event == "start_array":
                yield from self._elements()
            else:
                raise no_array(self._key, {self._key: without_content(event, value)})
        if self._key not in names:
            raise no_array(self._key, names)

    def _elements(self) -> Iterator[Any]:
        self.in_records = True
        for event, value in self.events:
            if event == "end_array":
                break
            if not self.skips(event):
                record = self.record(event, value)
                self.passed += 1
                yield record
        self.in_records = False
