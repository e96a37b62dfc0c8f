-- Functions for any table of ours: replacing sets of owned rows, comparing rows with stored ones,
-- reading and deleting. Both backends call them with a description of the table: see `described` in
-- imports/tables/sql.py. A statement contains only quoted names, existing types and the names of our
-- own tables from a description.

-- Names of columns as a list in SQL, each after a prefix.
create or replace function public.importer_names(names jsonb, prefix text default '') returns text
language plpgsql immutable security invoker set search_path = '' as $function$
begin
  return (
    select string_agg(format('%s%I', prefix, name), ', ' order by number)
    from jsonb_array_elements_text(names) with ordinality as named(name, number)
  );
end
$function$;

-- An expression that is true if two rows differ in these columns; NULL if there are no columns.
create or replace function public.importer_differs(names jsonb, one text, other text) returns text
language plpgsql immutable security invoker set search_path = '' as $function$
begin
  return '(' || public.importer_names(names, one) || ') is distinct from ('
    || public.importer_names(names, other) || ')';
end
$function$;

-- The name of the described table; it must be one of ours.
create or replace function public.importer_table(described jsonb) returns text
language plpgsql stable security invoker set search_path = '' as $function$
begin
  if (public.importer_tables() ? (described ->> 'name')) is not true then
    raise undefined_table using message = format('%s is not a table of ours', described ->> 'name');
  end if;
  return described ->> 'name';
end
$function$;

-- The name of the table in requests and answers: `label` of `Table`.
create or replace function public.importer_label(described jsonb) returns text
language plpgsql immutable security invoker set search_path = '' as $function$
begin
  return regexp_replace(described ->> 'name', '^public\.', '');
end
$function$;

-- The source of the incoming rows of a table: a temporary table with a column `ordinal`, or $1, a
-- JSON array.
create or replace function public.importer_source(described jsonb) returns text
language plpgsql stable security invoker set search_path = '' as $function$
begin
  if described ->> 'relation' is not null then
    return format('pg_temp.%I', described ->> 'relation');
  end if;
  return format('(select *, ordinality as ordinal from jsonb_populate_recordset(null::%s, $1)'
    ' with ordinality)', public.importer_table(described));
end
$function$;

-- Replaces the owned rows of the owners that were just written. For updated owners, it deletes stored
-- rows that are no longer in the batch. `tables` has descriptions; `batch` has, by label, the rows of
-- the tables without a temporary table.
create or replace function public.importer_replace_sets(
  tables jsonb, batch jsonb, owners_written anyarray, owners_updated anyarray
) returns void language plpgsql volatile security invoker set search_path = '' as $function$
declare
  described jsonb;
  given jsonb;
  compared jsonb;
begin
  for described in select jsonb_array_elements(tables) loop
    given := batch -> public.importer_label(described);
    compared := described -> 'compared';
    continue when given is null and described ->> 'relation' is null
      and cardinality(owners_updated) = 0;
    execute format($sql$
      with gone as (
        delete from %1$s as stored
        where stored.%2$I = any ($3)
          and not exists (select from %3$s as kept where (%4$s) = (%5$s))
      )
      insert into %1$s as stored (%6$s)
      select %6$s from %3$s as given where %2$I = any ($2) order by %7$s
      on conflict (%7$s) do %8$s$sql$,
      public.importer_table(described), described -> 'key' ->> 0, public.importer_source(described),
      public.importer_names(described -> 'key', 'kept.'),
      public.importer_names(described -> 'key', 'stored.'),
      public.importer_names((described -> 'key') || compared),
      public.importer_names(described -> 'key'),
      coalesce('update set (' || public.importer_names(compared)
        || ') = row(' || public.importer_names(compared, 'excluded.')
        || ') where ' || public.importer_differs(compared, 'stored.', 'excluded.'), 'nothing'))
      using coalesce(given, '[]'), owners_written, owners_updated;
  end loop;
end
$function$;

-- The statement that finds the stored row of a key. If columns of the key may be null, it has a branch
-- for each combination of null columns: otherwise PostgreSQL would not use the index.
create or replace function public.importer_stored(described jsonb) returns text
language plpgsql stable security invoker set search_path = '' as $function$
declare
  same constant text := ' and kept.%1$I = winner.%1$I';
  neither constant text := ' and kept.%1$I is null and winner.%1$I is null';
  conditions text[];
  part text;
