"""The SQL of a Table, rendered once for both backends.

A statement reads its rows from a relation with a column `ordinal` and the columns of the table: a
temporary table that COPY filled, or a JSON array in a function. So both backends do the same.
Functions of the database compare and list rows; `described` describes a table for them.
"""

from __future__ import annotations

from imports.tables.conditions import with_parents
from imports.tables.table import (
    BATCH_ID,
    Column,
    Derivation,
    Keep,
    LatestWins,
    Replace,
    Table,
    UpdateIfNewer,
)

UNJUDGED = "!"
"""The letter of a row whose outcome a merge cannot know; see `judge_statement`."""

MERGES = "public.import_merges"
"""The table with the answer to each merge, so that a repeated merge gets the same answer."""


def incoming(table: Table) -> str:
    """The temporary table for the rows of a batch; it exists only in one transaction."""
    return "incoming_" + table.label.replace(".", "_")


def create_incoming(table: Table) -> str:
    """DDL for `incoming`."""
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    return f"create temporary table {incoming(table)} (ordinal integer, {columns}) on commit drop"


def copy_incoming(table: Table, columns: tuple[Column, ...] | None = None) -> str:
    """The COPY command for rows that `row_format` encoded, each after its ordinal.

    `columns` are those that the lines have, if not all.
    """
    return f"copy {incoming(table)} (ordinal, {_names(columns or table.columns)}) from stdin"


def all_incoming(table: Table) -> str:
    """The query for the rows of `incoming`."""
    return f"select * from {incoming(table)}"


def count_incoming(table: Table) -> str:
    """The expression for the number of rows in `incoming`."""
    return f"(select count(*) from {incoming(table)})"


def copy_new(table: Table) -> str:
    """The COPY command for rows that are all new, each after the values of the run columns."""
    return (
        f"copy {table.qualified_name} ({_names((*table.run_columns, *table.columns))}) from stdin"
    )


def must_merge(table: Table) -> str:
    """The query whether rows must be merged, instead of copied directly into the table.

    They must if the table has any row with the run's part of the key, or if row level security is
    active for the user.
    """
    mine = [f"{column.name} = %({column.name})s::{column.type}" for column in table.run_key]
    condition = f" where {' and '.join(mine)}" if mine else ""
    return (
        f"select exists (select from {table.qualified_name}{condition})"
        f" or row_security_active('{table.qualified_name}')"
    )


def any_lacks_parent(table: Table) -> str:
    """The query whether a row in `incoming` refers to a missing row of another table."""
    run = {column.name: f"%({column.name})s::{column.type}" for column in table.run_columns}
    rows = with_parents(table, run, all_incoming(table))
    return f"select exists (select from ({rows}) as rows where lacks_parent)"


def merge_statement(
    table: Table,
    run: dict[str, str],
    source: str,
    count: str,
    into: str = "",
    *,
    reading: str = "not materialized",
) -> str:
    """Merges all rows of the query `source`, and returns a letter for each row, by ordinal.

    The letters are those of `RowOutcome`. For each key the winner is merged, and other rows are
    skipped. Some may be `UNJUDGED`, for `judge_statement`. `run` has the SQL expression of each run
    column, `count` is the expression for the number of rows; `into` is PL/pgSQL's INTO clause.
    `reading` is `materialized` for a source that is slow to read.
    """
    identity = f"row({_names(table.row_key)}) as row_key"
    identities = f"{identity}, {table.dated_by} as timestamp" if table.dated_by else identity
    left_out = join = ""
    if table.parents:
        source = with_parents(table, run, source)
        identities += ", lacks_parent"
        left_out, join = "when rows.lacks_parent then 'L'\n        ", "left "
    # Most batches are all new, and then nothing is looked up. Rows are wide: copying them into a
    # materialized CTE would cost as much as inserting them.
    return f"""\
with incoming_rows as {reading} (
  {_hanging(source, 2)}
), winners as not materialized (
{_winners(table)}
), written as (
{_insert(table, run)}
)
select case
  when (select count(*) from written where inserted) = {count} then repeat('I', {count}::integer)
  else (
    with judged as (
      select winner.ordinal, winner.row_key,
        case
          when written.inserted then 'I'
          {_hanging(_updated(table), 10)}
          {_hanging(_not_written(table, run, UNJUDGED), 10)}
        end as outcome
      from (select *, {identity} from winners) as winner
      left join written on written.row_key = winner.row_key
      {_hanging(_stored(table, run, "winner", _unclear(table, run)), 6)}
    )
    select string_agg(
      case {left_out}when judged.ordinal = rows.ordinal then judged.outcome
        {_lost(table)}else 'S' end,
      '' order by rows.ordinal)
    from (select ordinal, {identities} from incoming_rows) as rows
    {join}join judged on judged.row_key = rows.row_key
  ) end {into}"""


