"""The parts of the sync to Airtable that ask nobody."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import requests

from imports.airtable.answers import problem_in
from imports.airtable.compat import StructuredInsightsAirtableWriter
from imports.airtable.config import AirtableConfig, config_from, read_config
from imports.airtable.limiter import REST_SECONDS, Limiter
from imports.airtable.memory import NoteState, Position, SyncMemory
from imports.airtable.note import Note, note_of
from imports.airtable.settled import Settled
from imports.backends.reading import Row, RowQuery
from imports.cli.airtable_sync import Result, duration
from imports.cli.main import main
from imports.errors import LockedError, UsageError
from imports.settings import Settings

R = TypeVar("R")
ROOT = Path(__file__).parents[2]
BASE = "appABCDEFGHIJKLMN"
SMALL = {"base": BASE, "master": {"table": "Master"}}


def row(**insights: Any) -> dict[str, Any]:
    stamp = "2026-01-01T00:00:00+00:00"
    return {
        "contact_id": "C",
        "id": "1",
        "updated_at": stamp,
        "version": 2,
        "processing_status": "completed",
        "insights": insights,
    }


# The text of a note


def test_the_sections_of_the_content_are_in_their_order_and_empty_ones_left_out() -> None:
    note = note_of(
        row(three_i="Hosts", investing=" ", business="Boats\n", personal="Sails", deals="", other=1)
    )
    assert note.note_content == ("**Personal:**\nSails\n\n**Business:**\nBoats\n\n**3i:**\nHosts")
    assert (note.deals, note.introductions) == (None, None)
    assert note_of(row(**{"3i": "File", "three_i": "Model"})).note_content == "**3i:**\nFile"


def test_citations_and_bullets_are_indented_as_airtable_shows_them() -> None:
    text = (
        "* Sails\n  * [2024-01-01,ENI-1]\n  - [N/A,ENI-2,recurroo]\n  * often\n  *rarely\n"
        "  **bold**\n  - other\n    * deeper"
    )
    assert note_of(row(deals=text)).deals == (
        "* Sails\n    [2024-01-01,ENI-1]\n    [N/A,ENI-2,recurroo]\n    • often\n    • rarely\n"
        "  **bold**\n  - other\n    * deeper"
    )


def test_an_update_empties_fields_and_leaves_those_of_people_alone() -> None:
    config = config_from(SMALL)
    note = Note("C", "1", "t", 1, "Content", None, "Intro")
    assert note.new_fields(config, "rec1") == {
        "find_by_contact_lookup": ["rec1"],
        "note_submission_type": "Elvis",
        "note_content": "Content",
        "introductions": "Intro",
    }
    changed = {"note_content": "Content", "deals": None, "introductions": "Intro"}
    assert note.changed_fields(config) == changed


def test_a_note_is_another_one_if_a_text_or_its_place_is() -> None:
    config = config_from(SMALL)
    elsewhere = config_from({**SMALL, "note_submission": {"fields": {"deals": "Deals"}}})
    notes = [
        Note("C", "1", "t", 1, None, "a", None),
        Note("C", "1", "t", 1, None, None, "a"),
        Note("C", "1", "t", 1, "a", None, None),
    ]
    hashes = {each.hash(place) for each in notes for place in (config, elsewhere)}
    assert len(hashes) == 6
    again = msgspec.structs.replace(config, requests_per_second=1)
    same = Note("C", "2", "later", 9, None, "a", None)
    assert same.hash(again) == notes[0].hash(config)


# The file


def test_the_example_is_a_valid_file_with_the_defaults(tmp_path: Path) -> None:
    text = (ROOT / "airtable.toml.example").read_text()
    file = tmp_path / "airtable.toml"
    file.write_text(text.replace("appXXXXXXXXXXXXXX", BASE))
    assert read_config(file) == config_from(SMALL)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "copy airtable.toml.example"),
        ("base =", "Correct the file"),
        ('base = "x"', "`master`"),
        (f'base = "{BASE}"\n[master]\ntable = 5', r"`\$.master.table`"),
        (f'base = "{BASE}"\nbases = 1\n[master]\ntable = "M"', "`bases`"),
        ('base = "Members"\n[master]\ntable = "M"', "id of the base"),
        (
            f'base = "{BASE}"\n[master]\ntable = "M"\nfields = {{contact_id = "fld{"A" * 14}"}}',
            "all be names, or all be ids",
        ),
        (
            f'base = "{BASE}"\n[note_submission.fields]\ndeals = "introductions"\n'
            '[master]\ntable = "M"',
            "are the same",
        ),
        (
            f'base = "{BASE}"\nendpoint_url = "http://example.com"\n[master]\ntable = "M"',
            "must begin with https",
        ),
    ],
)
def test_a_file_that_is_wrong_is_told_with_what_is_wrong(
    tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "airtable.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=told) as error:
        read_config(file)
    assert str(file) in str(error.value)


def test_a_check_takes_a_wait_of_no_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMPORTER_PROJECT", str(tmp_path))
    (tmp_path / "airtable.toml").write_text(f'base = "{BASE}"\n[master]\ntable = "M"')
    asked: list[Settings] = []

    def check_base(settings: Settings, config: AirtableConfig) -> Result:
        asked.append(settings)
        return Result([], {}, 0)

    monkeypatch.setattr("imports.cli.airtable_sync.check_base", check_base)
    with pytest.raises(SystemExit):
        main(["airtable-sync", "--check", "--max-wait", "0", "--max-retries", "0"])
    assert [(each.max_wait, each.max_retries) for each in asked] == [(0, 0)]


def test_only_a_regular_file_is_read() -> None:
    with pytest.raises(UsageError, match="not a regular file"):
        read_config(Path("/dev/zero"))


def test_the_configuration_of_the_earlier_program_is_understood() -> None:
    fields = {"contact_id": "ID", "name": "Name", "note_submissions": "Notes"}
    notes = {"table_id": "tblNotes", "status_column_value": {"elvis": "Presley"}}
    master = {"table_name": "People", "fields": fields}
    tables = {"note_submission": notes, "master": master}
    config = {"airtable": {"structured_insight": {"base_id": BASE, "tables": tables}}}
    assert StructuredInsightsAirtableWriter(config, "pat").config == config_from(
        {
            "base": BASE,
            "note_submission": {"table": "tblNotes", "type": "Presley"},
            "master": {
                "table": "People",
                "fields": {"contact_id": "ID", "note_submissions": "Notes"},
            },
        }
    )
    with pytest.raises(UsageError, match="AIRTABLE_API_KEY"):
        StructuredInsightsAirtableWriter(config)


# The limiter


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_no_second_has_a_request_too_many_however_long_each_is_on_its_way() -> None:
    clock, chance = Clock(), random.Random(1)
    limiter = Limiter(5, clock=clock, sleep=clock.sleep)
    arrivals: deque[float] = deque(maxlen=6)
    began = clock.now
    for _ in range(500):
        limiter.wait()
        clock.now += chance.choice([0.0, 0.01, 0.3])
        arrivals.append(clock.now)
        clock.now += chance.choice([0.0, 0.01, 0.3])
        limiter.sent()
        assert len(arrivals) < 6 or arrivals[-1] - arrivals[0] >= 1.0
    assert clock.now - began < 500 * 0.4
    quick = Limiter(5, clock=clock, sleep=clock.sleep)
    began = clock.now
    for _ in range(26):
        quick.wait()
        quick.sent()
    assert clock.now - began == pytest.approx(5.0)


def test_after_a_refusal_nothing_is_sent_for_half_a_minute() -> None:
    clock = Clock()
    limiter = Limiter(5, clock=clock, sleep=clock.sleep)
    limiter.wait()
    limiter.sent()
    limiter.refused()
    began = clock.now
    limiter.wait()
    assert clock.now - began == REST_SECONDS == 30.0


# The watermark


def test_the_watermark_is_the_last_row_before_which_all_are_settled() -> None:
    rows = [Position(f"2026-01-0{day}", "id") for day in range(1, 6)]
    settled = Settled()
    for each in rows:
        settled.begin(each)
    found = [settled.settle(rows[number]) for number in (1, 3, 0, 2, 4)]
    assert found == [None, None, rows[1], rows[3], rows[4]]


# The memory


class Target:
    """A target that keeps the requests, and gives an answer."""

    def __init__(self, **answer: Any) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answer = {"synced_to": None, "synced_id": None, "calls": 0, **answer}

    def call(self, function: str, payload: bytes, shape: Callable[[Any], R]) -> R:
        self.requests.append(msgspec.json.decode(payload))
        return shape(self.answer)

    def rows(self, query: RowQuery) -> list[Row]:
        raise NotImplementedError


def test_what_is_noted_is_written_once_with_the_next_request() -> None:
    target = Target()
    memory = SyncMemory(target, BASE)
    assert memory.begin() is None
    memory.note(NoteState("a", "T"), NoteState("b", "T", "rec1"))
    memory.note(NoteState("a", "T", "rec2"))
    memory.note_position(Position("2026-01-01", "id"))
    memory.write(1)
    memory.write(2, ends=True)
    _, first, second = target.requests
    assert [(each["contact_id"], each["member_id"]) for each in first["notes"]] == [
        ("a", "rec2"),
        ("b", "rec1"),
    ]
    assert (first["synced_to"], first["synced_id"]) == ("2026-01-01", "id")
    assert (second["notes"], second["calls"], second["ends"]) == ([], 2, True)
    assert "synced_to" not in second


def test_calls_belong_to_the_month_in_which_they_are_counted() -> None:
    target = Target()
    now = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
    times = iter([now, now, now, now + timedelta(hours=1), now + timedelta(hours=1)])
    memory = SyncMemory(target, BASE, lambda: next(times))
    memory.begin()
    for calls in (3, 5, 6, 9):
        memory.write(calls)
    counted = [(each["month"], each.get("calls")) for each in target.requests]
    assert counted == [
        ("2026-01-01", None),
        ("2026-01-01", 3),
        ("2026-01-01", 5),
        ("2026-02-01", 1),
        ("2026-02-01", 4),
    ]


def test_a_sync_of_another_machine_is_not_taken_for_dead() -> None:
    target = Target(held_by="process 4194999 (x) on elsewhere", held_sync="s")
    with pytest.raises(LockedError, match="elsewhere"):
        SyncMemory(target, BASE).begin()
    assert len(target.requests) == 1


# Small things


def test_times_of_a_selection() -> None:
    assert [duration(each) for each in ("90m", "24h", "7d")] == [
        timedelta(minutes=90),
        timedelta(hours=24),
        timedelta(days=7),
    ]
    assert [duration(each) for each in ("24", "h", "-1h", "1.5h", "1 h", "")] == [None] * 6


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('{"error": "NOT_FOUND"}', ("NOT_FOUND", "Gone")),
        ('{"error": {"type": "T", "message": "M"}}', ("T", "M")),
        ('{"error": {"type": "T"}}', ("T", "Gone")),
        ('{"errors": [{"error": "E", "message": "M"}]}', ("E", "M")),
        ("<html>\n Sign in</html>", ("no error of Airtable", "<html> Sign in</html>")),
        ("[]", ("no error of Airtable", "[]")),
    ],
)
def test_every_form_of_an_error_is_understood(body: str, problem: tuple[str, str]) -> None:
    response = requests.Response()
    response._content = body.encode()
    response.reason = "Gone"
    assert problem_in(response) == problem
