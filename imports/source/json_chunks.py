"""Reading JSON in chunks that a parser can take: none ends inside a token that must stay whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from imports.errors import RecordError
from imports.source.json_flaws import (
    HALF,
    MOST_READ,
    NOT_UTF_8,
    SPOILED,
    encoding_flaw,
)
from imports.source.json_text import BYTE_ORDER_MARK, UTF16_MARKS

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


class Content:
    """JSON in chunks that end between two tokens or inside a string.

    No chunk ends inside an escape sequence or a surrogate pair. `read` returns the next bytes, at
    most the number that it is given, which are `at` this place of a file. Invalid parts of a string
    are replaced by a mark of `json_flaws`; `spoiled` says whether there was any. A whole number
    that Python cannot read is replaced by one that is read as NaN.
    """

    def __init__(self, read: Callable[[int], bytes], at: int = 0) -> None:
        self._read = read
        self.chunk_start = at
        self.chunk_end = at
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
