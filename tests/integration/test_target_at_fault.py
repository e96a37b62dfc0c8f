"""Faults of the target: a run ends with 75, and no record is recorded as failed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from imports.items.images import storage_path
from imports.run.report import RunReport
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.people import files, ledger_rows, person, person_ids, write
from tests.support.proxy import STORE_IMAGE, Fault, Proxy, http_answer
from tests.support.source import license_, png

GATEWAY = http_answer("400 Bad Request", b"<html><body>Request blocked</body></html>")
BAD_GATEWAY = http_answer("502 Bad Gateway", b"<html><body>nginx</body></html>")

pytestmark = pytest.mark.usefixtures("waits")


@pytest.fixture
def source(bench: Bench) -> Path:
    bench.source.folder.mkdir(parents=True, exist_ok=True)
    return bench.source.folder


def run(bench: Bench, **flags: object) -> RunReport:
    return bench.run(kind="people", progress_csv=bench.folder / "progress.csv", **flags)


def break_merges(bench: Bench, proxy: Proxy, kind: str, action: str) -> Fault:
    """From now on all merges meet a fault, and all small questions pass."""
    if bench.target.backend == "postgresql":
        return proxy.add(b"copy ", action="reset", times=10**6, sent=0)
    answer = {"refuse": GATEWAY, "fail": BAD_GATEWAY}[action]
    needle = b"POST /rest/v1/rpc/importer_merge_%b " % kind.encode()
    return proxy.add(needle, action="answer", answer=answer, times=10**6)


@pytest.mark.parametrize("action", ["refuse", "fail"])
@pytest.mark.parametrize("count", [1, 12])
def test_no_file_is_moved_where_all_merges_fail_and_small_questions_pass(
    bench: Bench, source: Path, action: str, count: int
) -> None:
    for number in range(count):
        write(source, f"{number}.json", [person(f"p-{number}")])
    before = files(source)
    proxy = bench.proxied()
    fault = break_merges(bench, proxy, "people", action)
    report = run(bench)
    assert (report.exit_code, report.state.status, report.failures) == (75, "interrupted", [])
    assert files(source) == before
    assert files(source.parent / "failed_uploads") == []
    states = ledger_rows(bench.settings().ledger_file, "state, tries, refused")
    assert states == [("planned", 0, 0)] * count
    assert fault.happened <= 8, "what fails is not looked for in the data"

    fault.times = 0
    report = run(bench)
    assert (report.exit_code, files(source)) == (0, [])
    assert len(person_ids(bench.url)) == count


def test_no_item_fails_where_merges_break_after_the_first_batch(bench: Bench) -> None:
    bench.source.add_many(40)
    proxy = bench.proxied()
    fault = break_merges(bench, proxy, "states", "refuse")
    fault.spare = 1
    report = bench.run(batch_size=10, max_workers=1)
    assert (report.exit_code, report.failures, bench.count()) == (75, [], 10)
    assert report.state.work_items_remaining == 30
    fault.times = 0
    assert (bench.run().exit_code, bench.count()) == (0, 40)


@pytest.mark.parametrize("batch_size", [1, 500])
def test_a_gateway_that_lets_a_merge_of_nothing_through_and_no_record_ends_the_run(
    supabase_bench_shared: Bench, batch_size: int
) -> None:
    """It looks into what is sent."""
    bench = supabase_bench_shared
    for number in range(5):
        write(bench.source.folder, f"{number}.json", [person(f"p-{number}")])
    before = files(bench.source.folder)
    proxy = bench.proxied()
    fault = proxy.add(b"neuron360_profile_id", action="answer", answer=GATEWAY, times=10**6)
    report = run(bench, batch_size=batch_size)
    assert (report.exit_code, report.failures, files(bench.source.folder)) == (75, [], before)
    states = ledger_rows(bench.settings().ledger_file, "state, tries, refused")
    assert states == [("planned", 0, 0)] * 5
    fault.times = 0
    assert (run(bench).exit_code, files(bench.source.folder)) == (0, [])


def test_a_record_that_a_gateway_refuses_fails_alone(supabase_bench_shared: Bench) -> None:
    bench = supabase_bench_shared
    bench.source.add("day/0000a", name="Blocked", licenses=[license_("BAD")])
    proxy = bench.proxied()
    proxy.add(b"Blocked", action="answer", answer=GATEWAY, times=10**6)
    alone = bench.run()
    bench.source.add_many(2)
    report = bench.run()
    for each, inserted in ((alone, 0), (report, 2)):
        (failure,) = each.failures
        assert (failure.path, each.exit_code) == ("day/0000a_parse.json", 3)
        assert "Request blocked" in failure.reason
        assert each.count("import.inserted") == inserted


def test_a_trigger_that_is_broken_is_no_fault_of_the_data(postgresql_bench: Bench) -> None:
    """A code that is not about values, such as of a function that somebody lost a right to."""
    bench = postgresql_bench
    bench.source.add_many(5)
    query(
        bench.url,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE 'permission denied for function audit' USING ERRCODE = '42501'; END $$;"
        "CREATE TRIGGER fail BEFORE INSERT ON search_results FOR EACH ROW EXECUTE FUNCTION fail()",
    )
    with pytest.raises(Exception, match="permission denied for function audit"):
        bench.run()
    assert ledger_rows(bench.settings().ledger_file, "state, tries") == [("planned", 0)] * 5


@pytest.mark.parametrize("images", [4, 30])
def test_no_item_fails_where_no_image_at_all_can_be_stored(
    supabase_bench_shared: Bench, images: int
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(5)
    bench.source.add_many(images, images=True, prefix="pictures")
    proxy = bench.proxied()
    fault = proxy.add(STORE_IMAGE, action="answer", answer=BAD_GATEWAY, times=10**6)
    report = bench.run(max_retries=1)
    assert (report.exit_code, report.failures) == (75, [])
    assert fault.happened <= 2 * 20, "not all images are tried"
    fault.times = 0
    report = bench.run()
    assert (report.exit_code, report.failures, len(bench.images())) == (0, [], images)


def test_an_image_that_the_store_cannot_take_fails_its_item_where_others_are_stored(
    supabase_bench_shared: Bench,
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(4, images=True)
    proxy = bench.proxied()
    bad = storage_path(hashlib.sha256(png(2)).hexdigest(), "png").encode()
    proxy.add(bad, action="answer", answer=BAD_GATEWAY, times=10**6)
    for tries in (1, 2):
        report = bench.run(max_retries=2)
        (failure,) = report.failures
        assert (report.exit_code, failure.path, failure.tries) == (3, "day/0001_parse.json", tries)
    assert len(bench.images()) == 3
