"""Converting dates, timestamps and text, as boards write them, for PostgreSQL. Pure functions.

Each takes a value and a tally, in which it counts the values that it had to drop.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

Tally = Counter[str]

NULL_WORDS = frozenset(
    {"", "not on file", "not available", "n/a", "---", "unknown", "none", "null"}
)
"""What boards write if there is no date, in lower case."""

NUL_REMOVED = "\\u0000"
"""The tally's name for a NUL character, which neither text nor jsonb can store."""

_SHORT_BELOW = 2.0**53
"""A float below this size has few digits, so converting it is fast."""

_MOST_DIGITS = 100
"""A whole number with more digits keeps its exponent: `1e100000` would have 100,001 digits."""

_LONGEST_TALLIED = 40
"""Characters of a dropped value in the tally: the value may be as long as its file."""

_LONGEST_CACHED = 32
"""Longer strings are not cached: the cache lives as long as the run."""

_DATE_FORMATS = (
    "%m/%d/%Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%B %d %Y",
    "%b %d %Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d-%b-%Y",
)


def clean_text(value: object, tally: Tally) -> str | None:
    """A string or number as text, trimmed, without NUL; None if nothing is left.

    Raises:
        ValueError: if the value is an object, an array or a boolean.
    """
    if type(value) is str:
        text = value
    elif value is None:
        return None
    elif isinstance(value, (bool, list, dict)):
        raise ValueError(f"expected a string, found {json_type(value)}")
    elif type(value) is float and abs(value) >= 10.0**_MOST_DIGITS:
        raise ValueError("a number too large to be read exactly; write it as a string")
    else:
        text = _number_text(value)
    if "\0" in text:
        tally[NUL_REMOVED] += text.count("\0")
        text = text.replace("\0", "")
    return text.strip() or None


def clean_date(value: object, tally: Tally) -> date | None:
    """The date of a value in a form that boards use; None for any other, which is counted.

    If the value has a time, its day counts as written, whatever the time zone.
    """
    if value is None:
        return None
    text = str(value).replace("\0", "").strip()
    found = _cached_date(text) if len(text) <= _LONGEST_CACHED else _parse_date(text)
    if found is None:
        tally[text[:_LONGEST_TALLIED]] += 1
    return found


def clean_timestamp(value: object, tally: Tally) -> datetime | None:
    """A timestamp in UTC, to the microsecond; without an offset it is in UTC.

    The value may be ISO 8601, RFC 2822, another unambiguous form (see `timestamps`), or a number. A
    value that cannot be read becomes None, and is counted.
    """
    if value is None:
        return None
    text = value if type(value) is str else _value_text(value)
    text = text.replace("\0", "").strip()
    found = _parse_timestamp(text)
    if found is None:
        tally[text[:_LONGEST_TALLIED]] += 1
    return found


def shortened(text: str) -> str:
    """The beginning of a string that may be very long, for messages."""
    return text if len(text) <= _LONGEST_TALLIED else f"{text[:_LONGEST_TALLIED]}…"


def is_blank(value: object) -> bool:
    """Whether a value is a string that means "no value"."""
    return type(value) is str and value.replace("\0", "").strip().lower() in NULL_WORDS


def without_nul(value: Any, tally: Tally) -> Any:
    """A JSON value without the NUL characters in its strings and names."""
    if isinstance(value, str):
        if "\0" not in value:
            return value
        tally[NUL_REMOVED] += value.count("\0")
        return value.replace("\0", "")
    if isinstance(value, list):
        return [without_nul(each, tally) for each in value]
    if isinstance(value, dict):
        return {without_nul(name, tally): without_nul(each, tally) for name, each in value.items()}
    return value


def _number_text(value: Any) -> str:
    """A number as text, with all its digits; 12345.0 becomes 12345."""
    if type(value) is int:
        return str(value)
    if type(value) is float and abs(value) < _SHORT_BELOW:
        return str(int(value)) if value.is_integer() else str(value)
    # On demand: such numbers are rare.
    from decimal import Decimal

    number = Decimal(repr(value)) if type(value) is float else value
    whole = number.to_integral_value()
    if whole != number or (number.adjusted() >= _MOST_DIGITS and "E" in str(number)):
        return str(value)
    return f"{whole:f}"


def _value_text(value: object) -> str:
    short = type(value) is float and abs(value) < _SHORT_BELOW
    return _number_text(value) if short else str(value)


def _parse_date(text: str) -> date | None:
    if text.lower() in NULL_WORDS:
        return None
    timestamp = _parse_iso(text)
    # Newer versions of Python read 24:00 as the next day.
    if timestamp is not None and text[11:13] != "24":
        return timestamp.date()
    spaced = " ".join(text.split())
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(spaced, form).date()
        except ValueError:
            continue
    # On demand: nearly all dates are in one of the forms above.
    from imports.source.timestamps import read_day

    return read_day(text)


_cached_date = lru_cache(maxsize=65_536)(_parse_date)


def _parse_timestamp(text: str) -> datetime | None:
    timestamp = _parse_iso(text)
    if timestamp is not None:
        if timestamp.tzinfo is None:
            return timestamp.replace(tzinfo=UTC)
        try:
            return timestamp.astimezone(UTC)
        except OverflowError:
            return None
    if text.lower() in NULL_WORDS:
        return None
    # On demand: nearly all timestamps are in the form above.
    from imports.source.timestamps import read_number, read_timestamp

    return read_number(text) or read_timestamp(text)


def _parse_iso(text: str) -> datetime | None:
    # fromisoformat also accepts forms that no board writes (`20250804`, week dates), and any
    # character before the time: `2025-08-04-05:00` is a day in a time zone.
    if len(text) < 10 or text[4] != "-" or text[7] != "-" or text[10:11] not in "T t":
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def json_type(value: object) -> str:
    """The JSON type of a value, with an article: "an array"."""
    if value is None:
        return "null"
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return names.get(type(value), "a number")
