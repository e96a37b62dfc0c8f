"""Moments in the forms that programs write: read as they were meant, or not at all."""

from __future__ import annotations

import datetime as dt
import email.utils
import re
from collections import Counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.source.cleaning import Tally, clean_date, clean_timestamp

NINE = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
FORMS = {
    "2026-03-02 09:00:00 UTC": NINE,
    "2026-03-02 09:00:00 GMT": NINE,
    "2026-03-02T09:00:00z": NINE,
    "2026-03-02T09:00:00 Z": NINE,
    "2026/03/02 09:00:00": NINE,
    "Mon, 02 Mar 2026 09:00:00 GMT": NINE,
    "Mon, 2 Mar 2026 10:00:00 +0100 (CET)": NINE,
    "2 Mar 2026 09:00:00 -0000": NINE,
    "Monday, 02-Mar-2026 09:00:00 GMT": NINE,
    "Mon Mar  2 09:00:00 2026": NINE,
    "Mon Mar  2 09:00:00 UTC 2026": NINE,
    "Mon Mar 02 2026 03:00:00 GMT-0600 (Central Standard Time)": NINE,
    "March 2, 2026 9:00 AM": NINE,
    "Mar 2, 2026 at 9:00 a.m.": NINE,
    "2026-03-02T14:30:00+05:30[Asia/Kolkata]": NINE,
    "2026-03-02T14:30:00[Asia/Kolkata]": NINE,
    "2026-03-02 14:30:00 Asia/Kolkata": NINE,
    "2026-03-02T09:00:00Z[UTC]": NINE,
    "2026-03-02T09:00:00Z[Asia/Kolkata]": NINE,
    "2026-03-02 03:00:00 -0600": NINE,
    "20260302T090000Z": NINE,
    "20260302T0900Z": NINE,
    "20260302T143000.5+0530": NINE + dt.timedelta(milliseconds=500),
    "20260302": NINE.replace(hour=0),
    "1772442000": NINE,
    "1772442000000": NINE,
    "1772442000.25": NINE + dt.timedelta(milliseconds=250),
    "1772442000123": NINE + dt.timedelta(milliseconds=123),
    "2026-03-01T24:00:00": NINE.replace(hour=0),
    "2026-02-28T24:00Z": NINE.replace(month=3, day=1, hour=0),
    "2026-03-02T08:59:60Z": NINE,
    "2026-12-31T23:59:60Z": dt.datetime(2027, 1, 1, tzinfo=dt.UTC),
    "3/2/2026 9:00:00 AM": NINE,
    "03/02/2026 09:00 AM": NINE,
    "3/2/2026, 9:00:00\u202fAM": NINE,
    "3/2/2026 9:00:00 PM": NINE.replace(hour=21),
    "3/2/2026 12:00:00 AM": NINE.replace(hour=0),
    "3/2/2026 12:00:00 PM": NINE.replace(hour=12),
}

UNREADABLE = [
    # A part is missing, or would have to be guessed.
    *("10", "2018", "March", "March 2026", "Monday", "09:00", "2026-03", "3/2/26 9:00 AM"),
    *("Mon, 02 Mar 26 09:00:00 GMT", "today at 9:00", "2026-03-02 or so", "ca. 2026-03-02 09:00"),
    *("3/2/2026 9:00", "03/25/2026 09:00:00", "2026-03-02-05:00", "2026-03-02 9 AM"),
    # Zones that are only names, and names that are none.
    *("2026-03-02 09:00:00 EST", "2026-03-02 09:00:00 IST", "Mon, 02 Mar 2026 09:00:00 CST"),
    *("2026-03-02T09:00:00[Mars/Olympus]", "2026-03-02T09:00:00[EST]", "2026-03-02 09:00 (EST)"),
    *("2026-03-02T09:00:00[right/Asia/Kolkata]", "2026-03-02T09:00:00[../../etc/passwd]"),
    # What contradicts itself.
    *("Tue, 02 Mar 2026 09:00:00 GMT", "2026-03-02T09:00:00+05:00[Asia/Kolkata]"),
    *("3/2/2026 13:00:00 PM", "3/2/2026 0:30 AM", "13/2/2026 9:00 AM", "31 Feb 2026 09:00:00"),
    *("2026-03-02T25:00:00", "2026-03-02T24:00:01", "2026-03-02T09:60:00", "2026-03-02T09:00:61Z"),
    "Mon, 02 Mar 2026 09:00:00 +0175",
    # Clocks are put forward, and back: the time is none, or two.
    *("2026-03-08T02:30:00[America/New_York]", "2026-11-01 01:30:00 America/New_York"),
    # Beyond what a moment can be.
    *("9999-12-31T24:00:00", "9999-12-31T23:59:60Z", "0000-01-01T00:00:00 UTC"),
    *("-2026-03-02T09:00:00Z", "+12026-03-02T09:00:00Z", "Fri, 31 Dec 9999 23:00:00 -0200"),
    # Numbers that are no moments.
    *("33601", "336011234", "12345678", "10101010", "20261302", "0772442000", "9999999999"),
    *("17724420000", "1772442000000000", "20260302090000", "-1772442000", "1.772442e9"),
    *("", "N/A", "not on file", "8135551234", "\u0661\u0667\u0667\u0662\u0664\u0664\u0662\u0660"),
]