def judge_statement(
    table: Table, run: dict[str, str], source: str, letters: str, first: int, into: str = ""
) -> str:
    """Returns the `letters` of `merge_statement`, with an outcome for each unjudged row.

    A merge only sees the rows that existed when it began. Only a later statement sees the rows that
    prevented a write: those that other transactions wrote since then, and those of the merge itself
    (an undated row may be equal to the row of its batch that won). It must be in the same
    transaction, since the merge has locked these rows.
    """
    return f"""\
select string_agg(
  case
    when winner.letter <> '{UNJUDGED}' then winner.letter
    {_hanging(_not_written(table, run, "="), 4)}
  end, '' order by winner.ordinal) {into}
from (
  select *, {_letter(letters, first)} as letter
  from (
    {_hanging(source, 4)}
  ) as given
) as winner
{_stored(table, run, "winner", f"winner.letter = '{UNJUDGED}'")}"""


def replace_sets_statement(owner: Table, letters: str, first: int) -> str:
    """Replaces the owned sets of rows of the owners that were inserted or updated.

    The owners are in `incoming`, and `letters` is the SQL expression for their outcomes from
    `merge_statement`. `first` is the ordinal of the first owner. The parameter `tables` has the
    owned tables, as `described`.
    """
    ids = f"select id from {incoming(owner)} where {_letter(letters, first)}"
    return f"""\
select public.importer_replace_sets(
  %(tables)s, '{{}}', array({ids} in ('I', 'U')), array({ids} = 'U'))"""


def derive_statement(
    derivation: Derivation, table: Table, run: str, source: str, letters: str, first: int
) -> str:
    """Calls a derivation with the keys of the rows in `source` that were written, by `letters`.

    `run` is the expression for the run's values as jsonb.
    """
    names = derivation.by or [column.name for column in table.row_key]
    key = ", ".join(f"'{name}', {name}" for name in names)
    place = "result.number" if first == 1 else f"result.number + {first - 1}"
    listed = ", ".join(names)
    given = ", ".join(f"given.{name}" for name in names)
    picked = f"distinct {given}" if derivation.by else f"{given}, ordinal"
    order = listed if derivation.by else "ordinal"
    # Not `substr` for each row: it counts the characters from the first one on.
    return f"""\
select coalesce({derivation.function}({run},
  jsonb_agg(jsonb_build_object({key}) order by {order})), '{{}}')
from (
  select {picked}
  from (
    {_hanging(source, 4)}
  ) as given
  join string_to_table({letters}, null) with ordinality as result(letter, number)
    on {place} = given.ordinal and result.letter in ('I', 'U')
) as written"""


def _letter(letters: str, first: int) -> str:
    place = "ordinal::integer" if first == 1 else f"ordinal + {1 - first}"
    return f"substr({letters}, {place}, 1)"


def _names(columns: tuple[Column, ...], relation: str = "") -> str:
    prefix = f"{relation}." if relation else ""
    return ", ".join(prefix + column.name for column in columns)


def _later(column: str, one: str, other: str, operator: str = ">") -> str:
    return (
        f"coalesce({one}.{column}, '-infinity') {operator} coalesce({other}.{column}, '-infinity')"
    )


def _hanging(text: str, by: int) -> str:
    """A text of several lines, indented from its second line on."""
    return text.replace("\n", "\n" + " " * by)


def _winners(table: Table) -> str:
    key = _names(table.row_key)
    last = "ordinal desc"
    if isinstance(table.on_conflict, UpdateIfNewer):
        timestamp = table.on_conflict.column
        last = (
            f"{timestamp} desc nulls last, case when {timestamp} is null then ordinal end, {last}"
        )
    elif isinstance(table.on_conflict, LatestWins):
        rule = table.on_conflict
        last = f'{rule.timestamp} desc nulls last, {rule.source} collate "C", {last}'
    there = " where not lacks_parent" if table.parents else ""
    return f"""\
  select distinct on ({key}) * from incoming_rows{there}
  order by {key}, {last}"""


def _insert(table: Table, run: dict[str, str]) -> str:
    run_names = "".join(f"{column.name}, " for column in table.run_columns)
    run_values = "".join(f"{run[column.name]}, " for column in table.run_columns)
    key = ", ".join(table.key)
    return f"""\
  insert into {table.qualified_name} as stored ({run_names}{_names(table.columns)})
  select {run_values}{_names(table.columns)}
  from winners order by {_names(table.row_key)}
  on conflict ({key}) {_on_conflict(table, run)}
  returning row({_names(table.row_key, "stored")}) as row_key, (stored.xmax = 0) as inserted"""


def _on_conflict(table: Table, run: dict[str, str]) -> str:
    if isinstance(table.on_conflict, Keep):
        return "do nothing"
    updated = [column.name for column in table.replaced]
    updated += [column.name for column in table.run_columns if column.name not in table.key]
    assignments = [f"{name} = excluded.{name}" for name in updated]
    if BATCH_ID in table.run_columns:
        assignments.append("inserted_by = coalesce(stored.inserted_by, stored.batch_id)")
    if table.counter is not None:
        assignments.append(f"{table.counter} = coalesce(stored.{table.counter}, 0) + 1")
    if table.stamped:
        assignments.append("updated_at = now()")
    condition = _differs(table, "stored", "excluded")
    if isinstance(table.on_conflict, UpdateIfNewer):
        condition = _newer(table.on_conflict.column, run, condition)
    elif isinstance(table.on_conflict, LatestWins):
        condition = _better(table.on_conflict, run, condition)
    if table.guard is not None:
        condition = f"({table.guard}) is not true and {condition}"
    return f"do update set {', '.join(assignments)}\n  where {condition}"


