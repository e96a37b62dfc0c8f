"""The SQL of a Table, rendered once for both backends.

A statement reads its rows from a relation with a column `ordinal` and the columns of the table:
a temporary table that COPY filled, or a JSON array inside a function. Both thus do the same.
"""

from __future__ import annotations

from imports.tables import Column, Keep, NewerWins, Newest, Replace, Table, TableGroup

UNJUDGED = "!"
"""The letter of a row if a merge could not tell what became of it; see `judge_statement`."""

MERGES = "public.import_merges"
"""Remembers the answer to each merge, so that a repeated one gets the same."""


def incoming(table: Table) -> str:
    """The temporary table that takes a batch of rows; it lives and dies inside one transaction."""
    return "incoming_" + table.label.replace(".", "_")


def create_incoming(table: Table) -> str:
    """DDL for `incoming`."""
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    return f"create temporary table {incoming(table)} (ordinal integer, {columns}) on commit drop"


def copy_incoming(table: Table) -> str:
    """The COPY command for rows that `row_format` encoded, each behind its ordinal."""
    return f"copy {incoming(table)} (ordinal, {_names(table.columns)}) from stdin"


def count_incoming(table: Table) -> str:
    """The expression of how many rows `incoming` has."""
    return f"(select count(*) from {incoming(table)})"


def copy_new(table: Table) -> str:
    """The COPY command for rows that are all new, each behind the values of the run columns."""
    return (
        f"copy {table.qualified_name} ({_names((*table.run_columns, *table.columns))}) from stdin"
    )


def must_merge(table: Table) -> str:
    """Asks whether rows cannot go straight into the table by COPY.

    They cannot where it has any row with the run's part of the key, nor for whom row level
    security is active.
    """
    mine = [f"{column.name} = %({column.name})s::{column.type}" for column in table.run_key]
    condition = f" where {' and '.join(mine)}" if mine else ""
    return (
        f"select exists (select from {table.qualified_name}{condition})"
        f" or row_security_active('{table.qualified_name}')"
    )


def nothing_incoming(table: Table) -> str:
    """What stands for `incoming` where a batch has no rows for a table."""
    columns = ", ".join(f"null::{column.type} as {column.name}" for column in table.columns)
    return f"(select {columns} where false) as nothing"


def merge_statement(
    table: Table,
    run: dict[str, str],
    source: str,
    count: str,
    into: str = "",
    *,
    reading: str = "not materialized",
) -> str:
    """Merges all rows of `source` and answers with one text: a letter for each row, by ordinal.

    The letters are those of `RowOutcome`. Of the rows of one key the winner is merged, the
    others are skipped. Some may be `UNJUDGED`, for `judge_statement`. `run` gives the SQL
    expression of each run column, `count` that of how many rows there are; `into` is PL/pgSQL's
    INTO clause. `reading` is `materialized` for a source that takes long to read.
    """
    identity = f"row({_names(table.row_key)}) as row_key"
    identities = f"{identity}, {table.dated_by} as moment" if table.dated_by else identity
    # Most batches are all new: then nothing is looked up. Rows are wide, and copying them out of
    # a table into a materialized CTE would cost as much as inserting them.
    return f"""\
with incoming_rows as {reading} (
  select ordinal, {_names(table.columns)} from {source}
), winners as not materialized (
{_winners(table)}
), written as (
{_insert(table, run)}
)
select case
  when (select count(*) from written where inserted) = {count}
    then repeat('I', {count}::integer)
  else (
    with judged as (
      select winner.ordinal, winner.row_key,
        case
          when written.inserted then 'I'
          {_updated(table)}
          {_not_written(table, run, UNJUDGED)}
        end as outcome
      from (select *, {identity} from winners) as winner
      left join written on written.row_key = winner.row_key
      {_stored(table, run, "winner", _unclear(table, run))}
    )
    select string_agg(
      case when judged.ordinal = rows.ordinal then judged.outcome {_lost(table)}else 'S' end,
      '' order by rows.ordinal)
    from (select ordinal, {identities} from incoming_rows) as rows
    join judged on judged.row_key = rows.row_key
  ) end {into}"""


