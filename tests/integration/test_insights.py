"""Insights: one row of each contact, exact in any order of files, repeated, split and at once."""

from __future__ import annotations

import json
import random
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from imports.backends.database import Rows
from imports.backends.retry import RetryPolicy
from imports.backends.retrying import RetryingDatabase
from imports.backends.target import open_target
from imports.kinds.insights.insight import insight_in, rows_of
from imports.kinds.insights.tables import GROUP
from imports.phases.resetting import open_reset, run_to_reset
from imports.run.display import SilentDisplay
from imports.run.report import RunReport
from imports.tables.row_format import encoder
from tests.support.bench import Bench, one_backend
from tests.support.database import query
from tests.support.insight_oracle import Delivery, delivery, expected
from tests.support.insights import computed, document, write, writers
from tests.support.kinds_under_contract import EXAMPLES

CONTACT = "CNT-Ab1000001"


def run(bench: Bench, **flags: Any) -> RunReport:
    return bench.run(kind="insights", **flags)


def add(bench: Bench, name: str, *, mtime: float = 1_750_000_000, **given: Any) -> Path:
    return write(bench.source.folder, f"{name}.json", document(**given), mtime)


def row(bench: Bench, contact: str = CONTACT) -> dict[str, Any]:
    return computed(bench.url)[contact]


# The examples, and their right answers

ANSWERS = {
    # record_count, total_eni_ids, version, types, subtypes, generated_at
    "CNT-Ek3000101": (
        *(6, 6, 3, ["pipedrive_notes", "recurroo"], ["null", "social"]),
        "2025-06-10T09:15:20.001002+00:00",
    ),
    "CNT-Ta7000202": (
        *(6, 6, 3, ["airtable_notes", "recurroo", "member_requests"]),
        *(["null", "sector", "responded"], "2025-06-11T08:00:00.000001+00:00"),
    ),
    "CNT-Bo9000303": (
        *(12, 6, 2, ["whatsapp_messages", "recurroo"], ["_chat", "null", "sector"]),
        "2025-04-30T22:10:01.9+00:00",
    ),
    "CNT-Uv1000404": (5, 2, 2, ["airtable_deals_sourced"], [], None),
    "CNT-Wy2000505": (2, 2, 2, [], [], "2023-01-01T00:00:00+00:00"),
    "CNT-Zz4000606": (5, 1, 2, [], [], "2025-03-01T10:00:00+00:00"),
}


def test_the_examples_come_to_the_right_rows(bench: Bench) -> None:
    for folder in EXAMPLES:
        for path in (folder / "insights").glob("*.json"):
            shutil.copy2(path, bench.source.folder)
    assert run(bench, batch_size=2).exit_code == 3
    rows = computed(bench.url)
    for contact, (*counters, generated_at) in ANSWERS.items():
        found = rows[contact]
        names = ("record_count", "total_eni_ids", "version", "eni_source_types")
        assert [found[name] for name in (*names, "eni_source_subtypes")] == counters
        if generated_at is not None:
            assert datetime.fromisoformat(found["generated_at"]) == datetime.fromisoformat(
                generated_at
            )
        assert found["eni_id"] == f"COMBINED-{contact}-ALL"
        assert found["generator"] == "structured_insight"
        for name, column in (("3i", "three_i"), ("personal", "personal"), ("deals", "deals")):
            assert found["insights"].get(name) == found[column]
    first = rows["CNT-Ek3000101"]
    for number in range(1, 7):
        assert f"ENI-5550000000000{number:04d}" in str(first["insights"])
    assert first["business"] == (
        "* Sold the mill’s water rights\n  - [2025-07-20,ENI-55500000000000006,recurroo]\n"
        "* Chairs a paper mill (since 2011)\n"
        "  - [2023-09-12,ENI-55500000000000002,pipedrive_notes]\n"
        "  - [N/A,ENI-55500000000000003,pipedrive_notes]"
    )
    assert "Paper & board" in first["deals"]
    assert first["introductions"].index("printing houses") < first["introductions"].index("**Avoid")
    meets, avoids = rows["CNT-Ta7000202"]["introductions"].split("**Avoid introductions to:**")
    assert "Beekeepers" in meets
    assert "Seed merchants" in meets
    assert avoids.startswith("\n- Lobbyists")
    assert rows["CNT-Ta7000202"]["member_name"] == "Member 0202"
    by_hand = rows["CNT-Bo9000303"]
    assert by_hand["insights"]["languages"] == "Latvian"
    assert by_hand["additional_metadata"] == {"reviewed_by": "Dilek"}
    assert by_hand["personal"] == "* Typed in [2024-12-24,ENI-55500000000000021]"
    assert "Nothing is cited" not in by_hand["business"]
    assert rows["CNT-Zz4000606"]["processing_status"] == "pending"
    assert rows["CNT-Wy2000505"]["processing_status"] == "completed"


