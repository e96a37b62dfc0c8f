"""The SQL functions that merge for Supabase, rendered from the tables into one file.

They change with the engine, and a target has all or none of a version. So the file is generated,
not a hand-written migration, and the target has its checksum.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterable

from imports.tables.conditions import conditions
from imports.tables.sql import MERGES, UNJUDGED, derive_statement, judge_statement, merge_statement
from imports.tables.table import Column, Derivation, Table, TableGroup

_WIDTH = 108
_HEAD = """\
-- The functions that are rendered from the tables. This file is generated, by `resilient-importer
-- schema export`: a change belongs into imports/tables. It is the newest migration for `supabase
-- db push`; `schema apply` goes by its checksum, which it ends with.

"""
_CHECKSUM = "update public.import_target set functions_checksum = '{}';\n"
_TOGETHER = re.compile(
    r"(?<!\)) (=|<>|[<>]=?|->>?|as) |, '-|is (not )?null|is distinct from|with ordinality|\": "
)
"""Text that must stay on one line."""

_RUN = {
    "dataset_id": "run_dataset_id",
    "batch_id": "run_batch_id",
    "if_exists": "run_if_exists",
    "repair": "run_repair",
}


def functions_file(groups: Iterable[TableGroup]) -> str:
    """The file with the functions of these groups; its last statement stores its checksum."""
    all_groups = list(groups)
    parts = [_tables_function(all_groups), _named_function(all_groups)]
    functions = "\n".join([*parts, *map(merge_function, all_groups)])
    text = f"{_HEAD}{functions}\nselect public.importer_close();\nnotify pgrst, 'reload schema';\n"
    return text + _CHECKSUM.format(hashlib.sha256(text.encode()).hexdigest())


def merge_function(group: TableGroup) -> str:
    """The function that merges a batch of the group's tables in one transaction."""
    roots = [table for table in group.tables if table.owner is None]
    steps = "".join(_merge_step(group, root) for root in roots)
    steps += "".join(_derive_step(each, group.derived_from(each)) for each in group.derivations)
    values = {
        f"run_{column.name} constant {column.type}": f"(body -> 'run' ->> '{column.name}')"
        f"::{column.type}"
        for table in group.tables
        for column in table.run_columns
    }
    if any(table.judges_age for table in roots):
        values["run_if_exists constant text"] = "body -> 'run' ->> 'if_exists'"
        values["run_repair constant boolean"] = "(body -> 'run' ->> 'repair')::boolean"
    run = "".join(f"  {declared} := {value};\n" for declared, value in values.items())
    return f"""\
create or replace function public.{group.merge_function}(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
#variable_conflict use_column
declare
  body constant jsonb := public.importer_body(payload);
  batch constant jsonb := body -> 'rows';
{run}\
  answer jsonb;
  outcomes text;
begin
  perform pg_advisory_xact_lock(hashtextextended(body ->> 'request_id', 0));
  select merges.answer into answer from {MERGES} as merges
    where merges.request_id = (body ->> 'request_id')::uuid;
  if found then return answer; end if;
  answer := '{{"outcomes": {{}}, "derived": []}}';
{steps}\
  insert into {MERGES} (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
end
$function$;
"""


def _merge_step(group: TableGroup, root: Table) -> str:
    """The statements that merge the rows of a table, and replace the owned sets of written rows.

    The request describes the tables of these sets.
    """
    root = root.with_guard(_unbroken)
    source = _given(root)
    count = f"jsonb_array_length(batch -> '{root.label}')"
    merge = merge_statement(root, _RUN, source, count, "into outcomes", reading="materialized")
    steps = f"{_indented(merge, 4)};\n"
    if root.needs_judge:
        judge = judge_statement(root, _RUN, source, "outcomes", 1, "into outcomes")
        steps += f"""\
    if strpos(outcomes, '{UNJUDGED}') > 0 then
{_indented(judge, 6)};
    end if;
"""
    if group.owned_by(root):
        steps += _sets_step(root)
    return f"""\

  if batch ? '{root.label}' then
{steps}\
    answer := jsonb_set(answer, '{{outcomes,{root.label}}}', to_jsonb(outcomes));
  end if;
"""


def _given(table: Table) -> str:
    """The query for the rows of a batch."""
    given = f"jsonb_populate_recordset(null::{table.qualified_name}, batch -> '{table.label}')"
    return f"select *, ordinality as ordinal\nfrom {given} with ordinality"


