"""The processor merges as an import does; the migration is one, and tells of each file."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imports.insights import (
    MemoryManager,
    MigrationManager,
    ProcessingState,
    StructuredInsightContent,
    SupabaseInsightsClient,
    SupabaseInsightsProcessor,
    SupabaseOperationError,
)
from imports.phases.resetting import open_reset, run_to_reset
from imports.run.display import SilentDisplay
from tests.support.bench import Bench
from tests.support.database import query

ROW = (
    "SELECT record_count, total_eni_ids, version, eni_source_types, personal, deals"
    " FROM elvis__structured_insights ORDER BY contact_id, eni_id"
)


@pytest.fixture
def client(bench: Bench) -> Iterator[SupabaseInsightsClient]:
    settings = bench.settings(kind="insights", tag=None, source=None)
    with SupabaseInsightsClient(settings=settings) as client:
        yield client


@pytest.fixture
def processor(client: SupabaseInsightsClient) -> SupabaseInsightsProcessor:
    return SupabaseInsightsProcessor(client, batch_size=4)


def given(contact: str, eni: str, **sections: str) -> dict[str, Any]:
    return {
        "contact_id": contact,
        "eni_id": eni,
        "insights": sections or {"personal": f"* From {eni}.\n  * [2025-01-01,{eni}]"},
        "member_name": "Ann",
        "generated_at": f"2025-01-0{int(eni[-1]) + 1}T00:00:00Z",
    }


def as_files(folder: Path, insights: list[dict[str, Any]]) -> None:
    for each in insights:
        (folder / f"{each['contact_id']}_{each['eni_id']}.json").write_text(json.dumps(each))


def rows(bench: Bench) -> list[tuple[Any, ...]]:
    return query(bench.url, ROW)


def test_what_is_processed_is_what_an_import_makes_of_it(
    bench: Bench, processor: SupabaseInsightsProcessor
) -> None:
    insights = [
        given("CNT-123456", "ENI-1"),
        given("CNT-654321", "ENI-2"),
        given("CNT-123456", "ENI-3", personal="Newer. [N/A,ENI-9]", deals="A deal."),
        given("CNT-123456", "ENI-4"),
        given("CNT-123456", "ENI-2", **{"3i": "Three."}),
    ]
    as_files(bench.source.folder, insights)
    assert bench.run(kind="insights").exit_code == 0
    expected = rows(bench)
    assert [row[:3] for row in expected] == [(4, 4, 4), (1, 1, 1)]
    bench.target.empty()
    processor.client.close()
    state = processor.batch_process_insights(insights)
    assert rows(bench) == expected
    summary = state.get_summary()
    assert summary["errors"] == {}
    assert [summary[each] for each in ("total_processed", "created", "updated", "failed")] == [
        *(2, 2, 3, 0)
    ]
    assert processor.batch_process_insights(insights).get_summary()["updated"] == 5
    assert rows(bench) == expected, "a repeat changes nothing"
    assert bench.count("import_merges") == 0
    to_reset = run_to_reset(processor.client.settings, processor.batch_id, "insights")
    with open_reset(to_reset, threading.Event(), SilentDisplay()) as reset:
        assert reset.delete().complete
    assert rows(bench) == []


def test_one_insight_is_processed(bench: Bench, processor: SupabaseInsightsProcessor) -> None:
    content = StructuredInsightContent(personal="A sailor.", three_i="Three.")
    found, was_created = processor.process_insight(
        "CNT-123456", "ENI-1", content, {"eni_source_types": ["recurroo"], "record_count": 2}
    )
    assert was_created
    assert found.metadata.eni_id == "COMBINED-CNT-123456-ALL"
    assert (found.metadata.record_count, found.metadata.version) == (2, 1)
    assert (found.insights.personal, found.insights.three_i) == ("A sailor.", "Three.")
    again, was_created = processor.process_insight(
        "CNT-123456", "ENI-1", content, {"record_count": 2}
    )
    assert (was_created, again.metadata.record_count) == (False, 2)
    second, was_created = processor.process_insight("CNT-123456", "ENI-2", {"deals": "One."})
    assert (was_created, second.metadata.record_count) == (False, 3)
    own, was_created = processor.process_insight(
        "CNT-123456", "ENI-3", content, {}, force_create=True
    )
    assert (own.metadata.eni_id, was_created) == ("ENI-3", True)
    assert processor.load_existing_insight("CNT-123456", "ENI-3") == own
    text, _ = processor.process_insight("CNT-123456", "ENI-4", "# Deals\nOne.", force_create=True)
    assert text.insights.deals == "One."
    for contact, metadata in (("", {}), ("CNT-123456", {"record_count": -1})):
        with pytest.raises(ValueError, match=r"contact_id|record_count"):
            processor.process_insight(contact, "ENI-1", content, metadata)


def test_a_stored_insight_is_merged_with_a_new_one(
    bench: Bench, processor: SupabaseInsightsProcessor
) -> None:
    existing, _ = processor.process_insight(
        "CNT-123456", "ENI-1", {"personal": "Old.", "deals": "One. [N/A,ENI-7]"}, force_create=True
    )
    new = StructuredInsightContent(personal="New.")
    for _ in range(2):
        merged = processor.merge_insights(existing, new, {"eni_id": "ENI-2", "record_count": 2})
    assert (merged.metadata.record_count, merged.metadata.version) == (3, 2)
    assert (merged.insights.personal, merged.insights.deals) == ("New.", "One. [N/A,ENI-7]")
    more = processor.merge_insights(merged, {"3i": "Three."}, {"eni_id": "ENI-3"})
    assert (more.metadata.record_count, more.insights.three_i) == (4, "Three.")
    assert processor.client.upsert_insight(more) == (more, False), "it is stored already"


def test_a_batch_tells_what_failed_and_goes_on(
    bench: Bench, processor: SupabaseInsightsProcessor
) -> None:
    wrong: list[Any] = [
        {"insights": {"personal": "Whose?"}},
        {**given("CNT-123456", "ENI-1"), "insights": {"personal": 5}},
        given("CNT-654321", "ENI-1", personal="\0"),
        None,
        given("CNT-800001", "ENI-1", personal="\ud800"),
        given("CNT-800002", "ENI-1", personal="Sails.", more={1}),
    ]
    state = processor.batch_process_insights([*wrong, given("CNT-777777", "ENI-1")])
    assert state.processed_contact_ids == {"CNT-777777"} | (
        set() if "CNT-654321" in state.errors else {"CNT-654321"}
    )
    assert "insights.personal" in state.errors["CNT-123456"]
    assert "contact_id" in state.errors["insight 0"]
    assert state.errors["insight 3"] == "insight 3 is null, not an object"
    assert {"CNT-800001", "CNT-800002"} <= state.failed_contact_ids
    stats = processor.get_processing_statistics()
    assert stats["total_insights_in_db"] == len(state.processed_contact_ids)
    assert stats["supabase_table_exists"] is True
    assert stats["current_processing"]["failed"] == len(state.errors)
    assert stats["memory_stats"]["cached_items"] == 0
    processor.cleanup()
    assert processor.get_processing_statistics()["current_processing"] is None


def test_a_folder_is_migrated_and_each_file_told(
    bench: Bench, client: SupabaseInsightsClient
) -> None:
    folder, backups = bench.source.folder, bench.folder / "kept"
    as_files(folder, [given("CNT-123456", f"ENI-{number}") for number in range(3)])
    as_files(folder, [given("CNT-654321", "ENI-1")])
    (folder / "broken.json").write_text("{")
    (folder / "CNT-777777_ENI-1.json").write_text('{"contact_id": "CNT-777777", "insights": 5}')
    manager = MigrationManager(client, folder, backups)
    assert len(manager.discover_json_files()) == 6
    valid, data, errors = manager.validate_json_file(folder / "CNT-777777_ENI-1.json")
    assert (valid, data and data["insights"]) == (False, 5)
    assert errors == ["insights is a number, not an object"]
    state = manager.migrate_all_files(batch_size=2)
    summary = manager.get_migration_summary()
    assert [summary[each] for each in ("total_discovered", "migrated", "failed", "skipped")] == [
        *(6, 4, 2, 0)
    ]
    assert summary["success_rate"] == pytest.approx(4 / 6)
    assert state.processed_contact_ids == {"CNT-123456", "CNT-654321"}
    assert (sorted(state.created_insights), len(state.updated_insights)) == (
        ["CNT-123456", "CNT-654321"],
        2,
    )
    assert state.errors.keys() == {"broken.json", "CNT-777777"}
    assert len([*backups.iterdir()]) == 4
    again = manager.migrate_all_files()
    assert (again.get_summary()["total_processed"], len(manager.skipped_files)) == (0, 4)
    assert manager.migrate_all_files(force_overwrite=True).get_summary()["updated"] == 4
    assert [row[:3] for row in rows(bench)] == [(3, 3, 3), (1, 1, 1)]


def test_single_files_are_migrated(bench: Bench, client: SupabaseInsightsClient) -> None:
    folder = bench.source.folder
    as_files(folder, [given("CNT-123456", "ENI-1")])
    (folder / "broken.json").write_text("{")
    manager = MigrationManager(client, folder)
    good, broken = manager.discover_json_files()
    assert manager.migrate_single_file(good)
    assert manager.migrate_single_file(good)
    assert manager.migrate_single_file(good, force_overwrite=True)
    assert not manager.migrate_single_file(broken)
    assert (len(manager.migrated_files), len(manager.skipped_files)) == (2, 1)
    assert len(manager.failed_files) == 1
    elsewhere = folder.with_name("elsewhere")
    elsewhere.mkdir()
    with pytest.raises(SupabaseOperationError):
        manager.migrate_single_file(shutil.copy2(good, elsewhere))
    shutil.rmtree(folder)
    with pytest.raises(SupabaseOperationError, match="no such file"):
        manager.migrate_single_file(good)
    assert manager.migrate_all_files().get_summary()["total_processed"] == 0
    with pytest.raises(SupabaseOperationError, match="no such file"):
        manager.migrate_single_file(good, force_overwrite=True)


def test_the_memory_keeps_what_was_used_last() -> None:
    memory = MemoryManager(max_items=2)
    items = [StructuredInsightContent(personal=str(number)) for number in range(3)]
    for number, item in enumerate(items):
        memory.add_item(str(number), item)
    assert memory.get_item("0") is None
    assert memory.get_item("1") is items[1]
    memory.add_item("3", "a string")
    assert [memory.get_item(each) for each in "123"] == [items[1], None, "a string"]
    del items[:]
    assert memory.get_stats() == {
        "cached_items": 1,
        "max_items": 2,
        "use_weak_references": True,
        "access_order_length": 1,
    }
    memory.clear()
    assert memory.get_stats()["cached_items"] == 0


def test_a_state_is_summed_up() -> None:
    state = ProcessingState()
    state.mark_processed("CNT-123", was_created=True)
    state.mark_failed("CNT-456", "Validation error")
    assert state.get_summary() == {
        "total_processed": 1,
        "created": 1,
        "updated": 0,
        "failed": 1,
        "duration_seconds": None,
        "errors": {"CNT-456": "Validation error"},
    }
    state.finalize()
    assert state.get_summary()["duration_seconds"] >= 0