# What a repeat writes


def test_an_unchanged_row_of_a_contact_is_not_written(bench: Bench) -> None:
    add(bench, "a")
    add(bench, "b", eni_id="ENI-2", contact_id="CNT-Ab1000002")
    query(
        bench.url,
        "insert into elvis__structured_insights (contact_id, eni_id, insights)"
        " values (%s, 'ENI-1', '{}'), ('CNT-Zz9', 'COMBINED-CNT-Zz9-ALL', '{}')",
        CONTACT,
    )
    assert run(bench).count("import.derived.elvis__structured_insights") == 2
    before = writers(bench.url)
    write(bench.source.folder, "a.json", document(), mtime=1_850_000_000)
    report = run(bench)
    assert report.count("planning.to_import") == 1
    assert run(bench, force=True).count("import.unchanged") == 2
    assert writers(bench.url) == before
    add(bench, "c", eni_id="ENI-3", record_count=4)
    run(bench)
    found = writers(bench.url)
    assert {contact for contact in before if found[contact] != before[contact]} == {CONTACT}
    assert (row(bench)["version"], row(bench)["record_count"]) == (2, 5)


def test_an_edited_file_wins_and_the_earlier_date_stays(bench: Bench) -> None:
    def said(words: str) -> dict[str, str]:
        return {"personal": f"* {words} [N/A,ENI-1]"}

    add(bench, "a", sections=said("one"), generated_at="2025-05-02T00:00:00")
    run(bench)
    add(bench, "a", sections=said("two"), generated_at="2025-05-02T00:00:00", mtime=1_750_000_001)
    run(bench)
    add(bench, "late", sections=said("older"), generated_at="2025-05-01T00:00:00")
    run(bench)
    assert row(bench)["personal"] == "* two [N/A,ENI-1]"
    assert row(bench)["generated_at"].startswith("2025-05-01")
    assert (row(bench)["version"], row(bench)["record_count"]) == (3, 1)
    add(bench, "a", sections=said("one"), generated_at="2025-05-02T00:00:00", mtime=1_750_000_002)
    run(bench)
    assert row(bench)["personal"] == "* one [N/A,ENI-1]"
    assert row(bench)["version"] == 3, "this content was delivered before"


def test_a_reset_leaves_what_the_other_runs_make(bench: Bench) -> None:
    add(bench, "a", record_count=1, generated_at="2025-05-02T00:00:00")
    run(bench)
    alone = row(bench)
    add(bench, "b", eni_id="ENI-2", record_count=2, generated_at="2025-05-01T00:00:00")
    add(bench, "c", contact_id="CNT-Ab1000002")
    add(bench, "older", record_count=3, generated_at="2025-04-01T00:00:00")
    name = run(bench).state.run_name
    assert (row(bench)["version"], row(bench)["record_count"]) == (3, 3)
    settings = bench.settings(kind="insights", tag=None, source=None)
    to_reset = run_to_reset(settings, name, None)
    with open_reset(to_reset, threading.Event(), SilentDisplay()) as reset:
        assert reset.delete().complete
    assert computed(bench.url) == {CONTACT: alone}
    run(bench)
    assert computed(bench.url).keys() == {CONTACT, "CNT-Ab1000002"}
    assert row(bench)["version"] == 3


# Searching


def search(bench: Bench, text: str, *fields: str, limit: int = 50) -> list[dict[str, Any]]:
    payload = json.dumps({"text": text, "fields": list(fields) or None, "limit": limit})
    found: list[dict[str, Any]] = query(
        bench.url, "select public.importer_search_insights(%s)", payload
    )[0][0]
    return found


@one_backend
def test_words_are_found_in_sections_and_the_best_row_is_first(bench: Bench) -> None:
    for number, sections in enumerate(
        (
            {"personal": "* Sails [a,E]", "deals": "* Invested in a boat, twice [a,E]"},
            {"personal": "* Investing in boats, boats and boats [a,E]"},
            {"three_i": "* Met a baker [a,E]"},
        )
    ):
        add(bench, f"{number}", contact_id=f"CNT-Ab100000{number}", sections=sections)
    run(bench)
    found = search(bench, "invest boat")
    assert [each["contact_id"] for each in found] == ["CNT-Ab1000001", "CNT-Ab1000000"]
    assert (found[1]["section"], "\x02boat\x03, twice" in found[1]["excerpt"]) == ("deals", True)
    assert found[0]["rank"] > found[1]["rank"]
    assert "search" not in found[0]
    assert len(search(bench, "invest boat", limit=1)) == 1
    assert [each["section"] for each in search(bench, "boat", "deals")] == ["deals"]
    assert [each["section"] for each in search(bench, "bakers", "three_i")] == ["three_i"]
    for text in ("", "the", "a, b) & (c | '", '"met a sailor"', "%"):
        assert search(bench, text) == []


