"""Reading the array of a JSON file that is too large for memory, some records at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

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

_RECORD_DEPTH = 3
"""The level of a record: in an array in the outermost object."""


class Piece(NamedTuple):
    """Some records of the array: the index of the first, and whether these are the last.

    Only the last piece may be empty.
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
    """Yields the array `key` of the outermost object, `size` records at a time.

    Values are like those of `json_file.read_object`: NUL characters are removed and counted, and a
    record with a flaw is an UnreadableValue. The first `start` records are skipped without being
    built. Memory has one piece, and the record after it.

    If the file is broken somewhere, the records before that place are yielded first. The last
    piece is yielded only after the whole file has been read. While a piece was read, the file
    still had its signature.

    Raises:
        NotOursError: if it is JSON, but not an object, or has no array `key`.
        RecordError: if the file changed or cannot be read, is not JSON in UTF-8, or has a flaw
            outside its records.
    """
    try:
        descriptor, _ = opener(path)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from error
    try:
        yield from _pieces(descriptor, signature, key, size, start, tally)
    finally:
        os.close(descriptor)


def _pieces(
    descriptor: int, signature: Signature, key: str, size: int, start: int, tally: Tally
) -> Iterator[Piece]:
    def check_unchanged() -> None:
        if not is_unchanged(os.fstat(descriptor), signature):
            raise RecordError("changed during the run; run again to import it")

    content = Content(lambda most: os.read(descriptor, most))
    walk = _Walk(content, key, start, tally)
    first, records = start, list[Any]()
    try:
        check_unchanged()
        for record in walk.records():
            if len(records) == size or (records and walk.piece_size > MOST_PIECE_BYTES):
                walk.begin_piece()
                check_unchanged()
                yield Piece(first, records, last=False)
                first, records = first + size, []
            records.append(without_nul(record, tally) if content.has_nul else record)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from error
    except BROKEN as error:
        # A file that is being rewritten looks broken.
        check_unchanged()
        if records:
            yield Piece(first, records, last=False)
        raise RecordError(_complaint(error, content, walk)) from error
    check_unchanged()
    yield Piece(min(first, walk.passed), records, last=True)


def _complaint(error: Exception, content: Content, walk: _Walk) -> str:
    if content.blank:
        return "is empty"
    place = f"at bytes {content.chunk_start:,} to {content.chunk_end:,}"
    if walk.in_list:
        place = f"in record {walk.passed}, {place}"
    reason = error.args[0] if error.args else ""
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason or error)
    # The other lines of the parser's message quote the file, which does not belong into a log.
    return f"is not JSON {place}: {text.strip().partition(chr(10))[0].rstrip('. ')}"


class _Walk:
    """Walks through the events of one file. `passed` is the number of records read or skipped.

    `piece_size` is the approximate memory of the records since `begin_piece`, in bytes.
    """

    def __init__(self, content: Content, key: str, start: int, tally: Tally) -> None:
        self._content = content
        self._events: Iterator[Event] = events_of(content)
        self._builder = Builder(self._events, tally, MOST_RECORD_BYTES)
        self._size_of_last = 0
        self._key = key
        self.piece_size = 0
        self._start = start
        self.passed = 0
        self.in_list = False

    def begin_piece(self) -> None:
        """Starts a piece with the last record."""
        self.piece_size = self._size_of_last

    def records(self) -> Iterator[Any]:
        """Yields the records after the first `start`; reads to the end of the file."""
        events = self._events
        event, value = next(events)
        if event != "start_map":
            raise NotOursError(f"is {json_type(without_content(event, value))}, not an object")
        # A dictionary, since it keeps the order.
        names: dict[str, None] = {}
        for _, name in events:  # ends after the `end_map`, whose name is None
            if name is None:
                continue
            event, value = next(events)
            name = name.replace("\0", "")
            if name in names:
                raise RecordError(duplicate_name(member_path("", name)))
            self._content.check(f"the name {member_path('', name)}", name)
            check_names(names)
            names[name] = None
            if name != self._key:
                check_value(self._content, events, event, value, member_path("", name), 2)
            elif event == "start_array":
                yield from self._elements()
            else:
                raise no_array(self._key, {self._key: without_content(event, value)})
        if self._key not in names:
            raise no_array(self._key, names)

    def _elements(self) -> Iterator[Any]:
        self.in_list = True
        for event, value in self._events:
            if event == "end_array":
                break
            if self.passed < self._start:
                skip_value(self._events, event)
                self.passed += 1
            else:
                record = self._record(event, value)
                self.passed += 1
                yield record
        self.in_list = False

    def _record(self, event: str, value: Any) -> Any:
        builder = self._builder
        builder.flawed, builder.size = False, 0
        record = builder.built(event, value, _RECORD_DEPTH)
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
        if builder.flawed or self._content.spoiled:
            reason = flaw_in(record)
            if reason is not None:
                return UnreadableValue(reason, record)
        return record
