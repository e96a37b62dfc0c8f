"""What the rules make of the SQL. What PostgreSQL makes of it is for the integration tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imports.tables.functions import checksum_of, functions_file, merge_function
from imports.tables.sql import (
    copy_incoming,
    create_incoming,
    described,
    judge_statement,
    merge_statement,
    replace_sets_statement,
)
from imports.tables.table import (
    Column,
    ConflictRule,
    Keep,
    LatestWins,
    Replace,
    Table,
    TableGroup,
    UpdateIfNewer,
)

RUN = {name: f"%({name})s" for name in ("dataset_id", "batch_id", "if_exists", "repair")}
NEWEST = LatestWins("seen", "number", "note")
THINGS = Table(
    name="things",
    columns=(
        Column("name", "text", nullable=False),
        Column("number", "text"),
        Column("seen", "timestamptz"),
        Column("note", "jsonb"),
    ),
    key=("dataset_id", "name", "number"),
    on_conflict=Replace(),
)


def flat(sql: str) -> str:
    return " ".join(sql.split())


def merge(rule: ConflictRule, table: Table = THINGS) -> str:
    return flat(merge_statement(replace(table, on_conflict=rule), RUN, "incoming_things", "5"))


def test_keep_writes_nothing_where_a_row_is() -> None:
    sql = merge(Keep())
    assert "on conflict (dataset_id, name, number) do nothing" in sql
    assert "do update" not in sql
    assert "is distinct from (winner.seen, winner.note) then 'S'" in sql, "what was kept is told"


def test_replace_writes_where_something_differs_and_only_there() -> None:
    sql = merge(Replace())
    assert (
        "on conflict (dataset_id, name, number) do update set seen = excluded.seen,"
        " note = excluded.note, batch_id = excluded.batch_id, updated_at = now()"
        " where (stored.seen, stored.note) is distinct from (excluded.seen, excluded.note)" in sql
    )
    assert "'S' else" not in sql, "a replaced row is never older"


def test_newer_wins_asks_for_the_later_value_too_and_null_is_never_later() -> None:
    sql = merge(UpdateIfNewer("seen"))
    assert (
        "when %(if_exists)s = 'newer' or stored.batch_id = %(batch_id)s"
        " then excluded.seen >= stored.seen"
        " and (stored.seen, stored.note) is distinct from (excluded.seen, excluded.note)"
        " else %(if_exists)s = 'replace' end" in sql
    )
    assert "when stored.seen > winner.seen then 'S'" in sql
    assert "coalesce" not in sql


@pytest.mark.parametrize("rule", [UpdateIfNewer("seen"), NEWEST])
def test_an_undated_row_is_undecided_or_judged_once_the_others_are_in(rule: ConflictRule) -> None:
    undecided = "when (stored.seen is null or winner.seen is null) then '?'"
    sql = merge(rule)
    assert undecided in sql
    assert "when stored.present is null then '!'" in sql, "another transaction wrote it"
    assert "when rows.timestamp is null or judged.outcome in ('?', '!') then '!' else 'S'" in sql
    table = replace(THINGS, on_conflict=rule)
    judged = flat(judge_statement(table, RUN, "incoming_things", "%(letters)s", 0))
    assert undecided in judged
    assert "'!' end" not in judged, "a judge leaves nothing unjudged"
    assert "when winner.letter <> '!' then winner.letter" in judged
    function = merge_function(TableGroup("things", (table,)))
    assert "if strpos(outcomes, '!') > 0 then" in function


@pytest.mark.parametrize("rule", [Keep(), Replace(), replace(NEWEST, undated_is_oldest=True)])
def test_where_no_row_is_undated_nothing_is_undecided(rule: ConflictRule) -> None:
    table = replace(THINGS, on_conflict=rule)
    sql = merge(rule) + merge_function(TableGroup("things", (table,)))
    for word in ("'?'", "'!'"):
        assert word not in sql


@pytest.mark.parametrize(
    ("rule", "order"),
    [
        (Keep(), "order by name, number, ordinal desc"),
        (Replace(), "order by name, number, ordinal desc"),
        (
            UpdateIfNewer("seen"),
            "order by name, number, seen desc nulls last,"
            " case when seen is null then ordinal end, ordinal desc",
        ),
    ],
)
def test_one_row_of_each_key_is_merged_the_newest_or_the_last(
    rule: ConflictRule, order: str
) -> None:
    sql = merge(rule)
    assert "select distinct on (name, number) * from incoming_rows" in sql
    assert order in sql


def test_rows_are_written_in_the_order_of_their_key_against_deadlocks() -> None:
    assert "from winners order by name, number on conflict" in merge(Replace())


def test_what_the_run_gives_is_written_beside_what_the_row_gives() -> None:
    assert (
        "insert into public.things as stored (dataset_id, batch_id, name, number, seen, note)"
        " select %(dataset_id)s, %(batch_id)s, name, number, seen, note from winners"
        in merge(Replace())
    )


def test_a_key_with_null_in_it_finds_its_row() -> None:
    sql = merge(Replace())
    assert "kept.number = winner.number" in sql
    assert "winner.number is null and kept.number is null" in sql
    assert "winner.name is null" not in sql, "a column that is never null needs no second look"


def test_a_table_without_stamp_gets_none() -> None:
    table = replace(THINGS, stamped=False)
    assert "updated_at" not in merge(Replace(), table)


def test_a_table_is_described_for_the_functions_of_the_database() -> None:
    things = described(
        replace(THINGS, on_conflict=UpdateIfNewer("seen")), relation="incoming_things"
    )
    assert things == {
        "name": "public.things",
        "columns": ["name", "number", "seen", "note"],
        "key": ["name", "number"],
        "nullable": ["number"],
        "run_key": [{"column_name": "dataset_id", "type": "bigint"}],
        "compared": ["seen", "note"],
        "rule": {"name": "update_if_newer", "timestamp": "seen"},
        "id_type": "bigint",
        "names": ["name", "number"],
        "owner": None,
        "relation": "incoming_things",
    }
    assert described(replace(THINGS, on_conflict=NEWEST))["rule"] == {
        "name": "latest_wins",
        "timestamp": "seen",
        "source": "number",
        "signature": "note",
        "undated_is_oldest": False,
    }
    assert described(replace(THINGS, on_conflict=Keep()))["rule"] is None


def test_the_incoming_table_lives_inside_one_transaction() -> None:
    assert create_incoming(THINGS) == (
        "create temporary table incoming_things"
        " (ordinal integer, name text, number text, seen timestamptz, note jsonb) on commit drop"
    )
    assert copy_incoming(THINGS) == (
        "copy incoming_things (ordinal, name, number, seen, note) from stdin"
    )


def test_a_group_merges_its_tables_parents_first_in_one_function() -> None:
    group = TableGroup("pairs", (THINGS, replace(THINGS, name="parts")))
    sql = merge_function(group)
    assert sql.index("insert into public.things") < sql.index("insert into public.parts")
    assert sql.count("create or replace function") == 1


def test_sets_are_replaced_right_after_their_owners() -> None:
    owner = replace(THINGS, id_type="uuid")
    parts = replace(THINGS, name="parts", owner=owner.qualified_name, on_conflict=Replace())
    group = TableGroup("things", (owner, replace(THINGS, name="others"), parts))
    sql = merge_function(group)
    assert sql.index('{"name": "public.parts"') < sql.index("insert into public.others")
    flat_sql = flat(replace_sets_statement(owner, "%(letters)s", 0))
    assert "substr(%(letters)s, ordinal + 1, 1) in ('I', 'U')" in flat_sql
    assert "substr(%(letters)s, ordinal + 1, 1) = 'U'" in flat_sql


def test_the_file_of_functions_ends_with_its_own_checksum() -> None:
    file = functions_file([TableGroup("things", (THINGS,))])
    assert checksum_of(file) in file
    assert file != functions_file([TableGroup("things", (replace(THINGS, name="parts"),))])
    with pytest.raises(ValueError, match="not that of the file"):
        checksum_of(file.replace("things", "parts"))


def test_a_repeated_merge_is_answered_before_anything_is_written() -> None:
    sql = merge_function(TableGroup("things", (THINGS,)))
    assert sql.index("from public.import_merges") < sql.index("insert into public.things")
    assert sql.index("pg_advisory_xact_lock") < sql.index("from public.import_merges")


def test_a_function_takes_its_argument_as_json_or_as_a_json_text() -> None:
    sql = merge_function(TableGroup("things", (THINGS,)))
    assert sql.count("when 'string' then (payload #>> '{}')::jsonb else payload end") == 1
