"""The schema: applied once, recorded as the Supabase CLI does, and closed to the public."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import orjson
import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from imports.backends.reading import RowQuery
from imports.errors import SchemaError
from imports.kinds import all_kinds
from imports.kinds.people.kind import PEOPLE
from imports.kinds.states import STATES
from imports.servers import schema
from imports.servers.embedded import EmbeddedServer
from imports.servers.hosted_database import OWNER, prepare_roles
from imports.servers.local_postgrest import SOCKET, token
from imports.servers.local_supabase import LocalSupabase
from imports.servers.schema import apply_schema, migrations, needed
from imports.tables.description import described
from imports.tables.functions import functions_file
from imports.tables.table import IMAGE_ASSETS
from tests.support import insights, recognitions
from tests.support.bench import Bench
from tests.support.database import connected, query
from tests.support.database import database_url as template_url
from tests.support.device_tests import add_many
from tests.support.people import whole_person, write
from tests.support.recognitions import DERIVED
from tests.support.target import Target

FUNCTIONS = (
    "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    " AND proname <> 'importer_close' ORDER BY 1"  # for migrations, not for the API
)
TABLES = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " AND relkind IN ('r', 'p') ORDER BY 1"
)
OURS = [
    "datasets",
    "device_test",
    "elvis__insight_deliveries",
    "elvis__insight_sources",
    "elvis__structured_insights",
    "image_assets",
    "import_merges",
    "import_removals",
    "import_target",
    "search_results",
]
OF_AIRTABLE = ["importer_airtable_bases", "importer_airtable_calls", "importer_airtable_notes"]
PUBLIC = sorted([*OURS, *DERIVED, *OF_AIRTABLE])
"""All tables of ours in `public`: those of kinds, of the engine and of the sync to Airtable, and
those that are derived."""


def names(url: str, statement: str) -> list[str]:
    return [name for (name,) in query(url, statement)]


@pytest.fixture(params=["postgresql", "supabase"])
def url(request: pytest.FixtureRequest) -> str:
    """A database with our schema, with and without the roles' rights that Supabase gives."""
    fixture = "database_url" if request.param == "postgresql" else "supabase_database_url"
    found: str = request.getfixturevalue(fixture)
    return found


def test_it_is_applied_once(empty_database_url: str) -> None:
    url = empty_database_url
    assert apply_schema(url) == [migration.name for migration in migrations()]
    before = query(url, "SELECT oid, relname FROM pg_class ORDER BY 1")
    assert apply_schema(url) == []
    assert query(url, "SELECT oid, relname FROM pg_class ORDER BY 1") == before
    assert names(url, TABLES) == PUBLIC


def test_it_is_recorded_as_the_supabase_cli_does(url: str) -> None:
    recorded = query(
        url,
        "SELECT version, name, statements FROM supabase_migrations.schema_migrations ORDER BY 1",
    )
    assert recorded == [(each.version, each.name, [each.sql]) for each in migrations()]
    assert query(url, "SELECT schema_version, functions_checksum FROM import_target") == [
        (needed().version, needed().functions)
    ]


def test_only_what_is_missing_is_applied(empty_database_url: str) -> None:
    url = empty_database_url
    first, *rest = migrations()
    query(url, "CREATE SCHEMA supabase_migrations")
    # As the Supabase CLI makes it.
    query(
        url,
        "CREATE TABLE supabase_migrations.schema_migrations"
        " (version text NOT NULL PRIMARY KEY, statements text[], name text)",
    )
    query(url, first.sql)
    query(
        url,
        "INSERT INTO supabase_migrations.schema_migrations VALUES (%s, NULL, %s)",
        first.version,
        first.name,
    )
    assert apply_schema(url) == [each.name for each in rest]


def test_functions_are_replaced_whenever_they_are_others(database_url: str) -> None:
    """Also under a version that is recorded: `supabase db push` goes by that, we do not."""
    url = database_url
    definitions = (
        "SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
    )
    before = query(url, definitions)
    query(
        url,
        "CREATE OR REPLACE FUNCTION importer_merge_states(payload jsonb) RETURNS jsonb"
        " LANGUAGE sql AS 'SELECT payload'",
    )
    query(url, "UPDATE import_target SET functions_checksum = 'another'")
    assert query(url, definitions) != before
    assert apply_schema(url) == [schema.FUNCTIONS]
    assert query(url, definitions) == before
    assert query(url, "SELECT functions_checksum FROM import_target") == [(needed().functions,)]
    test_it_is_recorded_as_the_supabase_cli_does(url)
    assert apply_schema(url) == []