def judge_statement(
    table: Table, run: dict[str, str], source: str, letters: str, first: int, into: str = ""
) -> str:
    """Answers as `merge_statement` did, in `letters`, with a verdict on each unjudged row.

    A merge sees what was there when it began. Only the next statement sees what another
    transaction wrote since then, which kept a row from being written, and what the merge itself
    wrote: an undated row that lost against another one of its batch may say the same as that. The
    judgement must be in the same transaction: all rows in question are locked since the merge.
    """
    return f"""\
select string_agg(
  case
    when winner.letter <> '{UNJUDGED}' then winner.letter
    {_not_written(table, run, "=")}
  end, '' order by winner.ordinal) {into}
from (
  select ordinal, {_names(table.columns)},
    substr({letters}, (ordinal - {first} + 1)::integer, 1) as letter
  from {source}
) as winner
{_stored(table, run, "winner", f"winner.letter = '{UNJUDGED}'")}"""


def replace_sets_statement(
    table: Table, owner: Table, source: str, owner_source: str, letters: str, first: int
) -> str:
    """Replaces the sets of rows that belong to owners which were just inserted or updated.

    `owner_source` has the owners' rows and `letters` (an SQL expression) what became of them:
    what `merge_statement` answered with. `first` is the ordinal of the first row of a source.
    """
    own = table.key[0]
    same_key = " and ".join(f"kept.{name} = stored.{name}" for name in table.key)
    return f"""\
with owners as (
  select id, substr({letters}, (ordinal - {first} + 1)::integer, 1) as outcome from {owner_source}
), gone as (
  delete from {table.qualified_name} as stored using owners
  where owners.outcome = 'U' and stored.{own} = owners.id and not exists (
    select from (select {", ".join(table.key)} from {source}) as kept where {same_key})
)
insert into {table.qualified_name} as stored ({_names(table.columns)})
select {_names(table.columns, "incoming_rows")}
from (select {_names(table.columns)} from {source}) as incoming_rows
join owners on owners.id = incoming_rows.{own} and owners.outcome in ('I', 'U')
order by {", ".join(f"incoming_rows.{name}" for name in table.key)}
on conflict ({", ".join(table.key)}) {_on_conflict(table, {})}"""


def compare_statement(table: Table, run: dict[str, str], source: str, into: str = "") -> str:
    """Compares the rows of `source` with what is stored; answers with one JSON array.

    Each element: `o` the ordinal, `s` what was found (`same`, `different`, `missing`, `undecided`
    where it is different and nobody knows which is newer, `superseded` by a newer row, or by
    another row of the same key in `source`), `i` the id of the stored row, `d` for each column
    that differs a pair of what is stored and what should be.
    """
    differing = ",\n      ".join(
        f"'{column.name}', case when stored.{column.name} is distinct from"
        f" winner.{column.name} then"
        f" jsonb_build_array(stored.{column.name}, winner.{column.name}) end"
        for column in table.compared
    )
    newer = _superseded(table, run)
    told = "in ('different', 'undecided')" if table.dated_by else "= 'different'"
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
    'd', case when compared.found {told} then compared.differing end
  ) order by rows.ordinal), '[]'::jsonb) {into}
from incoming_rows as rows
left join compared on compared.ordinal = rows.ordinal"""


def written_statement(table: Table, batch_ids: str, after: str, limit: str, into: str = "") -> str:
    """Lists the rows that given runs wrote, by id; answers with one JSON array.

    Each element: `i` the id, `k` an array of what people know the row by. The arguments are SQL
    expressions: an array of batch ids, the last id of the page before, the size of a page.
    """
    key = ", ".join(table.names or [column.name for column in table.row_key])
    return f"""\
select coalesce(jsonb_agg(jsonb_build_object('i', page.id::text, 'k', page.row_key)
    order by page.id), '[]'::jsonb) {into}
