from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import httpx
import pytest

from imports import local_supabase
from imports.backends.embedded import EmbeddedServer
from imports.local_supabase import LocalSupabase, LocalSupabaseError, serve
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


def test_our_tables_and_functions_are_served_to_the_secret_key(supabase: LocalSupabase) -> None:
    query(supabase.database_url, "INSERT INTO datasets (kind, tag) VALUES ('states', 'a')")

    answer = get(supabase, "/rest/v1/datasets?select=kind,tag", supabase.secret_key)
    assert (answer.status_code, answer.json()) == (200, [{"kind": "states", "tag": "a"}])


def test_the_public_key_sees_nothing(supabase: LocalSupabase) -> None:
    query(supabase.database_url, "INSERT INTO datasets (kind, tag) VALUES ('states', 'a')")

    answer = get(supabase, "/rest/v1/datasets", supabase.publishable_key)
    assert answer.status_code in {401, 403} or answer.json() == []


def test_functions_are_called_with_the_secret_key_alone(supabase: LocalSupabase) -> None:
    name = "/rest/v1/rpc/importer_known_images"
    with_secret = post(supabase, name, supabase.secret_key, {"payload": {"hashes": []}})
    assert with_secret.status_code == 200
    with_public = post(supabase, name, supabase.publishable_key, {"payload": {"hashes": []}})
    assert with_public.status_code in {401, 403, 404}


def test_it_stores_objects(supabase: LocalSupabase) -> None:
    headers = {"apikey": supabase.secret_key, "authorization": f"Bearer {supabase.secret_key}"}
    with httpx.Client(base_url=supabase.url, headers=headers, trust_env=False) as client:
        bucket = {"id": "imagecache", "name": "imagecache", "public": False}
        assert client.post("/storage/v1/bucket", json=bucket).status_code == 200
        stored = client.post("/storage/v1/object/imagecache/a/b.png", content=b"\x89PNG")
        assert stored.status_code == 200
        assert client.get("/storage/v1/object/imagecache/a/b.png").content == b"\x89PNG"


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
        "SELECT rolname, rolcanlogin, rolinherit, rolbypassrls FROM pg_roles "
        "WHERE rolname IN ('anon', 'authenticated', 'service_role') ORDER BY 1",
    )
    assert roles == [
        ("anon", False, False, False),
        ("authenticated", False, False, False),
        ("service_role", False, False, True),
    ]


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
    monkeypatch.setattr(local_supabase, "_LITE", tmp_path / "a/b/c/d/e/index.js")
    with (
        pytest.raises(LocalSupabaseError, match="make setup"),
        serve(supabase_database_url, tmp_path),
    ):
        pass


def test_it_does_not_outlive_whoever_started_it(supabase_database_url: str, tmp_path: Path) -> None:
    code = """
        import sys, time
        from pathlib import Path
        from imports.local_supabase import serve
        with serve(sys.argv[1], Path(sys.argv[2])) as local:
            print(local.url, flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), supabase_database_url, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert not is_down(url)
        process.kill()
    deadline = time.monotonic() + 10
    while not is_down(url):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground(tmp_path: Path, ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "imports.local_supabase"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        url = lines[2].strip().removeprefix("export SUPABASE_URL=")
        key = lines[3].strip().removeprefix("export SUPABASE_SERVICE_ROLE_KEY=")
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