def test_functions_of_a_later_version_are_applied_and_recorded_beside_the_earlier_one(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = database_url
    *others, functions = migrations()
    stub = replace(functions, sql="-- replaced")
    later = replace(functions, version="20991231000000", sql=functions_file([]))
    monkeypatch.setattr("imports.servers.schema.migrations", lambda: [*others, stub, later])
    assert apply_schema(url) == [schema.FUNCTIONS]
    assert apply_schema(url) == []
    recorded = query(url, "SELECT version FROM supabase_migrations.schema_migrations ORDER BY 1")
    assert recorded == [(each.version,) for each in (*others, stub, later)]
    assert query(url, "SELECT functions_checksum FROM import_target") == [(later.checksum,)]


def test_two_apply_it_at_once(empty_database_url: str) -> None:
    applied: list[str] = []
    threads = [
        threading.Thread(target=lambda: applied.extend(apply_schema(empty_database_url)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(applied) == sorted(each.name for each in migrations())


def test_a_migration_that_is_refused_leaves_nothing(empty_database_url: str) -> None:
    url = empty_database_url
    query(url, "CREATE TABLE mine (id text); CREATE INDEX import_merges_batch_id ON mine (id)")
    with pytest.raises(SchemaError, match="engine was refused"):
        apply_schema(url)
    assert names(url, TABLES) == ["mine"]
    assert query(url, "SELECT to_regclass('supabase_migrations.schema_migrations')") == [(None,)]


@pytest.fixture
def schemas(embedded_server: EmbeddedServer, database_template: str) -> list[str]:
    """Every schema that holds anything of ours: those of a database with nothing else in it."""
    found = names(
        template_url(embedded_server.url, database_template),
        "SELECT nspname FROM pg_namespace"
        " WHERE nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_') ORDER BY 1",
    )
    assert set(found) == {"public", "supabase_migrations", *(table.schema for table in OF_KINDS)}
    return found


OF_KINDS = [table for kind in all_kinds().values() for table in kind.group.tables]
HISTORY = "supabase_migrations.schema_migrations"  # made as the Supabase CLI makes it
RELATIONS = (
    "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
    " AND relnamespace::regnamespace::text = ANY(%(schemas)s) ORDER BY 1"
)
ALL_TABLES = RELATIONS.replace(", 'v', 'm', 'f', 'S'", "")
ALL_FUNCTIONS = (
    "SELECT proname FROM pg_proc WHERE pronamespace::regnamespace::text = ANY(%(schemas)s)"
    " ORDER BY 1"
)
TABLE_RIGHTS = "SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER"
REACHED = {
    # Everybody may look names up in `public`, where the project has tables of its own.
    "schemas": "SELECT nspname FROM pg_namespace WHERE nspname = ANY(%(schemas)s) AND"
    " has_schema_privilege(%(role)s, oid, CASE nspname WHEN 'public' THEN 'CREATE'"
    " ELSE 'USAGE,CREATE' END)",
    "tables": f"SELECT name FROM ({RELATIONS}) AS ours (name)"
    f" WHERE has_table_privilege(%(role)s, name, '{TABLE_RIGHTS}')",
    "columns": f"SELECT name FROM ({RELATIONS}) AS ours (name)"
    " WHERE has_any_column_privilege(%(role)s, name, 'SELECT,INSERT,UPDATE,REFERENCES')",
    "sequences": "SELECT oid::regclass::text FROM pg_class WHERE CASE relkind WHEN 'S'"
    " THEN relnamespace::regnamespace::text = ANY(%(schemas)s)"
    " AND has_sequence_privilege(%(role)s, oid, 'USAGE,SELECT,UPDATE') END",
    "functions": ALL_FUNCTIONS.replace(
        " ORDER", " AND has_function_privilege(%(role)s, oid, 'EXECUTE') ORDER"
    ),
}


def of_schemas(url: str, statement: str, schemas: list[str], **more: object) -> list[str]:
    """The names that a statement finds in these schemas."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement, {"schemas": schemas, **more})
        return [name for (name,) in cursor.fetchall()]


def test_row_level_security_is_on_and_there_is_no_policy(url: str, schemas: list[str]) -> None:
    assert names(url, TABLES) == PUBLIC
    off = ALL_TABLES.replace(" ORDER", " AND NOT relrowsecurity ORDER")
    assert of_schemas(url, off, schemas) == [HISTORY]
    policies = "SELECT policyname FROM pg_policies WHERE schemaname = ANY(%(schemas)s)"
    assert of_schemas(url, policies, schemas) == []


@pytest.mark.usefixtures("supabase_template")  # which makes the roles
@pytest.mark.parametrize("role", ["public", "anon", "authenticated"])
def test_nobody_reaches_anything_of_ours(url: str, schemas: list[str], role: str) -> None:
    assert len(of_schemas(url, RELATIONS, schemas)) > len(OF_KINDS)
    assert len(of_schemas(url, ALL_FUNCTIONS, schemas)) >= 10
    for what, statement in REACHED.items():
        assert of_schemas(url, statement, schemas, role=role) == [], what


def test_a_later_table_is_closed_as_ours_are(supabase_database_url: str) -> None:
    prepare_roles(supabase_database_url)  # a copy of a database is not its owner's
    as_owner = make_dsn(supabase_database_url, user=OWNER)
    query(as_owner, "CREATE SCHEMA later")
    query(as_owner, "CREATE TABLE later.things (id bigint GENERATED ALWAYS AS IDENTITY, n serial)")
    query(as_owner, "CREATE TABLE public.things (id bigint GENERATED ALWAYS AS IDENTITY)")
    query(as_owner, "CREATE TABLE public.of_the_project (id bigint GENERATED ALWAYS AS IDENTITY)")
    rights = (
        "SELECT has_table_privilege('anon', 'public.things', 'SELECT'),"
        " has_sequence_privilege('anon', 'public.things_id_seq', 'SELECT'),"
        " has_table_privilege('anon', 'public.of_the_project', 'SELECT')"
    )
    assert query(as_owner, rights) == [(True, True, True)], "as hosted projects have it"
    query(as_owner, "SELECT public.importer_close('public.things', 'later.things')")
    assert query(as_owner, rights) == [(False, False, True)]
    enabled = "SELECT count(*) FROM pg_class WHERE relname = 'things' AND relrowsecurity"
    assert query(as_owner, enabled) == [(2,)]


def test_functions_have_time_enough_for_a_large_batch(url: str) -> None:
    """Less than the 60 seconds that the client waits, and more than the 8 of PostgREST's role."""
    _all_have(url, "statement_timeout=50s")


def test_functions_wait_for_a_lock_for_less_than_a_gateway_waits_for_them(url: str) -> None:
    _all_have(url, "lock_timeout=5s")


def _all_have(url: str, setting: str) -> None:
    settings = "SELECT DISTINCT unnest(proconfig) FROM pg_proc WHERE proname = ANY(%s)"
    assert (setting,) in query(url, settings, names(url, FUNCTIONS))
    without = f"{FUNCTIONS.partition(' ORDER')[0]} AND NOT '{setting}' = ANY(proconfig)"
    assert query(url, without) == []


def test_supabase_gives_the_service_role_what_it_needs(
    supabase_database_url: str, schemas: list[str]
) -> None:
    """And to nobody else; that is asked in `test_nobody_reaches_anything_of_ours`."""
    url, role = supabase_database_url, "service_role"
    called = of_schemas(url, REACHED["functions"], schemas, role=role)
    assert called == names(url, FUNCTIONS)
    tables = of_schemas(url, ALL_TABLES, schemas)
    tables.remove(HISTORY)
    of_kinds = {table.qualified_name.removeprefix("public.") for table in OF_KINDS}
    assert set(tables) == {*PUBLIC, *of_kinds}
    lacking = "SELECT %s WHERE NOT has_table_privilege(%s, %s, %s)"
    for table in tables:
        for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            assert query(url, lacking, right, role, table, right) == [], table
    closed = (
        "SELECT name FROM unnest(%(schemas)s) AS ours (name)"
        " WHERE NOT has_schema_privilege(%(role)s, name, 'USAGE')"
    )
    assert of_schemas(url, closed, schemas, role=role) == ["supabase_migrations"]


def test_functions_are_safe_to_own(url: str, schemas: list[str]) -> None:
    """None runs with its owner's rights, and none looks names up where others may put them."""
    unsafe = "(prosecdef OR proconfig IS NULL OR NOT proconfig @> ARRAY['search_path=\"\"'])"
    statement = ALL_FUNCTIONS.replace(" ORDER", f" AND {unsafe} ORDER")
    assert of_schemas(url, statement, schemas) == []


# --- through the API ---------------------------------------------------------------------------


@pytest.fixture(params=["supabase", "lite"])
def local(request: pytest.FixtureRequest) -> LocalSupabase:
    """One with a real PostgREST, and one without."""
    found: LocalSupabase = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def local_bench(local: LocalSupabase, tmp_path: Path) -> Iterator[Bench]:
    """An import into it."""
    with closing(Bench(Target.of(local), tmp_path)) as bench:
        yield bench


@pytest.fixture
def public(local: LocalSupabase, local_bench: Bench) -> Iterator[httpx.Client]:
    """What anybody with the public key can do, after an import."""
    local_bench.source.add_many(3, images=True)
    assert local_bench.run().exit_code == 0
    tests = local_bench.folder / "device tests"
    add_many(tests, 3)
    assert local_bench.run(kind="folders", source=tests).exit_code == 0
    told = local_bench.folder / "insights"
    insights.add_many(told, 3)
    assert local_bench.run(kind="insights", source=told).exit_code == 0
    query(
        local_bench.url,
        "INSERT INTO import_merges VALUES (gen_random_uuid(), 'x', '{}');"
        "INSERT INTO import_removals VALUES ('x', 'x', 'x')",
    )
    key = local.publishable_key
    headers = {"apikey": key, "authorization": f"Bearer {key}"}
    with httpx.Client(base_url=local.url, headers=headers, trust_env=False) as client:
        yield client


def test_the_public_key_reads_no_table(public: httpx.Client, local_bench: Bench) -> None:
    bench = local_bench
    for table in OURS:
        assert bench.count(table) > 0
        with_secret = bench.api("GET", f"/rest/v1/{table}?select=*")
        assert (with_secret.status_code, len(with_secret.json())) == (200, bench.count(table))
        answer = public.get(f"/rest/v1/{table}?select=*")
        assert (answer.status_code, answer.json()["code"]) == (401, "42501"), table


def test_the_public_key_writes_no_table(public: httpx.Client, local_bench: Bench) -> None:
    bench = local_bench
    before = bench.versions()
    assert not public.post("/rest/v1/datasets", json={"kind": "x", "tag": "y"}).is_success
    for table in OURS:
        hashed = ("image_assets", "import_removals")
        column = "content_hash" if table in hashed else None
        column = column or {"import_merges": "batch_id"}.get(table, "id")
        public.delete(f"/rest/v1/{table}?{column}=not.is.null")
        assert bench.count(table) > 0, table
    assert bench.versions() == before


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_rows_stay_hidden_where_somebody_opens_their_tables(
    supabase_bench_shared: Bench, tmp_path: Path, schemas: list[str], role: str
) -> None:
    """In every schema of ours: with all rights, row level security alone stands before them."""
    bench = supabase_bench_shared
    bench.source.add_many(1, images=True)
    assert bench.run().exit_code == 0
    add_many(tmp_path / "tests", 1)
    assert bench.run(kind="folders", source=tmp_path / "tests").exit_code == 0
    write(tmp_path / "people", "a.json", [whole_person()])
    assert bench.run(kind="people", source=tmp_path / "people").exit_code == 0
    recognitions.add(tmp_path / "recognitions", 1)
    assert bench.run(kind="recognitions", source=tmp_path / "recognitions").exit_code == 0
    insights.add_many(tmp_path / "insights", 1)
    assert bench.run(kind="insights", source=tmp_path / "insights").exit_code == 0
    schemas.remove("supabase_migrations")  # the Supabase CLI's own
    tables = of_schemas(bench.url, ALL_TABLES, schemas)
    with connected(bench.url) as connection, connection.cursor() as cursor:

        def filled() -> list[str]:
            cursor.execute(" UNION ALL ".join(f"(SELECT '{t}' FROM {t} LIMIT 1)" for t in tables))
            return sorted(name for (name,) in cursor.fetchall())

        cursor.execute(
            "BEGIN; INSERT INTO import_merges VALUES (gen_random_uuid(), 'x', '{}');"
            " INSERT INTO import_removals VALUES ('x', 'x', 'x');"
            " INSERT INTO raw.qwen_annotations (recognition_id) VALUES (1);"
            " INSERT INTO importer_airtable_bases VALUES ('app');"
            " INSERT INTO importer_airtable_notes (base_id, contact_id, table_name, written_at)"
            " VALUES ('app', 'CNT-1', 'Notes', now());"
            " INSERT INTO importer_airtable_calls"
            " VALUES ('app', '2026-01-01', 1, gen_random_uuid(), 1);"
            " INSERT INTO initial_annotations (image_id, initial_tray_item_id, bbox)"
            " SELECT images.id, item.id, '{}' FROM images, initial_tray_items AS item"
        )
        assert filled() == sorted(tables)
        for schema in schemas:
            cursor.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
            cursor.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}")
        cursor.execute(f"SET LOCAL ROLE {role}")
        assert filled() == []
        cursor.execute("ROLLBACK")


def test_the_public_key_finds_nothing_of_ours(
    supabase: LocalSupabase, supabase_bench_shared: Bench, schemas: list[str]
) -> None:
    """The real PostgREST is asked for all that there is, also past the gateway."""
    url = supabase.database_url
    relations = [name.rpartition(".")[2] for name in of_schemas(url, RELATIONS, schemas)]
    functions = of_schemas(url, ALL_FUNCTIONS, schemas)
    assert "importer_close" in functions
    assert supabase_bench_shared.api("GET", "/rest/v1/").json()["paths"].keys() >= {"/datasets"}
    asked = [("GET", f"/{name}") for name in relations]
    asked += [(method, f"/rpc/{name}") for name in functions for method in ("GET", "POST")]
    direct = httpx.HTTPTransport(uds=str(supabase.folder / SOCKET))
    with httpx.Client(transport=direct, base_url="http://postgrest", trust_env=False) as client:
        for role in ("anon", "authenticated"):
            headers = {"authorization": f"Bearer {token(supabase.jwt_secret, role)}"}
            shown = client.get("/", headers=headers).json()
            assert (list(shown["paths"]), shown.get("definitions", {})) == (["/"], {})
            for method, path in asked:
                answer = client.request(method, path, headers=headers)
                assert answer.status_code in {401, 403, 404}, (role, path, answer.text)


def test_the_public_key_calls_no_function(public: httpx.Client, local_bench: Bench) -> None:
    bench = local_bench
    before = bench.versions()
    payloads = {
        "importer_known_images": {"hashes": []},
        "importer_compare": {"tables": [described(IMAGE_ASSETS)], "run": {}, "rows": {}},
        "importer_rows": orjson.loads(
            RowQuery(STATES.group.tables[0], limit=1, by=("id",)).as_json()
        ),
    }
    for function in names(bench.url, FUNCTIONS):
        path = f"/rest/v1/rpc/{function}"
        body = {"payload": payloads.get(function, {"rows": {}, "run": {}})}
        answer = public.post(path, json=body)
        assert answer.status_code in {401, 403, 404}, (function, answer.text)
        if function in payloads:
            assert bench.api("POST", path, json=body).status_code == 200
    assert bench.versions() == before


def test_only_tables_of_ours_are_looked_at_and_names_are_quoted(url: str) -> None:
    query(url, 'CREATE TABLE public.secrets (id bigint, batch_id text, "evil name" text)')
    table = described(STATES.group.tables[0])
    read_all = orjson.loads(
        RowQuery(
            STATES.group.tables[0],
            limit=1,
            by=("id",),
            after={"id": 1},
            where={"batch_id": ["x"]},
            contains=(("city",), "x"),
            columns=("city",),
        ).as_json()
    )
    ask = "SELECT public.importer_compare(%s), public.importer_rows(%s)"

    def answers(read: dict[str, object] | None = None, **other: object) -> list[tuple[object, ...]]:
        asked = {**table, **other}
        compare = {"tables": [asked], "run": {"dataset_id": 1}, "rows": {}}
        rows = {**read_all, "table": asked, **(read or {})}
        return query(url, ask, orjson.dumps(compare).decode(), orjson.dumps(rows).decode())

    assert answers() == [({"search_results": {"rows": [], "added": []}}, [])]
    for name in ("public.secrets", "pg_authid", "public.search_results, public.secrets", None):
        with pytest.raises(psycopg2.errors.UndefinedTable, match="not a table of ours"):
            answers(name=name)
    evil = 'seen" from public.secrets; drop table public.secrets; --'
    for key in ("columns", "key", "compared"):
        with pytest.raises(psycopg2.errors.UndefinedColumn):
            answers(**{key: [evil]})
    evil_type = "bigint; drop table public.secrets"
    with pytest.raises(psycopg2.errors.SyntaxError):
        answers(run_key=[{"column_name": "dataset_id", "type": evil_type}])
    for read in (
        {"by": [{"name": evil, "type": "text"}]},
        {"where": [{"name": evil, "type": "text", "values": ["x"]}]},
        {"contains": {"columns": [evil], "text": "x"}},
        {"columns": [evil]},
    ):
        with pytest.raises(psycopg2.errors.UndefinedColumn):
            answers(read)
    for key, more in (("by", {}), ("where", {"values": ["x"]})):
        with pytest.raises(psycopg2.errors.SyntaxError):
            answers({key: [{"name": "city", "type": evil_type, **more}]})
    assert names(url, TABLES) == sorted([*PUBLIC, "secrets"])


def test_a_set_whose_rows_are_nothing_but_their_key_is_replaced_and_compared(
    database_url: str,
) -> None:
    """Two of them are kept, one is deleted and one inserted."""
    url = database_url
    query(url, "INSERT INTO datasets (kind, tag) VALUES ('people', 'a')")
    ((owner,),) = query(
        url,
        "INSERT INTO people.identities (id, dataset_id, batch_id, neuron360_profile_id, source,"
        " content_signature) SELECT gen_random_uuid(), id, 'b', 'p', 's', 'c' FROM datasets"
        " RETURNING id::text",
    )
    query(
        url, "INSERT INTO people.emails SELECT %s, number FROM generate_series(1, 3) number", owner
    )
    before = query(url, "SELECT ctid::text, position FROM people.emails WHERE position > 1")
    emails = next(each for each in PEOPLE.group.tables if each.qualified_name == "people.emails")
    table = {**described(emails), "compared": [], "columns": ["person_id", "position"]}
    rows = {"people.emails": [{"person_id": owner, "position": each} for each in (2, 3, 4)]}
    tables, batch = (orjson.dumps(each).decode() for each in ([table], rows))
    replacing = "SELECT importer_replace_sets(%s, %s, ARRAY[%s]::uuid[], ARRAY[%s]::uuid[])"
    query(url, replacing, tables, batch, owner, owner)
    after = query(url, "SELECT ctid::text, position FROM people.emails ORDER BY position")
    assert [position for _, position in after] == [2, 3, 4]
    assert after[:2] == sorted(before, key=lambda row: row[1])
    asked = {"tables": [table], "run": {}, "rows": rows}
    ((answer,),) = query(url, "SELECT importer_compare(%s)", orjson.dumps(asked).decode())
    assert [each["s"] for each in answer["people.emails"]["rows"]] == ["same"] * 3


def test_the_public_key_reads_no_image(public: httpx.Client, local_bench: Bench) -> None:
    for place in local_bench.images().values():
        assert local_bench.stored(place) is not None
        for way in ("object", "object/public", "object/authenticated"):
            assert not public.get(f"/storage/v1/{way}/imagecache/{place}").is_success


def test_an_embedded_database_gets_its_schema_by_itself(
    embedded_server: EmbeddedServer, empty_database_url: str
) -> None:
    """`schema apply` on a database of one's own is a command; only the embedded one needs none."""
    assert names(empty_database_url, TABLES) == []
    apply_schema(empty_database_url)
    assert names(empty_database_url, TABLES) == PUBLIC
