"""What the rules make of the SQL. What PostgreSQL makes of it is for the integration tests."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest

from imports.tables.conditions import conditions
from imports.tables.description import described
from imports.tables.functions import functions_file, merge_function
from imports.tables.sql import (
    copy_incoming,
    create_incoming,
    derive_statement,
    judge_statement,
    merge_statement,
    replace_sets_statement,
)
from imports.tables.table import (
    Column,
    ConflictRule,
    Derivation,
    Keep,
    LatestWins,
    Parent,
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
        " note = excluded.note, batch_id = excluded.batch_id,"
        " inserted_by = coalesce(stored.inserted_by, stored.batch_id), updated_at = now()"
        " where (stored.seen, stored.note) is distinct from (excluded.seen, excluded.note)" in sql
    )
    assert "'S' else" not in sql, "a replaced row is never older"


def test_a_counter_is_incremented_and_makes_no_difference() -> None:
    counted = replace(THINGS, columns=(*THINGS.columns, Column("times", "integer")))
    sql = merge(Replace(), replace(counted, counter="times"))
    assert "set seen = excluded.seen, note = excluded.note, batch_id = " in sql
    assert "times = coalesce(stored.times, 0) + 1, updated_at = now()" in sql
    assert "(stored.seen, stored.note) is distinct from (excluded.seen, excluded.note)" in sql
    assert "seen, note, times) select" in sql, "a new row has the count that it brings"


def test_newer_wins_asks_for_the_later_value_too_and_null_is_never_later() -> None:
    sql = merge(UpdateIfNewer("seen"))
    assert (
        "when %(if_exists)s = 'newer' or stored.batch_id = %(batch_id)s"
        " then excluded.seen >= stored.seen"
        " and (stored.seen, stored.note) is distinct from (excluded.seen, excluded.note)"
        " else %(if_exists)s = 'replace' end" in sql
    )
    assert "when stored.seen > winner.seen then 'S'" in sql
    assert "infinity" not in sql


@pytest.mark.parametrize("rule", [UpdateIfNewer("seen"), NEWEST])
def test_an_undated_row_is_undecided_or_judged_after_the_others(rule: ConflictRule) -> None:
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


def test_a_guarded_row_is_not_written_and_has_the_outcome_guarded_if_it_differs() -> None:
    table = replace(THINGS, guard="stored.seen is null")
    for rule in (Replace(), UpdateIfNewer("seen"), NEWEST):
        sql = merge(rule, table)
        assert re.search(
            r"updated_at = now\(\) where \(stored.seen is null\) is not true and ", sql
        )
        assert (
            "when not (stored.seen, stored.note) is distinct from (winner.seen, winner.note)"
            " then '=' when stored.seen is null then 'G'"
            in sql
            or rule is NEWEST
        )
        assert "when stored.present is null then '!'" in sql, "another transaction wrote it"
    assert "else '!' end" in merge(Replace(), table), "it may be guarded only by now"
    judged = flat(judge_statement(table, RUN, "incoming_things", "%(letters)s", 0))
    assert "when stored.seen is null then 'G' else '=' end" in judged
    function = merge_function(TableGroup("things", (table,)))
    assert "if strpos(outcomes, '!') > 0 then" in function


def test_no_line_of_a_guard_ends_within_quotes() -> None:
    text = "'" + "  two  spaces" * 4 + "'"
    guard = f"{' and '.join(['stored.seen is not null'] * 9)} and stored.note <> {text}"
    file = functions_file([TableGroup("things", (replace(THINGS, guard=guard),))])
    assert file.count(text) == 4, "for writing, for the merge, its judge, and for comparing"
    assert flat(file).count(flat(guard)) == 4
    assert max(map(len, file.splitlines()[:-1])) <= 110


def test_a_row_without_its_parent_is_no_winner_and_left_out() -> None:
    parents = (
        Parent(("dataset_id", "number"), "public.parts", ("dataset_id", "id")),
        Parent(("name",), "public.names", ("name",)),
    )
    table = replace(THINGS, parents=parents)
    sql = merge(Replace(), table)
    assert (
        "(%(dataset_id)s is not null and given.number is not null and not exists (select from"
        " public.parts as parent where parent.dataset_id = %(dataset_id)s and parent.id ="
        " given.number offset 0) or given.name is not null and not exists (select from"
        " public.names as parent where parent.name = given.name offset 0)) as lacks_parent" in sql
    )
    assert "from incoming_rows where not lacks_parent order by" in sql
    assert "case when rows.lacks_parent then 'L' when judged.ordinal = rows.ordinal" in sql
    assert "left join judged" in sql
    assert conditions(table)["left_out"].count("($2 ->> 'dataset_id')::bigint") == 2


def test_what_a_table_does_not_ask_for_is_not_in_its_sql() -> None:
    function = merge_function(TableGroup("things", (THINGS,)))
    for word in ("lacks_parent", "'L'", "'G'", "left join judged", "jsonb_insert"):
        assert word not in function
    assert conditions(THINGS) == {}


def test_a_derivation_runs_after_all_tables_with_the_keys_of_what_was_written() -> None:
    derivation = Derivation("public.importer_derive", "public.things")
    group = TableGroup("things", (THINGS, replace(THINGS, name="others")), (derivation,))
    sql = flat(merge_function(group))
    call = (
        "if answer #>> '{outcomes,things}' ~ '[IU]' then answer := jsonb_insert(answer,"
        " '{derived,-1}', ( select coalesce(public.importer_derive(body -> 'run',"
        " jsonb_agg(jsonb_build_object('name', name, 'number', number) order by ordinal)), '{}')"
    )
    assert call in sql
    assert sql.index("insert into public.others") < sql.index(call)
    assert sql.index(call) < sql.index("insert into public.import_merges")


def test_an_invalid_declaration_is_refused() -> None:
    owned = replace(THINGS, name="parts", owner=THINGS.qualified_name)
    for more in ({"guard": "true"}, {"parents": (Parent(("name",), "x.y", ("name",)),)}):
        with pytest.raises(ValueError, match=r"public\.parts is owned"):
            replace(owned, **more)  # type: ignore[arg-type]
    for name in ("public.parts", "public.nothing"):
        with pytest.raises(ValueError, match="needs a table without an owner"):
            TableGroup("things", (THINGS, owned), (Derivation("public.importer_derive", name),))
    with pytest.raises(ValueError, match=r"must have a name public\.importer_"):
        Derivation("public.derive", "public.things")


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
        "owner": None,
        "images": [],
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
    sets = sql.index("importer_replace_sets(body -> 'sets' -> 'things'")
    assert sql.index("insert into public.things") < sets < sql.index("insert into public.others")
    flat_sql = flat(replace_sets_statement(owner, "%(letters)s", 0))
    assert "substr(%(letters)s, ordinal + 1, 1) in ('I', 'U')" in flat_sql
    assert "substr(%(letters)s, ordinal + 1, 1) = 'U'" in flat_sql


def test_images_are_named_by_texts_lists_and_rows_that_belong_to_others() -> None:
    plain = functions_file([TableGroup("things", (THINGS,))])
    assert "return query select null where false;" in flat(plain)
    owner = replace(THINGS, columns=(*THINGS.columns, Column("photo", "text", image=True)))
    parts = replace(
        THINGS,
        name="parts",
        columns=(Column("thing_id", "bigint"), Column("photos", "jsonb", image=True)),
        key=("thing_id",),
        owner=owner.qualified_name,
    )
    sql = flat(functions_file([TableGroup("things", (owner, parts))]))
    assert (
        "from unnest(hashes) as hash join public.things as stored on stored.photo = hash"
        " where stored.batch_id <> all (but) union" in sql
    )
    assert (
        "join public.parts as stored on jsonb_path_query_array(stored.photos, '$[*].sha256')"
        " @> jsonb_build_array(hash) join public.things as owner on owner.id = stored.thing_id"
        " where owner.batch_id <> all (but);" in sql
    )


def test_the_file_of_functions_ends_with_its_own_checksum() -> None:
    file = functions_file([TableGroup("things", (THINGS,))])
    text, _, last = file.rstrip("\n").rpartition("\n")
    assert hashlib.sha256(f"{text}\n".encode()).hexdigest() in last
    assert file != functions_file([TableGroup("things", (replace(THINGS, name="parts"),))])


def test_a_repeated_merge_is_answered_before_anything_is_written() -> None:
    sql = merge_function(TableGroup("things", (THINGS,)))
    assert sql.index("from public.import_merges") < sql.index("insert into public.things")
    assert sql.index("pg_advisory_xact_lock") < sql.index("from public.import_merges")


def test_a_function_takes_its_argument_as_json_or_as_a_json_text() -> None:
    sql = merge_function(TableGroup("things", (THINGS,)))
    assert sql.count("public.importer_body(payload)") == 1


def test_a_derivation_gets_keys_or_the_values_of_some_columns_once() -> None:
    whole = Derivation("public.importer_derive", THINGS.qualified_name)
    every = flat(derive_statement(whole, THINGS, "%(run)s", "incoming_things", "%(letters)s", 0))
    assert "jsonb_agg(jsonb_build_object('name', name, 'number', number) order by ordinal)" in every
    assert "join string_to_table(%(letters)s, null) with ordinality as result" in every
    assert "on result.number + -1 = given.ordinal and result.letter in ('I', 'U')" in every
    some = replace(whole, by=("number",))
    once = flat(derive_statement(some, THINGS, "%(run)s", "incoming_things", "letters", 1))
    assert "jsonb_agg(jsonb_build_object('number', number) order by number)" in once
    assert "select distinct given.number from" in once
    assert "on result.number = given.ordinal" in once
