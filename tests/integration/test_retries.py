"""What passes by itself is tried again, and counts once: invariants 1 and 3."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx
import psycopg2
import pytest

from imports import ResilientImporter
from imports.backends.rest import http_client
from imports.errors import BackendUnavailableError
from imports.run.report import RunReport
from imports.servers.local_supabase import LocalSupabase
from tests.integration.conftest import Waits
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.proxy import (
    COMMIT,
    MERGE_STATES,
    RPC_MERGE_STATES,
    STORE_IMAGE,
    Proxy,
    http_answer,
)

RECORDS = 40
IMAGES = 8

GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
BUSY = {
    "429": http_answer("429 Too Many Requests", b'{"message":"slow down"}', "Retry-After: 0"),
    "503": http_answer("503 Service Unavailable", b""),
    "502": http_answer("502 Bad Gateway", GATEWAY, "Content-Type: text/html"),
    "544": http_answer("544 Database Timeout", b'{"statusCode":"544","error":"DatabaseTimeout"}'),
}


def merge(bench: Bench) -> tuple[bytes, ...]:
    """What a merge of rows has in it, once it is being sent."""
    return (MERGE_STATES,) if bench.target.backend == "postgresql" else (RPC_MERGE_STATES,)


def begin_of_merge(bench: Bench) -> tuple[bytes, ...]:
    """The same for the first that is sent of it, also of one that is repeated."""
    if bench.target.backend == "postgresql":
        return (b"select pg_advisory_xact_lock(hashtextextended(",)
    return (RPC_MERGE_STATES,)


def commit_of_merge(bench: Bench) -> tuple[bytes, ...]:
    """The same for the request whose answer says that rows are there for good."""
    return (MERGE_STATES, COMMIT) if bench.target.backend == "postgresql" else (RPC_MERGE_STATES,)


def fill(bench: Bench) -> Proxy:
    bench.source.add_many(RECORDS)
    bench.source.add_many(IMAGES, images=True)
    return bench.proxied()


def check(bench: Bench, report: RunReport) -> None:
    """Everything is there once, and was counted once."""
    assert report.failures == []
    assert (report.exit_code, report.state.status) == (0, "completed")
    assert bench.rows("license_number, license_status") == [
        (f"PH{number:04}", "Active") for number in range(RECORDS)
    ]
    assert len(bench.images()) == IMAGES
    imports = {
        name: report.count(f"import.{name}")
        for name in ("inserted", "updated", "skipped", "unchanged", "total_imported")
    }
    assert imports == {
        "inserted": RECORDS,
        "updated": 0,
        "skipped": 0,
        "unchanged": 0,
        "total_imported": RECORDS,
    }
    assert report.count("upload.completed") + report.count("upload.skipped") == IMAGES
    assert report.count("planning.to_import") == RECORDS
    assert report.count("sha256.processed") == IMAGES
    assert bench.count("import_merges") == 0


@pytest.mark.parametrize("spare", [0, 2])
def test_a_reset_in_the_middle_of_a_merge(bench: Bench, waits: Waits, spare: int) -> None:
    proxy = fill(bench)
    fault = proxy.add(*merge(bench), action="reset", spare=spare)
    report = bench.run(batch_size=10)
    assert fault.happened == 1
    assert waits == [1]
    check(bench, report)


@pytest.mark.parametrize("spare", [0, 1, 3])
def test_the_answer_to_a_merge_is_lost(bench: Bench, waits: Waits, spare: int) -> None:
    proxy = fill(bench)
    fault = proxy.add(*commit_of_merge(bench), action="swallow", spare=spare)
    report = bench.run(batch_size=10)
    assert fault.happened == 1
    assert waits == [1]
    check(bench, report)
    assert bench.rows("xmin::text", "1")  # and a repeated run finds nothing to do
    assert bench.run().nothing_to_do


def test_every_merge_loses_an_answer(bench: Bench, waits: Waits) -> None:
    proxy = fill(bench)
    fault = proxy.add(*commit_of_merge(bench), action="swallow", times=4)
    report = bench.run(batch_size=10, max_workers=1, max_retries=4)
    assert fault.happened == 4
    check(bench, report)


def test_a_lost_answer_to_an_update(bench: Bench, waits: Waits) -> None:
    proxy = fill(bench)
    bench.run()
    query(bench.url, "UPDATE search_results SET license_status = 'gone'")
    needles = commit_of_merge(bench)
    if bench.target.backend == "postgresql":
        # Rows that may be there are compared.
        needles = (b"insert into public.search_results", COMMIT)
    fault = proxy.add(*needles, action="swallow")
    report = bench.run(force=True)
    assert (fault.happened, waits) == (1, [1])
    assert report.count("import.updated") == RECORDS
    assert report.count("import.unchanged") == 0


def test_the_answer_to_a_merge_of_images_is_lost(bench: Bench, waits: Waits) -> None:
    proxy = fill(bench)
    needles = (
        (b"copy public.image_assets ", COMMIT)
        if bench.target.backend == "postgresql"
        else (b"POST /rest/v1/rpc/importer_merge_images ",)
    )
    fault = proxy.add(*needles, action="swallow")
    report = bench.run()
    assert (fault.happened, waits) == (1, [1])
    check(bench, report)


def test_the_answer_to_the_dataset_is_lost(bench: Bench, waits: Waits) -> None:
    proxy = fill(bench)
    needles = (
        (b"insert into public.datasets", COMMIT)
        if bench.target.backend == "postgresql"
        else (b"POST /rest/v1/datasets",)
    )
    fault = proxy.add(*needles, action="swallow")
    report = bench.run()
    assert (fault.happened, waits) == (1, [1])
    check(bench, report)
    assert bench.count("datasets") == 1


@pytest.mark.parametrize("action", ["reset", "swallow"])
def test_an_upload_breaks_off(supabase_bench: Bench, waits: Waits, action: str) -> None:
    proxy = fill(supabase_bench)
    faults = [
        proxy.add(b"POST /storage/v1/bucket ", action=action, sent=100),
        # The local Supabase answers 500 while it still has half of the same image in hand.
        proxy.add(STORE_IMAGE, action=action, sent=100, spare=3, times=3),
    ]
    report = supabase_bench.run(max_concurrent_uploads=4)
    assert [fault.happened for fault in faults] == [1, 3]
    check(supabase_bench, report)
    assert supabase_bench.verify(deep=True).clean


def test_the_server_refuses_at_first(bench: Bench, waits: Waits) -> None:
    proxy = fill(bench)
    proxy.stop()
    waits.then = lambda number: proxy.start() if number == 2 else None
    report = bench.run()
    assert waits == [1, 2]
    check(bench, report)


def test_the_server_goes_away_and_comes_back(bench: Bench, waits: Waits) -> None:
    proxy = fill(bench)
    fault = proxy.add(*merge(bench), action="die", spare=1)
    waits.then = lambda number: proxy.start() if number == 3 else None
    report = bench.run(batch_size=10, max_workers=1)
    assert (fault.happened, waits) == (1, [1, 2, 3])
    check(bench, report)


@pytest.mark.parametrize("busy", BUSY)
def test_a_busy_api(supabase_bench_shared: Bench, waits: Waits, busy: str) -> None:
    bench = supabase_bench_shared
    proxy = fill(bench)
    needles = (b"GET /rest/v1/import_target", b"POST /storage/v1/bucket ", STORE_IMAGE)
    needles += (b"POST /rest/v1/rpc/importer_known_images ", RPC_MERGE_STATES)
    needles += (b"DELETE /rest/v1/import_merges",)
    faults = [proxy.add(needle, action="answer", answer=BUSY[busy], times=2) for needle in needles]
    report = bench.run(max_workers=1, max_concurrent_uploads=1)
    assert [fault.happened for fault in faults] == [2] * len(faults)
    assert waits == [1, 2] * len(faults)
    check(bench, report)
    assert report.count("upload.completed") == IMAGES


def test_it_waits_as_long_as_it_is_asked_to(
    supabase_bench_shared: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = supabase_bench_shared
    proxy = fill(bench)
    slept: list[float] = []
    monkeypatch.setattr(
        "tenacity.sleep_using_event", lambda event: lambda seconds: slept.append(seconds)
    )
    answer = http_answer("429 Too Many Requests", b"", "Retry-After: 7")
    proxy.add(RPC_MERGE_STATES, action="answer", answer=answer)
    check(bench, bench.run())
    assert slept == [7.0]


def test_tries_end(bench: Bench, waits: Waits) -> None:
    proxy = fill(bench)
    proxy.add(*merge(bench), action="die")
    report = bench.run(max_retries=2)
    assert (report.exit_code, report.state.status) == (75, "interrupted")
    assert waits == [1, 2]


def test_a_target_that_stays_away_is_resumed(bench: Bench, waits: Waits) -> None:
    proxy = fill(bench)
    proxy.add(*merge(bench), action="die", spare=2)
    report = bench.run(max_retries=0, batch_size=10, max_workers=1)

    assert waits == []
    assert (report.exit_code, report.state.status) == (75, "interrupted")
    assert report.state.phases["import"].status == "interrupted"
    assert report.state.work_items_remaining == 20
    assert report.count("import.inserted") == 20 == bench.count()
    assert "To resume" in report.next_commands[1]
    with pytest.raises(BackendUnavailableError) as caught:
        bench.run(max_retries=0)
    assert caught.value.exit_code == 75

    proxy.start()
    again = bench.run(max_retries=0, batch_size=10)
    assert again.state.run_name == report.state.run_name
    check(bench, again)


def test_the_commit_of_an_unfinished_run_is_not_repeated(bench: Bench, waits: Waits) -> None:
    """It reached the server, its answer never came, and the run ended before it could ask again."""
    proxy = fill(bench)
    proxy.add(*commit_of_merge(bench), action="swallow", spare=1)
    # A merge of images begins as one of rows does; there is one of them.
    spare = 3 if bench.target.backend == "postgresql" else 2
    proxy.add(*begin_of_merge(bench), action="die", spare=spare)
    report = bench.run(max_retries=1, batch_size=10, max_workers=1)
    assert report.exit_code == 75
    assert report.count("import.inserted") == 10
    assert bench.count() == 20
    before = bench.versions()["search_results"]

    proxy.start()
    again = bench.run(batch_size=10, max_workers=1)
    check(bench, again)
    assert bench.versions()["search_results"][:20] == before


def terminate_all(url: str) -> Callable[[], object]:
    def terminate() -> None:
        query(
            url,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    return terminate


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds for an answer of Supabase, in place of sixty."""

    def client(url: str, connections: int) -> httpx.Client:
        made = http_client(url, connections)
        made.timeout = httpx.Timeout(2.0)
        return made

    monkeypatch.setattr("imports.backends.supabase.http_client", client)


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_never_comes(supabase_bench_shared: Bench, waits: Waits) -> None:
    proxy = fill(supabase_bench_shared)
    fault = proxy.add(RPC_MERGE_STATES, action="hang", spare=1)
    report = supabase_bench_shared.run(batch_size=10)
    assert (fault.happened, waits) == (1, [1])
    check(supabase_bench_shared, report)