def _newer(timestamp: str, run: dict[str, str], differs: str) -> str:
    """The condition for a new row that wins against the stored one; never if one is undated."""
    # A row of this run also replaces an equal row of an earlier run: otherwise an older row of this
    # run could replace that one later.
    return f"""\
case
    when {run["if_exists"]} = 'newer' or stored.batch_id = {run["batch_id"]}
      then excluded.{timestamp} >= stored.{timestamp} and {differs}
    else {run["if_exists"]} = 'replace'
  end"""


def _better(rule: LatestWins, run: dict[str, str], differs: str) -> str:
    """The condition for a new row that wins against the stored one."""
    later = _later(rule.timestamp, "excluded", "stored")
    as_late = _later(rule.timestamp, "excluded", "stored", "=")
    same = ""
    if not rule.undated_is_oldest:
        later = f"excluded.{rule.timestamp} > stored.{rule.timestamp}"
        same = f" and (stored.{rule.timestamp} is not null or not {differs})"
    first = f'excluded.{rule.source} collate "C" < stored.{rule.source} collate "C"'
    # The first row of a run replaces even an equal row: otherwise a later batch would not see it.
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


def _undated(timestamp: str) -> str:
    return f"(stored.{timestamp} is null or winner.{timestamp} is null)"


def _updated(table: Table) -> str:
    """The case of a row that existed and was written."""
    updated = "when not written.inserted then 'U'"
    if not isinstance(table.on_conflict, UpdateIfNewer):
        return updated
    same = f"stored.present and not {_differs(table, 'stored', 'winner')}"
    return f"when not written.inserted and {same} then '='\n{updated}"


def _unclear(table: Table, run: dict[str, str]) -> str:
    """The condition for looking up the stored row of a key."""
    if isinstance(table.on_conflict, UpdateIfNewer):
        replaced = f"not written.inserted and {run['if_exists']} = 'replace'"
        return f"(written.inserted is null or ({replaced}))"
    return "written.inserted is null"


def _lost(table: Table) -> str:
    """The case of a row that lost against another one of its key, if it must be judged."""
    if table.dated_by is None:
        return ""
    undecided = f"judged.outcome in ('?', '{UNJUDGED}')"
    return f"when rows.timestamp is null or {undecided} then '{UNJUDGED}' "


def _not_written(table: Table, run: dict[str, str], unseen: str) -> str:
    """The last cases, of a row that was not written; `unseen` if the reason is not visible.

    It is not visible if another transaction wrote the stored row during the statement.
    """
    differs = _differs(table, "stored", "winner")
    if not table.needs_judge:
        skipped = "" if isinstance(table.on_conflict, Replace) else f"when {differs} then 'S'"
        return f"{skipped}\nelse '='"
    cases = [f"when stored.present is null then '{unseen}'", f"when not {differs} then '='"]
    if table.guard is not None:
        cases.append(f"when {table.guard} then 'G'")
    if table.dated_by is None:
        other = unseen if isinstance(table.on_conflict, Replace) else "S"
        return "\n".join([*cases, f"else '{other}'"])
    kept = f"{run['if_exists']} = 'keep' and stored.batch_id <> {run['batch_id']}"
    cases += [f"when {kept} then 'S'", f"when {_undated(table.dated_by)} then '?'"]
    if isinstance(table.on_conflict, UpdateIfNewer):
        later = f"stored.{table.dated_by} > winner.{table.dated_by}"
        cases += [f"when {later} then 'S'", f"else '{unseen}'"]
    else:
        cases.append("else 'S'")
    return "\n".join(cases)


def _stored(table: Table, run: dict[str, str], row: str, condition: str) -> str:
    """A lateral join to the stored row of a key; uses the index even if a column is NULL."""
    run_part = [f"kept.{column.name} = {run[column.name]}" for column in table.run_key]
    firm = [column for column in table.row_key if not column.nullable]
    loose = [column for column in table.row_key if column.nullable]
    branches = [run_part + [f"kept.{column.name} = {row}.{column.name}" for column in firm]]
    for column in loose:
        equal = f"kept.{column.name} = {row}.{column.name}"
        both_null = f"{row}.{column.name} is null and kept.{column.name} is null"
        branches = [[*branch, addition] for branch in branches for addition in (equal, both_null)]
    selects = "\n  union all\n".join(
        f"  select true as present, kept.* from {table.qualified_name} as kept\n"
        f"  where {' and '.join([condition, *branch])}"
        for branch in branches
    )
    return f"left join lateral (\n{selects} limit 1\n) as stored on true"
