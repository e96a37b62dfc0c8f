"""Reading the members of a JSON object that is too large for memory, some at a time."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from imports.files.regular_file import OpenedFile, open_regular
from imports.items.source import Signature
from imports.source.cleaning import NUL_REMOVED, Tally
from imports.source.json_chunks import Content
from imports.source.json_file import has_all
from imports.source.json_flaws import SPOILED, UnreadableValue, encoding_flaw, readable
from imports.source.json_pieces import EventWalk, Piece, in_pieces

Member = tuple[str, Any]
"""The name and the value of a member of the outermost object."""

_BLOCK_BYTES = 256 * 1024
"""What orjson reads at once. Its values need at most forty times as much memory."""

_MEMORY_FACTOR = 10
"""The memory of usual values, as a multiple of their text."""

_OPENING = re.compile(rb"(?:\xef\xbb\xbf)?[ \n\r\t]*\{[ \n\r\t]*")
_BETWEEN = re.compile(rb"\}[ \n\r\t]*,[ \n\r\t]*(?=\")")
_TRIES = 20
"""How many places may be between two members; most are inside one."""


def read_members(
    path: str,
    signature: Signature,
    size: int,
    start: int,
    tally: Tally,
    opener: Callable[[str], OpenedFile] = open_regular,
) -> Iterator[Piece]:
    """Yields the members of the outermost object, `size` at a time, as `Member`; see `in_pieces`.

    Values are like those of `json_file.read_object`: NUL characters are removed and counted, and a
    value with a flaw is an UnreadableValue. A name may come again: then both members are yielded.

    Raises:
        NotOursError: if it is JSON, but not an object.
        RecordError: if the file changed or cannot be read, or is not JSON in UTF-8.
    """

    def walk(read: Callable[[int], bytes]) -> _Members:
        return _Members(read, start, tally)

    return in_pieces(path, signature, size, start, opener, walk)


class _MemberEvents(EventWalk):
    """Walks through the members of the outermost object, event by event."""

    def __init__(self, content: Content, start: int, tally: Tally) -> None:
        super().__init__(content, start, tally, depth=2)

    def records(self) -> Iterator[Member]:
        """Yields the members after the first `start`; reads to the end of the content."""
        self.opened()
        self.in_records = True
        for _, name in self.events:
            if name is None:
                self.in_records = False
                continue
            event, value = next(self.events)
            if self.skips(event):
                continue
            value = self.record(event, value)
            if "\0" in name:
                self.tally[NUL_REMOVED] += name.count("\0")
                name = name.replace("\0", "")
            if self.content.spoiled and SPOILED in name:
                name, value = readable(name), UnreadableValue(encoding_flaw("its name", name), None)
            self.passed += 1
            yield name, value


class _Members:
    """Walks through the members of the outermost object, block by block where it can.

    A block has whole members, and orjson reads it, which is many times as fast as events. If orjson
    loses something of a block, its members are read from events. If orjson cannot read the text
    that follows, all members from there on are.
    """

    def __init__(self, read: Callable[[int], bytes], start: int, tally: Tally) -> None:
        self._read = read
        self._start = start
        self._tally = tally
        self._passed = 0
        self._size = self._size_of_last = 0
        self._walk: _MemberEvents | None = None

    @property
    def content(self) -> Content:
        """Where it is, if it reads events."""
        return self._walk.content if self._walk is not None else Content(self._read)

    @property
    def passed(self) -> int:
        """The number of members that it has read or skipped."""
        return self._passed + (self._walk.passed if self._walk is not None else 0)

    @property
    def in_records(self) -> bool:
        """Whether it is at one of them."""
        return self._walk is None or self._walk.in_records

    @property
    def piece_size(self) -> int:
        """The approximate memory of those since `begin_piece`."""
        return self._size + (self._walk.piece_size if self._walk is not None else 0)

    def begin_piece(self) -> None:
        """Starts a piece with the last record."""
        self._size = self._size_of_last
        if self._walk is not None:
            self._size = 0
            self._walk.begin_piece()

    def records(self) -> Iterator[Member]:
        """Yields the members after the first `start`; reads to the end of the file."""
        text, ended = self._filled(b"")
        opening = _OPENING.match(text)
        if opening is None:
            yield from self._exactly(_joined(text, self._read), 0)
            return
        at = opening.end()
        text = text[at:]
        while True:
            if not ended:
                text, ended = self._filled(text)
            block = _block(text, ended=ended)
            if block is None:
                yield from self._exactly(_joined(b"{" + text, self._read), at - 1)
                return
            content, members, size = block
            if b"\\u0000" in content or not _is_exact(members, content):
                yield from self._exactly(io.BytesIO(content).read, at - 1)
            elif self._passed + len(members) <= self._start:
                self._passed += len(members)
            else:
                yield from self._built(members, _MEMORY_FACTOR * size // max(1, len(members)))
            if ended:
                return
            at += size
            text = text[size:]

    def _built(self, members: dict[str, Any], memory: int) -> Iterator[Member]:
        """Yields the members of a block, each of which needs about so much memory."""
        self._size_of_last = memory
        for member in members.items():
            self._passed += 1
            if self._passed > self._start:
                self._size += memory
                yield member

    def _exactly(self, read: Callable[[int], bytes], at: int) -> Iterator[Member]:
        """Yields the members of an object that begins at this place of the file, from events."""
        walk = _MemberEvents(Content(read, at), max(0, self._start - self._passed), self._tally)
        self._walk = walk
        yield from walk.records()
        # If it fails, it says where.
        self._walk = None
        self._passed += walk.passed
        self._size += walk.piece_size

    def _filled(self, text: bytes) -> tuple[bytes, bool]:
        """A text with what follows it in the file, and whether the file ends there."""
        parts, size = [text], len(text)
        while size < _BLOCK_BYTES:
            more = self._read(_BLOCK_BYTES - size)
            if not more:
                return b"".join(parts), True
            parts.append(more)
            size += len(more)
        return b"".join(parts), False


def _block(text: bytes, *, ended: bool) -> tuple[bytes, dict[str, Any], int] | None:
    """The first members of a text that begins with one, as far as they are whole.

    Returns an object with them, its value, and how many bytes of the text they take; None if orjson
    cannot read them. `ended` says that the outermost object ends in the text.
    """
    if ended:
        content = b"{" + text
        members = _loaded(content)
        return None if members is None else (content, members, len(text))
    place = len(text)
    for _ in range(_TRIES):
        between = None
        while between is None:
            place = text.rfind(b"}", 0, place)
            if place < 0:
                return None
            between = _BETWEEN.match(text, place)
        # If the place is inside a member, or a string, braces or quotes do not match.
        content = b"{%b}" % text[: place + 1]
        members = _loaded(content)
        if members is not None:
            return content, members, between.end()
    return None


def _loaded(content: bytes) -> dict[str, Any] | None:
    try:
        loaded: dict[str, Any] = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return loaded


def _is_exact(members: dict[str, Any], content: bytes) -> bool:
    try:
        return has_all(members, content)
    except orjson.JSONEncodeError:  # nested too deeply
        return False


def _joined(first: bytes, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """A function that reads `first`, and then what `read` reads."""
    begun = io.BytesIO(first)
    return lambda most: begun.read(most) or read(most)