@pytest.mark.parametrize("spare", [0, 2])
def test_all_connections_are_terminated(postgresql_bench: Bench, waits: Waits, spare: int) -> None:
    bench = postgresql_bench
    proxy = fill(bench)
    fault = proxy.add(*merge(bench), action="call", spare=spare, call=terminate_all(bench.url))
    report = bench.run(batch_size=10)
    assert fault.happened == 1
    check(bench, report)


@pytest.mark.usefixtures("impatient")
def test_all_connections_of_a_supabase_are_terminated(
    supabase_bench: Bench, own_supabase: LocalSupabase, waits: Waits
) -> None:
    """The local one may answer, answer never, or end; then it is started again."""
    bench = supabase_bench
    proxy = fill(bench)
    fault = proxy.add(*merge(bench), action="call", spare=2, call=terminate_all(bench.url))

    one_at_a_time = threading.Lock()  # each thread that uploads or merges waits by itself

    def revive(number: int) -> None:
        with one_at_a_time:
            own_supabase.start()

    waits.then = revive
    report = bench.run(batch_size=10, max_retries=500)
    assert fault.happened == 1
    check(bench, report)


def test_postgrest_is_killed_and_comes_back(
    supabase_bench: Bench, own_supabase: LocalSupabase, waits: Waits
) -> None:
    bench, postgrest = supabase_bench, own_supabase.postgrest
    assert postgrest is not None
    proxy = fill(bench)
    fault = proxy.add(*merge(bench), action="call", spare=2, call=postgrest.kill)
    one_at_a_time = threading.Lock()

    def revive(number: int) -> None:
        with one_at_a_time:
            own_supabase.start()

    waits.then = revive
    report = bench.run(batch_size=10, max_retries=50)
    assert fault.happened == 1
    assert waits
    check(bench, report)


