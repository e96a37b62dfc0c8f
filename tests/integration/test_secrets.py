"""Invariant 8: no key or password appears anywhere."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from imports.cli.report import render_report
from imports.cli.status import read_status, render_status, status_json
from imports.errors import ImporterError
from imports.run.logs import log_files
from tests.integration.conftest import Waits
from tests.integration.test_fatal import guarded, with_password
from tests.support.bench import Bench
from tests.support.command import Workplace
from tests.support.proxy import MERGE_STATES, RPC_MERGE_STATES, STORE_IMAGE, http_answer

__all__ = ["guarded"]

pytestmark = pytest.mark.usefixtures("nothing_left_open")


def said(bench: Bench, **flags: object) -> str:
    """What a run shows a user: its report, or its error with everything behind it."""
    with log_files(bench.folder, debug=True):
        try:
            report = bench.run(**flags)
        except ImporterError as error:
            return "".join(traceback.format_exception(error))
    status = read_status(bench.state_file, bench.settings().ledger_file)
    shown = f"{render_status(status, bench.state_file)}\n{status_json(status)}"
    return f"{render_report(report)}\n{report}\n{shown}"


def left(bench: Bench) -> Iterator[tuple[str, bytes]]:
    """Every file that runs left behind."""
    for file in bench.folder.rglob("*"):
        if file.is_file():
            yield str(file), file.read_bytes()


def check(bench: Bench, secret: str, *texts: str) -> None:
    names = []
    for name, content in left(bench):
        assert secret.encode() not in content, name
        names.append(Path(name).name)
    assert {"work_state.json", "upload_tracker.db", "resilient_import.log"} <= set(names)
    for text in texts:
        assert text
        assert secret not in text


def test_the_key_of_supabase(supabase_bench_shared: Bench, waits: Waits) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(12, images=True)
    proxy = bench.proxied()
    proxy.add(STORE_IMAGE, action="answer", answer=http_answer("400 Bad Request", b"{}"))
    proxy.add(STORE_IMAGE, action="reset", sent=100, spare=3)
    proxy.add(RPC_MERGE_STATES, action="answer", answer=http_answer("503 Busy", b"later"))
    proxy.add(RPC_MERGE_STATES, action="swallow", spare=2)
    proxy.add(b"DELETE /rest/v1/import_merges", action="die", spare=1)
    key = bench.target.supabase_key
    assert key is not None
    texts = [said(bench, batch_size=4, max_retries=4)]  # some images fail
    # The target goes away.
    texts.append(said(bench, batch_size=4, max_retries=1, retry_failed=True))
    texts.append(said(bench, max_retries=0))  # and is not there
    proxy.start()
    refusal = http_answer("401 Unauthorized", b'{"message":"no"}')
    proxy.add(b"GET /rest/v1/import_target", action="answer", answer=refusal)
    texts.append(said(bench))
    texts.append(repr(bench.settings()))
    check(bench, key, *texts)


def test_a_wrong_key(supabase_bench_shared: Bench, waits: Waits) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2)
    bench.run()
    key = "sb_secret_wrong-but-secret"
    text = said(bench, supabase_key=key)
    assert "SUPABASE_SERVICE_ROLE_KEY" in text
    check(bench, key, text)


@pytest.mark.parametrize("key", ["sb_secret\nbroken", "sb_secrét"])
def test_a_key_that_no_header_can_hold(
    supabase_bench_shared: Bench, waits: Waits, key: str
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2)
    bench.run()
    try:
        text = said(bench, supabase_key=key)
    except Exception as error:  # noqa: BLE001
        pytest.fail(f"not an error for a user: {error!r}")
    check(bench, key, text)


def test_the_password_of_the_database(guarded: Bench, waits: Waits) -> None:
    bench = guarded
    bench.source.add_many(12, images=True)
    proxy = bench.proxied()
    name = psycopg2.extensions.parse_dsn(bench.url)["dbname"]
    through = f"postgresql://guarded_{name}:{{}}@127.0.0.1:{proxy.port}/{name}"
    proxy.add(MERGE_STATES, action="reset", spare=1)
    proxy.add(MERGE_STATES, action="die", spare=3)
    good, bad = "open-sesame", "open-barley"
    texts = [said(bench, database_url=through.format(good), batch_size=4, max_retries=1)]
    texts.append(said(bench, database_url=through.format(good), max_retries=0))
    proxy.start()
    texts.append(said(bench, database_url=through.format(bad)))
    assert "authentication failed" in texts[-1]
    texts.append(said(bench, database_url=through.format(good)))
    texts.append(repr(bench.settings(database_url=through.format(good))))
    texts.append(said(bench, database_url=with_password(bench, good) + "&nonsense=1"))
    assert bench.count() == 12
    for secret in (good, bad):
        check(bench, secret, *texts)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:open-sesame@127.0.0.1:nonsense/db",
        "postgresql://me:open-sesame@[::1/db",
        "postgresql://me:open-sesame@127.0.0.1:1/db",
        "postgresql://me:open-sesame@/db?host=/nowhere",
        "postgresql://me@127.0.0.1:1/db?password=open-sesame",
        "mysql://me:open-sesame@127.0.0.1/db",
        "host=127.0.0.1 password=open-sesame",
    ],
)
def test_a_url_that_cannot_be_right(postgresql_bench: Bench, waits: Waits, url: str) -> None:
    bench = postgresql_bench
    bench.source.add_many(1)
    bench.run()
    try:
        text = said(bench, database_url=url)
    except Exception as error:  # noqa: BLE001
        text = "".join(traceback.format_exception(error))
        assert "open-sesame" not in text
        pytest.fail(f"not an error for a user: {text}")
    check(bench, "open-sesame", text)


def test_a_password_in_a_flag_is_warned_of_and_not_shown(tmp_path: Path, database_url: str) -> None:
    secret = "open-sesame"
    place = Workplace(tmp_path, {})
    (tmp_path / "source").mkdir()
    name = psycopg2.extensions.parse_dsn(database_url)["dbname"]
    for url in (
        f"postgresql://me:{secret}@127.0.0.1:1/{name}",
        f"postgresql://me@127.0.0.1:1/{name}?password={secret}",
    ):
        arguments = ("states", "source", "--tag", "t", "--max-retries", 0, "--database-url", url)
        said = place.run(*arguments, exit_code=75)
        assert "can see the password in --database-url" in said.err
        assert secret not in said.text
    arguments = ("states", "source", "--tag", "t", "--database-url", database_url)
    quiet = place.run(*arguments, exit_code=2)  # there are no files
    assert "Warning" not in quiet.err


def test_a_supabase_url_with_a_password_is_refused_and_reaches_nothing(tmp_path: Path) -> None:
    secret = "open-sesame"
    place = Workplace(
        tmp_path,
        {
            "SUPABASE_URL": f"https://me:{secret}@127.0.0.1:1",
            "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_x",
        },
    )
    (tmp_path / "source").mkdir()
    said = place.run("states", "source", "--tag", "t", exit_code=2)
    assert "SUPABASE_URL" in said.err
    assert secret not in said.text
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
