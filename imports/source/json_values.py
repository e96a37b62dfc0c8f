"""Building and checking values from the events of a JSON text."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any

from imports.errors import NotOursError, RecordError
from imports.source.cleaning import NUL_REMOVED, Tally, json_type, without_nul
from imports.source.json_chunks import Content
from imports.source.json_events import (
    CLOSING,
    OPENING,
    Event,
    events_of,
    skip_value,
    without_content,
)
from imports.source.json_flaws import (
    TOO_DEEP,
    DuplicateName,
    NestedTooDeeply,
    UnreadableValue,
    duplicate_name,
    flaw_in,
    is_flawed_number,
    member_path,
    number_flaw,
)
from imports.source.json_text import MAX_DEPTH, exact_number

_MADE = OPENING | {"number"}

# The approximate memory of a member of an object, and of an element of an array.
_MEMBER_BYTES, _ELEMENT_BYTES = 150, 80

MOST_NAMES = 1_000_000
"""The most names in an object outside the records."""


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
        if event not in OPENING:
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
        elif event in CLOSING:
            levels.pop()
        else:
            place = path
            if levels:
                level = levels[-1]
                place = level.place or f"{level.path}[{level.count}]"
                level.count += 1
            if event in OPENING:
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
