"""Answers that no Supabase gives: none is believed, each is asked for again."""

from __future__ import annotations

import pytest

from imports.errors import BackendError
from tests.integration.conftest import Waits
from tests.support.bench import Bench
from tests.support.proxy import RPC_COMPARE, RPC_MERGE_STATES, STORE_IMAGE, http_answer

RECORDS = 6
IMAGES = 2

JSON = "Content-Type: application/json"
PAGE = b"<html>\n<head><title>Maintenance</title></head>\n<body>Back soon</body></html>"
STRANGE = {
    "a page": http_answer("200 OK", PAGE, "Content-Type: text/html"),
    "cut off": f"HTTP/1.1 200 OK\r\n{JSON}\r\nConnection: close\r\n\r\n".encode() + b'{"a":"II',
    "shorter than it says": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{}",
    "another encoding": http_answer("200 OK", b"no gzip", JSON, "Content-Encoding: gzip"),
    "null": http_answer("200 OK", b"null", JSON),
    "no content": http_answer("204 No Content", b""),
    "another object": http_answer("200 OK", b'{"ok":true}', JSON),
    "elsewhere": http_answer("302 Found", b"", "Location: https://status.example/"),
    "no gateway": http_answer("404 Not Found", PAGE, "Content-Type: text/html"),
}
IMPORT_CALLS = (
    b"GET /rest/v1/import_target",
    b"GET /rest/v1/datasets",
    b"POST /rest/v1/datasets",
    b"POST /storage/v1/bucket ",
    b"POST /rest/v1/rpc/importer_known_images ",
    STORE_IMAGE,
    b"POST /rest/v1/rpc/importer_merge_images ",
    RPC_MERGE_STATES,
    b"DELETE /rest/v1/import_merges",
)
VERIFY_CALLS = (
    RPC_COMPARE,  # of states
    RPC_COMPARE,  # of images
    b"POST /rest/v1/rpc/importer_rows ",
    b"GET /storage/v1/object/info/imagecache/",
    b"GET /storage/v1/object/imagecache/",
)
NOTHING_THERE = tuple(each for each in (*IMPORT_CALLS, *VERIFY_CALLS) if b"/rest/" in each)
"""Where these get 404 without a code, nothing is at the address: that does not pass."""


@pytest.mark.parametrize("strange", STRANGE)
def test_a_strange_answer_to_any_call_is_asked_for_again(
    supabase_bench_shared: Bench, waits: Waits, strange: str
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(RECORDS)
    bench.source.add_many(IMAGES, images=True)
    proxy = bench.proxied()
    calls = (*IMPORT_CALLS, *VERIFY_CALLS)
    faults = [
        # A call that comes again is let through as often as the one before was asked.
        proxy.add(
            call, action="answer", answer=STRANGE[strange], spare=2 * calls[:place].count(call)
        )
        for place, call in enumerate(calls)
        if strange != "no gateway" or call not in NOTHING_THERE
    ]
    report = bench.run(max_workers=1, max_concurrent_uploads=1)
    assert (report.exit_code, report.failures) == (0, [])
    assert (bench.count(), len(bench.images())) == (RECORDS, IMAGES)
    assert report.count("import.inserted") == RECORDS
    assert report.count("upload.completed") == IMAGES
    assert bench.verify(deep=True).clean
    assert [fault.happened for fault in faults] == [1] * len(faults)
    assert max(waits) <= 2, "once for each call"


@pytest.mark.parametrize("call", [STORE_IMAGE, RPC_MERGE_STATES], ids=["image", "merge"])
def test_answers_that_stay_strange_end_the_run_and_blame_no_file(
    supabase_bench_shared: Bench, waits: Waits, call: bytes
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(RECORDS)
    bench.source.add_many(IMAGES, images=True)
    fault = bench.proxied().add(call, action="answer", answer=STRANGE["a page"], times=99)
    report = bench.run(max_retries=1, max_workers=1, max_concurrent_uploads=1)
    assert (report.exit_code, report.failures, report.state.status) == (75, [], "interrupted")
    assert "HTTP 200: Maintenance" in report.next_commands[0]
    assert "SUPABASE_URL" in report.next_commands[0]
    assert report.count("import.inserted") == 0
    assert report.count("upload.completed") == (0 if call == STORE_IMAGE else IMAGES)
    fault.times = 0
    report = bench.run()
    assert (report.exit_code, report.count("import.inserted")) == (0, RECORDS)
    assert len(bench.images()) == IMAGES
    assert bench.verify(deep=True).clean


def test_an_answer_about_other_rows_is_not_believed(
    supabase_bench_shared: Bench, waits: Waits
) -> None:
    """A merge that was answered so has been committed: it is asked for again, and counted once."""
    bench = supabase_bench_shared
    bench.source.add_many(RECORDS)
    proxy = bench.proxied()
    for body in (b'{"search_results":"II"}', b'{"search_results":"IIIIIX"}', b'{"datasets":"II"}'):
        proxy.add(RPC_MERGE_STATES, action="answer", answer=http_answer("200 OK", body, JSON))
    report = bench.run(batch_size=RECORDS)
    assert waits == [1, 2, 3]
    assert (report.exit_code, report.count("import.inserted")) == (0, RECORDS)


def test_an_api_at_another_address_is_told_with_the_address(
    supabase_bench_shared: Bench, waits: Waits
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(1)
    place = "Location: https://project.example/rest/v1/import_target?select=id"
    moved = http_answer("301 Moved Permanently", b"", place)
    bench.proxied().add(b"GET /rest/v1/import_target", action="answer", answer=moved)
    with pytest.raises(BackendError, match=r"Set SUPABASE_URL to https://project\.example\."):
        bench.run()
    assert waits == []