@pytest.fixture
def tally() -> Tally:
    return Counter()


@pytest.mark.parametrize("written", FORMS)
def test_a_moment_in_a_form_that_occurs_is_read(written: str, tally: Tally) -> None:
    found = clean_timestamp(written, tally)
    assert found == FORMS[written]
    assert found.utcoffset() == dt.timedelta(0)
    assert not tally


@pytest.mark.parametrize("written", UNREADABLE)
def test_a_moment_is_never_guessed(written: str, tally: Tally) -> None:
    assert clean_timestamp(written, tally) is None
    assert tally == {written.strip(): 1}


@pytest.mark.parametrize(
    ("number", "meant"),
    [
        (1772442000, NINE),
        (1772442000.0, NINE),
        (1772442000.5, NINE + dt.timedelta(milliseconds=500)),
        (1772442000000, NINE),
        (20260302, NINE.replace(hour=0)),
        (1_000_000_000, dt.datetime(2001, 9, 9, 1, 46, 40, tzinfo=dt.UTC)),
        *((each, None) for each in (0, 10, 2018, 33601, 999_999_999, 4_102_444_800, 10**20)),
        *((each, None) for each in (-1772442000, 2026.5, 1e300, True, False)),
    ],
)
def test_a_number_is_a_moment_only_where_it_can_be_nothing_else(
    number: float, meant: dt.datetime | None, tally: Tally
) -> None:
    assert clean_timestamp(number, tally) == meant


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2026-03-02 23:30:00 UTC", dt.date(2026, 3, 2)),
        ("2026-03-02T00:30:00+05:30[Asia/Kolkata]", dt.date(2026, 3, 2)),
        ("Mon, 02 Mar 2026 00:30:00 +1400", dt.date(2026, 3, 2)),
        ("3/2/2026 12:00:00 AM", dt.date(2026, 3, 2)),
        ("2026-03-02T24:00:00", dt.date(2026, 3, 2)),
        ("2026-03-02T23:59:60Z", dt.date(2026, 3, 2)),
        ("Mar 2, 2026 11:59 PM", dt.date(2026, 3, 2)),
        # Which day it is hangs on where somebody is, or is a number of something else.
        *((each, None) for each in ("1772442000", "1772442000000", "20260302", "2026-03-02-05:00")),
        *((each, None) for each in ("2026-03-02 09:00:00 EST", "3/2/2026 09:00:00")),
    ],
)
def test_a_date_is_the_day_that_stands_there_whatever_the_zone(
    written: str, day: dt.date | None, tally: Tally
) -> None:
    assert clean_date(written, tally) == day


def test_a_long_text_is_neither_a_moment_nor_kept(tally: Tally) -> None:
    for written in ("q" * 300_000, "2026-03-02 09:00:00 UTC" + " (a" + "a" * 300_000 + ")"):
        assert clean_timestamp(written, tally) is None
        assert clean_date(written, tally) is None
    assert sum(map(len, tally)) < 200


