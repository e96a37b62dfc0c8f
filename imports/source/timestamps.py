"""Timestamps as programs write them, in other forms than the usual one of ISO 8601. No guesses.

Only unambiguous forms with the whole date, and a year of four digits, are read. A string with
anything else is refused, and so is an abbreviated zone ("EST"), but not an IANA zone. General
parsers guess what is missing and ignore what they do not know; so we have our own grammar.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

LONGEST = 100
"""A longer string is not a timestamp; in characters."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_EPOCH_BEGIN = 1_000_000_000
_EPOCH_END = 4_102_444_800
"""Seconds since 1970: from 9 September 2001 on, when they got ten digits, until the year 2100."""

_FULL_MONTHS = (
    "january february march april may june july august september october november december"
)
_MONTH = r"(?P<name>" + "|".join((*_FULL_MONTHS.split(), "sept", *_MONTHS)) + r")\.?"
_WEEKDAY = r"(?P<weekday>(?:mon|tues|wednes|thurs|fri|satur|sun)day|mon|tue|wed|thu|fri|sat|sun)"
_TIME = (
    r"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r"(?: ?(?P<half>[ap])\.?m\.?)?"
)
_UTC_OR_OFFSET = (
    r"(?: ?(?P<utc>z|utc|gmt|ut)"
    r"| ?(?:utc|gmt)?(?P<offset>(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?))"
)
_PLACE = r"[a-z][a-z_]*(?:/[a-z0-9_+-]+){1,2}"
_ZONE = (
    rf"(?:{_UTC_OR_OFFSET}(?: \([a-z ]+\))?)?"  # a comment may follow an offset
    rf"(?: ?\[!?(?P<bracket>{_PLACE}|z|utc|gmt)\]| (?P<place>{_PLACE}))?"
)
_WHOLE_FORMS = (
    r"(?P<year>\d{4})(?P<mark>[-/])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)"
    rf"(?:t|,? ){_TIME}{_ZONE}",
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)t(?P<hour>\d\d):?(?P<minute>\d\d)"
    rf"(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?{_ZONE}",
    # Numeric month and day: AM or PM shows that the order is the American one.
    rf"(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>\d{{4}}),? (?=.*[ap]\.?m){_TIME}{_ZONE}",
    rf"(?:{_WEEKDAY},? )?(?P<day>\d\d?)[ -]{_MONTH},?[ -](?P<year>\d{{4}})"
    rf"(?:,? (?:at )?{_TIME}{_ZONE})?",
    rf"(?:{_WEEKDAY},? )?{_MONTH} (?P<day>\d\d?),? (?P<year>\d{{4}})"
    rf"(?:,? (?:at )?{_TIME}{_ZONE})?",
    rf"{_WEEKDAY},? {_MONTH} (?P<day>\d\d?) {_TIME}{_UTC_OR_OFFSET}? (?P<year>\d{{4}})",
)
_FORMS = tuple(re.compile(form, re.ASCII | re.IGNORECASE) for form in _WHOLE_FORMS)

_BASIC_DATE = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)", re.ASCII)
_EPOCH = re.compile(r"(\d{10})(\d{3})?(?:\.(\d{1,9}))?", re.ASCII)


def read_timestamp(text: str) -> datetime | None:
    """The timestamp in a string, None if there is none; without a zone it is in UTC."""
    try:
        found = _read(text)
        return found and found[1]
    except (ValueError, OverflowError):
        return None


def read_day(text: str) -> date | None:
    """The day in a string with a day and a time, as written, whatever the zone."""
    try:
        found = _read(text)
        return found and found[0]
    except (ValueError, OverflowError):
        return None


def read_number(text: str) -> datetime | None:
    """The timestamp in UTC of a number: seconds or milliseconds since 1970, or a date.

    A date has eight digits (`20260302`) and a year from 1900 to 2099. Seconds have ten digits,
    milliseconds thirteen, from September 2001 until the year 2100. For other numbers: None.
    """
    if match := _BASIC_DATE.fullmatch(text):
        try:
            return datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[misc, arg-type]
        except ValueError:
            return None
    match = _EPOCH.fullmatch(text)
    if match is None or not _EPOCH_BEGIN <= int(match[1]) < _EPOCH_END:
        return None
    # With integers: a float would change the last digits.
    below = int(((match[2] or "") + (match[3] or "")).ljust(6, "0")[:6])
    return datetime.fromtimestamp(int(match[1]), UTC) + timedelta(microseconds=below)


def _read(text: str) -> tuple[date, datetime] | None:
    """The day and the timestamp in a string.

    Raises:
        ValueError, OverflowError: if the day, time or zone does not exist.
    """
    if len(text) > LONGEST:
        return None
    text = " ".join(text.split())
    for form in _FORMS:
        if match := form.fullmatch(text):
            return _converted(match.groupdict())
    return None


def _converted(parts: dict[str, str | None]) -> tuple[date, datetime]:
    name = parts.get("name")
    month = _MONTHS.index(name[:3].lower()) + 1 if name else int(parts["month"] or 0)
    day = date(int(parts["year"] or 0), month, int(parts["day"] or 0))
    weekday = parts.get("weekday")
    if weekday and _WEEKDAYS[day.weekday()] != weekday[:3].lower():
        raise ValueError("another day of the week")
    return day, _in_utc(datetime.combine(day, datetime.min.time()) + _since_midnight(parts), parts)


def _since_midnight(parts: dict[str, str | None]) -> timedelta:
    hour, minute, second = (int(parts[each] or 0) for each in ("hour", "minute", "second"))
    microsecond = int((parts["fraction"] or "").ljust(6, "0")[:6])
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    # 24:00 is the end of the day; 60 is a leap second, which counts as the next second.
    if (
        minute > 59
        or second > 60
        or hour > 24
        or (hour == 24 and (minute or second or microsecond))
    ):
        raise ValueError("no such time")
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=microsecond)


def _in_utc(local: datetime, parts: dict[str, str | None]) -> datetime:
    zone = parts.get("bracket") or parts.get("place")
    if zone and zone.lower() in ("z", "utc", "gmt"):
        zone = "UTC"
    if parts.get("offset"):
        hours, minutes = int(parts["hours"] or 0), int(parts["minutes"] or 0)
        if hours > 23 or minutes > 59:
            raise ValueError("no such offset")
        offset = timedelta(hours=hours, minutes=minutes)
        timestamp = local.replace(tzinfo=timezone(-offset if parts["sign"] == "-" else offset))
        if zone and timestamp.astimezone(_zone(zone)).utcoffset() != timestamp.utcoffset():
            raise ValueError("the zone has another offset")
        return timestamp.astimezone(UTC)
    if zone and not parts.get("utc"):
        return _in_utc_from(local, _zone(zone))
    if zone:
        _zone(zone)
    return local.replace(tzinfo=UTC)


def _in_utc_from(local: datetime, zone: ZoneInfo) -> datetime:
    """The UTC time of a local time in a zone, if there is exactly one."""
    timestamps = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    found = [each for each in timestamps if each.astimezone(zone).replace(tzinfo=None) == local]
    if len(found) != 1:
        raise ValueError("the clock change skips or repeats this time")
    return found[0]


def _zone(name: str) -> ZoneInfo:
    # The zones in `right/` count leap seconds.
    if name.lower().startswith(("right/", "posix/")):
        raise ValueError("not an IANA zone")
    try:
        return ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError("not an IANA zone") from error
