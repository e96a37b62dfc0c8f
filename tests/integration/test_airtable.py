"""Insights go to Airtable: each contact's note once, whatever happens on the way."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imports.airtable.base import AirtableBase
from imports.airtable.compat import (
    StructuredInsightsAirtableWriter,
    SupabaseAirtableSync,
    SyncResult,
)
from imports.airtable.memory import SyncMemory
from imports.airtable.outcome import SyncReport
from imports.airtable.selection import Selection
from imports.airtable.sending import NO_MEMBER
from imports.airtable.syncing import plan
from imports.airtable.task import NO_TEXT, NOT_COMPLETED
from imports.backends.retrying import RetryingDatabase
from imports.errors import BackendError, LockedError
from tests.integration.conftest import Waits, opened_bench
from tests.integration.test_merge import opened
from tests.support.airtable import (
    TEXT,
    add_insights,
    change_insights,
    config_for,
    contact,
    synced,
)
from tests.support.airtable_server import (
    KEY,
    LONGEST_TEXT,
    MEMBERS,
    NOTES,
    AirtableServer,
    airtable,
)
from tests.support.bench import Bench
from tests.support.database import query

ALL = Selection(everything=True)


class KilledError(BaseException):
    """In the place of `kill -9`."""


@pytest.fixture(params=["postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """One backend, unless a test is about the memory of syncs, which each of them writes."""
    yield from opened_bench(request, tmp_path)


each_backend = pytest.mark.parametrize("bench", ["postgresql", "supabase", "lite"], indirect=True)


@pytest.fixture
def database(bench: Bench) -> Iterator[RetryingDatabase]:
    with opened(bench) as (database, _):
        yield database


@pytest.fixture
def server() -> Iterator[AirtableServer]:
    with airtable(per_second=1_000) as server:
        yield server


def filled(bench: Bench, server: AirtableServer, count: int, **columns: Any) -> list[str]:
    """Contacts with insights and members."""
    contacts = [contact(number) for number in range(count)]
    add_insights(bench.url, contacts, **columns)
    for each in contacts:
        server.add_member(each)
    return contacts


def counts(report: SyncReport) -> dict[str, int]:
    return {str(action): count for action, count in report.counts.items()}


def contents(server: AirtableServer) -> dict[str, list[str | None]]:
    """The contents of our notes by contact."""
    found = server.notes().items()
    return {each: [note.get("note_content") for note in notes] for each, notes in found}


def settle(bench: Bench) -> None:
    """All that changed so far did so long ago."""
    query(
        bench.url,
        "SET LOCAL session_replication_role = replica; UPDATE elvis__structured_insights"
        " SET updated_at = updated_at - interval '1 hour'",
    )


@each_backend
def test_each_contact_gets_one_note_and_then_only_changes_are_sent(
    bench: Bench, server: AirtableServer, database: RetryingDatabase
) -> None:
    contacts = filled(bench, server, 123)
    first = synced(database, server)
    assert counts(first) == {"created": 123}
    text = "**Personal:**\nSails * a lot\n    [2024-01-01,ENI-1,recurroo]"
    assert contents(server) == {each: [text] for each in contacts}
    # Two look-ups of members, and ten notes a call.
    assert server.calls == {"list": 2, "create": 13}
    assert (first.calls, first.calls_this_month) == (15, 15)

    assert counts(synced(database, server)) == {}
    assert counts(synced(database, server, ALL)) == {"unchanged": 123}
    assert server.calls.total() == 15

    change_insights(bench.url, contacts[:12], "Rows now")
    again = synced(database, server)
    assert counts(again) == {"updated": 12}
    assert server.calls.total() == again.calls_this_month == 17
    assert contents(server)[contacts[3]] == ["**Personal:**\nRows now"]
    # They are recent: the next sync looks at them again, and sends nothing.
    assert counts(synced(database, server)) == {"unchanged": 12}
    settle(bench)
    assert counts(synced(database, server)) == {}
    assert server.refusals == {}


@pytest.mark.parametrize("fault", ["lost", "lost_after", "503", "503_after", "page"])
def test_a_lost_answer_makes_no_second_note(
    bench: Bench, server: AirtableServer, database: RetryingDatabase, waits: Waits, fault: str
) -> None:
    contacts = filled(bench, server, 25)
    # The look-up, three creations, and what comes after: some of them are lost.
    server.faults.extend(["", "", fault, fault, "", fault])
    assert counts(synced(database, server)) == {"created": 25}
    assert {each: len(notes) for each, notes in contents(server).items()} == dict.fromkeys(
        contacts, 1
    )
    change_insights(bench.url, contacts, "Rows now")
    server.faults.extend([fault, fault, ""])
    assert counts(synced(database, server)) == {"updated": 25}
    assert set(map(tuple, contents(server).values())) == {("**Personal:**\nRows now",)}


@pytest.mark.parametrize("where", ["members", "create", "write", "notes"])
@pytest.mark.parametrize("after", [False, True])
def test_a_killed_sync_is_continued_without_a_second_note(
    bench: Bench,
    server: AirtableServer,
    database: RetryingDatabase,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    after: bool,
) -> None:
    contacts = filled(bench, server, 45)
    owner: type = SyncMemory if where == "write" else AirtableBase
    # What people, or an earlier program, wrote about a member is not ours.
    others = {
        server.add_note(member, kind, "Old")
        for member in server.table(MEMBERS).records
        for kind in ("Call", "Elvis")
    }
    numbers = random.Random(where).sample(range(1, 8), 3)
    for number in (*numbers, 1):
        with monkeypatch.context() as patches:
            kill_at(patches, owner, where, number, after=after)
            try:
                synced(database, server)
            except KilledError:
                query(bench.url, "UPDATE importer_airtable_bases SET held_until = now()")
    synced(database, server)
    text = "**Personal:**\nSails * a lot\n    [2024-01-01,ENI-1,recurroo]"
    found = {each: sorted(notes, key=str) for each, notes in contents(server).items()}
    assert found == {each: [text, "Old"] for each in contacts}
    assert others <= server.table(NOTES).records.keys()
    assert query(
        bench.url,
        "SELECT count(*) FROM importer_airtable_notes WHERE record_id IS NOT NULL"
        " AND intended_hash IS NULL AND problem IS NULL AND sent_hash IS NOT NULL",
    ) == [(45,)]
    assert counts(synced(database, server, ALL)) == {"unchanged": 45}


def test_a_note_that_somebody_else_wrote_meanwhile_is_not_mistaken_for_ours_for_long(
    bench: Bench,
    server: AirtableServer,
    database: RetryingDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (each,) = filled(bench, server, 1)
    with monkeypatch.context() as patches:
        kill_at(patches, AirtableBase, "create", 1, after=True)
        with pytest.raises(KilledError):
            synced(database, server)
    query(bench.url, "UPDATE importer_airtable_bases SET held_until = now()")
    (member,) = server.table(MEMBERS).records
    other = server.add_note(member, "Elvis", "By hand")
    server.table(NOTES).created[other] = "2099-01-01T00:00:00.000Z"
    # It is later, so ours is the first one; that gets its text once more.
    assert counts(synced(database, server)) == {"updated": 1}
    texts = sorted(str(note) for note in contents(server)[each])
    assert texts == ["**Personal:**\nSails * a lot\n    [2024-01-01,ENI-1,recurroo]", "By hand"]


def kill_at(
    patches: pytest.MonkeyPatch, owner: type, name: str, number: int, *, after: bool
) -> None:
    """From a call of a method on, nothing is done any more."""
    call = getattr(owner, name)
    write = SyncMemory.write
    left = number
    dead = False

    def watched(self: Any, *arguments: Any, **flags: Any) -> Any:
        nonlocal left, dead
        if dead:
            raise KilledError
        left -= 1
        if left:
            return call(self, *arguments, **flags)
        dead = True
        if after:
            call(self, *arguments, **flags)
        raise KilledError

    def unless_dead(self: SyncMemory, *arguments: Any, **flags: Any) -> None:
        if dead:
            raise KilledError
        write(self, *arguments, **flags)

    patches.setattr(SyncMemory, "write", unless_dead)
    patches.setattr(owner, name, watched)


@each_backend
def test_a_contact_without_a_member_or_with_several_is_reported_and_tried_again(
    bench: Bench, server: AirtableServer, database: RetryingDatabase
) -> None:
    contacts = filled(bench, server, 12)
    members = server.table(MEMBERS)
    first = next(iter(members.records))
    del members.records[first]
    second = server.add_member(contacts[1])
    report = synced(database, server)
    assert counts(report) == {"created": 10, "failed": 2}
    reasons = {each.contact_id: each.reason for each in report.failed}
    assert reasons[contacts[0]] == NO_MEMBER
    assert second in reasons[contacts[1]]
    assert "several" in reasons[contacts[1]]

    settle(bench)
    # They do not hold the watermark back.
    assert counts(synced(database, server)) == {"failed": 2}
    del members.records[second]
    server.add_member(contacts[0])
    assert counts(synced(database, server)) == {"created": 2}
    assert counts(synced(database, server)) == {}
    assert set(contents(server)) == set(contacts)


def test_the_record_that_airtable_refuses_is_found_and_the_others_are_sent(
    bench: Bench, server: AirtableServer, database: RetryingDatabase
) -> None:
    contacts = filled(bench, server, 20)
    change_insights(bench.url, [contacts[13]], "x" * (LONGEST_TEXT + 1))
    report = synced(database, server)
    assert counts(report) == {"created": 19, "failed": 1}
    (failure,) = report.failed
    assert (failure.contact_id, failure.field) == (contacts[13], "note_content")
    # Two tens, and of the one: two halves, then of five, then of two or three.
    assert server.calls["create"] <= 10
    # It is reported until it changes, and sent only on demand, alone.
    before = server.calls.total()
    assert counts(synced(database, server)) == {"failed": 1}
    assert server.calls.total() == before
    assert counts(synced(database, server, ALL)) == {"unchanged": 19, "failed": 1}
    assert server.calls.total() == before + 1
    change_insights(bench.url, [contacts[13]], TEXT)
    assert counts(synced(database, server)) == {"created": 1}


def test_a_note_that_somebody_deleted_is_made_again_when_it_changes(
    bench: Bench, server: AirtableServer, database: RetryingDatabase
) -> None:
    contacts = filled(bench, server, 12)
    synced(database, server)
    notes = server.notes()
    for each in contacts[:2]:
        del server.table(NOTES).records[notes[each][0]["id"]]
    change_insights(bench.url, contacts[1:], "Rows now")
    assert counts(synced(database, server)) == {"updated": 10, "made_again": 1}
    # What has not changed costs no call, so nobody sees that it is gone.
    assert {each: len(found) for each, found in server.notes().items()} == dict.fromkeys(
        contacts[1:], 1
    )


def test_a_member_that_was_replaced_meanwhile_is_looked_up_again(
    bench: Bench,
    server: AirtableServer,
    database: RetryingDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contacts = filled(bench, server, 10)
    with monkeypatch.context() as patches:
        kill_at(patches, AirtableBase, "create", 1, after=False)
        with pytest.raises(KilledError):
            synced(database, server)
    query(
        bench.url,
        "UPDATE importer_airtable_bases SET held_until = now();"
        " UPDATE importer_airtable_notes SET intended_hash = NULL",
    )
    gone = next(iter(server.table(MEMBERS).records))
    del server.table(MEMBERS).records[gone]
    server.add_member(contacts[0])
    assert counts(synced(database, server)) == {"created": 10}
    assert server.calls == {"list": 2, "create": 3}


def test_what_has_nothing_to_send_is_skipped_with_the_reason(
    bench: Bench, server: AirtableServer, database: RetryingDatabase
) -> None:
    contacts = filled(bench, server, 3)
    add_insights(bench.url, [contact(8)], processing_status="failed")
    add_insights(bench.url, [contact(9)], text="  ")
    report = synced(database, server)
    assert counts(report) == {"created": 3, "skipped": 2}
    assert report.skipped == {NOT_COMPLETED: 1, NO_TEXT: 1}
    assert set(contents(server)) == set(contacts)


def test_of_several_rows_of_a_contact_the_last_one_counts(
    bench: Bench, server: AirtableServer, database: RetryingDatabase
) -> None:
    contacts = filled(bench, server, 5)
    add_insights(bench.url, contacts, text="Older", eni_id="E")
    change_insights(bench.url, contacts[:1], "Newer")
    query(bench.url, "UPDATE elvis__structured_insights SET member_name = 'M' WHERE eni_id IS NULL")
    synced(database, server)
    before = server.calls.total()
    assert counts(synced(database, server, ALL)) == {"unchanged": 5}
    assert server.calls.total() == before
    assert contents(server)[contacts[1]] == [
        "**Personal:**\nSails * a lot\n    [2024-01-01,ENI-1,recurroo]"
    ]


def test_contacts_and_times_can_be_selected(
    bench: Bench, server: AirtableServer, database: RetryingDatabase
) -> None:
    contacts = filled(bench, server, 6)
    change_insights(bench.url, contacts[4:], "Rows now")
    chosen = Selection(contacts=(contacts[0], "CNT-nobody'"))
    report = synced(database, server, chosen)
    assert counts(report) == {"created": 1, "failed": 1}
    assert report.failed[0].contact_id == "CNT-nobody'"
    assert counts(synced(database, server, Selection(since=timedelta(hours=24)))) == {"created": 2}
    # Neither moves the watermark.
    assert counts(synced(database, server)) == {"created": 3, "unchanged": 3}
    assert counts(synced(database, server, chosen, force=True)) == {"updated": 1, "failed": 1}


def test_a_dry_run_says_what_a_sync_would_do_and_does_nothing(
    bench: Bench, server: AirtableServer, database: RetryingDatabase
) -> None:
    contacts = filled(bench, server, 5)
    config = config_for(server)
    assert counts(plan(database, config, Selection())) == {"created": 5}
    assert server.calls.total() == 0
    assert query(bench.url, "SELECT count(*) FROM importer_airtable_bases") == [(0,)]
    synced(database, server)
    change_insights(bench.url, contacts[:2], "Rows now")
    assert counts(plan(database, config, ALL)) == {"updated": 2, "unchanged": 3}
    some = Selection(contacts=(contacts[0], "CNT-nobody"))
    assert counts(plan(database, config, some)) == {"updated": 1, "failed": 1}


@each_backend
def test_only_one_sync_at_a_time(
    bench: Bench, server: AirtableServer, database: RetryingDatabase
) -> None:
    filled(bench, server, 1)
    other = SyncMemory(database, config_for(server).base)
    other.begin()
    with pytest.raises(LockedError, match="Another sync"):
        synced(database, server)
    assert server.calls.total() == 0
    # A sync that did not write for long has lost its place, even if the other one has ended.
    query(bench.url, "UPDATE importer_airtable_bases SET held_until = now()")
    synced(database, server)
    with pytest.raises(LockedError, match="This one ends"):
        other.write(1)
    # One whose process has ended, on this machine, is not waited for.
    query(
        bench.url,
        "UPDATE importer_airtable_bases SET sync_id = gen_random_uuid(),"
        " held_until = now() + interval '1 hour',"
        " held_by = regexp_replace(held_by, 'process \\d+ \\(\\w+\\)', 'process 4194999 (x)')",
    )
    synced(database, server)


@each_backend
def test_calls_of_a_month_are_counted_once_however_often_they_are_written(
    bench: Bench, database: RetryingDatabase
) -> None:
    memory = SyncMemory(database, "appA")
    memory.begin()
    for calls in (1, 1, 3):
        memory.write(calls)
    memory.write(3, ends=True)
    later = SyncMemory(database, "appA")
    later.begin()
    later.write(2)
    later.write(2, ends=True)
    assert later.calls_this_month == 5


def test_a_table_that_refuses_every_note_ends_the_sync(
    bench: Bench, server: AirtableServer, database: RetryingDatabase
) -> None:
    filled(bench, server, 40)
    content = server.table(NOTES).field("note_content")
    assert content is not None
    content.type = "singleSelect"
    content.choices = ()
    # As a choice is missing, this is told at once.
    with pytest.raises(BackendError, match="A choice is missing"):
        synced(database, server)
    content.type = "multipleRecordLinks"
    content.linked = MEMBERS
    before = server.calls.total()
    with pytest.raises(BackendError, match="every note for the same reason"):
        synced(database, server)
    assert server.calls.total() <= before + 12


def test_the_calls_of_the_earlier_program(
    bench: Bench, server: AirtableServer, database: RetryingDatabase
) -> None:
    contacts = filled(bench, server, 4)
    writer = StructuredInsightsAirtableWriter(config_for(server), KEY)
    service = SupabaseAirtableSync(
        SimpleNamespace(target=SimpleNamespace(database=database)), writer
    )
    result = service.sync_contact_to_airtable(contacts[0])
    (note,) = server.notes()[contacts[0]]
    assert result == SyncResult(contacts[0], True, "created", None, note["id"])
    assert service.sync_contact_to_airtable(contacts[0]).action == "skipped"
    assert service.sync_contact_to_airtable(contacts[0], force_update=True).action == "updated"
    assert service.sync_recent_insights() == []
    for each in contacts[:3]:
        change_insights(bench.url, [each], "Rows now")
    recent = service.sync_recent_insights(hours_back=1, max_records=2)
    assert {each.contact_id: each.action for each in recent} == {
        contacts[0]: "updated",
        contacts[1]: "created",
    }
    specific = service.sync_specific_contacts(["CNT-nobody", contacts[2]])
    assert {(each.contact_id, each.action, each.success) for each in specific} == {
        ("CNT-nobody", "failed", False),
        (contacts[2], "created", True),
    }
    actions = [each.action for each in service.sync_all_insights()]
    assert sorted(actions) == ["created", "skipped", "skipped", "skipped"]
    statistics = service.get_sync_statistics()
    assert statistics["overall_summary"] == statistics["recent_summary"]
    assert statistics["overall_summary"] == {
        "total": 11,
        "successful": 10,
        "failed": 1,
        "created": 4,
        "updated": 2,
        "skipped": 4,
        "success_rate": 10 / 11,
    }
    assert statistics["total_sync_attempts"] == 11
    assert statistics["sync_interval_hours"] == 24
    assert {each: len(notes) for each, notes in server.notes().items()} == dict.fromkeys(
        contacts, 1
    )