# What is written is read back

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda each: dt.timezone(dt.timedelta(minutes=each)))
MOMENTS = st.datetimes(
    dt.datetime.fromisoformat("1000-01-03"),
    dt.datetime.fromisoformat("9998-12-30"),
    timezones=OFFSETS | st.just(dt.UTC),
)
SECONDS = MOMENTS.map(lambda each: each.replace(microsecond=0))
ZONES = ["Asia/Kolkata", "America/New_York", "America/Argentina/Ushuaia", "Etc/GMT+2"]


def read(text: str) -> dt.datetime | None:
    return clean_timestamp(text, Counter())


@given(SECONDS)
def test_every_moment_in_an_e_mails_form_is_read_back(timestamp: dt.datetime) -> None:
    assert read(email.utils.format_datetime(timestamp)) == timestamp


@given(SECONDS.map(lambda each: each.astimezone(dt.UTC)))
def test_every_moment_in_a_form_of_utc_is_read_back(timestamp: dt.datetime) -> None:
    for form in (
        *("%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%Sz", "%Y%m%dT%H%M%SZ"),
        *("%a, %d %b %Y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y", "%B %d, %Y %I:%M:%S %p"),
        *("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y, %I:%M:%S %p UTC", "%d-%b-%Y %H:%M:%S"),
    ):
        assert read(timestamp.strftime(form)) == timestamp, form


@given(MOMENTS.map(lambda each: each.astimezone(dt.UTC)), st.sampled_from(ZONES))
def test_every_moment_with_the_name_of_its_zone_is_read_back(
    timestamp: dt.datetime, zone: str
) -> None:
    local = timestamp.astimezone(ZoneInfo(zone))
    if "." in str(local.utcoffset()) or local.utcoffset().seconds % 60:  # type: ignore[union-attr]
        return  # before zones had whole minutes
    assert read(f"{local.isoformat()}[{zone}]") == timestamp
    bare = read(f"{local.replace(tzinfo=None).isoformat()}[{zone}]")
    assert bare == timestamp or (bare is None and zone.startswith("America/"))


@given(
    st.datetimes(
        dt.datetime.fromisoformat("2001-09-10"),
        dt.datetime.fromisoformat("2099-12-31"),
        timezones=st.just(dt.UTC),
    )
)
def test_every_moment_as_a_number_since_1970_is_read_back(timestamp: dt.datetime) -> None:
    since = timestamp - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    micro = since // dt.timedelta(microseconds=1)
    assert read(f"{micro // 1_000_000}.{micro % 1_000_000:06}") == timestamp
    assert read(f"{micro // 1_000}.{micro % 1_000:03}") == timestamp
    seconds = timestamp.replace(microsecond=0)
    assert read(f"{micro // 1_000_000}") == seconds
    assert clean_timestamp(micro // 1_000_000, Counter()) == seconds
    millis = timestamp.replace(microsecond=timestamp.microsecond // 1000 * 1000)
    assert read(f"{micro // 1_000}") == millis


PIECES = st.sampled_from(
    [
        *"0123456789-/:., TZ[]()+",
        *("2026", "03", "02", "12", "Mar", "Mon", "March", "AM", "PM", "UTC", "GMT", "EST", "at"),
        *("09:00:00", "2026-03-02", "3/2/2026", "[Asia/Kolkata]", "1772442000"),
    ]
)


@given(st.lists(PIECES, max_size=9).map("".join) | st.text(max_size=30))
def test_rubbish_never_becomes_a_moment_whose_figures_are_not_in_it(text: str) -> None:
    day = clean_date(text, Counter())
    if day is not None:
        numbers = {int(each) for each in re.findall(r"\d+", text)}
        assert {day.year, day.day} <= numbers
        assert day.month in numbers or day.strftime("%b").lower() in text.lower()
    timestamp = read(text)
    if timestamp is None or re.search(r"[+-]\d\d|Asia|24|60|\d{8}", text):
        return
    numbers = {int(each) for each in re.findall(r"\d+", text)}
    assert {timestamp.year, timestamp.day} <= numbers
    assert timestamp.month in numbers or timestamp.strftime("%b").lower() in text.lower()
    assert timestamp.minute in numbers | {0}
    assert {timestamp.hour, timestamp.hour - 12} & (numbers | {0}) or timestamp.hour % 12 == 0
