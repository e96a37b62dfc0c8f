"""What carries many rows is asked in halves where the target takes too long, or it is too large."""

from __future__ import annotations

import pytest

from imports.errors import ImporterError
from tests.integration.conftest import Waits
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.proxy import RPC_COMPARE, RPC_MERGE_STATES, http_answer

RECORDS, IMAGES = 12, 8

CUT_SHORT = b'{"code":"57014","message":"canceling statement due to statement timeout"}'
REFUSALS = {
    "57014": http_answer("500 Internal Server Error", CUT_SHORT, "Content-Type: application/json"),
    "413": http_answer("413 Payload Too Large", b"<html>too large</html>"),
}

CALLS = (
    b"POST /rest/v1/rpc/importer_known_images ",
    b"POST /rest/v1/rpc/importer_merge_images ",
    RPC_MERGE_STATES,
    RPC_COMPARE,  # of states
    RPC_COMPARE,  # of images
)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_every_call_over_the_api_that_carries_many_rows(
    supabase_bench_shared: Bench, waits: Waits, refusal: str
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(RECORDS)
    bench.source.add_many(IMAGES, images=True)
    proxy = bench.proxied()
    refused = 1 if refusal == "413" else 2
    faults = [
        proxy.add(
            call,
            action="answer",
            answer=REFUSALS[refusal],
            # The whole, and its first half.
            times=refused,
            # A call that comes again lets those through that the one before made.
            spare=(2 * refused + 1) * CALLS[:place].count(call),
        )
        for place, call in enumerate(CALLS)
    ]
    pages = proxy.add(
        b"POST /rest/v1/rpc/importer_rows ",
        action="answer",
        answer=REFUSALS["57014"],
        times=3,
    )
    report = bench.run()
    assert (report.exit_code, report.failures) == (0, [])
    assert (bench.count(), len(bench.images())) == (RECORDS, IMAGES)
    verified = bench.verify()
    assert verified.clean
    assert (verified.records, verified.images) == (RECORDS, IMAGES)
    assert [fault.happened for fault in faults] == [fault.times for fault in faults]
    assert pages.happened == 3
    assert waits == [], "nobody waits where a smaller request passes"


SMALL_QUESTIONS = (
    "GET /rest/v1/import_target?",
    "GET /rest/v1/datasets?",
    "POST /rest/v1/datasets?",
    "DELETE /rest/v1/import_merges?",
)


@pytest.mark.parametrize("question", SMALL_QUESTIONS)
def test_what_cannot_be_halved_is_tried_again_and_then_waits_for_another_run(
    supabase_bench_shared: Bench, waits: Waits, question: str
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(RECORDS)
    proxy = bench.proxied()
    slow = proxy.add(question.encode(), action="answer", answer=REFUSALS["57014"], times=2)
    try:
        exit_code = bench.run(max_retries=1).exit_code
    except ImporterError as error:  # before the run has begun
        exit_code = error.exit_code
    assert (exit_code, slow.happened, len(waits)) == (75, 2, 1)
    slow.times = 3
    report = bench.run()
    assert (report.exit_code, bench.count(), bench.count("import_merges")) == (0, RECORDS, 0)
    assert slow.happened == 3


def test_a_comparison_in_postgresql(postgresql_bench: Bench) -> None:
    """As if the server cancelled what is about more than two rows."""
    bench = postgresql_bench
    bench.source.add_many(RECORDS)
    bench.run()
    query(
        bench.url,
        "UPDATE search_results SET city = 'Elsewhere' WHERE license_number = 'PH0007';"
        "CREATE FUNCTION few() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
        " IF to_regclass('incoming_search_results') IS NULL THEN RETURN true; END IF;"
        " IF (SELECT count(*) FROM incoming_search_results) > 2 THEN"
        "  RAISE 'canceling statement due to statement timeout' USING ERRCODE = '57014';"
        " END IF; RETURN true; END $$;"
        "ALTER TABLE search_results RENAME TO kept;"
        "CREATE VIEW search_results AS SELECT kept.* FROM kept, few() WHERE few",
    )
    report = bench.verify()
    assert report.records == RECORDS
    assert report.found == {"different": 1}
