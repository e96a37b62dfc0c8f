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

_EXACT_BELOW = 2.0**53
"""A float of this size or more may stand for another whole number than the file has."""

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
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if isinstance(value, float) and abs(value) >= _EXACT_BELOW:
            raise ValueError("a number too large to be read exactly; write it as text")
        text = str(value)
    elif isinstance(value, (bool, list, dict)):
        raise ValueError(f"expected text, found {json_type(value)}")
    else:
        text = str(value)  # a Decimal, with all its digits
    if "\0" in text:
        tally[NUL_REMOVED] += text.count("\0")
        text = text.replace("\0", "")
    return text.strip() or None


def clean_date(value: object, tally: Tally) -> date | None:
    """A date out of the forms that boards use, None for any other; what became None is counted."""
    if value is None:
        return None
    text = str(value).replace("\0", "").strip()
    found = _parse_date(text)
    if found is None:
        tally[text] += 1
    return found


def clean_timestamp(value: object, tally: Tally) -> datetime | None:
    """A moment in UTC out of an ISO 8601 text; one without an offset is taken as UTC."""
    if value is None:
        return None
    text = str(value).replace("\0", "").strip()
    found = _parse_timestamp(text)
    if found is None:
        tally[text] += 1
    return found


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


@lru_cache(maxsize=65_536)
def _parse_date(text: str) -> date | None:
    if text.lower() in NULL_WORDS:
        return None
    moment = _parse_iso(text)
    if moment is not None:
        return moment.date()
    spaced = " ".join(text.split())
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(spaced, form).date()
        except ValueError:
            continue
    return None


def _parse_timestamp(text: str) -> datetime | None:
    moment = _parse_iso(text)
    if moment is None:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None


def _parse_iso(text: str) -> datetime | None:
    # fromisoformat also takes forms that no board writes, a bare `20250804` or a week date.
    if len(text) < 10 or text[4] != "-" or text[7] != "-":
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
