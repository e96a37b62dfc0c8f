from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import psutil
import pytest
from psycopg2.extensions import make_dsn

from imports.servers import local_lite, local_postgrest
from imports.servers.embedded import EmbeddedServer
from imports.servers.hosted_database import OWNER
from imports.servers.local_postgrest import token
from imports.servers.local_program import free_port
from imports.servers.local_supabase import LocalSupabase, LocalSupabaseError, Rest, serve
from tests.support.command import is_gone, wait_until
from tests.support.database import create_database, drop_database, query
from tests.support.target import Target


def get(local: LocalSupabase, path: str, key: str) -> httpx.Response:
    headers = {"apikey": key, "authorization": f"Bearer {key}"}
    return httpx.get(f"{local.url}{path}", headers=headers, trust_env=False)


def post(local: LocalSupabase, path: str, key: str, body: object) -> httpx.Response:
    headers = {"apikey": key, "authorization": f"Bearer {key}"}
    return httpx.post(f"{local.url}{path}", headers=headers, json=body, trust_env=False)


def is_down(url: str) -> bool:
    try:
        httpx.get(f"{url}/rest/v1/", trust_env=False)
    except httpx.TransportError:
        return True
    return False


@pytest.fixture(params=["supabase", "lite"])
def local(request: pytest.FixtureRequest) -> LocalSupabase:
    """One with a real PostgREST, and one without."""
    found: LocalSupabase = request.getfixturevalue(request.param)
    return found


def test_our_tables_and_functions_are_served_to_the_secret_key(local: LocalSupabase) -> None:
    query(local.database_url, "INSERT INTO datasets (kind, tag) VALUES ('states', 'a')")

    answer = get(local, "/rest/v1/datasets?select=kind,tag", local.secret_key)
    assert (answer.status_code, answer.json()) == (200, [{"kind": "states", "tag": "a"}])


def test_the_public_key_sees_nothing(local: LocalSupabase) -> None:
    query(local.database_url, "INSERT INTO datasets (kind, tag) VALUES ('states', 'a')")

    answer = get(local, "/rest/v1/datasets", local.publishable_key)
    assert (answer.status_code, answer.json()["code"]) == (401, "42501")


def test_functions_are_called_with_the_secret_key_alone(local: LocalSupabase) -> None:
    name = "/rest/v1/rpc/importer_known_images"
    with_secret = post(local, name, local.secret_key, {"payload": {"hashes": []}})
    assert with_secret.status_code == 200
    with_public = post(local, name, local.publishable_key, {"payload": {"hashes": []}})
    assert with_public.status_code in {401, 403, 404}


def test_it_stores_objects(local: LocalSupabase) -> None:
    headers = {"apikey": local.secret_key, "authorization": f"Bearer {local.secret_key}"}
    with httpx.Client(base_url=local.url, headers=headers, trust_env=False) as client:
        bucket = {"id": "imagecache", "name": "imagecache", "public": False}
        assert client.post("/storage/v1/bucket", json=bucket).status_code == 200
        stored = client.post("/storage/v1/object/imagecache/a/b.png", content=b"\x89PNG")
        assert stored.status_code == 200
        assert client.get("/storage/v1/object/imagecache/a/b.png").content == b"\x89PNG"


@pytest.mark.parametrize("key", ["secret", "publishable", "service_role", "anon"])
def test_postgrest_takes_a_key_for_the_role_that_it_stands_for(
    supabase: LocalSupabase, key: str
) -> None:
    """Alone, in the one header that the new keys are meant for, and in both."""
    role = {"secret": "service_role", "publishable": "anon"}.get(key, key)
    keys = {"secret": supabase.secret_key, "publishable": supabase.publishable_key}
    value = keys.get(key) or token(supabase.jwt_secret, role)
    url = f"{supabase.url}/rest/v1/import_target"
    expected = 200 if role == "service_role" else 401
    for headers in ({"apikey": value}, {"apikey": value, "authorization": f"Bearer {value}"}):
        assert httpx.get(url, headers=headers, trust_env=False).status_code == expected
    assert httpx.get(f"{url}?apikey={value}", trust_env=False).status_code == expected


