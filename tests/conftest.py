"""The servers that tests run against. Each is started when the first test asks for it."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import certifi
import pytest

from imports.servers import embedded
from imports.servers.embedded import EmbeddedServer
from imports.servers.hosted_database import prepare_database
from imports.servers.local_program import NODE_MODULES
from imports.servers.local_supabase import LocalSupabase, Rest, serve
from imports.servers.schema import apply_schema
from tests.support.database import copy_of, create_database, drop_database, kept_connected
from tests.support.folder import new_folder
from tests.support.outside import refuse_what_is_outside
from tests.support.target import Target

_SCRUBBED = ("IMPORTER_", "SUPABASE_", "PG")
_SCRUBBED_NAMES = {"NEXT_PUBLIC_SUPABASE_URL", "DATABASE_URL"}
_numbers = count(1)


def pytest_configure() -> None:
    """Compiled modules are kept, as users have them, also where the environment forbids it.

    Otherwise each of the many commands that tests run would compile the whole importer again.
    """
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Nor does node, for each local Supabase, compile all that it is made of.
    os.environ.setdefault("NODE_COMPILE_CACHE", str(NODE_MODULES / ".compiled"))
    sys.addaudithook(refuse_what_is_outside)
    # Until all is collected there is no garbage, and much to look through for it.
    gc.disable()


def pytest_collection_finish() -> None:
    """What is there now stays: whoever looks for garbage need not look at it."""
    gc.freeze()
    gc.enable()


@pytest.fixture
def tmp_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the test's own, in place of pytest's, which are on the disk and stay."""
    parent = new_folder("importer-test-")
    folder = parent / "test"
    folder.mkdir()
    yield folder
    # What the test made of the system's calls would be in the way.
    monkeypatch.undo()
    try:
        shutil.rmtree(parent)
    except PermissionError:
        # The test took away rights.
        subprocess.run(["chmod", "-R", "u+rwx", parent], check=True)
        shutil.rmtree(parent)


@pytest.fixture(scope="session")
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one of the certificates that are trusted everywhere.

    No server here speaks TLS, and every client would read all of them, which takes 0.03 s.
    """
    end = "-----END CERTIFICATE-----\n"
    file = tmp_path_factory.mktemp("certificates") / "one.pem"
    file.write_text("".join(certifi.contents().partition(end)[:2]))
    return file


@pytest.fixture(autouse=True)
def clean_environment(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    one_certificate: Path,
) -> None:
    """No test reaches, or is led by, what the developer's environment names."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.setenv("SSL_CERT_FILE", str(one_certificate))
    for name in list(os.environ):
        if name.startswith(_SCRUBBED) or name in _SCRUBBED_NAMES:
            monkeypatch.delenv(name)
    # Else the working folder of a test would be its project folder only if it has files of ours.
    monkeypatch.setenv("IMPORTER_PROJECT", ".")


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[EmbeddedServer]:
    """One embedded PostgreSQL for all tests. Its data need not survive anything."""
    folder = new_folder("importer-tests-")
    hurried = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    server = embedded.start(folder / "pg", hurried)
    try:
        yield server
    finally:
        embedded.stop(server.folder, force=True)
        embedded.release(server)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def database_template(embedded_server: EmbeddedServer) -> str:
    """The name of a database with our schema and nothing else in it."""
    name = "template_postgresql"
    apply_schema(create_database(embedded_server.url, name))
    return name


@pytest.fixture(scope="session")
def supabase_template(
    embedded_server: EmbeddedServer,
    database_template: str,  # made before Supabase's roles are, which the whole server shares
) -> str:
    """The same with Supabase's roles and rights."""
    name = "template_supabase"
    prepare_database(create_database(embedded_server.url, name))
    return name


@pytest.fixture
def database_url(embedded_server: EmbeddedServer, database_template: str) -> Iterator[str]:
    """A fresh database with our schema."""
    yield from _fresh_database(embedded_server, database_template)


@pytest.fixture(scope="session")
def shared_database_url(embedded_server: EmbeddedServer, database_template: str) -> Iterator[str]:
    """One database for tests that leave its schema as it is: emptying costs less than copying."""
    url = copy_of(embedded_server.url, database_template, "shared_postgresql")
    with kept_connected(url):
        yield url
    drop_database(embedded_server.url, "shared_postgresql")


@pytest.fixture
def postgresql(shared_database_url: str) -> Target:
    """A PostgreSQL database with our schema and nothing in it.

    It is shared: a test may change its schema only if it puts that right again.
    """
    target = Target("postgresql", shared_database_url)
    target.empty()
    return target


@pytest.fixture
def empty_database_url(embedded_server: EmbeddedServer) -> Iterator[str]:
    """A fresh database without anything."""
    name = f"test_{next(_numbers)}"
    yield create_database(embedded_server.url, name)
    drop_database(embedded_server.url, name)


@pytest.fixture
def supabase_database_url(embedded_server: EmbeddedServer, supabase_template: str) -> Iterator[str]:
    """The database of `own_supabase`."""
    yield from _fresh_database(embedded_server, supabase_template)


@pytest.fixture
def own_supabase(
    supabase_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalSupabase]:
    """A Supabase over a fresh database with our schema, with a real PostgREST.

    It, or one of its programs, can be stopped, killed and started.
    """
    folder = tmp_path_factory.mktemp("supabase")
    with serve(supabase_database_url, folder, rest=Rest.POSTGREST) as local:
        yield local


@pytest.fixture(scope="session")
def shared_supabase(
    embedded_server: EmbeddedServer,
    supabase_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalSupabase]:
    """One Supabase for the tests that leave its schema as it is: starting one takes long.

    Its REST API is a real PostgREST, which is what users have.
    """
    folder = tmp_path_factory.mktemp("shared_supabase")
    yield from _shared(embedded_server, supabase_template, folder, Rest.POSTGREST)


@pytest.fixture(scope="session")
def shared_lite(
    embedded_server: EmbeddedServer,
    supabase_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalSupabase]:
    """The same with the REST API of `@supabase/lite`."""
    folder = tmp_path_factory.mktemp("shared_lite")
    yield from _shared(embedded_server, supabase_template, folder, Rest.LITE)


@pytest.fixture
def supabase(shared_supabase: LocalSupabase) -> LocalSupabase:
    """A local Supabase with nothing in it.

    It is shared: a test may stop it, or change its schema, only if it puts that right again.
    """
    Target.of(shared_supabase).empty()
    return shared_supabase


@pytest.fixture
def lite(shared_lite: LocalSupabase) -> LocalSupabase:
    """The same with the REST API of `@supabase/lite`."""
    Target.of(shared_lite).empty()
    return shared_lite


@pytest.fixture(params=["postgresql", "supabase"])
def target(request: pytest.FixtureRequest) -> Target:
    """Each of the backends in turn, with nothing in it."""
    if request.param == "postgresql":
        postgresql: Target = request.getfixturevalue("postgresql")
        return postgresql
    return Target.of(request.getfixturevalue(request.param))


def _shared(
    server: EmbeddedServer, template: str, folder: Path, rest: Rest
) -> Iterator[LocalSupabase]:
    name = f"shared_{rest}"
    url = copy_of(server.url, template, name)
    with kept_connected(url), serve(url, folder, rest=rest) as local:
        yield local
    drop_database(server.url, name)


def _fresh_database(server: EmbeddedServer, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    yield copy_of(server.url, template, name)
    drop_database(server.url, name)
