"""What Airtable answers, and what a user reads of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from imports.airtable.base import CONTACTS_A_CALL, Member
from imports.airtable.checking import check
from imports.airtable.config import AirtableConfig
from imports.airtable.limiter import Limiter
from imports.backends.retry import RetryPolicy
from imports.errors import BackendError, BackendUnavailableError
from tests.integration.conftest import Waits
from tests.support.airtable import base_of, config_for
from tests.support.airtable_server import MEMBERS, NOTES, AirtableServer, airtable

NOTE_IDS = {
    "find_by_contact_lookup": "fldLINKLINKLINK01",
    "note_submission_type": "fldTYPETYPETYPE01",
    "note_content": "fldCONTENTCONTE01",
    "deals": "fldDEALSDEALSDE01",
    "introductions": "fldINTROINTROIN01",
}
MEMBER_IDS = {"contact_id": "fldCONTACTCONTA01", "note_submissions": "fldNOTESNOTESNO01"}


@pytest.fixture
def server() -> Iterator[AirtableServer]:
    with airtable(per_second=1_000) as server:
        yield server


def by_ids(server: AirtableServer) -> AirtableConfig:
    """A configuration with ids of tables and fields."""
    notes, members = server.table(NOTES), server.table(MEMBERS)
    return config_for(
        server,
        note_submission={"table": notes.id, "fields": NOTE_IDS},
        master={"table": members.id, "fields": MEMBER_IDS},
    )


def test_members_are_found_whatever_their_contact_id_is_and_however_many_they_are(
    server: AirtableServer,
) -> None:
    strange = ["CNT-1", "it's", 'a"b', "back\\slash\\'", "{x}", "') OR TRUE() ", "x" * 50]
    contacts = [*strange, *(f"{number:04}{'y' * 46}" for number in range(150))]
    ids = {each: server.add_member(each) for each in contacts}
    twice = server.add_member("CNT-1")
    server.add_member("cnt-1")
    with base_of(server) as base:
        found = base.members([*contacts, "nobody"])
        assert found.pop("nobody") == []
        assert {each.id for each in found.pop("CNT-1")} == {ids["CNT-1"], twice}
        assert found == {each: [Member(ids[each], ())] for each in contacts[1:]}
        # Long formulas are sent in the body; the first hundred fill more than a page.
        assert base.calls == server.calls.total() == 3
    assert len(contacts) > CONTACTS_A_CALL


def test_tables_and_fields_may_be_given_by_their_ids(server: AirtableServer) -> None:
    member = server.add_member("CNT-1")
    config = by_ids(server)
    with base_of(server, config) as base:
        fields = {NOTE_IDS["find_by_contact_lookup"]: [member]}
        (note,) = base.create([{**fields, NOTE_IDS["note_submission_type"]: "Elvis"}])
        assert base.members(["CNT-1"]) == {"CNT-1": [Member(member, (note,))]}
        assert [(each.id, each.type) for each in base.notes([note])] == [(note, "Elvis")]
        # Formulas do not know ids, so the schema is asked for the name, once.
        base.members(["CNT-1"])
    assert server.calls["schema"] == 1


def changed(server: AirtableServer, what: str) -> dict[str, Any]:
    """Makes something of a base wrong; what to give to `base_of`."""
    if what == "key":
        return {"key": "patWRONG"}
    if what == "base":
        return {"config": config_for(server, base="appXXXXXXXXXXXXXX")}
    if what == "table":
        return {"config": config_for(server, note_submission={"table": "Notes"})}
    if what == "field":
        fields = {"note_content": "Text"}
        return {"config": config_for(server, note_submission={"fields": fields})}
    if what == "choice":
        return {"config": config_for(server, note_submission={"type": "Presley"})}
    server.quota = 0
    return {}


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("key", ["refuses the key", "AIRTABLE_API_KEY"]),
        ("base", ["no such base", "--check"]),
        ("table", ["no right", "must exist", "--check"]),
        ("field", ["lacks a field", '"Text"', "--check"]),
        ("choice", ["Presley", "Add this choice"]),
        ("quota", ["calls of this month are used up", "another plan"]),
    ],
)
def test_an_error_says_what_to_do(server: AirtableServer, what: str, told: list[str]) -> None:
    member = server.add_member("CNT-1")
    with base_of(server, **changed(server, what)) as base:
        fields = base.config.note_submission.fields
        record = {
            fields.find_by_contact_lookup: [member],
            fields.note_submission_type: base.config.note_submission.type,
            fields.note_content: "Sails",
        }
        with pytest.raises(BackendError) as error:
            base.create([record])
        assert base.calls == 1
    assert all(each in str(error.value) for each in told), str(error.value)
    assert "patWRONG" not in str(error.value)


def test_a_field_that_members_lack_is_told(server: AirtableServer) -> None:
    config = config_for(server, master={"table": MEMBERS, "fields": {"contact_id": "Contact"}})
    with base_of(server, config) as base, pytest.raises(BackendError, match="lacks a field"):
        base.members(["CNT-1"])


def test_after_too_many_requests_it_rests_and_goes_on(waits: Waits) -> None:
    rests: list[float] = []
    with airtable(per_second=3, rest=0.2) as server:
        limiter = Limiter(1_000, rest=0.25, sleep=lambda seconds: rests.append(_slept(seconds)))
        policy = RetryPolicy(3, max_wait=60)
        with base_of(server, limiter=limiter, policy=policy) as base:
            for _ in range(5):
                base.members(["CNT-1"])
        # One was refused, and nothing was sent before the rest was over.
        assert server.refusals == {429: 1}
        assert server.calls == {"list": 5, "too_many": 1}
    assert len(rests) == 1
    assert rests[0] == pytest.approx(0.25, abs=0.1)


def _slept(seconds: float) -> float:
    import time

    time.sleep(seconds)
    return seconds


def test_nobody_there(waits: Waits) -> None:
    with airtable() as server:
        config = config_for(server)
    with base_of(server, config) as base:
        with pytest.raises(BackendUnavailableError, match="cannot be reached"):
            base.create([{}])
        # Nothing was sent, so it is repeated.
        assert base.calls == 4


def test_the_file_is_compared_with_the_base(server: AirtableServer) -> None:
    with base_of(server) as base:
        assert [each.problem for each in check(base)] == [""] * 9
    with base_of(server, by_ids(server)) as base:
        assert [each.problem for each in check(base)] == [""] * 9
    fields = {"note_content": "note_submission_type", "note_submission_type": "Kind"}
    config = config_for(
        server,
        note_submission={"type": "Presley", "fields": fields},
        master={"table": MEMBERS, "fields": {"note_submissions": "name"}},
    )
    with base_of(server, config) as base:
        problems = {each.place: each.problem for each in check(base) if each.problem}
    assert problems == {
        "note_submission.fields.note_submission_type": "the table has no such field",
        "note_submission.fields.note_content": "its type is singleSelect, not singleLineText or"
        " multilineText or richText",
        "master.fields.note_submissions": "its type is singleLineText, not multipleRecordLinks",
    }
    server.table(MEMBERS).field("Note Submission").inverse = ""  # type: ignore[union-attr]
    with base_of(server, config_for(server, note_submission={"type": "Presley"})) as base:
        problems = {each.place: each.problem for each in check(base) if each.problem}
    assert problems == {
        "note_submission.fields.note_submission_type": "it has no choice Presley; it has Call,"
        " Elvis",
        "master.fields.note_submissions": "it is not the other end of find_by_contact_lookup",
    }
    with base_of(server, config_for(server, master={"table": "People"})) as base:
        assert check(base)[-1].problem == "the base has no such table"
