"""Days in the names of folders and files, in any spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple

_Date = tuple[int, int, int]
"""Year, month, day; the year is 0 if the name has none."""


class Day(NamedTuple):
    """The day in a name. Two are equal only if they certainly mean the same day.

    `dates` has the readings of each date in the name: one, or one for each possible order of month,
    day and year. `03-02-2026` equals `3_2_2026`, but neither `02-03-2026` nor `2026-03-02`, which
    is not certain. `full_year` says whether the year has four digits.
    """

    dates: frozenset[tuple[_Date, ...]]
    full_year: bool
    time: str

    def is_same(self, other: Day | None) -> bool:
        """Whether the other is certainly this day, and has no other time."""
        if other is None or self.dates != other.dates:
            return False
        return self.time.startswith(other.time) or other.time.startswith(self.time)


def day_in(text: str, *, full_year: bool | None = None) -> Day | None:
    """The day in the names of folders (joined by `/`), or in the name of a file; None if none.

    If several folders name a day, the last one counts. A date with a year of four digits takes
    precedence; `full_year` restricts the search to dates with such a year (True) or without
    (False). Numbers must be a date between 1970 and 2099.
    """
    if full_year is None:
        return _day(text, True) or _day(text, False)
    return _day(text, full_year)


_YEAR = r"(?P<y>19[7-9]\d|20\d\d)"
_MONTH = (
    r"(?<![a-z])(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?"
    r"|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?![a-z])"
)
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"
_GAP = r"[-_., /]{0,2}"
_FULL_YEAR = (
    r"(?<!\d){y}(?P<s>[-_. ])(?P<m>\d{{1,2}})(?P=s)(?P<d>\d{{1,2}})(?!\d)",
    r"(?<![^/]){y}[-_./](?P<m>\d{{1,2}})/(?P<d>\d{{1,2}})(?![^/])",
    r"(?<!\d){y}(?P<m>\d\d)(?P<d>\d\d)(?=(?:\d{{4}}(?:\d\d)?)?(?!\d))",
    r"(?<!\d)(?P<a>\d{{1,2}})(?P<s>[-_. ])(?P<b>\d{{1,2}})(?P=s){y}(?!\d)",
    r"(?<![^/])(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})/{y}(?![^/])",
    r"(?<!\d)(?P<a>\d\d)(?P<b>\d\d){y}(?!\d)",
    r"(?<!\d){y}{gap}{month}{gap}{day}(?!\d)",
    r"{month}{gap}{day}{gap}{y}(?!\d)",
    r"(?<!\d){day}{gap}{month}{gap}{y}(?!\d)",
)
_SHORT_YEAR = (
    r"(?<!\d)(?P<a>\d\d)(?P<s>[-_.])(?P<b>\d\d)(?P=s)(?P<c>\d\d)(?!\d)",
    r"{month}[-_., ]{{0,2}}{day}(?!\d)",
    r"(?<!\d){day}[-_., ]{{0,2}}{month}",
)
_TIME = (
    r"[-T_./ ]{0,2}(?P<h>[01]\d|2[0-3])[-:._h]?(?P<m>[0-5]\d)(?:[-:._m]?(?P<s>[0-5]\d))?(?!\d)"
    r"(?P<half>[-_. ]?[ap]m)?"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


# Compiled on first use: this takes longer than importing the module.
@lru_cache(maxsize=2)
def _patterns(full_year: bool) -> list[re.Pattern[str]]:
    parts = {"y": _YEAR, "month": _MONTH, "day": _DAY, "gap": _GAP}
    return [_compiled(each.format(**parts)) for each in (_FULL_YEAR if full_year else _SHORT_YEAR)]


@lru_cache(maxsize=1)
def _time() -> re.Pattern[str]:
    return _compiled(_TIME)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.ASCII)


# Most files of a source are in few folders.
@lru_cache(maxsize=1024)
def _day(text: str, full_year: bool) -> Day | None:
    found: list[tuple[int, int, tuple[_Date, ...]]] = []
    for pattern in _patterns(full_year):
        for match in pattern.finditer(text):
            start, end = match.span()
            # Earlier patterns take precedence over later ones that share characters.
            if any(start < other_end and other_start < end for other_start, other_end, _ in found):
                continue
            if readings := tuple(dict.fromkeys(_readings(match.groupdict()))):
                found.append((start, end, readings))
    if not found:
        return None
    last, end, _ = max(found)
    folder = text.rfind("/", 0, last) + 1
    time = _time().match(text, end)
    return Day(
        frozenset(readings for start, _, readings in found if start >= folder),
        full_year,
        "" if time is None else _spelled(time),
    )


def _readings(parts: dict[str, str | None]) -> Iterator[_Date]:
    """Yields the possible dates of the parts of a spelling, in a fixed order."""
    year, name = int(parts.get("y") or 0), parts.get("name")
    if "a" not in parts:
        month = _MONTHS.index(name[:3].lower()) + 1 if name else int(parts["m"] or 0)
        dates = [(year, month, int(parts["d"] or 0))]
    else:
        a, b = int(parts["a"] or 0), int(parts["b"] or 0)
        if "c" in parts:
            c = int(parts["c"] or 0)
            dates = [(2000 + c, a, b), (2000 + c, b, a), (2000 + a, b, c)]
        else:
            dates = [(year, a, b), (year, b, a)]
    for year, month, day in dates:
        try:
            date(year or 2000, month, day)
        except ValueError:
            continue
        yield year, month, day


def _spelled(time: re.Match[str]) -> str:
    """A time as text; without seconds, it is a prefix of the same time with seconds."""
    half = (time["half"] or "").lstrip("-_. ").lower()
    return f"{half}{time['h']}{time['m']}{time['s'] or ''}"
