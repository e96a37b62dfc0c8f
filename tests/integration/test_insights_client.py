"""The client of insights: what it stores, finds and deletes, on both backends alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from imports.insights import (
    InsightMetadata,
    ProcessingStatus,
    StructuredInsight,
    StructuredInsightContent,
    SupabaseConnectionError,
    SupabaseInsightsClient,
    SupabaseOperationError,
    retry_on_failure,
)
from imports.settings import Settings
from tests.integration.conftest import Waits
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.proxy import COMMIT

NAMES = "contact_id, eni_id, version"


@pytest.fixture
def client(bench: Bench) -> Iterator[SupabaseInsightsClient]:
    with SupabaseInsightsClient(settings=settings(bench)) as client:
        yield client


def settings(bench: Bench) -> Settings:
    return bench.settings(kind="insights", tag=None, source=None)


def insight(contact: str = "CNT-123", eni: str | None = "ENI-1", **more: Any) -> StructuredInsight:
    metadata = {name: more.pop(name) for name in (*more,) if name in InsightMetadata.model_fields}
    return StructuredInsight(
        metadata=InsightMetadata(contact_id=contact, eni_id=eni, **metadata),
        insights=StructuredInsightContent(**{"personal": "A sailor.", **more}),
    )


def stored(bench: Bench) -> list[tuple[Any, ...]]:
    order = "ORDER BY contact_id, eni_id"
    return query(bench.url, f"SELECT {NAMES} FROM elvis__structured_insights {order}")


def test_what_is_stored_comes_back(bench: Bench, client: SupabaseInsightsClient) -> None:
    given = insight(
        eni_source_types=["recurroo", 'a, "b"'],
        additional_metadata={"n": 1},
        three_i="Three.",
        hobbies="Chess.",
        record_count=5,
    )
    found, was_created = client.upsert_insight(given)
    assert was_created
    assert found.insights == given.insights
    assert found.metadata.generated_at is not None, "the present time"
    assert found.metadata == given.metadata.model_copy(
        update={"generated_at": found.metadata.generated_at}
    )
    assert found.id is not None
    assert client.get_insight_by_contact_id("CNT-123") == found
    assert client.get_insight_by_contact_and_eni("CNT-123", "ENI-1") == found
    assert client.get_latest_insight_by_contact_id("CNT-123") == found
    assert client.get_latest_insight_by_contact_id("CNT-123", "other") is None
    assert client.get_insight_by_contact_id("CNT-9") is None
    ((content, three_i, search),) = query(
        bench.url, "SELECT insights, three_i, search::text FROM elvis__structured_insights"
    )
    assert content == {"personal": "A sailor.", "3i": "Three.", "hobbies": "Chess."}
    assert three_i == "Three."
    assert "sailor" in search


def test_a_version_counts_changes_once(bench: Bench, client: SupabaseInsightsClient) -> None:
    first, _ = client.upsert_insight(insight())
    again, was_created = client.upsert_insight(first)
    assert (again.metadata.version, was_created) == (1, False)
    first.insights.personal = "A captain."
    second = client.update_insight(first)
    assert (second.metadata.version, second.id) == (2, first.id)
    assert second.insights.personal == "A captain."
    assert second.updated_at is not None
    assert second.created_at == first.created_at != second.updated_at
    third, was_created = client.upsert_insight(insight(personal="Retired.", language="en"))
    assert (third.metadata.version, was_created, third.id) == (3, False, first.id)
    assert third.metadata.generated_at == first.metadata.generated_at, "none was given"


def test_unknown_metadata_is_kept(client: SupabaseInsightsClient) -> None:
    given = insight(additional_metadata={"n": 1})
    given.metadata = InsightMetadata(**given.metadata.model_dump(), model="m1")
    found, _ = client.upsert_insight(given)
    assert found.metadata.additional_metadata == {"n": 1, "model": "m1"}


def test_what_is_there_is_not_created_and_what_is_not_is_not_updated(
    bench: Bench, client: SupabaseInsightsClient
) -> None:
    created = client.create_insight(insight())
    with pytest.raises(SupabaseOperationError, match="exists already"):
        client.create_insight(insight(personal="Another."))
    with pytest.raises(SupabaseOperationError, match="not stored"):
        client.update_insight(insight("CNT-9"))
    with pytest.raises(SupabaseOperationError, match="not stored"):
        client.update_insight(created.model_copy(update={"id": uuid4()}))
    created.metadata.eni_id = "ENI-2"
    with pytest.raises(SupabaseOperationError, match="cannot become"):
        client.update_insight(created)
    assert stored(bench) == [("CNT-123", "ENI-1", 1)]


def test_an_insight_without_eni_id_is_one_row(bench: Bench, client: SupabaseInsightsClient) -> None:
    for text in ("One.", "Two."):
        found, _ = client.upsert_insight(insight(eni=None, personal=text))
    assert found.metadata.eni_id is None
    assert stored(bench) == [("CNT-123", None, 2)]
    assert client.get_insight_by_contact_and_eni("CNT-123", None) == found


def test_a_lost_answer_writes_nothing_twice(bench: Bench, waits: Waits) -> None:
    proxy = bench.proxied()
    is_api = bench.target.supabase_url is not None
    merge = (b"rpc/importer_merge_",) if is_api else (b"insert into public.import_merges", COMMIT)
    with SupabaseInsightsClient(settings=settings(bench)) as client:
        first, _ = client.upsert_insight(insight())
        first.insights.personal = "A captain."
        faults = [proxy.add(*merge, action="swallow")]
        assert client.update_insight(first).metadata.version == 2
        faults.append(proxy.add(*merge, action="swallow"))
        _, was_created = client.upsert_insight(insight("CNT-9"))
    assert [each.happened for each in faults] == [1, 1]
    assert len(waits) == 2
    assert was_created
    assert stored(bench) == [("CNT-123", "ENI-1", 2), ("CNT-9", "ENI-1", 1)]
    assert bench.count("import_merges") == 0


def test_a_batch_goes_on_after_what_is_refused(
    bench: Bench, client: SupabaseInsightsClient
) -> None:
    good = [insight(f"CNT-{number}") for number in range(5)]
    bad = insight("CNT-bad", personal="a\0b")
    again = insight("CNT-0", personal="Newer.")
    results = client.batch_upsert_insights([*good[:3], bad, *good[3:], again], batch_size=4)
    assert [(each.metadata.contact_id, new) for each, new in results] == [
        *((f"CNT-{number}", True) for number in range(5)),
        ("CNT-0", False),
    ]
    assert results[-1][0].metadata.version == 2
    with pytest.raises(SupabaseOperationError):
        client.upsert_insight(bad)


@pytest.fixture
def many(bench: Bench) -> int:
    """Insights of 30 contacts; half of them were updated at the same moment."""
    query(
        bench.url,
        "INSERT INTO elvis__structured_insights (contact_id, eni_id, insights, eni_source_types,"
        " processing_status, personal, updated_at)"
        " SELECT 'CNT-' || lpad(n::text, 6, '0'), 'ENI-1', jsonb_build_object('three_i', 'x'),"
        " array['a', 't' || n % 3], CASE WHEN n % 5 = 0 THEN 'pending' ELSE 'completed' END,"
        " 'Person ' || n, '2025-01-01'::timestamptz + greatest(n, 15) * interval '1 hour'"
        " FROM generate_series(1, 30) AS n",
    )
    return 30


def contacts(insights: list[Any]) -> list[int]:
    return [int(each.metadata.contact_id[4:]) for each in insights]


def test_pages_by_offset_have_each_insight_once(
    bench: Bench, client: SupabaseInsightsClient, many: int
) -> None:
    pages = [client.list_insights(limit=7, offset=offset) for offset in range(0, 42, 7)]
    assert [len(each) for each in pages] == [7, 7, 7, 7, 2, 0]
    found = contacts([each for page in pages for each in page])
    assert sorted(found) == list(range(1, 31))
    assert found[:15] == list(range(30, 15, -1))
    assert contacts(client.list_insights(limit=3, offset=4)) == found[4:7]
    fresh = client.list_insights(limit=5, offset=11, order_by="contact_id", ascending=True)
    assert contacts(fresh) == [12, 13, 14, 15, 16]
    assert fresh[0].insights.three_i == "x", "the original wrote it so"
    # A row that is written meanwhile moves no other one.
    first = contacts(client.list_insights(limit=10))
    query(
        bench.url,
        "UPDATE elvis__structured_insights SET personal = 'new' WHERE eni_id IS NOT"
        " NULL AND contact_id = 'CNT-000003'",
    )
    second = contacts(client.list_insights(limit=10, offset=10))
    assert not {*first} & {*second}


def test_filters_and_counts(client: SupabaseInsightsClient, many: int) -> None:
    completed = ProcessingStatus.COMPLETED
    assert client.get_insights_count() == 30
    assert client.get_insights_count(processing_status=completed) == 24
    assert client.get_insights_count(contact_ids=["CNT-000001", "CNT-000005", "CNT-9"]) == 2
    some = client.list_insights(eni_source_types=["t1", "none"], processing_status="completed")
    assert sorted(contacts(some)) == [1, 4, 7, 13, 16, 19, 22, 28]
    assert contacts([*client.iterate_insights(eni_source_types=["t1"])]) == [*range(1, 31, 3)]
    assert contacts([*client.iterate_insights()]) == [*range(1, 31)]
    for wrong in ({"order_by": "evil"}, {"limit": -1}, {"processing_status": "done"}):
        with pytest.raises(ValueError, match=r"evil|negative|done"):
            client.list_insights(**wrong)


def test_a_search_ranks_and_marks_what_it_finds(
    bench: Bench, client: SupabaseInsightsClient
) -> None:
    for number, text in enumerate(
        (
            "Invests in <b>timber</b> & timberland.\n- Timberland, again: timberlands. \x02x\x03",
            "Owns timberland" + " and other land" * 300 + ".",
            "Sails. " * 200 + "Companies with investing preferences.",
            "Nothing.",
        )
    ):
        client.upsert_insight(insight(f"CNT-{number}", personal=text, deals="No deals."))
    found = client.search_insights("Timberland")
    assert contacts(found) == [0, 1]
    assert found[0].rank > found[1].rank
    assert "**timberland**" in found[0].excerpt
    assert found[0].section == "personal"
    assert "\x02" not in found[0].excerpt
    assert "<mark>timberland</mark>" in found[0].excerpt_html
    assert "<b>" not in found[0].excerpt_html
    assert contacts(client.search_insights('"other land" -sail')) == [1]
    assert "**Companies**" in client.search_insights("company")[0].excerpt
    assert contacts(client.search_insights("investment preferences", limit=9)) == [2]
    assert client.search_insights("timberland", ["deals"]) == []
    assert contacts(client.search_insights("timberland", ["personal", "deals"])) == [0, 1]
    assert len(client.search_insights("deals", limit=2)) == 2
    assert client.search_insights("deals", ["3i", "deals"])[0].section == "deals"
    for hostile in ("'; drop table x; --", "a, b) or (", "\0", "\ud800", "&|!()", "", "<->"):
        client.search_insights(hostile)
    client.upsert_insight(insight("CNT-4", personal=None, deals=None, other="Rides."))
    (without,) = client.search_insights("-deals")
    assert (contacts([without]), without.section, without.excerpt) == ([4], None, "")
    with pytest.raises(ValueError, match="no section secret"):
        client.search_insights("x", ["secret"])


def test_a_deleted_insight_is_gone_with_its_sources(
    bench: Bench, client: SupabaseInsightsClient
) -> None:
    for number in (1, 2):
        document = {"metadata": {"contact_id": "CNT-123456", "eni_id": f"ENI-{number}"}}
        place = bench.source.folder / f"{number}.json"
        place.write_text(json.dumps({**document, "insights": {"deals": f"Deal {number}."}}))
    assert bench.run(kind="insights").exit_code == 0
    other, _ = client.upsert_insight(insight("CNT-123456", "ENI-1"))
    consolidated = client.get_insight_by_contact_and_eni("CNT-123456", "COMBINED-CNT-123456-ALL")
    assert consolidated is not None
    assert client.delete_insight(str(consolidated.id))
    assert not client.delete_insight(str(consolidated.id))
    assert stored(bench) == [("CNT-123456", "ENI-1", 1)]
    assert bench.count("elvis__insight_sources") == bench.count("elvis__insight_deliveries") == 0
    assert client.delete_insight(other.id)
    with pytest.raises(ValueError, match="UUID"):
        client.delete_insight("1; drop")


def test_rows_of_other_programs_are_read_or_named(
    bench: Bench, client: SupabaseInsightsClient
) -> None:
    query(
        bench.url,
        "INSERT INTO elvis__structured_insights (contact_id, insights, eni_source_types, version,"
        " record_count) VALUES ('CNT-1', '{}', '{a,null}', null, null),"
        " ('CNT-2', '[1]', null, 1, 1)",
    )
    found = client.get_insight_by_contact_id("CNT-1")
    assert found is not None
    assert (found.metadata.eni_source_types, found.metadata.version) == (["a"], 1)
    with pytest.raises(SupabaseOperationError, match=r"CNT-2/- .* has values that no insight has"):
        client.list_insights()


def test_health_is_asked_of_the_target(bench: Bench, client: SupabaseInsightsClient) -> None:
    assert client._health_check()
    assert client.create_table_if_not_exists()
    assert client.get_operation_statistics()["database.condition"]["calls"] == 2
    client.close()
    assert client.get_insights_count() == 0, "it connects again"


def test_without_a_target_there_is_no_client(tmp_path: Path) -> None:
    away = Settings(
        kind="insights",
        database_url="postgresql://127.0.0.1:1/x",
        backend="postgresql",
        max_retries=0,
        max_wait=0,
    )
    with pytest.raises(SupabaseConnectionError):
        SupabaseInsightsClient(settings=away)
    with pytest.raises(SupabaseConnectionError):
        SupabaseInsightsClient("http://127.0.0.1:1", "key", max_retries=0, timeout=0)


def test_a_callers_function_is_tried_again_only_if_a_connection_fails() -> None:
    tries = []

    @retry_on_failure(max_retries=3, delay=0.001, backoff=2.0)
    def failing(error: Exception) -> None:
        tries.append(error)
        raise error

    for error, expected in ((SupabaseConnectionError("away"), 3), (ValueError("wrong"), 1)):
        tries.clear()
        with pytest.raises(type(error)):
            failing(error)
        assert len(tries) == expected