@pytest.mark.parametrize(
    ("path", "headers", "status", "said"),
    [
        ("/rest/v1/datasets", {}, 401, "No API key found in request"),
        ("/rest/v1/datasets", {"authorization": "Bearer SECRET"}, 401, "No API key found"),
        ("/rest/v1/datasets", {"apikey": "sb_secret_other"}, 401, "Invalid API key"),
        ("/rest/v1/datasets", {"apikey": "constructor"}, 401, "Invalid API key"),
        ("/rest/v1/", {"apikey": "PUBLISHABLE"}, 401, "Secret API key required"),
        ("/rest/v1", {"apikey": "PUBLISHABLE"}, 401, "Secret API key required"),
        ("/rest/v1/", {"apikey": "SECRET"}, 200, "swagger"),
        # A token of the client's own goes before the key, and a wrong one is PostgREST's to refuse.
        (
            "/rest/v1/datasets",
            {"apikey": "PUBLISHABLE", "authorization": "Bearer SERVICE"},
            200,
            "[]",
        ),
        (
            "/rest/v1/datasets",
            {"apikey": "SECRET", "authorization": "Bearer sb_secret_other"},
            401,
            "PGRST301",
        ),
    ],
)
def test_the_gateway_refuses_what_hosted_ones_refuse(
    supabase: LocalSupabase, path: str, headers: dict[str, str], status: int, said: str
) -> None:
    known = {
        "SECRET": supabase.secret_key,
        "PUBLISHABLE": supabase.publishable_key,
        "SERVICE": token(supabase.jwt_secret, "service_role"),
    }
    for name, value in known.items():
        headers = {each: text.replace(name, value) for each, text in headers.items()}
    answer = httpx.get(supabase.url + path, headers=headers, trust_env=False)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_each_program_can_be_killed_and_started_alone(own_supabase: LocalSupabase) -> None:
    local = own_supabase
    assert local.postgrest is not None
    assert local.gateway is not None

    def statuses() -> list[int]:
        paths = ("/rest/v1/datasets", "/storage/v1/bucket")
        return [get(local, path, local.secret_key).status_code for path in paths]

    assert statuses() == [200, 200]
    first = local.postgrest.pid
    local.postgrest.kill()
    assert statuses() == [502, 200]
    local.start()
    assert statuses() == [200, 200]
    assert local.postgrest.pid != first
    local.lite.kill()
    assert statuses() == [200, 502]
    os.kill(local.postgrest.pid or 0, signal.SIGKILL)  # by somebody else
    wait_until(lambda: local.postgrest.exit_code is not None)
    local.start()
    assert statuses() == [200, 200]
    local.gateway.kill()
    assert is_down(local.url)
    local.start()
    assert statuses() == [200, 200]


def test_postgrest_notices_a_change_of_the_schema_by_itself(own_supabase: LocalSupabase) -> None:
    query(make_dsn(own_supabase.database_url, user=OWNER), "CREATE TABLE added (id int)")

    def read(table: str) -> int:
        return get(own_supabase, f"/rest/v1/{table}?id=eq.1", own_supabase.secret_key).status_code

    wait_until(lambda: read("added") == 200)
    query(own_supabase.database_url, "ALTER TABLE added RENAME TO renamed")
    wait_until(lambda: read("renamed") == 200)


def test_a_body_goes_through_the_gateway_as_it_is(supabase: LocalSupabase) -> None:
    """Large, in pieces or of known length; and what comes back, compressed or not."""
    headers = {"apikey": supabase.secret_key, "authorization": f"Bearer {supabase.secret_key}"}
    content = os.urandom(3_000_000)
    with httpx.Client(base_url=supabase.url, headers=headers, trust_env=False) as client:
        bucket = {"id": "imagecache", "name": "imagecache", "public": False}
        assert client.post("/storage/v1/bucket", json=bucket).status_code == 200
        objects = "/storage/v1/object/imagecache"
        assert client.post(f"{objects}/a.png", content=content).status_code == 200
        pieces = (content[at : at + 100_000] for at in range(0, len(content), 100_000))
        assert client.post(f"{objects}/b.png", content=pieces).status_code == 200
        for name in ("a.png", "b.png"):
            assert client.get(f"{objects}/{name}").content == content
        payload = {"payload": {"hashes": ["x" * 64] * 20_000}}
        answer = client.post("/rest/v1/rpc/importer_known_images", json=payload)
        assert (answer.status_code, answer.json()) == (200, {})


def test_it_comes_back_at_the_same_url(own_supabase: LocalSupabase) -> None:
    query(own_supabase.database_url, "INSERT INTO datasets (kind, tag) VALUES ('states', 'a')")
    own_supabase.stop()
    assert is_down(own_supabase.url)

    own_supabase.start()
    assert len(get(own_supabase, "/rest/v1/datasets", own_supabase.secret_key).json()) == 1
    own_supabase.start()  # once more is no harm
    own_supabase.stop()
    own_supabase.stop()


def test_the_keys_of_a_folder_stay(supabase_database_url: str, tmp_path: Path) -> None:
    with serve(supabase_database_url, tmp_path) as first:
        keys = first.secret_key, first.publishable_key
        assert first.secret_key not in repr(first)
    with serve(supabase_database_url, tmp_path) as second:
        assert (second.secret_key, second.publishable_key) == keys
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0
    assert is_down(second.url)


