from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.source.cleaning import (
    NUL_REMOVED,
    Tally,
    _cached_date,
    clean_date,
    clean_text,
    clean_timestamp,
    json_type,
    without_nul,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.fixture
def tally() -> Tally:
    return Counter()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2/28/2027", dt.date(2027, 2, 28)),
        ("08/05/1997", dt.date(1997, 8, 5)),
        ("January 15, 2020", dt.date(2020, 1, 15)),
        ("january 15, 2020", dt.date(2020, 1, 15)),
        ("August 4 2025", dt.date(2025, 8, 4)),
        ("Dec 31 2025", dt.date(2025, 12, 31)),
        ("Dec 31, 2025", dt.date(2025, 12, 31)),
        ("2025-08-04", dt.date(2025, 8, 4)),
        ("2025-08-04T14:03:10", dt.date(2025, 8, 4)),
        ("2025-08-04 14:03:10.123456", dt.date(2025, 8, 4)),
        ("2025-08-04T23:59:59-05:00", dt.date(2025, 8, 4)),
        ("2025-08-04T00:00:00Z", dt.date(2025, 8, 4)),
        ("  2/28/2027\n", dt.date(2027, 2, 28)),
        ("January  15,  2020", dt.date(2020, 1, 15)),
        ("2/28/2027\0", dt.date(2027, 2, 28)),
        ("2/29/2028", dt.date(2028, 2, 29)),
    ],
)
def test_a_date_as_boards_write_it_becomes_that_date(
    written: str, meant: dt.date, tally: Tally
) -> None:
    assert clean_date(written, tally) == meant
    assert type(clean_date(written, tally)) is dt.date
    assert not tally


@pytest.mark.parametrize(
    "word",
    ["Not On File", "not on file", "NOT AVAILABLE", "N/A", "n/a", "---", "Unknown", "None", "null"],
)
def test_a_word_for_no_date_becomes_null_and_is_counted(word: str, tally: Tally) -> None:
    assert clean_date(word, tally) is None
    assert tally == {word: 1}


@pytest.mark.parametrize(
    "written", ["2/30/2025", "2/29/2027", "13/01/2025", "2025-02-30", "Smarch 1, 2020", "0/0/0000"]
)
def test_a_date_that_does_not_exist_becomes_null_and_is_counted(written: str, tally: Tally) -> None:
    assert clean_date(written, tally) is None
    assert tally == {written: 1}


@pytest.mark.parametrize("written", ["2/28/27", "20250804", "2025-W32-1", "soon", "1754316190"])
def test_what_could_mean_more_than_one_date_is_not_guessed(written: str, tally: Tally) -> None:
    assert clean_date(written, tally) is None


def test_the_tally_counts_each_dropped_value_by_itself(tally: Tally) -> None:
    for written in ("N/A", " N/A ", "Unknown", "", "   ", "2/28/2027", None):
        clean_date(written, tally)
    assert tally == {"N/A": 2, "Unknown": 1, "": 2}


def test_a_date_that_is_absent_is_not_counted(tally: Tally) -> None:
    assert clean_date(None, tally) is None
    assert not tally


def test_a_date_that_is_a_number_or_an_object_becomes_null(tally: Tally) -> None:
    assert clean_date(20250804, tally) is None
    assert clean_date({"year": 2025}, tally) is None
    assert tally.total() == 2


def test_what_is_long_is_neither_cached_nor_counted_as_a_whole(tally: Tally) -> None:
    before = _cached_date.cache_info().currsize
    for number in range(50):
        clean_date(f"{number}" + "q" * 300_000, tally)
        clean_timestamp(f"{number}" + "q" * 300_000, tally)
    assert _cached_date.cache_info().currsize == before
    assert tally.total() == 100
    assert max(map(len, tally)) <= 40


@given(json_values)
def test_no_value_makes_date_cleaning_fail(value: object) -> None:
    tally: Tally = Counter()
    found = clean_date(value, tally)
    assert found is None or type(found) is dt.date
    # Whatever was there either became a date or was counted.
    assert tally.total() == int(found is None and value is not None)


# strftime leaves out the zeros of years before 1000, and no board writes those.
@given(
    st.dates(min_value=dt.date(1000, 1, 1)),
    st.sampled_from(["%m/%d/%Y", "%B %d, %Y", "%b %d %Y", "%Y-%m-%d"]),
)
def test_every_date_written_in_a_boards_form_is_read_back(day: dt.date, form: str) -> None:
    assert clean_date(day.strftime(form), Counter()) == day


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("  BELMAR  PHARMACY\t\n", "BELMAR  PHARMACY"),
        ("\u00a0Tampa\u00a0", "Tampa"),
        ("", None),
        (" \n ", None),
        ("\0", None),
        (" \0 ", None),
        ("N/A", "N/A"),
        (33601, "33601"),
        (12.5, "12.5"),
        (12345.0, "12345"),
        (-12345.0, "-12345"),
        (2.0**53 - 1, "9007199254740991"),
        (2.0**53, "9007199254740992"),
        (9000000000000100000.0, "9000000000000100000"),
        (-1e22, "-1" + 22 * "0"),
        (Decimal("9000000000000000250.0"), "9000000000000000250"),
        (Decimal(12345678901234567890123), "12345678901234567890123"),
        (Decimal("12345678901234567890123.50"), "12345678901234567890123.50"),
        (Decimal("9" * 200 + ".00"), "9" * 200),
        (Decimal("123e131000"), "1.23E+131002"),
        (-0.0, "0"),
        (None, None),
    ],
)
def test_text_is_trimmed_and_empty_text_is_null(
    written: object, cleaned: str | None, tally: Tally
) -> None:
    assert clean_text(written, tally) == cleaned