begin
  conditions := array[(
    select coalesce(string_agg(format('kept.%1$I = ($2 ->> %1$L)::%2$s', column_name, to_regtype(type)),
      ' and '), 'true')
    from jsonb_to_recordset(described -> 'run_key') as run_key(column_name text, type text)
  )];
  for part in select jsonb_array_elements_text(described -> 'key') loop
    conditions := array(
      select condition || format(choice, part) from unnest(conditions) as condition,
        unnest(case when described -> 'nullable' ? part then array[same, neither] else array[same] end)
          as choice
    );
  end loop;
  return (
    select string_agg(format('select true as present, kept.* from %s as kept where %s',
      public.importer_table(described), condition), ' union all ')
    from unnest(conditions) as condition
  );
end
$function$;

-- The order of the rows of one key, with the winner first; and the cases in which a stored row may
-- differ for a good reason.
create or replace function public.importer_rule(
  described jsonb, differs text, out winner_first text, out superseded text
) language plpgsql stable security invoker set search_path = '' as $function$
declare
  rule constant jsonb := described -> 'rule';
  stamp constant text := rule ->> 'timestamp';
  undated text;
  -- If --if-exists decides, nothing is undecided.
  undecided constant text :=
    $sql$case when $2 ->> 'if_exists' = 'newer' then 'undecided' else 'superseded' end$sql$;
  other text;
begin
  winner_first := 'ordinal desc';
  superseded := '';
  if stamp is null then
    return;
  end if;
  undated := format('(stored.%1$I is null or winner.%1$I is null)', stamp);
  if rule ->> 'name' = 'update_if_newer' then
    winner_first := format(
      '%1$I desc nulls last, case when %1$I is null then ordinal end, ordinal desc', stamp);
    superseded := format($sql$
      when stored.%1$I > winner.%1$I then 'superseded'
      when $2 ->> 'if_exists' = 'keep' and stored.batch_id <> $2 ->> 'batch_id' and %2$s
        then 'superseded'
      when %3$s and %2$s then %4$s$sql$, stamp, differs, undated, undecided);
  elsif rule ->> 'name' = 'latest_wins' then
    winner_first := format('%I desc nulls last, %I collate "C", ordinal desc',
      stamp, rule ->> 'source');
    -- A row with the same signature and timestamp has the same content, unless somebody changed it.
    other := format('(stored.%1$I, stored.%2$I) is distinct from (winner.%1$I, winner.%2$I)',
      rule ->> 'signature', stamp);
    if not (rule ->> 'undated_is_oldest')::boolean then
      superseded := format('when %s and %s then %s', undated, other, undecided);
    end if;
    superseded := superseded || format($sql$
      when %1$s and ($2 ->> 'if_exists' = 'keep'
          or coalesce(stored.%2$I, '-infinity') >= coalesce(winner.%2$I, '-infinity'))
        then 'superseded'$sql$, other, stamp);
  end if;
end
$function$;

-- An expression for the stored rows of the owners in $3 that are not among the incoming rows: an
-- element for each owner with its id (`i`), the number of these rows (`n`) and the first one (`r`).
create or replace function public.importer_added(described jsonb) returns text
language plpgsql stable security invoker set search_path = '' as $function$
declare
  own constant text := described -> 'key' ->> 0;
  own_type constant regtype := (select atttypid from pg_attribute
    where attrelid = to_regclass(described ->> 'name') and attname = own);
begin
  if described ->> 'owner' is null then
    return $sql$'[]'::jsonb$sql$;
  end if;
  return format($sql$(
    select coalesce(jsonb_agg(jsonb_build_object('i', owner, 'n', number, 'r', first_row)), '[]')
    from (
      select stored.%1$I::text as owner, count(*) as number,
        (array_agg(to_jsonb(stored) order by %2$s))[1] as first_row
      from %3$s as stored
      where stored.%1$I = any ($3::%4$s[])
        and not exists (select from incoming_rows as kept where (%5$s) = (%2$s))
      group by stored.%1$I
    ) as added
  )$sql$,
    own, public.importer_names(described -> 'key', 'stored.'),
    public.importer_table(described), own_type,
    public.importer_names(described -> 'key', 'kept.'));
end
$function$;

-- The statement that compares the rows of one table. $1 has the rows, unless they are in a temporary
-- table; $2 has the values of the run; $3 has the ids of the owners that are stored correctly.
create or replace function public.importer_comparison(described jsonb) returns text
language plpgsql stable security invoker set search_path = '' as $function$
declare
  differs constant text := coalesce(
    public.importer_differs(described -> 'compared', 'stored.', 'winner.'), 'false');
  conditions constant jsonb := public.importer_tables() -> (described ->> 'name');
  rule record := public.importer_rule(described, differs);
