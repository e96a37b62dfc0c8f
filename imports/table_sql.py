"""The SQL of a Table, rendered once for both backends.

A statement reads its rows from a relation with a column `ordinal` and the columns of the table:
a temporary table that COPY filled, or a JSON array inside a function. Both thus do the same.
"""

from __future__ import annotations

from imports.tables import Column, Keep, NewerWins, Table, TableGroup

MERGES = "public.import_merges"
"""Remembers the answer to each merge, so that a repeated one gets the same."""


def incoming(table: Table) -> str:
    """The temporary table that takes a batch of rows; it lives and dies inside one transaction."""
    return f"incoming_{table.name}"


def create_incoming(table: Table) -> str:
    """DDL for `incoming`."""
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    return f"create temporary table {incoming(table)} (ordinal integer, {columns}) on commit drop"


def copy_incoming(table: Table) -> str:
    """The COPY command for rows that `row_format` encoded, each behind its ordinal."""
    return f"copy {incoming(table)} (ordinal, {_names(table.columns)}) from stdin"


def merge_statement(table: Table, run: dict[str, str], source: str, into: str = "") -> str:
    """Merges all rows of `source` and answers with one text: a letter for each row, by ordinal.

    The letters are those of `RowOutcome`. Of the rows of one key the winner is merged, the
    others are skipped. `run` gives the SQL expression of each run column; `into` is PL/pgSQL's
    INTO clause.
    """
    return f"""\
with incoming_rows as (
  select ordinal, {_names(table.columns)} from {source}
), winners as (
{_winners(table)}
), written as (
{_insert(table, run)}
), judged as (
  select winner.ordinal, winner.row_key,
    case
      when written.inserted then 'I'
      when not written.inserted then 'U'
      {_not_written(table)}
      else '='
    end as outcome
  from winners as winner
  left join written on written.row_key = winner.row_key
  {_stored(table, run, "winner", "written.inserted is null")}
)
select coalesce(string_agg(
  case when judged.ordinal = rows.ordinal then judged.outcome else 'S' end,
  '' order by rows.ordinal), '') {into}
from (select ordinal, row({_names(table.row_key)}) as row_key from incoming_rows) as rows
join judged on judged.row_key = rows.row_key"""


def compare_statement(table: Table, run: dict[str, str], source: str, into: str = "") -> str:
    """Compares the rows of `source` with what is stored; answers with one JSON array.

    Each element: `o` the ordinal, `s` what was found (`same`, `different`, `missing`,
    `superseded` by a newer row, or by another row of the same key in `source`), `i` the id of
    the stored row, `d` for each column that differs a pair of what is stored and what should be.
    """
    differing = ",\n      ".join(
        f"'{column.name}', case when stored.{column.name} is distinct from"
        f" winner.{column.name} then"
        f" jsonb_build_array(stored.{column.name}, winner.{column.name}) end"
        for column in table.compared
    )
    newer = (
        f"when {_later(table.on_conflict.column, 'stored', 'winner')} then 'superseded'"
        if isinstance(table.on_conflict, NewerWins)
        else ""
    )
    identity = "stored.id::text" if table.id_type else "null::text"
    return f"""\
with incoming_rows as (
  select ordinal, {_names(table.columns)} from {source}
), winners as (
{_winners(table)}
), compared as (
  select winner.ordinal, {identity} as id,
    case
      when stored.present is null then 'missing'
      {newer}
      when ({_names(table.compared, "stored")})
        is distinct from ({_names(table.compared, "winner")}) then 'different'
      else 'same'
    end as found,
    jsonb_strip_nulls(jsonb_build_object(
      {differing}
    )) as differing
  from winners as winner
  {_stored(table, run, "winner", "true")}
)
select coalesce(jsonb_agg(jsonb_build_object(
    'o', rows.ordinal,
    's', coalesce(compared.found, 'superseded'),
    'i', compared.id,
    'd', case when compared.found = 'different' then compared.differing end
  ) order by rows.ordinal), '[]'::jsonb) {into}
from incoming_rows as rows
left join compared on compared.ordinal = rows.ordinal"""


def written_statement(table: Table, batch_ids: str, after: str, limit: str, into: str = "") -> str:
    """Lists the rows that given runs wrote, by id; answers with one JSON array.

    Each element: `i` the id, `k` the row's own key as an array. The arguments are SQL
    expressions: an array of batch ids, the last id of the page before, the size of a page.
    """
    key = ", ".join(column.name for column in table.row_key)
    return f"""\
select coalesce(jsonb_agg(jsonb_build_object('i', page.id::text, 'k', page.row_key)
    order by page.id), '[]'::jsonb) {into}
from (
  select id, jsonb_build_array({key}) as row_key from {table.qualified_name}
  where batch_id = any({batch_ids}) and ({after} is null or id > {after})
  order by id limit {limit}
) as page"""


def render_functions(group: TableGroup) -> str:
    """The functions through which Supabase merges, compares and lists the group's tables."""
    functions = [_merge_function(group), _compare_function(group)]
    if all(table.id_type for table in group.tables):
        functions.append(_written_function(group))
    return "\n".join(functions)


def _names(columns: tuple[Column, ...], relation: str = "") -> str:
    prefix = f"{relation}." if relation else ""
    return ", ".join(prefix + column.name for column in columns)


def _later(column: str, one: str, other: str, operator: str = ">") -> str:
    return (
        f"coalesce({one}.{column}, '-infinity') {operator} coalesce({other}.{column}, '-infinity')"
    )


def _winners(table: Table) -> str:
    key = _names(table.row_key)
    newest = (
        f"{table.on_conflict.column} desc nulls last, "
        if isinstance(table.on_conflict, NewerWins)
        else ""
    )
    return f"""\
  select distinct on ({key}) *, row({key}) as row_key from incoming_rows
  order by {key}, {newest}ordinal desc"""


