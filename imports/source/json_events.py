"""Reading JSON exactly, as a stream of events.

Slower than orjson, and used for what orjson loses or refuses: numbers keep all their digits,
duplicate names are detected, and a flaw affects only the value that has it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from decimal import InvalidOperation, localcontext
from itertools import chain
from typing import Any

# It uses the fastest parser that is available; most machines have a wheel of `yajl2_c`.
import ijson

from imports.source.json_chunks import Content

OPENING = frozenset({"start_map", "start_array"})
CLOSING = frozenset({"end_map", "end_array"})
_EMPTY_VALUES: dict[str, object] = {"start_map": {}, "start_array": []}

Event = tuple[str, Any]

BROKEN = (ijson.JSONError, ValueError, ArithmeticError)
"""The errors of reading events if a text is not JSON."""


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


def without_content(event: str, value: object) -> object:
    """The value that begins with an event, without its content."""
    return _EMPTY_VALUES.get(event, value)


def skip_value(events: Iterable[Event], event: str) -> None:
    """Skips the rest of a value that began with this event."""
    if event not in OPENING:
        return
    depth = 1
    for kind, _ in events:
        if kind in OPENING:
            depth += 1
        elif kind in CLOSING:
            depth -= 1
            if not depth:
                return
