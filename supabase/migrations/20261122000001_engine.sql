-- The tables that every kind needs: the target's id, datasets, images, and answers of merges.

create table public.import_target (
  id uuid primary key default gen_random_uuid(),
  schema_version text,
  only_row boolean not null default true unique check (only_row),
  functions_checksum text
);
comment on table public.import_target is
  'The identity of this database: one row, by which a ledger recognises it.';
comment on column public.import_target.functions_checksum is
  'The checksum of the generated file that the functions come from.';
insert into public.import_target default values;

create table public.import_merges (
  request_id uuid primary key,
  batch_id text not null,
  answer jsonb not null,
  merged_at timestamptz not null default now()
);
comment on table public.import_merges is
  'The answers to the merges of active runs: a repeated merge gets the same answer.';
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

create table public.import_removals (
  content_hash text primary key,
  storage_path text not null,
  storage_type text not null
);
comment on table public.import_removals is
  'Images that deleted rows named: a reset removes them, unless another row names them.';

-- Restricts our tables, sequences and functions to the service role, and sets the functions' limits.
-- Every migration that creates or replaces objects of ours calls this at its end, with the tables that
-- it creates. Default privileges would apply to the whole project, which may have tables of its
-- own in `public` that everybody may read.
create or replace function public.importer_close(variadic tables regclass[] default '{}')
returns void language plpgsql volatile security invoker set search_path = '' as $function$
declare
  -- A plain PostgreSQL has no such roles.
  is_supabase constant boolean := exists (select from pg_roles where rolname = 'service_role');
  others constant text := case when is_supabase then 'public, anon, authenticated' else 'public' end;
  ours record;
begin
  for ours in
    select relation, relation::oid in (select oid from pg_class where relkind = 'S') as is_sequence
    from (
      select unnest(tables) as relation
      union all
      select objid::regclass from pg_depend
      where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass
        and refobjid = any (tables) and deptype in ('a', 'i')
        and objid in (select oid from pg_class where relkind = 'S')
    ) as relations
  loop
    if ours.is_sequence then
      execute format('revoke all on sequence %s from %s', ours.relation, others);
      continue;
    end if;
    execute format('alter table %s enable row level security', ours.relation);
    execute format('revoke all on %s from %s', ours.relation, others);
    if is_supabase then
      execute format(
        'grant select, insert, update, delete on %s to service_role', ours.relation);
    end if;
  end loop;

  for ours in
    select oid::regprocedure as name from pg_proc
    where pronamespace = 'public'::regnamespace and starts_with(proname, 'importer_')
      and proname <> 'importer_close' and pg_has_role(proowner, 'usage')
  loop
    execute format('revoke all on function %s from %s', ours.name, others);
    if is_supabase then
      execute format('grant execute on function %s to service_role', ours.name);
    end if;
    -- PostgREST (12.2 and later) uses this limit instead of the 8 s of its role. It is less than the
    -- 60 s that we, and hosted gateways, wait for an answer. So a slow batch is cancelled with an
    -- error, and halved. Otherwise we would stop waiting while it continues and holds its locks.
    execute format('alter function %s set statement_timeout = ''50s''', ours.name);
    -- After a broken connection, the first try of a request may still run, and the second one waits
    -- for its locks. This limit ends the second one before a gateway's timeout; then it is retried.
    execute format('alter function %s set lock_timeout = ''5s''', ours.name);
  end loop;
  execute format('revoke all on function public.importer_close from %s', others);
  if is_supabase then
    revoke all on function public.importer_close from service_role;
  end if;
end
$function$;

-- The payload of a function. @supabase/lite passes a JSON argument as a JSON string, PostgREST passes it
-- unchanged.
create or replace function public.importer_body(payload jsonb) returns jsonb
language plpgsql immutable security invoker set search_path = '' as $function$
begin
  return case jsonb_typeof(payload) when 'string' then (payload #>> '{}')::jsonb else payload end;
end
$function$;

create or replace function public.importer_known_images(payload jsonb) returns jsonb
language plpgsql stable security invoker set search_path = '' as $function$
declare
  body constant jsonb := public.importer_body(payload);
begin
  return (
    select coalesce(jsonb_object_agg(assets.content_hash, assets.storage_type), '{}')
    from public.image_assets as assets
    where assets.content_hash in (select jsonb_array_elements_text(body -> 'hashes'))
  );
end
$function$;

-- What `check` asks: the clock, the server, the caller's role, and the rights on our tables and functions.
create or replace function public.importer_condition(payload jsonb) returns jsonb
language plpgsql stable security invoker set search_path = '' as $function$
declare
  body constant jsonb := public.importer_body(payload);
  others constant text[] :=
    array(select rolname::text from pg_roles where rolname in ('anon', 'authenticated'));
begin
  return jsonb_build_object(
    'now', extract(epoch from clock_timestamp()), 'server', current_setting('server_version'),
    'role', current_user,
    'tables', (
      select jsonb_object_agg(name, jsonb_build_object(
        'exists', relation.oid is not null, 'secured', coalesce(relation.relrowsecurity, false),
        'lacking', array(select need from unnest(array['select', 'insert', 'update', 'delete']) as need
          where not has_table_privilege(relation.oid, need)),
        'open_to', array(select role from unnest('public'::text || others) as role
          where has_table_privilege(role, relation.oid, 'select, insert, update, delete'))))
      from jsonb_array_elements_text(body -> 'tables') as name
      left join pg_namespace as schema on schema.nspname = split_part(name, '.', 1)
      left join pg_class as relation
        on relation.relnamespace = schema.oid and relation.relname = split_part(name, '.', 2)),
    'open_functions', array(
      select oid::regprocedure::text from pg_proc
      where pronamespace = 'public'::regnamespace and starts_with(proname, 'importer_')
        and exists (select from unnest('public'::text || others) as role
          where has_function_privilege(role, pg_proc.oid, 'execute'))));
end
$function$;

select public.importer_close(
  'public.import_target', 'public.import_merges', 'public.datasets', 'public.image_assets',
  'public.import_removals'
);

update public.import_target set schema_version = '20261122000001';
notify pgrst, 'reload schema';