begin
  return format($sql$
    with incoming_rows as (
      select ordinal, %1$s from %2$s
    ), winners as (
      select distinct on (%3$s) * from incoming_rows order by %3$s, %4$s
    ), compared as (
      select winner.ordinal, %5$s as id, judged.found,
        case when judged.found in ('different', 'undecided') then (
          select jsonb_object_agg(key, jsonb_build_array(was.value, wanted.value))
          from jsonb_each(to_jsonb(stored)) as was join jsonb_each(to_jsonb(winner)) as wanted using (key)
          where %9$L::jsonb ? key and was.value <> wanted.value
        ) end as differing
      from winners as winner
      left join lateral (%8$s limit 1) as stored on true
      cross join lateral (
        select case
          %11$s
          when stored.present is null then 'missing'
          %6$s
          when %7$s then 'different'
          else 'same'
        end as found offset 0
      ) as judged
    )
    select jsonb_build_object('rows', (
      select coalesce(jsonb_agg(jsonb_build_object(
        's', coalesce(compared.found, 'superseded'), 'i', compared.id, 'd', compared.differing
      ) order by ordinal), '[]')
      from incoming_rows left join compared using (ordinal)
    ), 'added', %10$s)$sql$,
    public.importer_names(described -> 'columns'), public.importer_source(described),
    public.importer_names(described -> 'key'), rule.winner_first,
    case when described ->> 'id_type' is not null then 'stored.id::text' else 'null::text' end,
    concat('when (' || (conditions ->> 'guarded') || ') and ' || differs || $$ then 'guarded'$$,
      rule.superseded),
    differs, public.importer_stored(described), described -> 'compared',
    public.importer_added(described),
    'when ' || (conditions ->> 'left_out') || ' and (stored.present is null or ' || differs
      || $$) then 'left_out'$$);
end
$function$;