from (
  select id, jsonb_build_array({key}) as row_key from {table.qualified_name}
  where batch_id = any({batch_ids}) and ({after} is null or id > {after})
  order by id limit {limit}
) as page"""


def render_functions(group: TableGroup) -> str:
    """The functions through which Supabase merges, compares and lists the group's tables.

    A migration that has them ends with `select public.importer_close(…)`: it gives them their time
    limit, and takes them from everybody but the service role.
    """
    functions = [_merge_function(group), _compare_function(group)]
    if any(table.id_type for table in group.tables):
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
    last = "ordinal desc"
    if isinstance(table.on_conflict, NewerWins):
        moment = table.on_conflict.column
        last = f"{moment} desc nulls last, case when {moment} is null then ordinal end, {last}"
    elif isinstance(table.on_conflict, Newest):
        rule = table.on_conflict
        last = f'{rule.moment} desc nulls last, {rule.source} collate "C", {last}'
    return f"""\
  select distinct on ({key}) * from incoming_rows
  order by {key}, {last}"""


def _insert(table: Table, run: dict[str, str]) -> str:
    run_names = "".join(f"{column.name}, " for column in table.run_columns)
    run_values = "".join(f"{run[column.name]}, " for column in table.run_columns)
    key = ", ".join(table.key)
    return f"""\
  insert into {table.qualified_name} as stored ({run_names}{_names(table.columns)})
  select {run_values}{_names(table.columns)} from winners
  order by {_names(table.row_key)}
  on conflict ({key}) {_on_conflict(table, run)}
  returning row({_names(table.row_key, "stored")}) as row_key, (stored.xmax = 0) as inserted"""


def _on_conflict(table: Table, run: dict[str, str]) -> str:
    if isinstance(table.on_conflict, Keep):
        return "do nothing"
    updated = [column.name for column in table.replaced]
    updated += [column.name for column in table.run_columns if column.name not in table.key]
    assignments = [f"{name} = excluded.{name}" for name in updated]
    if table.stamped:
        assignments.append("updated_at = now()")
    condition = _differs(table, "stored", "excluded")
    if isinstance(table.on_conflict, NewerWins):
        condition = _newer(table.on_conflict.column, run, condition)
    elif isinstance(table.on_conflict, Newest):
        condition = _better(table.on_conflict, run, condition)
    return f"do update set {', '.join(assignments)}\n  where {condition}"


def _newer(moment: str, run: dict[str, str], differs: str) -> str:
    """Whether the new row of a key wins against the stored one; never where one is undated."""
    # A row of this run replaces one of an earlier run also where it says the same: else an older
    # one of this run could replace that later on.
    return f"""\
case
    when {run["if_exists"]} = 'newer' or stored.batch_id = {run["batch_id"]}
      then excluded.{moment} >= stored.{moment} and {differs}
    else {run["if_exists"]} = 'replace'
  end"""


def _better(rule: Newest, run: dict[str, str], differs: str) -> str:
    """Whether the new row of a key wins against the stored one."""
    later = _later(rule.moment, "excluded", "stored")
    as_late = _later(rule.moment, "excluded", "stored", "=")
    same = ""
    if not rule.undated_is_oldest:
        later = f"excluded.{rule.moment} > stored.{rule.moment}"
        same = f" and (stored.{rule.moment} is not null or not {differs})"
    first = f'excluded.{rule.source} collate "C" < stored.{rule.source} collate "C"'
    # Of one run the first takes over also where it says the same: else the next to come would
    # not know that it was there.
    return f"""\
