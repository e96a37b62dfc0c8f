"""Tables of other programs with the names of ours: reported, and moved only on request."""

from __future__ import annotations

import pytest

from imports.errors import SchemaError
from imports.servers.schema import apply_schema, migrations, needed, set_aside_earlier
from tests.support.database import connected, query

EARLIER = """
create type public.mood as enum ('good');
create table public.datasets (id serial primary key, name text unique);
create table public.search_results (
  id bigserial primary key,
  dataset_id integer references public.datasets (id),
  licenses jsonb
);
create index search_results_batch_id on public.search_results (dataset_id);
create view public.names as select name from public.datasets;
create schema people;
create table people.identities (id integer primary key);
create schema organisation;
create table organisation.identities (id integer primary key, person integer
  references people.identities (id));
create function public.count_datasets() returns bigint language sql
  as 'select count(*) from public.datasets';
insert into public.datasets (name) values ('a'), ('b');
insert into public.search_results (dataset_id) select 1 from generate_series(1, 1234);
"""
HISTORY = "select to_regclass('supabase_migrations.schema_migrations')::text"


@pytest.fixture
def url(empty_database_url: str) -> str:
    """A database that an earlier system made."""
    query(empty_database_url, EARLIER)
    return empty_database_url


def structure(url: str) -> list[tuple[object, ...]]:
    return query(
        url,
        "select nspname, relname, relkind from pg_class join pg_namespace n on n.oid = relnamespace"
        " where nspname !~ '^(pg_|information_schema)' order by 1, 2",
    )


def test_they_are_named_with_their_rows_and_nothing_is_changed(url: str) -> None:
    before = structure(url)
    with pytest.raises(SchemaError) as caught:
        apply_schema(url)
    message = str(caught.value)
    for told in (
        "public.datasets (2 rows)",
        "public.search_results (1,234 rows)",
        "people.identities (0 rows)",
        "organisation.identities (0 rows)",
        "Nothing was changed",
        "schema apply --set-aside",
    ):
        assert told in message
    assert "public.names" not in message, "it is not in the way"
    assert structure(url) == before


def test_set_aside_they_keep_their_rows_and_what_hangs_on_them(url: str) -> None:
    earlier = set_aside_earlier(url)
    assert [(str(each), schema) for each, schema in earlier.moved] == [
        ("public.datasets (2 rows)", "before_importer"),
        ("public.search_results (1,234 rows)", "before_importer"),
        ("organisation.identities (0 rows)", "before_importer_organisation"),
        ("people.identities (0 rows)", "before_importer_people"),
    ]
    assert earlier.functions == ["count_datasets()"]
    assert apply_schema(url) == [each.name for each in migrations()]
    assert query(url, "select count(*) from public.datasets") == [(0,)]
    assert query(url, "select name from public.names order by 1") == [("a",), ("b",)]
    assert query(url, "select count(*) from before_importer.search_results") == [(1234,)]
    # The default of a serial column, and the foreign key, are those of the moved tables.
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute("insert into before_importer.datasets (name) values ('c') returning id")
        assert cursor.fetchone() == (3,)
        with pytest.raises(Exception, match="violates foreign key"):
            cursor.execute("insert into before_importer.search_results (dataset_id) values (99)")
    assert query(url, "select indexname from pg_indexes where schemaname = 'before_importer'"
        " and tablename = 'search_results' order by 1") == [
        ("search_results_batch_id",), ("search_results_pkey",)
    ]  # fmt: skip


def test_a_second_time_they_go_to_a_schema_of_another_name(url: str) -> None:
    query(url, "create schema before_importer; create table before_importer.datasets (mine text)")
    assert {schema for _, schema in set_aside_earlier(url).moved} == {
        "before_importer_2",
        "before_importer_organisation_2",
        "before_importer_people_2",
    }


def test_whatever_has_a_name_of_ours_is_in_the_way(empty_database_url: str) -> None:
    url = empty_database_url
    query(url, "create view public.datasets as select 1 as one")
    with pytest.raises(SchemaError, match=r"our names: the view public\.datasets\."):
        apply_schema(url)
    set_aside_earlier(url)
    assert query(url, "select one from before_importer.datasets") == [(1,)]
    assert apply_schema(url) == [each.name for each in migrations()]


def test_where_nothing_is_in_the_way_nothing_is_moved(database_url: str) -> None:
    assert set_aside_earlier(database_url).moved == []
    assert query(database_url, "select to_regnamespace('before_importer')::text") == [(None,)]


def test_a_schema_that_was_pasted_into_an_editor_is_ours(empty_database_url: str) -> None:
    url = empty_database_url
    for each in migrations():
        query(url, each.sql)
    assert query(url, HISTORY) == [(None,)]
    assert apply_schema(url) == ["functions"], "they may have changed since"
    recorded = query(url, "select version from supabase_migrations.schema_migrations order by 1")
    assert recorded == [(each.version,) for each in migrations()]
    assert query(url, "select schema_version from public.import_target") == [(needed().version,)]