def test_idle_connections_are_terminated_between_two_phases(
    postgresql_bench: Bench, waits: Waits
) -> None:
    bench = postgresql_bench
    bench.source.add_many(RECORDS)
    bench.source.add_many(IMAGES, images=True)
    with ResilientImporter(bench.settings()) as importer:
        importer.plan_work()
        importer.compute_sha256_hashes()
        importer.upload_images()
        terminate_all(bench.url)()
        importer.import_search_results()
    assert bench.count() == RECORDS
    assert waits == [1]


def test_a_deadlock_is_tried_again(postgresql_bench: Bench, waits: Waits) -> None:
    bench = postgresql_bench
    bench.source.add_many(5)
    query(
        bench.url,
        "CREATE SEQUENCE tries; CREATE FUNCTION clash() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN IF nextval('tries') <= 4 THEN RAISE 'deadlock detected' USING ERRCODE = '40P01';"
        " END IF; RETURN NULL; END $$; CREATE TRIGGER clash AFTER INSERT ON search_results"
        " FOR EACH STATEMENT EXECUTE FUNCTION clash()",
    )
    report = bench.run()
    # Each try is two: where COPY alone meets one, rows are merged in the order of their keys.
    assert waits == [1, 2]
    assert (report.exit_code, report.count("import.inserted"), bench.count()) == (0, 5, 5)


def test_too_many_connections_is_tried_again(postgresql_bench: Bench, waits: Waits) -> None:
    bench = postgresql_bench
    bench.source.add_many(5)
    name = psycopg2.extensions.parse_dsn(bench.url)["dbname"]
    role = f"few_{name}"
    query(bench.url, f"CREATE ROLE {role} LOGIN BYPASSRLS CONNECTION LIMIT 0")
    query(bench.url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    room = f"ALTER ROLE {role} CONNECTION LIMIT -1"
    waits.then = lambda number: query(bench.url, room) if number == 2 else None
    report = bench.run(database_url=bench.url.replace("postgres:@", f"{role}:@"))
    assert waits == [1, 2]
    assert (report.exit_code, bench.count()) == (0, 5)
    query(bench.url, f"DROP OWNED BY {role}; DROP ROLE {role}")