case
    when {run["repair"]} and stored.{rule.signature} = excluded.{rule.signature} and {as_late}
      then true
    when stored.batch_id = {run["batch_id"]} then {later} or ({as_late} and {first}{same})
    when {run["if_exists"]} = 'newer' then {later}
    else {run["if_exists"]} = 'replace' and {differs}
  end"""


def _differs(table: Table, one: str, other: str) -> str:
    return f"({_names(table.compared, one)}) is distinct from ({_names(table.compared, other)})"


def _undated(moment: str) -> str:
    return f"(stored.{moment} is null or winner.{moment} is null)"


def _superseded(table: Table, run: dict[str, str]) -> str:
    """The cases of a stored row that has its own good reason to be another one, or may have."""
    rule = table.on_conflict
    # A run that decides what dates do not will not be told that they do not.
    undecided = f"case when {run['if_exists']} = 'newer' then 'undecided' else 'superseded' end"
    if isinstance(rule, NewerWins):
        differs = _differs(table, "stored", "winner")
        return (
            f"when stored.{rule.column} > winner.{rule.column} then 'superseded'\n"
            f"      when {run['if_exists']} = 'keep' and stored.batch_id <> {run['batch_id']}"
            f" and {differs} then 'superseded'\n"
            f"      when {_undated(rule.column)} and {differs} then {undecided}"
        )
    if isinstance(rule, Newest):
        # With the same signature and moment it would be the same, had nobody changed it.
        other = (
            f"(stored.{rule.signature}, stored.{rule.moment})"
            f" is distinct from (winner.{rule.signature}, winner.{rule.moment})"
        )
        later = (
            f"when {other}"
            f" and ({run['if_exists']} = 'keep' or {_later(rule.moment, 'stored', 'winner', '>=')})"
            " then 'superseded'"
        )
        if rule.undated_is_oldest:
            return later
        return f"when {_undated(rule.moment)} and {other} then {undecided}\n      {later}"
    return ""


def _updated(table: Table) -> str:
    """The case of a row that was there and was written."""
    updated = "when not written.inserted then 'U'"
    if not isinstance(table.on_conflict, NewerWins):
        return updated
    same = f"stored.present and not {_differs(table, 'stored', 'winner')}"
    return f"when not written.inserted and {same} then '='\n          {updated}"


def _unclear(table: Table, run: dict[str, str]) -> str:
    """The condition on which the stored row of a key must be looked at."""
    if isinstance(table.on_conflict, NewerWins):
        replaced = f"not written.inserted and {run['if_exists']} = 'replace'"
        return f"(written.inserted is null or ({replaced}))"
    return "written.inserted is null"


def _lost(table: Table) -> str:
    """The case of a row that lost against another one of its key, where that is for a judge."""
    if table.dated_by is None:
        return ""
    undecided = f"judged.outcome in ('?', '{UNJUDGED}')"
    return f"when rows.moment is null or {undecided} then '{UNJUDGED}' "


def _not_written(table: Table, run: dict[str, str], unseen: str) -> str:
    """The last cases, of a row that was not written; `unseen` where it cannot be seen why.

    That is so where another transaction wrote the stored row while the statement was under way.
    """
    differs = _differs(table, "stored", "winner")
    if table.dated_by is None:
        skipped = "" if isinstance(table.on_conflict, Replace) else f"when {differs} then 'S'"
        return f"{skipped}\n          else '='"
    kept = f"{run['if_exists']} = 'keep' and stored.batch_id <> {run['batch_id']}"
    cases = [
        f"when stored.present is null then '{unseen}'",
        f"when not {differs} then '='",
        f"when {kept} then 'S'",
        f"when {_undated(table.dated_by)} then '?'",
    ]
    if isinstance(table.on_conflict, NewerWins):
        later = f"stored.{table.dated_by} > winner.{table.dated_by}"
        cases += [f"when {later} then 'S'", f"else '{unseen}'"]
    else:
        cases.append("else 'S'")
    return "\n          ".join(cases)


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
        f"rows from (jsonb_to_recordset(body -> 'rows' -> '{table.label}') as ({types}))"
        f" with ordinality as input({_names(table.columns)}, ordinal)"
    )


def _json_count(table: Table) -> str:
    return f"jsonb_array_length(body -> 'rows' -> '{table.label}')"


def _json_ids(table: Table) -> str:
    """The same with the ids alone: much less to read, for each table that hangs on them."""
    return (
        f"rows from (jsonb_to_recordset(body -> 'rows' -> '{table.label}') as (id {table.id_type}))"
        " with ordinality as input(id, ordinal)"
    )


def _json_run(table: Table) -> dict[str, str]:
    values = {
        column.name: f"(body -> 'run' ->> '{column.name}')::{column.type}"
        for column in table.run_columns
    }
    return {
        **values,
        "if_exists": "(body -> 'run' ->> 'if_exists')",
        "repair": "(body -> 'run' ->> 'repair')::boolean",
    }


def _merge_step(group: TableGroup, table: Table) -> str:
    owner = group.owner_of(table)
    if owner is None:
        statement = merge_statement(
            table,
            _json_run(table),
            _json_source(table),
            _json_count(table),
            "into outcomes",
            reading="materialized",
        )
        return f"""\
  if body -> 'rows' ? '{table.label}' then
{_indented(statement)};
{_judge_step(table)}\
    answer := answer || jsonb_build_object('{table.label}', outcomes);
  end if;
"""
    statement = replace_sets_statement(
        table, owner, _json_source(table), _json_ids(owner), f"answer ->> '{owner.label}'", 1
    )
    return f"""\
  if answer ->> '{owner.label}' ~ '[IU]' then
{_indented(statement)};
  end if;
"""


def _judge_step(table: Table) -> str:
    if table.dated_by is None:
        return ""
    statement = judge_statement(
        table, _json_run(table), _json_source(table), "outcomes", 1, "into outcomes"
    )
    return f"""\
    if strpos(outcomes, '{UNJUDGED}') > 0 then
{_indented(_indented(statement))};
    end if;
"""


def _merge_function(group: TableGroup) -> str:
    steps = "".join(_merge_step(group, table) for table in group.tables)
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
  if body -> 'rows' ? '{table.label}' then
{_indented(compare_statement(table, _json_run(table), _json_source(table), "into comparison"))};
    answer := answer || jsonb_build_object('{table.label}', comparison);
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
  if body ->> 'table' = '{table.label}' then
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
        if table.id_type is not None
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
