"""`airtable-sync` as users run it, killed at any point: no note twice, none missing, few calls."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from math import ceil

import pytest

from tests.support.airtable import add_insights, change_insights, contact, toml_for
from tests.support.airtable_server import (
    KEY,
    AirtableServer,
    airtable,
)
from tests.support.command import Workplace, wait_until
from tests.support.database import query
from tests.support.fault_points import FaultPoint
from tests.support.target import Target

CONTACTS = 1_000
CHANGED = 50

BASE_CALL = "imports.airtable.base:AirtableBase"
POINTS = (
    FaultPoint("imports.airtable.memory:SyncMemory.begin", before=False),
    FaultPoint(f"{BASE_CALL}.members", before=False),
    FaultPoint(f"{BASE_CALL}.create", number=7),
    FaultPoint(f"{BASE_CALL}.create", number=3, before=False),
    FaultPoint("imports.airtable.memory:SyncMemory.write", number=8),
    FaultPoint("imports.airtable.memory:SyncMemory.write", number=9, before=False),
    # At the end.
    FaultPoint(f"{BASE_CALL}.notes", before=False),
)
RANDOM_KILLS = 3


@pytest.fixture
def server() -> Iterator[AirtableServer]:
    # Its second lasts five milliseconds.
    with airtable(per_second=1_000) as server:
        yield server


@pytest.fixture
def synced_place(pg_place: Workplace, server: AirtableServer) -> Workplace:
    """A working folder that is configured for the server."""
    (pg_place.folder / "airtable.toml").write_text(toml_for(server))
    pg_place.environment["AIRTABLE_API_KEY"] = KEY
    return pg_place


class Least:
    """The least number of calls, from what kills left open.

    Each contact is looked up once: a hundred a call. After a kill, so are those that may have a
    note; and notes that were created are read, to see whether they are ours.
    """

    def __init__(self, url: str, server: AirtableServer) -> None:
        self._url, self._server = url, server
        self._open: set[str] = set()
        self._created: set[str] = set()

    def killed(self) -> None:
        """Notes what a kill left open."""
        open_ = query(
            self._url,
            "SELECT contact_id FROM importer_airtable_notes"
            " WHERE intended_hash IS NOT NULL AND record_id IS NULL",
        )
        self._open |= {contact_id for (contact_id,) in open_}
        self._created |= self._open & self._server.notes().keys()

    @property
    def calls(self) -> int:
        # One of the points loses the answer of a look-up, one that of a reading.
        looked_up = CONTACTS + 100 + len(self._open)
        reads = ceil(looked_up / 100) + 1 + ceil(len(self._created) / 100)
        return reads + ceil(CONTACTS / 10) + ceil(CHANGED / 10)


def test_however_often_it_is_killed_each_contact_has_one_note_with_the_fewest_calls(
    synced_place: Workplace, postgresql: Target, server: AirtableServer
) -> None:
    url = postgresql.database_url
    contacts = [contact(number) for number in range(CONTACTS)]
    add_insights(url, contacts)
    for each in contacts:
        server.add_member(each)
    least = Least(url, server)
    chance = random.Random(14)
    for _ in range(RANDOM_KILLS):
        enough = server.calls.total() + chance.randrange(5, 20)
        with synced_place.started("airtable-sync") as running:
            wait_until(lambda enough=enough: server.calls.total() >= enough, pause=0)  # type: ignore[misc]
            running.kill()
        least.killed()
    for point in POINTS:
        synced_place.killed_at(point, "airtable-sync")
        least.killed()
    synced_place.run("airtable-sync")
    change_insights(url, contacts[: CHANGED * 2 : 2], "Rows now")
    ended = synced_place.run("airtable-sync", "--json")

    report = json.loads(ended.out)
    assert (report["updated"], report["created"], report["failed"]) == (CHANGED, 0, 0)
    notes = server.notes()
    assert {each: len(found) for each, found in notes.items()} == dict.fromkeys(contacts, 1)
    changed = [each for each, (note,) in notes.items() if "Rows now" in note["note_content"]]
    assert sorted(changed) == contacts[: CHANGED * 2 : 2]
    assert server.refusals == {}
    calls = server.calls.total()
    assert calls <= least.calls * 1.05
    # A call is counted before it is sent.
    kills = len(POINTS) + RANDOM_KILLS
    assert calls <= report["calls_this_month"] <= calls + kills


def test_what_a_user_reads(
    synced_place: Workplace, postgresql: Target, server: AirtableServer
) -> None:
    contacts = [contact(number) for number in range(3)]
    add_insights(postgresql.database_url, contacts)
    for each in contacts[:2]:
        server.add_member(each)
    checked = synced_place.run("airtable-sync", "--check")
    assert "fits the base" in checked.out
    planned = synced_place.run("airtable-sync", "--dry-run")
    assert "Would be sent to Airtable" in planned.out
    assert "3 notes created" in planned.out
    assert server.calls.total() == 1
    ended = synced_place.run("airtable-sync", "--all", exit_code=3)
    assert "2 notes created" in ended.out
    assert f"{contacts[2]}: no record in the table of members has this contact id" in ended.out
    assert "Calls: 2; in this month 2" in ended.out
    assert KEY not in ended.text + (synced_place.folder / "resilient_import.log").read_text()

    server.table("Note Submission").fields.pop()
    wrong = synced_place.run("airtable-sync", "--check", exit_code=3)
    assert "introductions: the table has no such field" in wrong.out
    assert "airtable-sync --check" not in wrong.out


def test_without_a_key_a_file_or_an_answer_it_says_what_to_do(
    synced_place: Workplace, postgresql: Target, server: AirtableServer
) -> None:
    keyless = synced_place.run("airtable-sync", exit_code=2, environment={"AIRTABLE_API_KEY": ""})
    assert "AIRTABLE_API_KEY is not set" in keyless.err
    wrong = synced_place.run(
        "airtable-sync", exit_code=2, environment={"IMPORTER_AIRTABLE_CONFIG": "other.toml"}
    )
    assert "other.toml does not exist" in wrong.err
    both = synced_place.run("airtable-sync", "--all", "--since", "1d", exit_code=2)
    assert "exclude each other" in both.err
    nothing = synced_place.run("airtable-sync", "--backend", "embedded", exit_code=2)
    assert "There is no embedded PostgreSQL in " in nothing.err
    assert not (synced_place.folder / ".importer" / "postgresql").exists()
    add_insights(postgresql.database_url, [contact(1)])
    refused = synced_place.run(
        "airtable-sync", exit_code=1, environment={"AIRTABLE_API_KEY": "patWRONG"}
    )
    assert "Airtable refuses the key" in refused.err
    (synced_place.folder / "airtable.toml").write_text(
        toml_for(server).replace(server.url, "http://127.0.0.1:9")
    )
    away = synced_place.run("airtable-sync", "--max-retries", "0", exit_code=75)
    assert "cannot be reached" in away.err


def test_ctrl_c_ends_it_after_the_request_in_progress(
    synced_place: Workplace, postgresql: Target, server: AirtableServer
) -> None:
    contacts = [contact(number) for number in range(300)]
    add_insights(postgresql.database_url, contacts)
    for each in contacts:
        server.add_member(each)
    server.delay = 0.02
    with synced_place.started("airtable-sync") as running:
        wait_until(lambda: server.calls["create"] >= 3)
        running.interrupt()
        ended = running.finish(130)
    assert "continues it" in ended.err
    server.delay = 0.0
    # Nothing is open: all that was sent is known.
    created = len(server.notes())
    assert query(
        postgresql.database_url,
        "SELECT count(*), count(*) FILTER (WHERE record_id IS NOT NULL), max(intended_hash)"
        " FROM importer_airtable_notes",
    )[0][1:] == (created, None)
    synced_place.run("airtable-sync")
    assert server.calls["create"] == 30
