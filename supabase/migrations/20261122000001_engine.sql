-- What every kind stands on: the target's own id, datasets, images, and the memory of merges.

create table public.import_target (
  id uuid primary key default gen_random_uuid(),
  schema_version text,
  only_row boolean not null default true unique check (only_row)
);
comment on table public.import_target is
  'Who this database is: one row, by which a ledger recognises it.';
insert into public.import_target default values;

create table public.import_merges (
  request_id uuid primary key,
  batch_id text not null,
  answer jsonb not null,
  merged_at timestamptz not null default now()
);
comment on table public.import_merges is
  'The answers to the merges of runs under way: a merge that is repeated gets the same answer.';
create index import_merges_batch_id on public.import_merges (batch_id);

create table public.datasets (
  id bigint generated always as identity primary key,
  kind text not null,
  tag text not null,
  description text,
  created_by text,
  created_at timestamptz not null default now(),
  unique (kind, tag)
);

create table public.image_assets (
  content_hash text primary key,
  storage_path text not null,
  storage_type text not null,
  file_size bigint not null,
  content_type text not null,
  width integer,
  height integer,
  first_seen timestamptz not null default now()
);
comment on column public.image_assets.content_hash is 'SHA-256 of the file, in hexadecimal.';

create or replace function public.importer_merge_images(payload jsonb) returns jsonb
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
  if body -> 'rows' ? 'image_assets' then
    with incoming_rows as (
      select ordinal, content_hash, storage_path, storage_type, file_size, content_type, width, height from rows from (jsonb_to_recordset(body -> 'rows' -> 'image_assets') as (content_hash text, storage_path text, storage_type text, file_size bigint, content_type text, width integer, height integer)) with ordinality as input(content_hash, storage_path, storage_type, file_size, content_type, width, height, ordinal)
    ), winners as (
      select distinct on (content_hash) *, row(content_hash) as row_key from incoming_rows
      order by content_hash, ordinal desc
    ), written as (
      insert into public.image_assets as stored (content_hash, storage_path, storage_type, file_size, content_type, width, height)
      select content_hash, storage_path, storage_type, file_size, content_type, width, height from winners
      order by content_hash
      on conflict (content_hash) do update set storage_path = excluded.storage_path, storage_type = excluded.storage_type, file_size = excluded.file_size, content_type = excluded.content_type, width = excluded.width, height = excluded.height
      where (stored.storage_path, stored.storage_type, stored.file_size, stored.content_type, stored.width, stored.height) is distinct from (excluded.storage_path, excluded.storage_type, excluded.file_size, excluded.content_type, excluded.width, excluded.height)
      returning row(stored.content_hash) as row_key, (stored.xmax = 0) as inserted
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
        select true as present, kept.* from public.image_assets as kept
        where written.inserted is null and kept.content_hash = winner.content_hash
        limit 1
      ) as stored on true
    )
    select coalesce(string_agg(
      case when judged.ordinal = rows.ordinal then judged.outcome else 'S' end,
      '' order by rows.ordinal), '') into outcomes
    from (select ordinal, row(content_hash) as row_key from incoming_rows) as rows
    join judged on judged.row_key = rows.row_key;
    answer := answer || jsonb_build_object('image_assets', outcomes);
  end if;
  insert into public.import_merges (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
end
$function$;

create or replace function public.importer_compare_images(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body jsonb := case jsonb_typeof(payload)
    when 'string' then (payload #>> '{}')::jsonb else payload end;
  answer jsonb;
  comparison jsonb;
begin
  answer := '{}';
  if body -> 'rows' ? 'image_assets' then
    with incoming_rows as (
      select ordinal, content_hash, storage_path, storage_type, file_size, content_type, width, height from rows from (jsonb_to_recordset(body -> 'rows' -> 'image_assets') as (content_hash text, storage_path text, storage_type text, file_size bigint, content_type text, width integer, height integer)) with ordinality as input(content_hash, storage_path, storage_type, file_size, content_type, width, height, ordinal)
    ), winners as (
      select distinct on (content_hash) *, row(content_hash) as row_key from incoming_rows
      order by content_hash, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.storage_path, stored.storage_type, stored.file_size, stored.content_type, stored.width, stored.height)
            is distinct from (winner.storage_path, winner.storage_type, winner.file_size, winner.content_type, winner.width, winner.height) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'storage_path', case when stored.storage_path is distinct from winner.storage_path then jsonb_build_array(stored.storage_path, winner.storage_path) end,
          'storage_type', case when stored.storage_type is distinct from winner.storage_type then jsonb_build_array(stored.storage_type, winner.storage_type) end,
          'file_size', case when stored.file_size is distinct from winner.file_size then jsonb_build_array(stored.file_size, winner.file_size) end,
          'content_type', case when stored.content_type is distinct from winner.content_type then jsonb_build_array(stored.content_type, winner.content_type) end,
          'width', case when stored.width is distinct from winner.width then jsonb_build_array(stored.width, winner.width) end,
          'height', case when stored.height is distinct from winner.height then jsonb_build_array(stored.height, winner.height) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from public.image_assets as kept
        where true and kept.content_hash = winner.content_hash
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
    answer := answer || jsonb_build_object('image_assets', comparison);
  end if;
  return answer;
end
$function$;

create or replace function public.importer_known_images(payload jsonb) returns jsonb
language plpgsql stable security invoker set search_path = '' as $function$
declare
  body jsonb := case jsonb_typeof(payload)
    when 'string' then (payload #>> '{}')::jsonb else payload end;
begin
  return (
    select coalesce(jsonb_object_agg(assets.content_hash, assets.storage_type), '{}')
    from public.image_assets as assets
    where assets.content_hash in (select jsonb_array_elements_text(body -> 'hashes'))
  );
end
$function$;

-- Only the server's own role works with these: row level security with no policy, and
-- functions that nobody else may execute. A plain PostgreSQL has no such roles.
alter table public.import_target enable row level security;
alter table public.import_merges enable row level security;
alter table public.datasets enable row level security;
alter table public.image_assets enable row level security;
revoke execute on function
    public.importer_merge_images(jsonb),
    public.importer_compare_images(jsonb),
    public.importer_known_images(jsonb) from public;
do $grants$
begin
  if exists (select from pg_roles where rolname = 'service_role') then
    revoke all on public.import_target, public.import_merges, public.datasets, public.image_assets from anon, authenticated;
    revoke execute on function
    public.importer_merge_images(jsonb),
    public.importer_compare_images(jsonb),
    public.importer_known_images(jsonb) from anon, authenticated;
    grant select, insert, update, delete on public.import_target, public.import_merges, public.datasets, public.image_assets to service_role;
    grant execute on function
    public.importer_merge_images(jsonb),
    public.importer_compare_images(jsonb),
    public.importer_known_images(jsonb) to service_role;
  end if;
end
$grants$;

update public.import_target set schema_version = '20261122000001';
notify pgrst, 'reload schema';