# Any order, by merges alone


@contextmanager
def opened(bench: Bench) -> Iterator[RetryingDatabase]:
    target = open_target(bench.settings(kind="insights"), RetryPolicy(5))
    try:
        yield target.database
    finally:
        target.close()


def rows(database: RetryingDatabase, delivered: list[Delivery], batch_id: str) -> Rows:
    encoders = [encoder(table, database.row_format) for table in GROUP.tables]
    by_table: dict[int, list[bytes]] = {0: [], 1: []}
    for each in delivered:
        found = rows_of(insight_in(each.document, Counter()), each.mtime * 10**9)
        for table, values in enumerate(found):
            by_table[table].append(encoders[table](values))
    run = {"batch_id": batch_id, "if_exists": "newer", "repair": False, "dataset_id": 1}
    return Rows(GROUP, run, by_table)


def check(bench: Bench, delivered: list[Delivery]) -> None:
    """The rows are what the oracle says of all that was delivered."""
    found = computed(bench.url)
    assert found.keys() == {each.contact for each in delivered}
    for contact, stored in found.items():
        wanted = expected(delivered, contact)
        dated = wanted.pop("generated_at")
        assert {name: stored[name] for name in wanted} == wanted
        assert dated is None or datetime.fromisoformat(stored["generated_at"]) == dated


@pytest.mark.parametrize("seed", range(3))
def test_any_order_repeats_and_splits_give_the_same_rows(bench: Bench, seed: int) -> None:
    """Lost answers too: then a request comes again."""
    chance = random.Random(seed)
    with opened(bench) as database:
        for _ in range(25 if bench.target.supabase_url is None else 4):
            query(bench.url, "delete from elvis__insight_sources")
            query(bench.url, "delete from elvis__insight_deliveries")
            query(bench.url, "delete from elvis__structured_insights")
            delivered = [delivery(chance) for _ in range(chance.randint(1, 9))]
            coming = delivered + chance.choices(delivered, k=3)
            chance.shuffle(coming)
            while coming:
                some = [coming.pop() for _ in range(min(len(coming), chance.randint(1, 4)))]
                batch_id = f"batch_{chance.randrange(3)}"
                request, given = uuid4(), rows(database, some, batch_id)
                for _ in range(chance.randint(1, 2)):
                    database.merge(request, given)
            check(bench, delivered)


def test_merges_at_once_lose_nothing(bench: Bench) -> None:
    chance = random.Random(7)
    delivered = [delivery(chance, contacts=5) for _ in range(48)]
    with opened(bench) as database:
        lock = threading.Barrier(4)

        def merge(mine: list[Delivery]) -> None:
            lock.wait()
            for begin in range(0, len(mine), 3):
                some = mine[begin : begin + 3]
                database.merge(uuid4(), rows(database, some, f"batch_{begin % 2}"))

        threads = [threading.Thread(target=merge, args=(delivered[n::4],)) for n in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    check(bench, delivered)


@one_backend
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
def test_a_merge_waits_for_another_one_of_its_contact(bench: Bench, known: bool) -> None:
    """That has written a source, and its row of the contact, and has not committed."""
    with opened(bench) as database:
        first, second, third = (
            Delivery(CONTACT, f"ENI-{n}", None, n, n + 1, "recurroo", {}, "") for n in range(3)
        )
        if known:
            database.merge(uuid4(), rows(database, [third], "batch_a"))
        connection = psycopg2.connect(bench.url)
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "insert into elvis__insight_sources (contact_id, generator, eni_id, batch_id,"
                " precedence, content_hash, eni_source_types, eni_source_subtypes, record_count,"
                " total_eni_ids)"
                " values (%s, 'structured_insight', 'ENI-0', 'b', '0', '', '{}', '{}', 1, 1)",
                (CONTACT,),
            )
            cursor.execute("select importer_consolidate_insights(array[%s])", (CONTACT,))
            merging = threading.Thread(
                target=database.merge, args=(uuid4(), rows(database, [second], "batch_b"))
            )
            merging.start()
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            while query(bench.url, waiting) == [(0,)]:
                assert merging.is_alive()
        merging.join()
        connection.close()
        records = [first.records, second.records, third.records if known else 0]
        assert row(bench)["record_count"] == sum(records)
