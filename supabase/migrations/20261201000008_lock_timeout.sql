-- Functions do not wait for a lock until a gateway gives up. `importer_close` is as it was but for
-- that.

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
    -- PostgREST from 12.2 on takes it for the transaction, in place of the 8 s of its role. It is
    -- less than the 60 s that we, and hosted gateways, wait for an answer: so a batch that takes
    -- longer is cancelled, which is told and makes it be halved, rather than given up while it
    -- goes on and holds its locks.
    execute format('alter function %s set statement_timeout = ''50s''', ours.name);
    -- A request that is repeated waits for its first try, which a broken connection may have left
    -- behind. It is told of that within the limits of any gateway, and asks again.
    execute format('alter function %s set lock_timeout = ''5s''', ours.name);
  end loop;
  execute format('revoke all on function public.importer_close from %s', others);
  if is_supabase then
    revoke all on function public.importer_close from service_role;
  end if;
end
$function$;

select public.importer_close();

update public.import_target set schema_version = '20261201000008';
notify pgrst, 'reload schema';
