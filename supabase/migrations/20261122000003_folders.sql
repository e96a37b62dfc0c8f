-- folders: device tests, a folder each.

create table public.device_test (
  id bigint generated always as identity primary key,
  dataset_id bigint not null references public.datasets (id) on delete cascade,
  batch_id text not null,
  folder_path text not null,
  folder_name text,
  device_id text,
  test_status text,
  stats jsonb,
  image_count integer not null,
  images jsonb not null,
  file_count integer not null,
  content_signature text not null,
  last_modified timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (dataset_id, folder_path)
);
comment on column public.device_test.folder_path is 'Relative to the source; `.` is the source.';
comment on column public.device_test.images is
  'A list of name, sha256, size and content_type; image_assets has where each is stored.';
comment on column public.device_test.content_signature is
  'A hash over the names, sizes and mtimes of the files: what a change is noticed by.';
create index device_test_batch_id on public.device_test (batch_id, id);
-- By hash: a btree refuses long texts.
create index device_test_device_id on public.device_test using hash (device_id);

create or replace function public.importer_merge_folders(payload jsonb) returns jsonb
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
  if body -> 'rows' ? 'device_test' then
    with incoming_rows as (
      select ordinal, folder_path, folder_name, device_id, test_status, stats, image_count, images, file_count, content_signature, last_modified from rows from (jsonb_to_recordset(body -> 'rows' -> 'device_test') as (folder_path text, folder_name text, device_id text, test_status text, stats jsonb, image_count integer, images jsonb, file_count integer, content_signature text, last_modified timestamptz)) with ordinality as input(folder_path, folder_name, device_id, test_status, stats, image_count, images, file_count, content_signature, last_modified, ordinal)
    ), winners as (
      select distinct on (folder_path) *, row(folder_path) as row_key from incoming_rows
      order by folder_path, ordinal desc
    ), written as (
      insert into public.device_test as stored (dataset_id, batch_id, folder_path, folder_name, device_id, test_status, stats, image_count, images, file_count, content_signature, last_modified)
      select (body -> 'run' ->> 'dataset_id')::bigint, (body -> 'run' ->> 'batch_id')::text, folder_path, folder_name, device_id, test_status, stats, image_count, images, file_count, content_signature, last_modified from winners
      order by folder_path
      on conflict (dataset_id, folder_path) do update set folder_name = excluded.folder_name, device_id = excluded.device_id, test_status = excluded.test_status, stats = excluded.stats, image_count = excluded.image_count, images = excluded.images, file_count = excluded.file_count, content_signature = excluded.content_signature, last_modified = excluded.last_modified, batch_id = excluded.batch_id, updated_at = now()
      where (stored.folder_name, stored.device_id, stored.test_status, stored.stats, stored.image_count, stored.images, stored.file_count, stored.content_signature, stored.last_modified) is distinct from (excluded.folder_name, excluded.device_id, excluded.test_status, excluded.stats, excluded.image_count, excluded.images, excluded.file_count, excluded.content_signature, excluded.last_modified)
      returning row(stored.folder_path) as row_key, (stored.xmax = 0) as inserted
    ), judged as (
      select winner.ordinal, winner.row_key,
        case
          when written.inserted then 'I'
          when not written.inserted then 'U'
          
          else '='
        end as outcome
      from winners as winner
      left join written on written.row_key = winner.row_key
      left join lateral (
        select true as present, kept.* from public.device_test as kept
        where written.inserted is null and kept.dataset_id = (body -> 'run' ->> 'dataset_id')::bigint and kept.folder_path = winner.folder_path
        limit 1
      ) as stored on true
    )
    select coalesce(string_agg(
      case when judged.ordinal = rows.ordinal then judged.outcome else 'S' end,
      '' order by rows.ordinal), '') into outcomes
    from (select ordinal, row(folder_path) as row_key from incoming_rows) as rows
    join judged on judged.row_key = rows.row_key;
    answer := answer || jsonb_build_object('device_test', outcomes);
  end if;
  insert into public.import_merges (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
end
$function$;

create or replace function public.importer_compare_folders(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body jsonb := case jsonb_typeof(payload)
    when 'string' then (payload #>> '{}')::jsonb else payload end;
  answer jsonb;
  comparison jsonb;
begin
  answer := '{}';
  if body -> 'rows' ? 'device_test' then
    with incoming_rows as (
      select ordinal, folder_path, folder_name, device_id, test_status, stats, image_count, images, file_count, content_signature, last_modified from rows from (jsonb_to_recordset(body -> 'rows' -> 'device_test') as (folder_path text, folder_name text, device_id text, test_status text, stats jsonb, image_count integer, images jsonb, file_count integer, content_signature text, last_modified timestamptz)) with ordinality as input(folder_path, folder_name, device_id, test_status, stats, image_count, images, file_count, content_signature, last_modified, ordinal)
    ), winners as (
      select distinct on (folder_path) *, row(folder_path) as row_key from incoming_rows
      order by folder_path, ordinal desc
    ), compared as (
      select winner.ordinal, stored.id::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.folder_name, stored.device_id, stored.test_status, stored.stats, stored.image_count, stored.images, stored.file_count, stored.content_signature, stored.last_modified)
            is distinct from (winner.folder_name, winner.device_id, winner.test_status, winner.stats, winner.image_count, winner.images, winner.file_count, winner.content_signature, winner.last_modified) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'folder_name', case when stored.folder_name is distinct from winner.folder_name then jsonb_build_array(stored.folder_name, winner.folder_name) end,
          'device_id', case when stored.device_id is distinct from winner.device_id then jsonb_build_array(stored.device_id, winner.device_id) end,
          'test_status', case when stored.test_status is distinct from winner.test_status then jsonb_build_array(stored.test_status, winner.test_status) end,
          'stats', case when stored.stats is distinct from winner.stats then jsonb_build_array(stored.stats, winner.stats) end,
          'image_count', case when stored.image_count is distinct from winner.image_count then jsonb_build_array(stored.image_count, winner.image_count) end,
          'images', case when stored.images is distinct from winner.images then jsonb_build_array(stored.images, winner.images) end,
          'file_count', case when stored.file_count is distinct from winner.file_count then jsonb_build_array(stored.file_count, winner.file_count) end,
          'content_signature', case when stored.content_signature is distinct from winner.content_signature then jsonb_build_array(stored.content_signature, winner.content_signature) end,
          'last_modified', case when stored.last_modified is distinct from winner.last_modified then jsonb_build_array(stored.last_modified, winner.last_modified) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from public.device_test as kept
        where true and kept.dataset_id = (body -> 'run' ->> 'dataset_id')::bigint and kept.folder_path = winner.folder_path
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
    answer := answer || jsonb_build_object('device_test', comparison);
  end if;
  return answer;
end
$function$;

create or replace function public.importer_written_folders(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body jsonb := case jsonb_typeof(payload)
    when 'string' then (payload #>> '{}')::jsonb else payload end;
  answer jsonb;
begin
  if body ->> 'table' = 'device_test' then
    select coalesce(jsonb_agg(jsonb_build_object('i', page.id::text, 'k', page.row_key)
        order by page.id), '[]'::jsonb) into answer
    from (
      select id, jsonb_build_array(folder_path) as row_key from public.device_test
      where batch_id = any(array(select jsonb_array_elements_text(body -> 'batch_ids'))) and ((body ->> 'after')::bigint is null or id > (body ->> 'after')::bigint)
      order by id limit (body ->> 'limit')::integer
    ) as page;
  end if;
  return answer;
end
$function$;

-- Only the server's own role works with these: row level security with no policy, and
-- functions that nobody else may execute. A plain PostgreSQL has no such roles.
alter table public.device_test enable row level security;
revoke execute on function
    public.importer_merge_folders(jsonb),
    public.importer_compare_folders(jsonb),
    public.importer_written_folders(jsonb) from public;
do $grants$
begin
  if exists (select from pg_roles where rolname = 'service_role') then
    revoke all on public.device_test from anon, authenticated;
    revoke execute on function
    public.importer_merge_folders(jsonb),
    public.importer_compare_folders(jsonb),
    public.importer_written_folders(jsonb) from anon, authenticated;
    grant select, insert, update, delete on public.device_test to service_role;
    grant execute on function
    public.importer_merge_folders(jsonb),
    public.importer_compare_folders(jsonb),
    public.importer_written_folders(jsonb) to service_role;
  end if;
end
$grants$;

update public.import_target set schema_version = '20261122000003';
notify pgrst, 'reload schema';
