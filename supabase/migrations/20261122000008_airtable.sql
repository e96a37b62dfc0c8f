-- The sync to Airtable: which note is whose, what it has, how far a sync got, and how many calls it took.

create table public.importer_airtable_bases (
  base_id text primary key,
  synced_to timestamptz,
  synced_id uuid,
  sync_id uuid,
  held_by text,
  held_until timestamptz
);
comment on table public.importer_airtable_bases is
  'By base: the last row of elvis__structured_insights up to which Airtable has all, and the active sync.';

create table public.importer_airtable_notes (
  base_id text not null,
  contact_id text not null,
  table_name text not null,
  member_id text,
  member_notes text[],
  record_id text,
  sent_hash text,
  intended_hash text,
  refused_hash text,
  problem text,
  version integer,
  insight_updated_at timestamptz,
  written_at timestamptz not null,
  primary key (base_id, contact_id)
);
comment on column public.importer_airtable_notes.member_notes is
  'The notes that the member record had before ours was created.';
comment on column public.importer_airtable_notes.intended_hash is
  'A request to create this note may have been sent; whether it reached Airtable is not known yet.';
create index importer_airtable_notes_waiting on public.importer_airtable_notes (base_id, contact_id)
  where problem is not null or intended_hash is not null;

create table public.importer_airtable_calls (
  base_id text not null,
  month date not null,
  calls bigint not null,
  sync_id uuid not null,
  sync_calls bigint not null,
  primary key (base_id, month)
);
comment on column public.importer_airtable_calls.sync_calls is
  'Those of the last sync: it writes absolute numbers, so a repeated request counts nothing twice.';

-- Reads and writes all of it. `payload` has the `base_id`; a sync that writes, also its `sync_id`, and:
-- `begins_as`: its name; it becomes the active sync unless another one is, other than `ended_sync`;
-- `ends`: it is no longer active;
-- `month` and `calls`: its calls in this month; `notes`: rows of importer_airtable_notes;
-- `synced_to` and `synced_id`: the last row up to which Airtable has all.
-- The answer has `held_by` and `held_sync` if another sync is active, and then nothing was written. Else
-- it has `synced_to`, `synced_id`, the `calls` of all syncs in this month, the `notes` of the `contacts`
-- (`age`: the seconds since it was written), and with a `limit`, the next contacts that wait for another
-- sync (`waiting`), after the contact `after`.
create function public.importer_airtable(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body constant jsonb := public.importer_body(payload);
  base constant text := body ->> 'base_id';
  this_sync constant uuid := (body ->> 'sync_id')::uuid;
  -- While it waits for Airtable, a sync writes nothing.
  lease constant interval := '5 minutes';
  active public.importer_airtable_bases;
begin
  if this_sync is not null then
    insert into public.importer_airtable_bases (base_id) values (base) on conflict do nothing;
    select * into active from public.importer_airtable_bases where base_id = base for update;
    if active.sync_id is distinct from this_sync and (
      not body ? 'begins_as'
      or active.held_until > now() and active.sync_id::text is distinct from body ->> 'ended_sync')
    then
      return jsonb_build_object('held_by', coalesce(active.held_by, ''), 'held_sync', active.sync_id);
    end if;

    insert into public.importer_airtable_notes as stored
    select (jsonb_populate_record(null::public.importer_airtable_notes,
      note || jsonb_build_object('base_id', base, 'written_at', now()))).*
    from jsonb_array_elements(body -> 'notes') as note
    on conflict (base_id, contact_id) do update set (table_name, member_id, member_notes, record_id,
      sent_hash, intended_hash, refused_hash, problem, version, insight_updated_at, written_at) = row(
      excluded.table_name, excluded.member_id, excluded.member_notes, excluded.record_id,
      excluded.sent_hash, excluded.intended_hash, excluded.refused_hash, excluded.problem,
      excluded.version, excluded.insight_updated_at, excluded.written_at);

    insert into public.importer_airtable_calls as stored (base_id, month, calls, sync_id, sync_calls)
    select base, (body ->> 'month')::date, calls, this_sync, calls
    from (select (body ->> 'calls')::bigint as calls) as given where calls > 0
    on conflict (base_id, month) do update set
      calls = stored.calls + excluded.calls
        - case when stored.sync_id = this_sync then stored.sync_calls else 0 end,
      sync_id = this_sync, sync_calls = excluded.calls;

    update public.importer_airtable_bases set
      sync_id = case when not body ? 'ends' then this_sync end,
      held_until = case when not body ? 'ends' then now() + lease end,
      held_by = coalesce(body ->> 'begins_as', held_by)
    where base_id = base;

    -- A transaction that began before may still commit rows: their time is that of its beginning. So
    -- the next sync looks at the rows of the last minutes again.
    update public.importer_airtable_bases set (synced_to, synced_id) = (settled.time, settled.id)
    from (
      select least(time, horizon) as time,
        case when time <= horizon then id else '00000000-0000-0000-0000-000000000000' end as id
      from (values ((body ->> 'synced_to')::timestamptz, (body ->> 'synced_id')::uuid,
        now() - interval '15 minutes')) as given(time, id, horizon)
      where time is not null
    ) as settled
    where base_id = base and ((synced_to, synced_id) < (settled.time, settled.id)) is not false;
  end if;

  select * into active from public.importer_airtable_bases where base_id = base;
  return jsonb_build_object(
    'synced_to', active.synced_to, 'synced_id', active.synced_id,
    'calls', coalesce((
      select calls from public.importer_airtable_calls
      where base_id = base and month = (body ->> 'month')::date), 0),
    'notes', (
      select coalesce(jsonb_agg(to_jsonb(note) || jsonb_build_object(
        'age', extract(epoch from now() - note.written_at))), '[]')
      from public.importer_airtable_notes as note
      where base_id = base
        and contact_id in (select jsonb_array_elements_text(body -> 'contacts'))),
    'waiting', (
      select coalesce(jsonb_agg(contact_id order by contact_id), '[]')
      from (
        select contact_id from public.importer_airtable_notes
        where base_id = base and (problem is not null or intended_hash is not null)
          and contact_id > coalesce(body ->> 'after', '')
        order by contact_id limit (coalesce(body ->> 'limit', '0'))::integer
      ) as next));
end
$function$;

select public.importer_close('public.importer_airtable_bases', 'public.importer_airtable_notes',
  'public.importer_airtable_calls');

update public.import_target set schema_version = '20261122000008';
notify pgrst, 'reload schema';