def _insert(table: Table, run: dict[str, str]) -> str:
    run_names = "".join(f"{column.name}, " for column in table.run_columns)
    run_values = "".join(f"{run[column.name]}, " for column in table.run_columns)
    key = ", ".join(table.key)
    return f"""\
  insert into {table.qualified_name} as stored ({run_names}{_names(table.columns)})
  select {run_values}{_names(table.columns)} from winners
  order by {_names(table.row_key)}
  on conflict ({key}) {_on_conflict(table)}
  returning row({_names(table.row_key, "stored")}) as row_key, (stored.xmax = 0) as inserted"""


def _on_conflict(table: Table) -> str:
    if isinstance(table.on_conflict, Keep):
        return "do nothing"
    updated = [column.name for column in table.compared]
    updated += [column.name for column in table.run_columns if column.name not in table.key]
    assignments = [f"{name} = excluded.{name}" for name in updated]
    if table.stamped:
        assignments.append("updated_at = now()")
    condition = (
        f"({_names(table.compared, 'stored')})"
        f" is distinct from ({_names(table.compared, 'excluded')})"
    )
    if isinstance(table.on_conflict, NewerWins):
        newer = _later(table.on_conflict.column, "excluded", "stored", ">=")
        condition = f"{newer}\n    and {condition}"
    return f"do update set {', '.join(assignments)}\n  where {condition}"


def _not_written(table: Table) -> str:
    if isinstance(table.on_conflict, NewerWins):
        return f"when {_later(table.on_conflict.column, 'stored', 'winner')} then 'S'"
    if isinstance(table.on_conflict, Keep):
        return (
            f"when ({_names(table.compared, 'stored')})"
            f" is distinct from ({_names(table.compared, 'winner')}) then 'S'"
        )
    return ""


def _stored(table: Table, run: dict[str, str], row: str, condition: str) -> str:
    """A lateral join to the stored row of a key, by the index also where a column is NULL."""
    run_part = [f"kept.{column.name} = {run[column.name]}" for column in table.run_key]
    firm = [column for column in table.row_key if not column.nullable]
    loose = [column for column in table.row_key if column.nullable]
    branches = [run_part + [f"kept.{column.name} = {row}.{column.name}" for column in firm]]
    for column in loose:
        equal = f"kept.{column.name} = {row}.{column.name}"
        both_null = f"{row}.{column.name} is null and kept.{column.name} is null"
        branches = [[*branch, addition] for branch in branches for addition in (equal, both_null)]
    selects = "\n    union all\n".join(
        f"    select true as present, kept.* from {table.qualified_name} as kept\n"
        f"    where {' and '.join([condition, *branch])}"
        for branch in branches
    )
    return f"left join lateral (\n{selects}\n    limit 1\n  ) as stored on true"


def _json_source(table: Table) -> str:
    types = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    return (
        f"rows from (jsonb_to_recordset(body -> 'rows' -> '{table.name}') as ({types}))"
        f" with ordinality as input({_names(table.columns)}, ordinal)"
    )


def _json_run(table: Table) -> dict[str, str]:
    return {
        column.name: f"(body -> 'run' ->> '{column.name}')::{column.type}"
        for column in table.run_columns
    }


def _merge_function(group: TableGroup) -> str:
    steps = "".join(
        f"""\
  if body -> 'rows' ? '{table.name}' then
{_indented(merge_statement(table, _json_run(table), _json_source(table), "into outcomes"))};
    answer := answer || jsonb_build_object('{table.name}', outcomes);
  end if;
"""
        for table in group.tables
    )
    return _function(
        group.merge_function,
        "  outcomes text;\n",
        f"""\
  perform pg_advisory_xact_lock(hashtextextended(body ->> 'request_id', 0));
  select merges.answer into answer from {MERGES} as merges
    where merges.request_id = (body ->> 'request_id')::uuid;
  if found then
    return answer;
  end if;
  answer := '{{}}';
{steps}\
  insert into {MERGES} (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
""",
    )


def _compare_function(group: TableGroup) -> str:
    steps = "".join(
        f"""\
  if body -> 'rows' ? '{table.name}' then
{_indented(compare_statement(table, _json_run(table), _json_source(table), "into comparison"))};
    answer := answer || jsonb_build_object('{table.name}', comparison);
  end if;
"""
        for table in group.tables
    )
    return _function(
        group.compare_function,
        "  comparison jsonb;\n",
        f"  answer := '{{}}';\n{steps}  return answer;\n",
    )


def _written_function(group: TableGroup) -> str:
    batch_ids = "array(select jsonb_array_elements_text(body -> 'batch_ids'))"
    limit = "(body ->> 'limit')::integer"
    steps = "".join(
        f"""\
  if body ->> 'table' = '{table.name}' then
{
            _indented(
                written_statement(
                    table, batch_ids, f"(body ->> 'after')::{table.id_type}", limit, "into answer"
                )
            )
        };
  end if;
"""
        for table in group.tables
    )
    return _function(group.written_function, "", f"{steps}  return answer;\n")


def _indented(statement: str) -> str:
    return "\n".join(f"    {line}" for line in statement.splitlines())


def _function(name: str, declarations: str, body: str) -> str:
    # @supabase/lite hands over a JSON argument as a JSON string, PostgREST as it is.
    return f"""\
create or replace function public.{name}(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body jsonb := case jsonb_typeof(payload)
    when 'string' then (payload #>> '{{}}')::jsonb else payload end;
  answer jsonb;
{declarations}begin
{body}end
$function$;
"""