def _derive_step(derivation: Derivation, table: Table) -> str:
    """The statement that calls a derivation if rows of its table were written."""
    letters = f"answer #>> '{{outcomes,{table.label}}}'"
    derive = derive_statement(derivation, table, "body -> 'run'", _given(table), letters, 1)
    return f"""\

  if {letters} ~ '[IU]' then
    answer := jsonb_insert(answer, '{{derived,-1}}', (
{_indented(derive, 6)}
    ), true);
  end if;
"""


def _sets_step(root: Table) -> str:
    return f"""\
    if outcomes ~ '[IU]' then
      perform public.importer_replace_sets(body -> 'sets' -> '{root.label}', batch,
        array_agg(id), coalesce(array_agg(id) filter (where outcome = 'U'), '{{}}'))
      from (
        select id, substr(outcomes, ordinal::integer, 1) as outcome
        from rows from (jsonb_to_recordset(batch -> '{root.label}') as (id {root.id_type}))
          with ordinality as given(id, ordinal)
      ) as owner
      where outcome in ('I', 'U');
    end if;
"""


def _tables_function(groups: list[TableGroup]) -> str:
    tables = [table for group in groups for table in group.tables]
    filled = {table.qualified_name for table in tables}
    named = [each.table for group in groups for each in group.named_places]
    named += [table for group in groups for table in group.derived]
    tables += {
        each.qualified_name: each for each in named if each.qualified_name not in filled
    }.values()
    names = ", ".join(f'"{table.qualified_name}":\0{{}}' for table in tables)
    found = {table.qualified_name: conditions(table.with_guard(_unbroken)) for table in tables}
    for each in (derivation for group in groups for derivation in group.derivations):
        if each.undo is not None:
            found[each.table]["undo"] = each.undo
    more = "".join(
        f"\n    || jsonb_build_object('{name}', jsonb_build_object(\n{_condition_lines(mine)}))"
        for name, mine in found.items()
        if mine
    )
    return f"""\
-- The tables that functions for any table may read, with the cases in which a row is not written,
-- and the functions that undo derivations.
create or replace function public.importer_tables() returns jsonb
language plpgsql immutable security invoker set search_path = '' as $function$
begin
  return $tables${{
{_indented(names, 4)}
  }}$tables$::jsonb{more};
end
$function$;
"""


def _named_function(groups: list[TableGroup]) -> str:
    tables = [(group, table) for group in groups for table in group.tables]
    # Not EXISTS: PostgreSQL would plan for the first row, and not use an index on JSON.
    named = "\nunion\n".join(
        _names(group, table, column)
        for group, table in tables
        for column in table.columns
        if column.image
    )
    return f"""\
-- Those of some hashes that rows name, but for the rows of some runs.
create or replace function public.importer_named(hashes text[], but text[] default '{{}}')
returns setof text
language plpgsql stable security invoker set search_path = '' as $function$
begin
  return query
{_indented(named or "select null where false", 4)};
end
$function$;
"""


def _names(group: TableGroup, table: Table, column: Column) -> str:
    """The query for the `hashes` that rows of a table name in a column."""
    match = f"stored.{column.name} = hash"
    if column.type == "jsonb":
        hashes = f"jsonb_path_query_array(stored.{column.name}, '$[*].sha256')"
        match = f"{hashes} @> jsonb_build_array(hash)"
    owner = group.owner_of(table)
    join, writer = "", "stored"
    if owner is not None:
        join = f" join {owner.qualified_name} as owner on owner.id = stored.{table.key[0]}"
        writer = "owner"
    return (
        f"select hash from unnest(hashes) as hash join {table.qualified_name} as stored"
        f" on {match}{join} where {writer}.batch_id <> all (but)"
    )


def _condition_lines(found: dict[str, str]) -> str:
    """Conditions by name, as arguments of a SQL function."""
    return ",\n".join(
        _indented(f"'{name}', $sql${condition}$sql$", 6) for name, condition in found.items()
    )


def _unbroken(condition: str) -> str:
    """A condition whose quoted texts are not broken into lines."""
    return re.sub("'[^']*'", lambda match: match[0].replace(" ", "\0"), condition)


def _indented(statement: str, by: int) -> str:
    """An indented statement, with its long lines broken."""
    lines = []
    for line in statement.splitlines():
        margin = " " * (by + len(line) - len(line.lstrip()))
        lines += textwrap.wrap(
            _TOGETHER.sub(lambda match: match[0].replace(" ", "\0"), line.strip()),
            _WIDTH,
            initial_indent=margin,
            subsequent_indent=f"{margin}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines).replace("\0", " ")
