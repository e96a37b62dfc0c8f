"""The tables that there are, and the migrations: neither may change without the other."""

from __future__ import annotations

import re

import pytest

from imports.kinds import all_kinds
from imports.schema import migrations
from imports.table_sql import render_functions
from imports.tables import (
    BATCH_ID,
    DATASET_ID,
    IMAGES,
    Column,
    Keep,
    NewerWins,
    Table,
    TableGroup,
)

GROUPS = [IMAGES, *(kind.group for kind in all_kinds().values())]
TABLES = [table for group in GROUPS for table in group.tables]
SCHEMA = "\n".join(migration.sql for migration in migrations())

by_name = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
by_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)


def definition(name: str) -> list[str]:
    """The lines of a `create table`, without the commas at their ends."""
    match = re.search(
        rf"^create table {re.escape(name)} \(\n(.*?)^\);", SCHEMA, re.MULTILINE | re.DOTALL
    )
    assert match, f"no migration makes {name}"
    return [line.strip().removesuffix(",") for line in match[1].splitlines()]


def functions_of(group: TableGroup) -> list[str]:
    return re.findall(r"create or replace function (public\.\w+)\(", render_functions(group))


@by_group
def test_the_functions_stand_in_a_migration_as_they_are_rendered(group: TableGroup) -> None:
    for function in re.split(
        r"(?=^create or replace)", render_functions(group), flags=re.MULTILINE
    ):
        assert function.strip() in SCHEMA


@by_group
def test_no_later_migration_replaces_a_function_by_another(group: TableGroup) -> None:
    for name in functions_of(group):
        last = SCHEMA[SCHEMA.rindex(f"create or replace function {name}(") :]
        rendered = render_functions(group)
        start = rendered.index(f"create or replace function {name}(")
        end = rendered.index("$function$;", start)
        assert last.startswith(rendered[start:end])


def test_a_migration_that_makes_or_replaces_anything_closes_it_to_the_public() -> None:
    closing = "select public.importer_close("
    begun = False
    for migration in migrations():
        begun = begun or closing in migration.sql
        made = re.findall(r"^create (?:or replace function|table)", migration.sql, re.MULTILINE)
        if begun and made:
            last = migration.sql.rindex(made[-1])
            assert closing in migration.sql[last:], migration.name
    assert begun


@by_group
def test_a_group_has_the_functions_that_it_is_asked_by(group: TableGroup) -> None:
    expected = {f"public.{group.merge_function}", f"public.{group.compare_function}"}
    if any(table.id_type for table in group.tables):
        expected.add(f"public.{group.written_function}")
    assert set(functions_of(group)) == expected


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
        assert any(line.startswith(f"{table.key[0]} ") and "primary key" in line for line in lines)
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


def test_every_table_of_the_schema_has_row_level_security_and_no_policy() -> None:
    created = re.findall(r"^create table ([\w.]+)", SCHEMA, re.MULTILINE)
    assert len(created) >= 5
    for name in created:
        assert f"alter table {name} enable row level security;" in SCHEMA
    assert "create policy" not in SCHEMA


def test_every_function_of_the_schema_is_for_the_server_alone() -> None:
    created = re.findall(r"create or replace function ([\w.]+\(\w+)", SCHEMA)
    assert len(created) >= 6
    revoked = " ".join(re.findall(r"revoke execute on function([^;]*) from public;", SCHEMA))
    withdrawn = " ".join(
        re.findall(r"revoke execute on function([^;]*) from anon, authenticated;", SCHEMA)
    )
    granted = " ".join(re.findall(r"grant execute on function([^;]*) to service_role;", SCHEMA))
    assert "revoke all on function public.importer_close from" in SCHEMA, "nobody's at all"
    for signature in created:
        if signature.startswith("public.importer_close("):
            continue
        name = f"{signature.split('(')[0]}(jsonb)"
        for where in (revoked, withdrawn, granted):
            assert name in where, name


def test_no_function_runs_with_its_owners_rights_or_a_search_path_of_the_callers() -> None:
    bodies = re.findall(r"create or replace function.*?\$function\$", SCHEMA, re.DOTALL)
    assert len(bodies) >= 6
    for body in bodies:
        assert "security invoker" in body
        assert "set search_path = ''" in body


def test_the_newest_migration_sets_the_version_that_targets_are_asked_for() -> None:
    newest = migrations()[-1]
    for migration in migrations():
        assert f"set schema_version = '{migration.version}'" in migration.sql
    assert newest.version == max(migration.version for migration in migrations())


def test_a_tables_columns_fall_into_key_and_compared() -> None:
    table = Table(
        name="things",
        columns=(Column("a", "text"), Column("b", "text"), Column("c", "date")),
        key=("dataset_id", "a"),
        on_conflict=NewerWins("c"),
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
    if isinstance(table.on_conflict, NewerWins):
        assert table.on_conflict.column in {column.name for column in table.compared}
