"""The tables that there are, and the migrations: neither may change without the other."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from imports.cli.schema_export import rendered
from imports.kinds import all_kinds
from imports.servers.schema import FUNCTIONS, migrations, needed
from imports.tables.functions import functions_file, merge_function
from imports.tables.table import (
    BATCH_ID,
    DATASET_ID,
    IMAGES,
    Column,
    Keep,
    NamedPlaces,
    Replace,
    Table,
    TableGroup,
    UpdateIfNewer,
)

GROUPS = [IMAGES, *(kind.group for kind in all_kinds().values())]
TABLES = [table for group in GROUPS for table in group.tables]
MIGRATIONS = migrations()
SCHEMA = "\n".join(migration.sql for migration in MIGRATIONS)

by_name = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
by_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)


def definition(name: str) -> list[str]:
    """The columns and constraints of a `create table`."""
    match = re.search(
        rf"^create table {re.escape(name)} \(\n(.*?)^\);", SCHEMA, re.MULTILINE | re.DOTALL
    )
    assert match, f"no migration makes {name}"
    return re.split(r",\s+(?![^(]*\))", match[1].strip())


def closed(sql: str) -> list[str]:
    """The tables that a migration has closed to the public."""
    calls = re.findall(r"select public\.importer_close\((.*?)\);", sql, re.DOTALL)
    return re.findall(r"'([\w.]+)'", " ".join(calls))


def test_the_functions_are_the_newest_migration_as_they_are_rendered() -> None:
    """Else: `resilient-importer schema export`."""
    newest = MIGRATIONS[-1]
    assert newest.name == FUNCTIONS
    assert newest.sql == rendered()


@by_group
def test_the_functions_have_one_that_merges_each_group(group: TableGroup) -> None:
    assert merge_function(group) in MIGRATIONS[-1].sql
    assert f"create or replace function public.{group.merge_function}(" in merge_function(group)


def test_only_tables_of_ours_are_compared() -> None:
    ours = MIGRATIONS[-1].sql.partition("$tables$")[2].partition("$tables$")[0]
    named = [each.table for kind in all_kinds().values() for each in kind.group.named_places]
    named += [table for kind in all_kinds().values() for table in kind.group.derived]
    assert [*json.loads(ours)] == [table.qualified_name for table in (*TABLES, *named)]


def test_a_derived_table_that_names_places_can_be_read() -> None:
    table = Table("photos", (Column("path", "text"),), ("path",), Replace(), run_columns=())
    group = TableGroup("trays", (), named_places=(NamedPlaces(table, "path", "photos"),) * 2)
    assert functions_file([group]).count('"public.photos": {}') == 1
    assert functions_file([replace(group, tables=(table,))]).count('"public.photos": {}') == 1


def test_sql_is_of_a_length_that_can_be_read() -> None:
    lines = SCHEMA.splitlines()
    assert [line for line in lines if len(line) > 110 and "functions_checksum" not in line] == []


def test_a_migration_that_makes_or_replaces_anything_closes_it_to_the_public() -> None:
    for migration in MIGRATIONS:
        made = re.findall(r"^create (?:or replace function|table)", migration.sql, re.MULTILINE)
        assert made, migration.name
        last = migration.sql.rindex(made[-1])
        assert "select public.importer_close(" in migration.sql[last:], migration.name


@by_name
def test_every_column_is_in_the_migration_with_its_type(table: Table) -> None:
    lines = definition(table.qualified_name)
    for column in (*table.columns, *table.run_columns):
        assert [
            line
            for line in lines
            if re.match(rf"{column.name} {re.escape(column.type)}( |$)", line)
        ], f"{column.name} {column.type}"


@by_name
def test_key_columns_that_are_called_not_null_are_so_in_the_migration(table: Table) -> None:
    lines = definition(table.qualified_name)
    for column in (*table.row_key, *table.run_key):
        (line,) = [line for line in lines if line.startswith(f"{column.name} ")]
        firm = "not null" in line or "primary key" in line
        assert firm != column.nullable, line


@by_name
def test_the_key_is_unique_also_where_a_part_of_it_is_null(table: Table) -> None:
    lines = definition(table.qualified_name)
    if len(table.key) == 1:
        (key,) = table.key
        assert any(
            (line.startswith(f"{key} ") and "primary key" in line)
            or re.fullmatch(rf"constraint \w+ unique \({key}\)", line)
            for line in lines
        )
        return
    nulls = " nulls not distinct" if any(column.nullable for column in table.row_key) else ""
    names = ", ".join(table.key)
    if nulls:
        assert f"unique{nulls} ({names})" in lines
    else:
        assert f"unique ({names})" in lines or f"primary key ({names})" in lines


@by_name
def test_tables_have_the_stamps_and_ids_that_are_written_and_listed(table: Table) -> None:
    names = {line.split()[0] for line in definition(table.qualified_name)}
    assert ("updated_at" in names) == table.stamped
    assert ("id" in names) == (table.id_type is not None)


def test_every_table_of_the_schema_is_closed_and_has_no_policy() -> None:
    for migration in MIGRATIONS:
        created = re.findall(r"^create table ([\w.]+)", migration.sql, re.MULTILINE)
        assert created == closed(migration.sql), migration.name
    assert len(closed(SCHEMA)) >= 30
    assert "create policy" not in SCHEMA


def test_who_closes_tables_also_turns_on_row_level_security_and_takes_functions_away() -> None:
    closing = SCHEMA.partition("function public.importer_close(")[2].partition("$function$;")[0]
    for statement in (
        "alter table %s enable row level security",
        "revoke all on %s from %s",
        "grant select, insert, update, delete on %s to service_role",
        "revoke all on function %s from %s",
        "grant execute on function %s to service_role",
        "revoke all on function public.importer_close from",
    ):
        assert statement in closing
    created = re.findall(r"create or replace function public\.(\w+)\(", SCHEMA)
    assert len(created) >= 6
    assert all(name.startswith("importer_") for name in created), "it goes by their names"


def test_no_function_runs_with_its_owners_rights_or_a_search_path_of_the_callers() -> None:
    bodies = re.findall(r"create or replace function.*?\$function\$", SCHEMA, re.DOTALL)
    assert len(bodies) >= 6
    for body in bodies:
        assert "security invoker" in body
        assert "set search_path = ''" in body


def test_every_migration_sets_the_version_that_targets_are_asked_for() -> None:
    *by_hand, functions = MIGRATIONS
    for migration in by_hand:
        assert f"set schema_version = '{migration.version}'" in migration.sql
        assert migration.checksum is None
    assert "schema_version" not in functions.sql
    assert needed().version == by_hand[-1].version
    assert needed().functions == functions.checksum


def test_a_tables_columns_fall_into_key_and_compared() -> None:
    table = Table(
        name="things",
        columns=(Column("a", "text"), Column("b", "text"), Column("c", "date")),
        key=("dataset_id", "a"),
        on_conflict=UpdateIfNewer("c"),
    )
    assert table.qualified_name == "public.things"
    assert [column.name for column in table.row_key] == ["a"]
    assert table.run_key == (DATASET_ID,)
    assert [column.name for column in table.compared] == ["b", "c"]
    assert BATCH_ID in table.run_columns
    assert table.on_conflict != Keep()


@by_name
def test_every_key_column_comes_from_the_row_or_from_the_run(table: Table) -> None:
    assert {column.name for column in (*table.row_key, *table.run_key)} == set(table.key)
    if isinstance(table.on_conflict, UpdateIfNewer):
        assert table.on_conflict.column in {column.name for column in table.compared}


def test_only_kinds_that_judge_age_get_if_exists_and_repair() -> None:
    judging = {name for name, kind in all_kinds().items() if kind.group.judges_age}
    assert judging == {"insights", "people", "states"}
