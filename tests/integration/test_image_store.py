"""Image stores that refuse, that are full, that lost something: whose matter it is, and what then.

What is one image's matter fails its items alone; what is the store's ends the run.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from imports import ResilientImporter
from imports.backends import local_images
from imports.cli.report import render_report
from imports.errors import BackendError
from imports.run.display import SilentDisplay
from imports.servers.local_supabase import LocalSupabase
from tests.integration.conftest import Waits
from tests.integration.test_images import place, sha256, uploads
from tests.support.bench import Bench
from tests.support.proxy import STORE_IMAGE, http_answer
from tests.support.source import gif, png

BUCKET = "/storage/v1/bucket"


def json_answer(status: str, body: str) -> bytes:
    return http_answer(status, body.encode(), "Content-Type: application/json")


def refused(status: int, code: str, message: str) -> bytes:
    """What Storage answers: 400, and the true status in the body."""
    body = f'{{"statusCode":"{status}","error":"{code}","message":"{message}"}}'
    return json_answer("400 Bad Request", body)


POLICY = refused(403, "Unauthorized", "new row violates row-level security policy")


def make_bucket(bench: Bench, **options: object) -> None:
    made = bench.api("POST", BUCKET, json={"id": "imagecache", "name": "imagecache", **options})
    assert made.is_success, made.text


def test_an_image_that_the_bucket_refuses_fails_alone(supabase_bench_shared: Bench) -> None:
    bench = supabase_bench_shared
    make_bucket(bench, public=False, allowed_mime_types=["image/png"])
    bench.source.add_many(3, images=True)
    bench.source.write("a.gif", gif(3, 2))
    bench.source.add("refused", name="Refused", image="a.gif")
    report = bench.run()
    assert (report.exit_code, uploads(report)) == (3, (3, 0, 1))
    ((path, reason),) = [(each.path, each.reason) for each in report.failures]
    assert path == "refused_parse.json"
    assert "bucket imagecache" in reason
    assert f"{bench.source.folder}/a.gif" in reason
    assert "HTTP 415" in reason
    assert "SUPABASE_URL" not in reason
    assert bench.count() == 3


@pytest.mark.parametrize(
    "answer",
    [
        refused(413, "Payload too large", "The object exceeded the maximum allowed size"),
        http_answer("413 Request Entity Too Large", b"<html><title>413</title></html>"),
        refused(400, "InvalidKey", "Invalid key"),
        refused(422, "Unprocessable", "no"),
        POLICY,
    ],
)
def test_any_refusal_of_one_image_is_its_own(supabase_bench_shared: Bench, answer: bytes) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2, images=True)
    bench.proxied().add(STORE_IMAGE, action="answer", answer=answer)
    report = bench.run(max_concurrent_uploads=1)
    assert (report.exit_code, uploads(report), bench.count()) == (3, (1, 0, 1), 1)


def test_policies_that_let_no_image_in_are_not_asked_for_each(
    supabase_bench_shared: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imports.backends.supabase_images._MAX_FORBIDDEN", 4)
    bench = supabase_bench_shared
    bench.source.add_many(8, images=True)
    fault = bench.proxied().add(STORE_IMAGE, action="answer", answer=POLICY, times=99)
    with pytest.raises(BackendError, match="policies and triggers") as caught:
        bench.run(max_concurrent_uploads=1)
    assert fault.happened < 8
    assert "SUPABASE" not in str(caught.value), "it is not the key"


def test_a_bucket_that_is_deleted_in_the_middle(supabase_bench_shared: Bench, waits: Waits) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(4, images=True)

    def delete() -> None:
        assert bench.api("POST", f"{BUCKET}/imagecache/empty").is_success
        assert bench.api("DELETE", f"{BUCKET}/imagecache").is_success

    bench.proxied().add(STORE_IMAGE, action="call", call=delete, spare=2)
    with pytest.raises(BackendError, match="imagecache does not exist any more") as caught:
        bench.run(max_concurrent_uploads=1)
    assert "SUPABASE_URL" not in str(caught.value)
    assert "verify --repair" in str(caught.value)
    assert waits == []
    # What the message says to do.
    assert bench.run().exit_code == 0
    assert bench.verify().found == {"missing": 2}
    assert bench.verify(repair=True).clean
    assert bench.verify(deep=True).clean


def test_a_bucket_that_is_public_is_told_before_anything_is_stored_in_it(
    supabase_bench_shared: Bench,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = supabase_bench_shared
    make_bucket(bench, public=True)
    bench.source.add_many(1, images=True)
    display = SilentDisplay()
    said: list[str] = []
    stored_by_then: list[bytes | None] = []

    def say(message: str) -> None:
        said.append(message)
        stored_by_then.append(bench.stored(place(png(1))))

    monkeypatch.setattr(display, "say", say)
    report = ResilientImporter(bench.settings(), display).run()
    (notice,) = report.notices
    assert "bucket imagecache is public" in notice
    assert said == [f"⚠️  {notice}"]
    assert stored_by_then == [None]
    assert notice in caplog.text
    assert notice in render_report(report)
    assert (report.exit_code, uploads(report)) == (0, (1, 0, 0))


def test_a_private_bucket_is_nothing_to_tell(bench: Bench) -> None:
    bench.source.add_many(1, images=True)
    assert bench.run().notices == []
    bench.source.add("more", name="More", image="more.png")
    bench.source.write("more.png", png(9))
    assert bench.run().notices == []


@pytest.mark.parametrize(
    "answer",
    [
        http_answer("507 Insufficient Storage", b""),
        refused(400, "S3Error", "QuotaExceeded"),
        json_answer("500 Internal", '{"statusCode":"500","message":"ENOSPC: no space left"}'),
        json_answer("402 Payment Required", '{"message":"exceed_storage_size_quota"}'),
    ],
)
def test_a_full_store_is_the_stores_matter(
    supabase_bench_shared: Bench, waits: Waits, answer: bytes
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(3, images=True)
    fault = bench.proxied().add(STORE_IMAGE, action="answer", answer=answer, spare=1, times=99)
    for _ in range(4):  # more often than a failed item is tried
        report = bench.run(max_retries=0, max_concurrent_uploads=1)
        assert (report.exit_code, report.failures) == (75, [])
    assert "Free space" in report.next_commands[0]
    fault.times = 0
    report = bench.run()
    assert (report.exit_code, report.failures, bench.count()) == (0, [], 3)
    assert bench.verify(deep=True).clean


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_full_disk_is_the_stores_matter(
    postgresql_bench: Bench, waits: Waits, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    bench = postgresql_bench
    bench.source.add_many(3, images=True)
    fsync = os.fsync

    def full(descriptor: int) -> None:
        if "imagecache" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(local_images.os, "fsync", full)
        for _ in range(4):
            report = bench.run(max_retries=0)
            assert (report.exit_code, report.failures) == (75, [])
    assert os.strerror(number) in report.next_commands[0]
    assert str(bench.data_folder / "imagecache") in report.next_commands[0]
    report = bench.run()
    assert (report.exit_code, report.failures, bench.count()) == (0, [], 3)


def test_a_folder_for_images_that_cannot_be_used_fails_no_item(postgresql_bench: Bench) -> None:
    bench = postgresql_bench
    bench.source.add_many(3, images=True)
    in_the_way = bench.data_folder / "imagecache" / "sha256"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("")
    for _ in range(4):
        with pytest.raises(BackendError, match="Not a directory") as caught:
            bench.run()
        assert str(bench.data_folder / "imagecache") in str(caught.value)
    in_the_way.unlink()
    report = bench.run()
    assert (report.exit_code, report.failures, bench.count()) == (0, [], 3)
    shutil.rmtree(in_the_way)
    in_the_way.write_text("")
    with pytest.raises(BackendError, match="Not a directory"):
        bench.verify()


@pytest.fixture
def lost(supabase_bench: Bench, own_supabase: LocalSupabase) -> tuple[Bench, list[Path]]:
    """A store of which somebody has deleted the contents of two images, behind its back."""
    bench = supabase_bench
    bench.source.add_many(4, images=True)
    assert bench.run().exit_code == 0
    contents = []
    for number in (1, 2):
        (found,) = [
            path
            for path in own_supabase.folder.rglob(f"*{sha256(png(number))}*")
            if path.is_file() and path.read_bytes() == png(number)
        ]
        found.unlink()
        contents.append(found)
    return bench, contents


def test_an_image_whose_content_is_gone_is_found_and_put_again(
    lost: tuple[Bench, list[Path]], waits: Waits
) -> None:
    bench, _ = lost
    assert bench.stored(place(png(1))) is None
    report = bench.verify(deep=True)
    assert report.found == {"different": 2}
    assert {each.subject for each in report.findings} == {place(png(1)), place(png(2))}
    assert bench.verify(deep=True, repair=True).clean
    assert bench.stored(place(png(1))) == png(1)


def test_force_does_not_believe_in_an_image_whose_content_is_gone(
    lost: tuple[Bench, list[Path]], waits: Waits
) -> None:
    bench, contents = lost
    contents[1].write_bytes(b"torn")
    report = bench.run(force=True)
    assert (report.exit_code, uploads(report)) == (0, (2, 2, 0))
    assert bench.verify(deep=True).clean
    assert [bench.stored(place(png(number))) for number in (1, 2)] == [png(1), png(2)]


def test_one_object_that_cannot_be_read_ends_no_verification(
    supabase_bench_shared: Bench, waits: Waits
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(3, images=True)
    bench.run()
    proxy = bench.proxied()
    read = b"GET /storage/v1/object/imagecache/" + place(png(1)).encode()
    broken = json_answer("500 Internal", '{"statusCode":"500","message":"Internal server error"}')
    fault = proxy.add(read, action="answer", answer=broken, times=99)
    report = bench.verify(deep=True)
    assert report.found == {"different": 1}
    assert "cannot be read" in report.findings[0].detail
    fault.times = 0
    assert bench.verify(deep=True).clean
    cut_off = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n\r\n\x89PNG"
    proxy.add(read, action="answer", answer=cut_off)
    assert bench.verify(deep=True).clean, "an answer that was cut off is no content"


def test_an_older_key_is_sent_as_a_jwt_and_a_newer_one_is_not(
    supabase_bench_shared: Bench,
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(1, images=True)
    refusal = json_answer("401 Unauthorized", '{"message":"Invalid JWT"}')
    fault = bench.proxied().add(b"Bearer sb_", action="answer", answer=refusal, times=99)
    assert bench.run(force=True).exit_code == 0
    assert bench.verify(deep=True).clean
    assert fault.happened == 0