-- Compares rows of tables, owners first. `payload` has `tables` (descriptions), `run`, and the rows by
-- label in `rows`, unless the descriptions name temporary tables. The answer has for each label `added`
-- (see importer_added) and `rows`. These have for each incoming row, in the same order:
-- `s`: the result: `same`, `different`, `missing`, `undecided` (different, and it is unknown which is
-- newer), or `superseded` (by a newer row, or by another incoming row of its key);
-- `i`: the id of the stored row; `d`: for each differing column a pair of stored and expected value.
create or replace function public.importer_compare(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body constant jsonb := public.importer_body(payload);
  batch constant jsonb := coalesce(body -> 'rows', '{}');
  answer jsonb := '{}';
  same_owners jsonb := '{}';
  described jsonb;
  label text;
  found_rows jsonb;
begin
  for described in select jsonb_array_elements(body -> 'tables') loop
    label := public.importer_label(described);
    execute public.importer_comparison(described) into found_rows
      using coalesce(batch -> label, '[]'), body -> 'run',
        array(select jsonb_array_elements_text(same_owners -> (described ->> 'owner')));
    answer := answer || jsonb_build_object(label, found_rows);
    same_owners := same_owners || jsonb_build_object(described ->> 'name',
      jsonb_path_query_array(found_rows, '$.rows[*] ? (@.s == "same").i'));
  end loop;
  return answer;
end
$function$;

-- The condition that a row has what was asked for. `body` has `where`, columns (name, type) and the
-- permitted `values` of each, for an array: values of which it has one; and `contains`, columns and a text
-- that one of them contains.
create or replace function public.importer_asked(body jsonb) returns text
language plpgsql stable security invoker set search_path = '' as $function$
declare
  condition text;
begin
  select string_agg(case
      when type like '%[]'
        then format('%I && %L::%s', name, array(select jsonb_array_elements_text(values))::text,
          to_regtype(type))
      when jsonb_array_length(values) = 1 and values <> '[null]'
        then format('%I = %L::%s', name, values ->> 0, to_regtype(type))
      else format(case when values @> '[null]' then '(%1$I = any (%2$L::%3$s[]) or %1$I is null)'
        else '%1$I = any (%2$L::%3$s[])' end,
        name, array(select jsonb_array_elements_text(values))::text, to_regtype(type))
    end, ' and ') into condition
  from jsonb_to_recordset(body -> 'where') as given(name text, type text, values jsonb);
  return concat_ws(' and ', condition, '(' || (
    select string_agg(format('strpos(lower(%I::text), lower(%L)) > 0',
      name, body -> 'contains' ->> 'text'), ' or ')
    from jsonb_array_elements_text(body -> 'contains' -> 'columns') as name) || ')', 'true');
end
$function$;

-- Reads rows ordered by columns that identify a row. `payload` has the `table` (a description); `by`,
-- these columns (name, type, nullable), and `after`, their values in the last row of the previous page;
-- `descending`, if the order is the reverse one; what `importer_asked` gets; `columns`, the wanted ones;
-- `skip`, how many rows to pass over; and `limit`. The answer is an array of rows.
create or replace function public.importer_rows(payload jsonb) returns jsonb
language plpgsql stable security invoker set search_path = '' as $function$
declare
  body constant jsonb := public.importer_body(payload);
  back constant boolean := (body -> 'descending')::boolean;
  wanted constant text := coalesce(public.importer_names(body -> 'columns'), '*');
  by_columns text;
  pages text[] := '{false}';
  before text := 'true';
  part record;
  answer jsonb;
begin
  -- Each of these finds its first row by an index: an OR, or a comparison of rows with nulls, does not.
  for part in
    select given.*, body -> 'after' ->> (number::integer - 1) as value
    from rows from (jsonb_to_recordset(body -> 'by') as (name text, type text, nullable boolean))
      with ordinality as given(name, type, nullable, number)
  loop
    by_columns := concat_ws(', ', by_columns, format('%I%s', part.name, case when back then ' desc' end));
    if part.value is not null then
      pages := pages || format('%s and %I %s %L::%s', before, part.name,
        case when back then '<' else '>' end, part.value, to_regtype(part.type));
    end if;
    -- NULL is the last value.
    if part.nullable and back = (part.value is null) then
      pages := pages || format('%s and %I is %s null', before, part.name, case when back then 'not' end);
    end if;
    before := before || format(case when part.value is null then ' and %I is null'
      else ' and %I = %L::%s' end, part.name, part.value, to_regtype(part.type));
  end loop;
  if jsonb_typeof(body -> 'after') = 'array' is not true then
    pages := array['true'];
  end if;
  execute format('select coalesce(jsonb_agg(to_jsonb(page)), ''[]'') from
      (select %s from (%s) as pages order by %s limit $1 offset $2) as page',
    wanted,
    (select string_agg(format('(select %s from %s where %s and %s order by %s limit $1 + $2)', wanted,
      public.importer_table(body -> 'table'), public.importer_asked(body), page, by_columns),
      ' union all ')
    from unnest(pages) as page), by_columns)
  into answer using (body ->> 'limit')::integer, (body ->> 'skip')::integer;
  return answer;
end
$function$;

-- How many rows of the `table` (a description) have what `importer_asked` gets.
create or replace function public.importer_row_count(payload jsonb) returns jsonb
language plpgsql stable security invoker set search_path = '' as $function$
declare
  body constant jsonb := public.importer_body(payload);
  answer bigint;
begin
  execute format('select count(*) from %s where %s',
    public.importer_table(body -> 'table'), public.importer_asked(body)) into answer;
  return to_jsonb(answer);
end
$function$;

-- The condition that a row, `stored`, is one of those in `rows`, or is owned by one.
create or replace function public.importer_belongs(described jsonb, rows text) returns text
language plpgsql stable security invoker set search_path = '' as $function$
begin
  if described ->> 'owner' is null then
    return rows;
  end if;
  return format('stored.%I in (select id from %s where %s)', described -> 'key' ->> 0,
    public.importer_table(jsonb_build_object('name', described -> 'owner')), rows);
end
$function$;

-- The statement that lists the hashes of the images that those rows name.
create or replace function public.importer_images(described jsonb, rows text) returns text
language plpgsql stable security invoker set search_path = '' as $function$
begin
  return (
    select coalesce(string_agg(format(case type
        when 'jsonb' then
          $sql$select jsonb_path_query(%I, '$[*].sha256') #>> '{}' from %s as stored where %s$sql$
        else 'select %I from %s as stored where %s' end, name, public.importer_table(described),
      public.importer_belongs(described, rows)), ' union '),
      'select null where false')
    from jsonb_to_recordset(described -> 'images') as image(name text, type text)
  );
end
$function$;

-- Counts what runs wrote. `payload` has `tables` (descriptions) and `batch_ids`. The answer has
-- `tables`: by label the number of `rows`, and how many of them an earlier run inserted (`earlier`);
-- and the number of `images` that no other row names, and their `bytes`.
create or replace function public.importer_count(payload jsonb) returns jsonb
language plpgsql stable security invoker set search_path = '' as $function$
declare
  body constant jsonb := public.importer_body(payload);
  runs constant text[] := array(select jsonb_array_elements_text(body -> 'batch_ids'));
  written constant text := 'batch_id = any ($1)';
  described jsonb;
  counted jsonb := '{}';
  found_rows jsonb;
  hashes text[];
begin
  for described in select jsonb_array_elements(body -> 'tables') loop
    execute format(
      $sql$select jsonb_build_object('rows', count(*), 'earlier', %s) from %s as stored where %s$sql$,
      case when described ->> 'owner' is null then 'count(*) filter (where inserted_by <> all ($1))'
        else '0' end, public.importer_table(described), public.importer_belongs(described, written))
      into found_rows using runs;
    counted := counted || jsonb_build_object(public.importer_label(described), found_rows);
    execute format('select $2 || array(%s)', public.importer_images(described, written))
      into hashes using runs, hashes;
  end loop;
  return (
    select jsonb_build_object('tables', counted, 'images', count(*), 'bytes', coalesce(sum(file_size), 0))
    from public.image_assets
    where content_hash = any (hashes)
      and content_hash not in (select public.importer_named(hashes, runs))
  );
end
$function$;

-- Deletes rows that runs wrote, with their owned rows, and notes the images that they named. A row that
-- another row refers to stays. `payload` has `tables` (descriptions, the owner first), `ids` and
-- `batch_ids`. The answer has the ids of the rows that stayed.
create or replace function public.importer_delete(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body constant jsonb := public.importer_body(payload);
  owner constant text := public.importer_table(body -> 'tables' -> 0);
  picked constant text := format('id = any ($1::%s[])', to_regtype(body -> 'tables' -> 0 ->> 'id_type'));
  ids text[] := array(select jsonb_array_elements_text(body -> 'ids'));
  runs constant text[] := array(select jsonb_array_elements_text(body -> 'batch_ids'));
  rules constant jsonb := public.importer_tables() -> (body -> 'tables' -> 0 ->> 'name');
  unused text;
  stayed jsonb;
  described jsonb;
begin
  -- From here on, no other transaction can refer to them.
  execute format('select array(select id::text from %s where %s and batch_id = any ($2) order by id'
    ' for update)', owner, picked) into ids using ids, runs;
  select string_agg(format('not exists (select from %s as referring where %s)', conrelid::regclass, (
      select string_agg(format('referring.%I = stored.%I', its.attname, ours.attname), ' and ')
      from unnest(conkey, confkey) as pair(its, ours)
      join pg_attribute as its on (its.attrelid, its.attnum) = (conrelid, pair.its)
      join pg_attribute as ours on (ours.attrelid, ours.attnum) = (confrelid, pair.ours))), ' and ')
    into unused
  from pg_constraint where contype = 'f' and confrelid = owner::regclass and conrelid not in (
    select (own ->> 'name')::regclass from jsonb_array_elements(body -> 'tables') as own);
  execute format('select coalesce(jsonb_agg(id::text), ''[]'') from %s as stored where %s and not (%s)',
    owner, picked, concat_ws(' and ', 'true', unused, '(' || (rules ->> 'guarded') || ') is not true'))
    into stayed using ids;
  ids := array(select unnest(ids) except select jsonb_array_elements_text(stayed));
  if rules ? 'undo' then execute format('select %s($1)', rules ->> 'undo') using ids; end if;
  for described in
    select value from jsonb_array_elements(body -> 'tables') with ordinality order by ordinality desc
  loop
    execute format('insert into public.import_removals select content_hash, storage_path, storage_type'
      ' from public.image_assets where content_hash in (%s) on conflict do nothing',
      public.importer_images(described, picked)) using ids;
    execute format('delete from %s as stored where %s',
      public.importer_table(described), public.importer_belongs(described, picked)) using ids;
  end loop;
  return stayed;
end
$function$;

-- Deletes images that no row names from the list of images: a page of the images that are noted for
-- removal from a store of a `storage_type`, ordered by hash, `after` a hash. The answer has `places`, an
-- object of paths by hash, and the `last` hash of the page. They stay noted until they are removed.
create or replace function public.importer_unlist(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body constant jsonb := public.importer_body(payload);
  noted constant text[] := array(select content_hash from public.import_removals
    where storage_type = body ->> 'storage_type' and content_hash > body ->> 'after'
    order by content_hash limit (body ->> 'limit')::integer);
  named text[];
begin
  -- From here on, no other transaction can name them in a column with a foreign key.
  perform from public.image_assets where content_hash = any (noted) order by content_hash for update;
  named := array(select public.importer_named(noted));
  delete from public.import_removals where content_hash = any (named);
  delete from public.image_assets where content_hash = any (noted) and content_hash <> all (named);
  return (
    select jsonb_build_object('last', noted[cardinality(noted)],
      'places', coalesce(jsonb_object_agg(content_hash, storage_path), '{}'))
    from public.import_removals where content_hash = any (noted)
  );
end
$function$;

select public.importer_close();

update public.import_target set schema_version = '20261122000005';
notify pgrst, 'reload schema';