@pytest.mark.parametrize("value", [1e100, -1e300])
def test_a_number_with_a_large_exponent_is_no_text(value: object, tally: Tally) -> None:
    with pytest.raises(ValueError, match="a number too large to be read exactly"):
        clean_text(value, tally)
    assert clean_timestamp(value, tally) is None


def test_nul_is_taken_out_of_text_and_counted(tally: Tally) -> None:
    assert clean_text("\0Bel\0mar\0", tally) == "Belmar"
    assert tally == {NUL_REMOVED: 3}


@pytest.mark.parametrize(
    ("value", "named"),
    [({}, "an object"), ([], "an array"), (True, "a boolean"), (False, "a boolean")],
)
def test_what_is_no_text_is_refused_by_name(value: object, named: str, tally: Tally) -> None:
    with pytest.raises(ValueError, match=f"^expected a string, found {named}$"):
        clean_text(value, tally)


@given(st.text())
def test_cleaning_text_again_changes_nothing(text: str) -> None:
    once = clean_text(text, Counter())
    again: Tally = Counter()
    assert clean_text(once, again) == once
    assert not again
    assert once is None or (once == once.strip() and "\0" not in once and once)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2025-08-03T14:03:10.123456", dt.datetime(2025, 8, 3, 14, 3, 10, 123456, dt.UTC)),
        ("2025-08-03T14:03:10Z", dt.datetime(2025, 8, 3, 14, 3, 10, 0, dt.UTC)),
        ("2025-08-03T14:03:10+02:00", dt.datetime(2025, 8, 3, 12, 3, 10, 0, dt.UTC)),
        ("2025-08-03 14:03", dt.datetime(2025, 8, 3, 14, 3, 0, 0, dt.UTC)),
        ("2025-08-03", dt.datetime(2025, 8, 3, 0, 0, 0, 0, dt.UTC)),
        (" 2025-08-03T14:03:10 ", dt.datetime(2025, 8, 3, 14, 3, 10, 0, dt.UTC)),
    ],
)
def test_a_timestamp_becomes_a_moment_in_utc(
    written: str, meant: dt.datetime, tally: Tally
) -> None:
    found = clean_timestamp(written, tally)
    assert found == meant
    assert found is not None
    assert found.utcoffset() == dt.timedelta(0)
    assert not tally


@pytest.mark.parametrize("written", ["yesterday", "", "14:03", "2025-08-03T25:00:00", "08/03/2025"])
def test_what_is_no_timestamp_becomes_null_and_is_counted(written: str, tally: Tally) -> None:
    assert clean_timestamp(written, tally) is None
    assert tally == {written: 1}


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_moment_that_utc_cannot_express_becomes_null(written: str, tally: Tally) -> None:
    assert clean_timestamp(written, tally) is None
    assert tally == {written: 1}


@given(json_values)
def test_no_value_makes_timestamp_cleaning_fail(value: object) -> None:
    found = clean_timestamp(value, Counter())
    assert found is None or found.utcoffset() == dt.timedelta(0)


@given(st.datetimes(timezones=st.none() | st.just(dt.UTC)))
def test_every_iso_timestamp_is_read_back(moment: dt.datetime) -> None:
    assert clean_timestamp(moment.isoformat(), Counter()) == moment.replace(tzinfo=dt.UTC)


@given(json_values)
def test_nul_survives_nowhere_in_a_json_value(value: object) -> None:
    tally: Tally = Counter()
    cleaned = without_nul(value, tally)
    assert "\\x00" not in repr(cleaned)
    assert "\0" not in str(cleaned)
    if "\\x00" not in repr(value):
        assert cleaned == value
        assert not tally


def test_nul_is_counted_in_texts_and_names_at_any_depth(tally: Tally) -> None:
    value = {"a\0": ["\0\0", {"b": "c\0d"}], "e": [1, None, True, 1.5, "f"]}
    assert without_nul(value, tally) == {"a": ["", {"b": "cd"}], "e": [1, None, True, 1.5, "f"]}
    assert tally == {NUL_REMOVED: 4}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        ({}, "an object"),
        ([], "an array"),
        ("", "a string"),
        (True, "a boolean"),
        (1, "a number"),
        (1.5, "a number"),
    ],
)
def test_types_are_called_what_json_calls_them(value: object, name: str) -> None:
    assert json_type(value) == name


@pytest.mark.parametrize(
    "number", ["123456789012345678901234567890", "-0.1234567890123456789", "1E+400"]
)
def test_a_number_that_no_double_keeps_is_a_text_with_all_its_digits(
    number: str, tally: Tally
) -> None:
    assert clean_text(Decimal(number), tally) == number
    assert json_type(Decimal(number)) == "a number"
