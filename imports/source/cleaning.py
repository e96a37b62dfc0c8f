"""Dates, timestamps and text as boards write them, made fit for PostgreSQL. Pure functions.

Each takes the value and a tally, in which it counts by value what it had to drop.
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
"""What boards write where there is no date, in lower case."""

NUL_REMOVED = "\\u0000"
"""The tally's name for a NUL character, which neither text nor jsonb can hold."""

_SHORT_BELOW = 2.0**53
"""A float below this size has few digits, and is quickly written."""

_MOST_DIGITS = 100
"""A whole number with an exponent that has more of them keeps it: `1e100000` has 100,001."""

_LONGEST_TALLIED = 40
"""How many characters are kept of a value that is counted: it may be as long as its file."""

_LONGEST_CACHED = 32
"""A text of more characters is read anew each time: what is cached stays for the whole run."""

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
    """Text, trimmed, without NUL; None where nothing is left. Numbers are taken as text.

    Raises:
        ValueError: if the value is an object, a list or a boolean, where text belongs.
    """
    if type(value) is str:
        text = value
    elif value is None:
        return None
    elif isinstance(value, (bool, list, dict)):
        raise ValueError(f"expected text, found {json_type(value)}")
    elif type(value) is float and abs(value) >= 10.0**_MOST_DIGITS:
        raise ValueError("a number too large to be read exactly; write it as text")
    else:
        text = _number_text(value)
    if "\0" in text:
        tally[NUL_REMOVED] += text.count("\0")
        text = text.replace("\0", "")
    return text.strip() or None


def clean_date(value: object, tally: Tally) -> date | None:
    """A date out of the forms that boards use, None for any other; what became None is counted.

    Of a date with a time it is the day that stands there, whatever the time zone.
    """
    if value is None:
        return None
    text = str(value).replace("\0", "").strip()
    found = _cached_date(text) if len(text) <= _LONGEST_CACHED else _parse_date(text)
    if found is None:
        tally[text[:_LONGEST_TALLIED]] += 1
    return found


def clean_timestamp(value: object, tally: Tally) -> datetime | None:
    """A timestamp in UTC, to the microsecond; one without an offset is taken as UTC.

    It may be written as ISO 8601, RFC 2822 or in another way that leaves no doubt (see
    `timestamps`), or as a number. What cannot be read is None, and counted.
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
    """The beginning of a text that may be as long as its file, for people to see."""
    return text if len(text) <= _LONGEST_TALLIED else f"{text[:_LONGEST_TALLIED]}…"


def is_blank(value: object) -> bool:
    """Whether a value is a text that stands for nothing."""
    return type(value) is str and value.replace("\0", "").strip().lower() in NULL_WORDS


def without_nul(value: Any, tally: Tally) -> Any:
    """A JSON value with the NUL characters taken out of all its texts, names included."""
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
    """A number as text, with all its digits: whole ones without a fraction, as 12345.0 is 12345."""
    if type(value) is int:
        return str(value)
    if type(value) is float and abs(value) < _SHORT_BELOW:
        return str(int(value)) if value.is_integer() else str(value)
    # On demand: hardly any text is such a number.
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
    # Newer versions of Python take 24:00 for the next day.
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
    # fromisoformat also takes forms that no board writes, a bare `20250804` or a week date, and any
    # character before the time: `2025-08-04-05:00` is a day in a time zone.
    if len(text) < 10 or text[4] != "-" or text[7] != "-" or text[10:11] not in "T t":
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def json_type(value: object) -> str:
    """What JSON calls a value of this type, with its article."""
    if value is None:
        return "null"
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), "a number")
