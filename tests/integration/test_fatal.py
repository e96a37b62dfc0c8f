"""What does not pass by itself ends the run at once, and says what to do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg2
import pytest

from imports.backends.rest import response_error
from imports.errors import (
    BackendError,
    BackendUnavailableError,
    ImporterError,
    SchemaError,
    UsageError,
)
from imports.servers import hosted_database
from imports.servers.embedded import EmbeddedServer
from imports.servers.local_postgrest import token
from imports.servers.local_supabase import LocalSupabase, Rest, serve
from tests.integration.conftest import Waits
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.proxy import RPC_MERGE_STATES, http_answer
from tests.support.target import Target

pytestmark = pytest.mark.usefixtures("nothing_left_open")


@contextmanager
def ends(waits: Waits, kind: type[ImporterError], *words: str) -> Iterator[None]:
    """The run ends with this error, its message has these words, and nothing was tried again."""
    with pytest.raises(ImporterError) as caught:
        yield
    assert type(caught.value) is kind, caught.value
    assert caught.value.exit_code == 1
    for word in words:
        assert word in str(caught.value)
    assert waits == []


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that gives this answer to whatever is asked; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            # The end of the test closes the server.
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(65_536)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_wrong_key(supabase_bench_shared: Bench, waits: Waits) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2, images=True)
    bench.target = replace(bench.target, supabase_key="sb_secret_of_another_project")
    with ends(waits, BackendError, "SUPABASE_SERVICE_ROLE_KEY"):
        bench.run()
    assert not bench.state_file.exists()


@pytest.mark.parametrize("role", ["publishable", "anon", "authenticated"])
def test_the_key_of_another_role(
    shared_supabase: LocalSupabase, supabase_bench_shared: Bench, waits: Waits, role: str
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2)
    key = token(shared_supabase.jwt_secret, role)
    if role == "publishable":
        role, key = "anon", shared_supabase.publishable_key
    bench.target = replace(bench.target, supabase_key=key)
    advice = "It must be the secret key", "check SUPABASE_SECRET_KEY (or SUPABASE_SERVICE_ROLE_KEY"
    with ends(waits, BackendError, f"The key has the role {role}.", *advice):
        bench.run()


def test_a_role_that_the_database_does_not_know_is_no_refused_row(supabase: LocalSupabase) -> None:
    key = token(supabase.jwt_secret, "nobody")
    headers = {"apikey": supabase.secret_key, "authorization": f"Bearer {key}"}
    answer = httpx.get(f"{supabase.url}/rest/v1/datasets", headers=headers, trust_env=False)
    assert answer.json()["code"] == "22023"
    error = response_error(answer, key)
    assert type(error) is BackendError
    assert "The key has the role nobody." in str(error)


def test_a_key_that_is_taken_away_in_the_middle(supabase_bench_shared: Bench, waits: Waits) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(20)
    proxy = bench.proxied()
    refusal = http_answer("401 Unauthorized", b'{"message":"Invalid API key"}')
    proxy.add(RPC_MERGE_STATES, action="answer", answer=refusal, spare=1)
    with ends(waits, BackendError, "Invalid API key", "SUPABASE_SERVICE_ROLE_KEY"):
        bench.run(batch_size=10, max_workers=1)
    assert b'"status": "failed"' in bench.state_file.read_bytes()
    report = bench.run()
    assert (report.exit_code, report.count("import.inserted"), bench.count()) == (0, 20, 20)


def test_tls_asked_of_a_supabase_without_it(supabase_bench_shared: Bench, waits: Waits) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2)
    url = (bench.target.supabase_url or "").replace("http://", "https://")
    bench.target = replace(bench.target, supabase_url=url)
    with ends(waits, BackendError, url, "WRONG_VERSION_NUMBER", "check SUPABASE_URL"):
        bench.run()


def test_a_proxy_that_wants_a_password(
    supabase_bench_shared: Bench, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2)
    bench.target = replace(bench.target, supabase_url="https://x.supabase.test")
    with answering(http_answer("407 Proxy Authentication Required", b"")) as place:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{place}")
        with ends(waits, BackendError, "The proxy that HTTPS_PROXY names refuses", "407"):
            bench.run()


def test_a_proxy_and_certificates_that_do_not_concern_the_host_are_no_matter(
    supabase_bench_shared: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2, images=True)
    monkeypatch.setenv("ALL_PROXY", "socks5://nowhere:1080")
    monkeypatch.setenv("SSL_CERT_FILE", "nowhere.pem")
    monkeypatch.setenv("NO_PROXY", "example.com,::1/128")
    with pytest.raises(UsageError, match="The proxy that ALL_PROXY names cannot be used"):
        bench.run()
    monkeypatch.setenv("NO_PROXY", "::1/128,127.0.0.0/8,localhost")
    assert (bench.run().exit_code, bench.count()) == (0, 2)


def test_a_postgresql_without_the_schema(
    empty_database_url: str, tmp_path: Path, waits: Waits
) -> None:
    bench = Bench(Target("postgresql", empty_database_url), tmp_path)
    bench.source.add_many(2)
    with ends(waits, SchemaError, "schema apply"):
        bench.run()
    assert query(empty_database_url, "SELECT to_regclass('search_results')") == [(None,)]


def test_a_supabase_without_the_schema(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: Waits
) -> None:
    monkeypatch.setattr(hosted_database, "apply_schema", lambda url: None)
    (tmp_path / "supabase").mkdir()
    with serve(empty_database_url, tmp_path / "supabase", rest=Rest.POSTGREST) as local:
        bench = Bench(Target.of(local), tmp_path)
        bench.source.add_many(2)
        with ends(waits, SchemaError, "supabase db push", "schema apply"):
            bench.run()


@pytest.mark.parametrize("version", ["20200101000000", None])
def test_an_older_schema(bench: Bench, waits: Waits, version: str | None) -> None:
    bench.source.add_many(2)
    query(bench.url, "UPDATE import_target SET schema_version = %s", version)
    with ends(waits, SchemaError, version or "none", "schema apply"):
        bench.run()
    assert bench.count("datasets") == 0


def test_other_functions(bench: Bench, waits: Waits) -> None:
    bench.source.add_many(2)
    query(bench.url, "UPDATE import_target SET functions_checksum = 'another'")
    with ends(waits, SchemaError, "functions", "schema apply", "db push", "schema print"):
        bench.run()
    assert bench.count("datasets") == 0


def test_functions_of_a_later_version_of_the_program(bench: Bench, waits: Waits) -> None:
    """Replacing them by older ones would only break it for the others."""
    bench.source.add_many(2)
    query(
        bench.url,
        "UPDATE import_target SET schema_version = '20991231000000', functions_checksum = 'x'",
    )
    with ends(waits, SchemaError, "20991231000000", "Update this program"):
        bench.run()
    assert bench.count("datasets") == 0


def test_a_newer_schema_is_no_hindrance(bench: Bench) -> None:
    bench.source.add_many(2)
    query(bench.url, "UPDATE import_target SET schema_version = '20991231000000'")
    assert bench.run().exit_code == 0


def test_a_table_that_is_missing_in_the_middle(postgresql_bench: Bench, waits: Waits) -> None:
    bench = postgresql_bench
    bench.source.add_many(2)
    query(bench.url, "DROP TABLE search_results")
    with ends(waits, SchemaError, "search_results"):
        bench.run()


def test_an_identity_that_is_missing(bench: Bench, waits: Waits) -> None:
    bench.source.add_many(2)
    query(bench.url, "DELETE FROM import_target")
    try:
        with ends(waits, BackendError, "import_target"):
            bench.run()
    finally:
        query(bench.url, "INSERT INTO import_target DEFAULT VALUES")


def test_a_database_that_does_not_exist(postgresql_bench: Bench, waits: Waits) -> None:
    bench = postgresql_bench
    bench.source.add_many(2)
    name = psycopg2.extensions.parse_dsn(bench.url)["dbname"]
    with ends(waits, BackendError, "nowhere", "does not exist", "DATABASE_URL"):
        bench.run(database_url=bench.url.replace(f"/{name}?", "/nowhere?"))


def test_a_user_that_does_not_exist(postgresql_bench: Bench, waits: Waits) -> None:
    bench = postgresql_bench
    bench.source.add_many(2)
    with ends(waits, BackendError, "DATABASE_URL"):
        bench.run(database_url=bench.url.replace("postgres:@", "nobody:@"))


@pytest.fixture
def guarded(postgresql_bench: Bench, embedded_server: EmbeddedServer) -> Iterator[Bench]:
    """A database that asks for a password."""
    bench = postgresql_bench
    name = psycopg2.extensions.parse_dsn(bench.url)["dbname"]
    rules = embedded_server.folder / "pg_hba.conf"
    before = rules.read_text()
    role = f"guarded_{name}"
    query(bench.url, f"CREATE ROLE {role} LOGIN BYPASSRLS PASSWORD 'open-sesame'")
    query(bench.url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    rules.write_text(f"local {name} {role} scram-sha-256\n{before}")
    query(bench.url, "SELECT pg_reload_conf()")
    yield bench
    rules.write_text(before)
    query(bench.url, "SELECT pg_reload_conf()")
    query(bench.url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def with_password(bench: Bench, password: str) -> str:
    name = psycopg2.extensions.parse_dsn(bench.url)["dbname"]
    return bench.url.replace("postgres:@", f"guarded_{name}:{password}@")


def test_a_wrong_password(guarded: Bench, waits: Waits) -> None:
    guarded.source.add_many(2)
    with pytest.raises(BackendError) as caught:
        guarded.run(database_url=with_password(guarded, "open-barley"))
    assert "authentication failed" in str(caught.value)
    assert "DATABASE_URL" in str(caught.value)
    assert "open-barley" not in str(caught.value)
    with ends(waits, BackendError, "no password supplied"):
        guarded.run(database_url=with_password(guarded, ""))
    assert guarded.run(database_url=with_password(guarded, "open-sesame")).exit_code == 0


def test_supabase_and_a_database_of_another_project(
    supabase_bench_shared: Bench, database_url: str, waits: Waits
) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2)
    with ends(waits, BackendError, "different databases", "SUPABASE_URL", "DATABASE_URL"):
        bench.run(database_url=database_url)
    assert bench.count() == 0
    assert query(database_url, "SELECT count(*) FROM search_results") == [(0,)]


def test_supabase_and_a_database_that_refuses(supabase_bench_shared: Bench, waits: Waits) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2)
    with ends(waits, BackendError, "DATABASE_URL"):
        bench.run(database_url=bench.url.replace("/shared_postgrest?", "/nowhere?"))


def test_a_server_that_is_no_supabase(waits: Waits, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    bench = Bench(Target("supabase", "", f"http://127.0.0.1:{port}", "sb_secret_x"), tmp_path)
    bench.source.add_many(2)
    with pytest.raises(BackendUnavailableError) as caught:
        bench.run()
    assert caught.value.exit_code == 75
    assert str(port) in str(caught.value)
    assert waits == [1, 2, 3]


def test_a_web_page_in_place_of_an_api(supabase_bench_shared: Bench, waits: Waits) -> None:
    bench = supabase_bench_shared
    bench.source.add_many(2)
    proxy = bench.proxied()
    page = http_answer("200 OK", b"<html>Welcome</html>", "Content-Type: text/html")
    # It may be the page of a gateway that is being looked after.
    proxy.add(b"GET /rest/v1/import_target", action="answer", answer=page, times=99)
    with pytest.raises(BackendUnavailableError) as caught:
        bench.run()
    assert caught.value.exit_code == 75
    assert "Welcome" in str(caught.value)
    assert "SUPABASE_URL" in str(caught.value)
    assert waits == [1, 2, 3]


@pytest.mark.parametrize("missing", ["supabase_url", "supabase_key"])
def test_supabase_without_credentials_is_never_another_target(
    missing: str, database_url: str, tmp_path: Path, waits: Waits
) -> None:
    bench = Bench(Target("postgresql", database_url), tmp_path)
    bench.source.add_many(1)
    credentials = {"supabase_url": "http://127.0.0.1:1", "supabase_key": "x"}
    del credentials[missing]
    with pytest.raises(UsageError) as caught:
        bench.run(backend="supabase", **credentials)
    assert caught.value.exit_code == 2
    assert missing.upper().removesuffix("_KEY") in str(caught.value)
    assert query(database_url, "SELECT count(*) FROM datasets") == [(0,)]