def test_the_roles_are_those_of_supabase(supabase_database_url: str) -> None:
    roles = query(
        supabase_database_url,
        "SELECT rolname, rolcanlogin, rolinherit, rolbypassrls, rolsuper, rolconfig FROM pg_roles"
        " WHERE rolname IN ('anon', 'authenticated', 'authenticator', 'service_role',"
        " 'hosted_postgres') ORDER BY 1",
    )
    assert roles == [
        ("anon", False, False, False, False, ["statement_timeout=3s"]),
        ("authenticated", False, False, False, False, ["statement_timeout=8s"]),
        ("authenticator", True, False, False, False, ["statement_timeout=8s", "lock_timeout=8s"]),
        ("hosted_postgres", True, True, True, False, None),
        ("service_role", False, False, True, False, None),
    ]


def test_migrations_are_applied_by_who_is_no_superuser(supabase_database_url: str) -> None:
    owners = (
        "SELECT DISTINCT relowner::regrole::text FROM pg_class"
        " WHERE relnamespace IN ('public'::regnamespace, 'people'::regnamespace)"
        " UNION SELECT DISTINCT proowner::regrole::text FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace"
    )
    assert query(supabase_database_url, owners) == [(OWNER,)]


def test_no_telemetry_leaves_this_machine(supabase: LocalSupabase) -> None:
    environment = Path(f"/proc/{supabase.lite.pid}/environ")
    if not environment.exists():
        pytest.skip("only Linux shows the environment of a process")
    variables = environment.read_bytes().split(b"\0")
    assert b"LITE_TELEMETRY=0" in variables
    assert b"DO_NOT_TRACK=1" in variables


def test_a_database_that_has_nothing_yet(embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    name = "nothing_yet"
    url = create_database(embedded_server.url, name)
    try:
        with serve(url, tmp_path) as local:
            assert get(local, "/rest/v1/datasets", local.secret_key).json() == []
    finally:
        drop_database(embedded_server.url, name)


def test_a_port_that_is_taken_is_told(supabase: LocalSupabase, tmp_path: Path) -> None:
    port = int(supabase.url.rpartition(":")[2])
    with (
        pytest.raises(LocalSupabaseError, match="already in use"),
        serve(supabase.database_url, tmp_path, port),
    ):
        pass


def test_a_machine_without_the_npm_packages_is_told(
    supabase_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, constant in ((local_postgrest, "NODE_MODULES"), (local_lite, "_LITE")):
        monkeypatch.setattr(module, constant, tmp_path / "nothing")
        with (
            pytest.raises(LocalSupabaseError, match="make setup"),
            serve(supabase_database_url, tmp_path, rest=Rest.POSTGREST),
        ):
            pass


def test_a_machine_for_which_there_is_no_postgrest_is_told(
    supabase_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with (
        pytest.raises(LocalSupabaseError, match="no PostgREST for"),
        serve(supabase_database_url, tmp_path, rest=Rest.POSTGREST),
    ):
        pass


def test_it_does_not_outlive_whoever_started_it(supabase_database_url: str, tmp_path: Path) -> None:
    code = """
        import sys, time
        from pathlib import Path
        from imports.servers.local_supabase import Rest, serve
        with serve(sys.argv[1], Path(sys.argv[2]), rest=Rest.POSTGREST) as local:
            print(local.url, *(each.pid for each in local.programs), flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), supabase_database_url, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url, *pids = process.stdout.readline().split()
        assert not is_down(url)
        programs = [psutil.Process(int(pid)) for pid in pids]
        assert len(programs) == 3
        process.kill()
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: is_down(url))
    wait_until(lambda: all(is_gone(program) for program in programs))


@pytest.mark.parametrize(
    ("rest", "ending"), [("lite", signal.SIGINT), ("postgrest", signal.SIGTERM)]
)
def test_in_the_foreground(tmp_path: Path, rest: str, ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "imports.servers.local_supabase", "--rest", rest]
    command += ["--port", str(free_port())]  # the preferred one may be another test's
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        url = lines[2].strip().removeprefix("export SUPABASE_URL=")
        key = lines[3].strip().removeprefix("export SUPABASE_SECRET_KEY=")
        answer = httpx.get(f"{url}/rest/v1/datasets", headers={"apikey": key}, trust_env=False)
        assert answer.json() == []
        process.send_signal(ending)
        _, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (0, "")
    assert is_down(url)
    assert not (tmp_path / ".importer/postgresql/postmaster.pid").exists()


def test_target_has_what_its_backend_needs(target: Target) -> None:
    assert query(target.database_url, "SELECT count(*) FROM import_target") == [(1,)]
    assert ("SUPABASE_URL" in target.environment) == (target.backend == "supabase")
    assert "DATABASE_URL" not in os.environ


def test_every_database_is_its_own_target(database_url: str, supabase_database_url: str) -> None:
    ids = {
        query(url, "SELECT id FROM import_target")[0]
        for url in (database_url, supabase_database_url)
    }
    assert len(ids) == 2
