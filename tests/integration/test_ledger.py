"""What later runs do by the ledger, and by whom they know the target."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import psycopg2
import pytest

from imports import ResilientImporter
from imports.errors import LockedError, StateConflictError, UsageError
from imports.run.report import RunReport
from imports.servers.embedded import EmbeddedServer
from imports.servers.hosted_database import prepare_roles
from imports.servers.local_supabase import LocalSupabase
from imports.settings import LEDGER_NAME
from tests.support.bench import Bench, one_backend
from tests.support.database import copy_of, drop_database, query
from tests.support.proxy import MERGE_STATES, RPC_MERGE_STATES
from tests.support.source import license_


def recreate(bench: Bench, server: EmbeddedServer, template: str) -> None:
    name = psycopg2.extensions.parse_dsn(bench.url)["dbname"]
    drop_database(server.url, name)
    assert copy_of(server.url, template, name) == bench.url


def merge_of(bench: Bench) -> bytes:
    """What a merge of searches has in it on its way to the target."""
    if bench.target.backend == "postgresql":
        return MERGE_STATES
    return RPC_MERGE_STATES


def test_a_recreated_database_is_imported_into_again(
    postgresql_bench: Bench, embedded_server: EmbeddedServer, database_template: str
) -> None:
    bench = postgresql_bench
    bench.source.add_many(10, images=True)
    bench.run()
    assert bench.run().nothing_to_do
    before = bench.rows()
    recreate(bench, embedded_server, database_template)
    assert bench.count() == 0

    report = bench.run()
    assert (report.exit_code, report.count("import.inserted")) == (0, 10)
    assert bench.rows() == before
    assert len(bench.images()) == 10
    assert report.count("sha256.processed") == 0  # the ledger still knows the files
    assert bench.verify(deep=True).clean


def test_a_recreated_supabase_is_imported_into_again(
    supabase_bench: Bench,
    own_supabase: LocalSupabase,
    embedded_server: EmbeddedServer,
    supabase_template: str,
) -> None:
    bench = supabase_bench
    bench.source.add_many(10, images=True)
    bench.run()
    before = bench.rows()
    own_supabase.stop()
    recreate(bench, embedded_server, supabase_template)
    prepare_roles(bench.url)  # what roles may do in a database is not copied with it
    own_supabase.start()
    assert bench.count() == 0

    report = bench.run()
    assert (report.exit_code, report.count("import.inserted")) == (0, 10)
    assert bench.rows() == before
    assert len(bench.images()) == 10
    assert bench.verify(deep=True).clean


def test_an_unfinished_run_into_a_database_that_was_recreated(bench: Bench) -> None:
    bench.source.add_many(30)
    proxy = bench.proxied()
    proxy.add(merge_of(bench), action="die", spare=1)
    first = bench.run(batch_size=10, max_workers=1, max_retries=0)
    assert first.exit_code == 75
    query(bench.url, "TRUNCATE datasets, import_merges CASCADE")
    query(bench.url, "UPDATE import_target SET id = gen_random_uuid()")
    proxy.start()
    report = bench.run(batch_size=10)
    assert (report.exit_code, report.count("import.inserted"), bench.count()) == (0, 30, 30)
    assert report.state.run_name != first.state.run_name


def test_two_datasets_do_not_mix(bench: Bench) -> None:
    bench.source.add_many(5)
    first = bench.run(tag="first")
    second = bench.run(tag="second")
    assert [each.count("import.inserted") for each in (first, second)] == [5, 5]
    assert first.state.dataset_id != second.state.dataset_id
    assert bench.count() == 10

    bench.source.add(
        "day/0002", name="Pharmacy 0002", licenses=[license_("PH0002", license_status="Closed")]
    )
    assert bench.run(tag="first").count("import.updated") == 1
    statuses = bench.rows(
        "(SELECT tag FROM datasets WHERE id = dataset_id), license_status", "license_number, 1"
    )
    assert statuses[4:6] == [("first", "Closed"), ("second", "Active")]
    again = bench.run(tag="second")
    assert (again.count("planning.to_import"), again.count("import.updated")) == (1, 1)


def test_a_touched_file_is_read_again_and_writes_nothing(bench: Bench) -> None:
    paths = bench.source.add_many(3)
    bench.run()
    before = bench.versions()
    paths[1].touch()
    report = bench.run()
    assert (report.count("planning.to_import"), report.count("import.unchanged")) == (1, 1)
    assert bench.versions() == before


def test_a_failing_file_that_is_removed_is_no_longer_counted(bench: Bench) -> None:
    bench.source.add_many(3)
    bad = bench.source.write("bad_parse.json", b"{")
    assert [bench.run().exit_code for _ in range(2)] == [3, 3]
    bad.unlink()
    report = bench.run()
    assert (report.exit_code, report.failures_total, report.failures) == (0, 0, [])
    assert report.state.failed_items == []
    assert report.state.total_files == 3


def test_force(bench: Bench) -> None:
    bench.source.add_many(5, images=True)
    bench.run()
    query(bench.url, "UPDATE search_results SET city = 'Elsewhere' WHERE license_number = 'PH0001'")
    assert bench.run().nothing_to_do
    report = bench.run(force=True)
    assert report.count("planning.to_import") == 5
    assert (report.count("import.updated"), report.count("import.unchanged")) == (1, 4)


def test_limit(bench: Bench) -> None:
    bench.source.add_many(10)
    found = []
    for limit in (3, 4, None):
        report = bench.run(limit=limit)
        assert (report.exit_code, report.state.status) == (0, "completed")
        found.append((report.count("import.inserted"), bench.count()))
    assert found == [(3, 3), (4, 7), (3, 10)]
    assert bench.run(limit=2).nothing_to_do


def test_single_file(bench: Bench) -> None:
    paths = bench.source.add_many(4)
    report = bench.run(single_file=paths[2])
    assert (report.exit_code, report.count("import.inserted")) == (0, 1)
    assert bench.rows() == [("PH0002", "Active")]
    again = bench.run(single_file=paths[2])  # imported or not
    assert (again.count("import.unchanged"), again.count("import.inserted")) == (1, 0)
    alone = bench.run(single_file=paths[3], source=None, tag="alone")
    assert alone.count("import.inserted") == 1
    report = bench.run()
    assert (report.count("import.inserted"), bench.count()) == (3, 5)
    assert bench.verify().clean


def stopped(bench: Bench, **flags: Any) -> RunReport:
    """A run that its target goes away from after one batch."""
    proxy = bench.proxied()
    proxy.add(merge_of(bench), action="die", spare=1)
    report = bench.run(max_retries=0, batch_size=5, max_workers=1, **flags)
    proxy.start()
    assert report.exit_code == 75
    return report


@one_backend
@pytest.mark.parametrize("file_is_deleted", [False, True])
def test_other_work_in_between_costs_an_unfinished_run_nothing(
    bench: Bench, file_is_deleted: bool
) -> None:
    bench.source.add_many(20)
    first = stopped(bench)
    assert first.count("import.inserted") == 5
    if file_is_deleted:
        bench.state_file.unlink()
    other = bench.run(tag="another")
    assert (other.exit_code, other.count("import.inserted")) == (0, 20)
    again = bench.run()
    assert again.exit_code == 0
    assert again.state.run_id == first.state.run_id
    assert (again.count("planning.to_import"), again.count("import.inserted")) == (20, 20)
    assert again.state.start_time == first.state.start_time
    assert bench.run(tag="another").state.run_id != other.state.run_id, "that one was finished"
    assert bench.run().state.run_id != first.state.run_id


@one_backend
def test_restart_gives_up_the_run_over_the_same_alone(bench: Bench) -> None:
    bench.source.add_many(10)
    first, second = stopped(bench), stopped(bench, tag="another")
    third = bench.run(restart=True)
    assert (third.exit_code, third.state.run_id != first.state.run_id) == (0, True)
    assert bench.run(tag="another").state.run_id == second.state.run_id


@one_backend
def test_a_work_state_of_an_earlier_version_is_taken_over_too(bench: Bench) -> None:
    """It was in the file alone."""
    bench.source.add_many(10)
    first = stopped(bench)
    with contextlib.closing(sqlite3.connect(bench.folder / LEDGER_NAME)) as ledger, ledger:
        ledger.execute("delete from work_state")
    bench.run(tag="another")
    assert bench.run().state.run_id == first.state.run_id


@one_backend
def test_unfinished_work_of_another_ledger_is_not_overwritten(bench: Bench) -> None:
    bench.source.add_many(10)
    first = stopped(bench, db_path=bench.folder / "one.db")
    before = bench.state_file.read_bytes()
    # That ledger keeps it.
    assert bench.run(tag="another").exit_code == 0
    (bench.folder / "one.db").rename(bench.folder / "moved.db")
    bench.state_file.write_bytes(before)
    with pytest.raises(StateConflictError, match=r"one\.db.*--state-file"):
        bench.run(tag="another")
    assert bench.state_file.read_bytes() == before
    (bench.folder / "moved.db").rename(bench.folder / "one.db")
    again = bench.run(db_path=bench.folder / "one.db")
    assert again.state.run_id == first.state.run_id


def test_two_runs_with_one_state(bench: Bench) -> None:
    bench.source.add_many(2)
    with ResilientImporter(bench.settings()) as importer:
        importer.plan_work()
        with pytest.raises(LockedError) as caught:
            bench.run()
        assert caught.value.exit_code == 11
    assert bench.run().exit_code == 0


def test_two_runs_with_one_ledger(bench: Bench) -> None:
    """Whatever they are over: they would wait for each other, and share what is known of images."""
    bench.source.add_many(2)
    other = bench.folder / "other.json"
    with ResilientImporter(bench.settings()) as importer:
        importer.plan_work()
        with pytest.raises(
            LockedError, match=r"upload_tracker\.db is in use by process .*--db-path"
        ):
            bench.run(tag="another", state_file=other)
        assert not other.exists()
        own = bench.folder / "own.db"
        assert bench.run(tag="another", state_file=other, db_path=own).exit_code == 0
    assert bench.run().exit_code == 0


def test_a_damaged_work_state_is_rebuilt(bench: Bench) -> None:
    bench.source.add_many(20)
    proxy = bench.proxied()
    proxy.add(merge_of(bench), action="die", spare=1)
    first = bench.run(max_retries=0, batch_size=10, max_workers=1)
    proxy.start()
    bench.state_file.write_bytes(b'{"run_id": ')
    report = bench.run()
    assert report.exit_code == 0
    assert len(list(bench.folder.glob("work_state.json.damaged-*"))) == 1
    assert report.state.run_id == first.state.run_id
    assert (report.count("import.inserted"), bench.count()) == (20, 20)


def test_a_work_state_that_a_kill_damaged_is_rebuilt(bench: Bench) -> None:
    bench.source.add_many(20)
    with ResilientImporter(bench.settings()) as importer:  # it never comes to its end
        importer.plan_work()
        run_id = importer.session.state.run_id
    bench.state_file.write_bytes(b"\0" * 100)
    report = bench.run()
    assert report.state.run_id == run_id
    assert report.count("planning.to_import") == report.count("import.inserted") == 20
    assert len(list(bench.folder.glob("work_state.json.damaged-*"))) == 1


def test_a_source_without_files(bench: Bench) -> None:
    with pytest.raises(UsageError, match="No JSON files found"):
        bench.run()


def test_a_single_file_leaves_the_others_as_they_are(bench: Bench) -> None:
    bench.source.add_many(5)
    (bench.source.folder / "day/broken_parse.json").write_text("{")
    bench.run(limit=2)
    before = bench.count()
    single = bench.source.folder / "day/0004_parse.json"
    report = bench.run(single_file=single, state_file=bench.folder / "single.json")
    assert report.exit_code == 0
    assert (report.count("import.inserted"), bench.count()) == (1, before + 1)
    assert bench.run().exit_code == 3
    assert bench.count() == 5
