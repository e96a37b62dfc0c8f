-- states: pharmacy licences, as searches on state boards found them.

create table public.search_results (
  id bigint generated always as identity primary key,
  dataset_id bigint not null references public.datasets (id) on delete cascade,
  batch_id text not null,
  search_name text not null,
  search_state text not null,
  search_ts timestamptz,
  license_number text,
  license_status text,
  license_name text,
  license_type text,
  address text,
  city text,
  state text,
  zip text,
  issue_date date,
  expiration_date date,
  result_status text,
  meta jsonb,
  raw jsonb,
  image_hash text references public.image_assets (content_hash),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique nulls not distinct (dataset_id, search_name, search_state, license_number)
);
comment on column public.search_results.meta is 'The metadata of the file, as it stands there.';
comment on column public.search_results.raw is
  'The rest of the file, with this one licence in search_result.licenses.';
create index search_results_batch_id on public.search_results (batch_id, id);
create index search_results_image_hash on public.search_results (image_hash)
  where image_hash is not null;

create or replace function public.importer_merge_states(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body jsonb := case jsonb_typeof(payload)
    when 'string' then (payload #>> '{}')::jsonb else payload end;
  answer jsonb;
  outcomes text;
begin
  perform pg_advisory_xact_lock(hashtextextended(body ->> 'request_id', 0));
  select merges.answer into answer from public.import_merges as merges
    where merges.request_id = (body ->> 'request_id')::uuid;
  if found then
    return answer;
  end if;
  answer := '{}';
  if body -> 'rows' ? 'search_results' then
    with incoming_rows as (
      select ordinal, search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash from rows from (jsonb_to_recordset(body -> 'rows' -> 'search_results') as (search_name text, search_state text, search_ts timestamptz, license_number text, license_status text, license_name text, license_type text, address text, city text, state text, zip text, issue_date date, expiration_date date, result_status text, meta jsonb, raw jsonb, image_hash text)) with ordinality as input(search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash, ordinal)
    ), winners as (
      select distinct on (search_name, search_state, license_number) *, row(search_name, search_state, license_number) as row_key from incoming_rows
      order by search_name, search_state, license_number, search_ts desc nulls last, ordinal desc
    ), written as (
      insert into public.search_results as stored (dataset_id, batch_id, search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash)
      select (body -> 'run' ->> 'dataset_id')::bigint, (body -> 'run' ->> 'batch_id')::text, search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash from winners
      order by search_name, search_state, license_number
      on conflict (dataset_id, search_name, search_state, license_number) do update set search_ts = excluded.search_ts, license_status = excluded.license_status, license_name = excluded.license_name, license_type = excluded.license_type, address = excluded.address, city = excluded.city, state = excluded.state, zip = excluded.zip, issue_date = excluded.issue_date, expiration_date = excluded.expiration_date, result_status = excluded.result_status, meta = excluded.meta, raw = excluded.raw, image_hash = excluded.image_hash, batch_id = excluded.batch_id, updated_at = now()
      where coalesce(excluded.search_ts, '-infinity') >= coalesce(stored.search_ts, '-infinity')
        and (stored.search_ts, stored.license_status, stored.license_name, stored.license_type, stored.address, stored.city, stored.state, stored.zip, stored.issue_date, stored.expiration_date, stored.result_status, stored.meta, stored.raw, stored.image_hash) is distinct from (excluded.search_ts, excluded.license_status, excluded.license_name, excluded.license_type, excluded.address, excluded.city, excluded.state, excluded.zip, excluded.issue_date, excluded.expiration_date, excluded.result_status, excluded.meta, excluded.raw, excluded.image_hash)
      returning row(stored.search_name, stored.search_state, stored.license_number) as row_key, (stored.xmax = 0) as inserted
    ), judged as (
      select winner.ordinal, winner.row_key,
        case
          when written.inserted then 'I'
          when not written.inserted then 'U'
          when coalesce(stored.search_ts, '-infinity') > coalesce(winner.search_ts, '-infinity') then 'S'
          else '='
        end as outcome
      from winners as winner
      left join written on written.row_key = winner.row_key
      left join lateral (
        select true as present, kept.* from public.search_results as kept
        where written.inserted is null and kept.dataset_id = (body -> 'run' ->> 'dataset_id')::bigint and kept.search_name = winner.search_name and kept.search_state = winner.search_state and kept.license_number = winner.license_number
        union all
        select true as present, kept.* from public.search_results as kept
        where written.inserted is null and kept.dataset_id = (body -> 'run' ->> 'dataset_id')::bigint and kept.search_name = winner.search_name and kept.search_state = winner.search_state and winner.license_number is null and kept.license_number is null
        limit 1
      ) as stored on true
    )
    select coalesce(string_agg(
      case when judged.ordinal = rows.ordinal then judged.outcome else 'S' end,
      '' order by rows.ordinal), '') into outcomes
    from (select ordinal, row(search_name, search_state, license_number) as row_key from incoming_rows) as rows
    join judged on judged.row_key = rows.row_key;
    answer := answer || jsonb_build_object('search_results', outcomes);
  end if;
  insert into public.import_merges (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
end
$function$;

create or replace function public.importer_compare_states(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body jsonb := case jsonb_typeof(payload)
    when 'string' then (payload #>> '{}')::jsonb else payload end;
  answer jsonb;
  comparison jsonb;
begin
  answer := '{}';
  if body -> 'rows' ? 'search_results' then
    with incoming_rows as (
      select ordinal, search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash from rows from (jsonb_to_recordset(body -> 'rows' -> 'search_results') as (search_name text, search_state text, search_ts timestamptz, license_number text, license_status text, license_name text, license_type text, address text, city text, state text, zip text, issue_date date, expiration_date date, result_status text, meta jsonb, raw jsonb, image_hash text)) with ordinality as input(search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash, ordinal)
    ), winners as (
      select distinct on (search_name, search_state, license_number) *, row(search_name, search_state, license_number) as row_key from incoming_rows
      order by search_name, search_state, license_number, search_ts desc nulls last, ordinal desc
    ), compared as (
      select winner.ordinal, stored.id::text as id,
        case
          when stored.present is null then 'missing'
          when coalesce(stored.search_ts, '-infinity') > coalesce(winner.search_ts, '-infinity') then 'superseded'
          when (stored.search_ts, stored.license_status, stored.license_name, stored.license_type, stored.address, stored.city, stored.state, stored.zip, stored.issue_date, stored.expiration_date, stored.result_status, stored.meta, stored.raw, stored.image_hash)
            is distinct from (winner.search_ts, winner.license_status, winner.license_name, winner.license_type, winner.address, winner.city, winner.state, winner.zip, winner.issue_date, winner.expiration_date, winner.result_status, winner.meta, winner.raw, winner.image_hash) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'search_ts', case when stored.search_ts is distinct from winner.search_ts then jsonb_build_array(stored.search_ts, winner.search_ts) end,
          'license_status', case when stored.license_status is distinct from winner.license_status then jsonb_build_array(stored.license_status, winner.license_status) end,
          'license_name', case when stored.license_name is distinct from winner.license_name then jsonb_build_array(stored.license_name, winner.license_name) end,
          'license_type', case when stored.license_type is distinct from winner.license_type then jsonb_build_array(stored.license_type, winner.license_type) end,
          'address', case when stored.address is distinct from winner.address then jsonb_build_array(stored.address, winner.address) end,
          'city', case when stored.city is distinct from winner.city then jsonb_build_array(stored.city, winner.city) end,
          'state', case when stored.state is distinct from winner.state then jsonb_build_array(stored.state, winner.state) end,
          'zip', case when stored.zip is distinct from winner.zip then jsonb_build_array(stored.zip, winner.zip) end,
          'issue_date', case when stored.issue_date is distinct from winner.issue_date then jsonb_build_array(stored.issue_date, winner.issue_date) end,
          'expiration_date', case when stored.expiration_date is distinct from winner.expiration_date then jsonb_build_array(stored.expiration_date, winner.expiration_date) end,
          'result_status', case when stored.result_status is distinct from winner.result_status then jsonb_build_array(stored.result_status, winner.result_status) end,
          'meta', case when stored.meta is distinct from winner.meta then jsonb_build_array(stored.meta, winner.meta) end,
          'raw', case when stored.raw is distinct from winner.raw then jsonb_build_array(stored.raw, winner.raw) end,
          'image_hash', case when stored.image_hash is distinct from winner.image_hash then jsonb_build_array(stored.image_hash, winner.image_hash) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from public.search_results as kept
        where true and kept.dataset_id = (body -> 'run' ->> 'dataset_id')::bigint and kept.search_name = winner.search_name and kept.search_state = winner.search_state and kept.license_number = winner.license_number
        union all
        select true as present, kept.* from public.search_results as kept
        where true and kept.dataset_id = (body -> 'run' ->> 'dataset_id')::bigint and kept.search_name = winner.search_name and kept.search_state = winner.search_state and winner.license_number is null and kept.license_number is null
        limit 1
      ) as stored on true
    )
    select coalesce(jsonb_agg(jsonb_build_object(
        'o', rows.ordinal,
        's', coalesce(compared.found, 'superseded'),
        'i', compared.id,
        'd', case when compared.found = 'different' then compared.differing end
      ) order by rows.ordinal), '[]'::jsonb) into comparison
    from incoming_rows as rows
    left join compared on compared.ordinal = rows.ordinal;
    answer := answer || jsonb_build_object('search_results', comparison);
  end if;
  return answer;
end
$function$;

create or replace function public.importer_written_states(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body jsonb := case jsonb_typeof(payload)
    when 'string' then (payload #>> '{}')::jsonb else payload end;
  answer jsonb;
begin
  if body ->> 'table' = 'search_results' then
    select coalesce(jsonb_agg(jsonb_build_object('i', page.id::text, 'k', page.row_key)
        order by page.id), '[]'::jsonb) into answer
    from (
      select id, jsonb_build_array(search_name, search_state, license_number) as row_key from public.search_results
      where batch_id = any(array(select jsonb_array_elements_text(body -> 'batch_ids'))) and ((body ->> 'after')::bigint is null or id > (body ->> 'after')::bigint)
      order by id limit (body ->> 'limit')::integer
    ) as page;
  end if;
  return answer;
end
$function$;

-- Only the server's own role works with these: row level security with no policy, and
-- functions that nobody else may execute. A plain PostgreSQL has no such roles.
alter table public.search_results enable row level security;
revoke execute on function
    public.importer_merge_states(jsonb),
    public.importer_compare_states(jsonb),
    public.importer_written_states(jsonb) from public;
do $grants$
begin
  if exists (select from pg_roles where rolname = 'service_role') then
    revoke all on public.search_results from anon, authenticated;
    revoke execute on function
    public.importer_merge_states(jsonb),
    public.importer_compare_states(jsonb),
    public.importer_written_states(jsonb) from anon, authenticated;
    grant select, insert, update, delete on public.search_results to service_role;
    grant execute on function
    public.importer_merge_states(jsonb),
    public.importer_compare_states(jsonb),
    public.importer_written_states(jsonb) to service_role;
  end if;
end
$grants$;

update public.import_target set schema_version = '20261122000002';
notify pgrst, 'reload schema';
