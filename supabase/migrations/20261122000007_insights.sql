-- insights: what a model wrote about the members of a network. `elvis__insight_sources` is what files
-- said, `elvis__structured_insights` has one row of each contact that is computed from it.

create table public.elvis__insight_sources (
  id bigint generated always as identity primary key,
  contact_id text not null, generator text not null, eni_id text not null,
  batch_id text not null, inserted_by text,
  precedence text collate "C" not null,
  content_hash text not null,
  member_name text,
  eni_source_types text[] not null, eni_source_subtypes text[] not null,
  system_prompt_key text, context_files text,
  record_count integer not null, total_eni_ids integer not null,
  generated_at timestamptz, processing_status text,
  personal text, business text, investing text, three_i text, deals text, introductions text,
  others jsonb, unread jsonb, outlines jsonb, additional_metadata jsonb,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
  unique (contact_id, generator, eni_id)
);
comment on table public.elvis__insight_sources is
  'The newest content of each source group: a contact, a generator and an ENI id.';
comment on column public.elvis__insight_sources.inserted_by is
  'The batch id of the run that inserted the row, if another run has updated it.';
comment on column public.elvis__insight_sources.precedence is
  'Of two contents of a group, the one with the greater value is the newest.';
comment on column public.elvis__insight_sources.others is 'What the insights have besides the sections.';
comment on column public.elvis__insight_sources.unread is
  'Texts, by name, in which no section was found, or what stands around the sections in them.';
comment on column public.elvis__insight_sources.outlines is
  'Where headings, bullets and citations are in each section that says something.';
create index elvis__insight_sources_batch_id on public.elvis__insight_sources (batch_id, id);

create table public.elvis__insight_deliveries (
  id bigint generated always as identity primary key,
  contact_id text not null, generator text not null, eni_id text not null,
  content_hash text not null,
  batch_id text not null, inserted_by text,
  generated_at timestamptz,
  created_at timestamptz not null default now(),
  unique (contact_id, generator, eni_id, content_hash)
);
comment on table public.elvis__insight_deliveries is
  'Each content that a source group ever had: the version of a contact counts them.';
create index elvis__insight_deliveries_batch_id on public.elvis__insight_deliveries (batch_id, id);

create table public.elvis__structured_insights (
  id uuid primary key default gen_random_uuid(),
  contact_id varchar(50) not null,
  eni_id varchar(100),
  member_name varchar(255),
  eni_source_type varchar(100), eni_source_subtype varchar(100),
  eni_source_types text[], eni_source_subtypes text[],
  generator varchar(50) not null default 'structured_insight',
  system_prompt_key varchar(100),
  context_files text,
  record_count integer default 1, total_eni_ids integer default 1,
  insights jsonb not null,
  personal text, business text, investing text, three_i text, deals text, introductions text,
  generated_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  processing_status varchar(50) default 'completed' constraint valid_processing_status
    check (processing_status in ('pending', 'processing', 'completed', 'failed', 'archived')),
  version integer default 1,
  additional_metadata jsonb,
  is_latest boolean default true,
  est_input_tokens integer, est_insights_tokens integer, generation_time_seconds double precision,
  -- A tsvector has at most 1 MB.
  search tsvector generated always as (to_tsvector('pg_catalog.english',
    left(coalesce(personal, ''), 30000) || ' ' || left(coalesce(business, ''), 30000) || ' '
    || left(coalesce(investing, ''), 30000) || ' ' || left(coalesce(three_i, ''), 30000) || ' '
    || left(coalesce(deals, ''), 30000) || ' ' || left(coalesce(introductions, ''), 30000))) stored,
  constraint unique_contact_eni unique nulls not distinct (contact_id, eni_id)
);
comment on table public.elvis__structured_insights is
  'Insights. The row of a contact with the ENI id COMBINED-(contact id)-ALL is computed from all its'
  ' rows in elvis__insight_sources; others are written by applications.';
comment on column public.elvis__structured_insights.insights is
  'The sections by their names in files (personal … introductions, the third is 3i), and all else.';
comment on column public.elvis__structured_insights.eni_source_type is
  'Null in rows that are computed: see eni_source_types.';
create index idx_structured_insights_contact_id on public.elvis__structured_insights (contact_id);
create index idx_structured_insights_eni_id on public.elvis__structured_insights (eni_id);
create index idx_structured_insights_member_name on public.elvis__structured_insights (member_name);
create index idx_structured_insights_generated_at on public.elvis__structured_insights (generated_at);
create index idx_structured_insights_updated_at on public.elvis__structured_insights (updated_at, id);
create index idx_structured_insights_eni_source_type
  on public.elvis__structured_insights (eni_source_type);
create index idx_structured_insights_processing_status
  on public.elvis__structured_insights (processing_status);
create index idx_structured_insights_insights_gin on public.elvis__structured_insights
  using gin (insights);
create index idx_structured_insights_search_gin on public.elvis__structured_insights
  using gin (search);

create function public.importer_insights_updated() returns trigger
language plpgsql volatile security invoker set search_path = '' as $function$
begin
  new.updated_at := now();
  return new;
end
$function$;

create trigger trigger_update_structured_insights_updated_at
  before update on public.elvis__structured_insights
  for each row execute function public.importer_insights_updated();

-- Computes the rows of contacts whose sources changed, and returns how many differ now. Some sources
-- and deliveries are about to be deleted, by their ids. The newest source has the latest date; among
-- equal ones, the last ENI id.
--
-- A section is the newest text, and in it, under their headings, the bullets of older texts that cite
-- an id which neither it nor a newer text cites. The outline of a section has all ids that it cites;
-- and a JSON text, since few of them are needed, and jsonb would be three times as large:
-- 0: for each id, the number of the first bullet that cites it;
-- 1: the parts, each with key and line of the heading, then where it begins, where its last line that
--    says something ends, where its last line that is not blank ends, and where it ends. The first part
--    has no heading, and is empty if the text begins with one. A heading that comes again has no key;
-- 2: those bullets, each with the number of its part, its place, and its length.
create function public.importer_consolidate_insights(
  contacts text[], but_sources bigint[] default '{}', but_deliveries bigint[] default '{}'
) returns bigint language plpgsql volatile security invoker set search_path = ''
-- Tables that grow have no statistics yet.
set enable_seqscan = off set plan_cache_mode = force_generic_plan set jit = off as $function$
declare
  pending text[] := contacts;
  locked text[];
  written text[];
  total bigint := 0;
begin
  while pending <> '{}' loop
    -- Concurrent merges have other sources of these contacts. Who locks a row, sees in the next
    -- statement what the others have committed. A new row locks by its unique key: if another merge has
    -- inserted it meanwhile, the loop goes on with it.
    locked := array(
      select contact_id from public.elvis__structured_insights
      where contact_id = any (pending) and eni_id = format('COMBINED-%s-ALL', contact_id)
      order by contact_id collate "C" for update);
    with sources as materialized (
      select *, row_number() over (partition by contact_id order by generated_at desc nulls last,
        eni_id collate "C" desc, generator collate "C" desc) as age
      from public.elvis__insight_sources
      where contact_id = any (pending) and id <> all (but_sources)
    ), said as (
      select contact_id, age, name, outline, case name when 'personal' then personal
          when 'business' then business when 'investing' then investing when '3i' then three_i
          when 'deals' then deals when 'introductions' then introductions end as content,
        min(age) over each_section as newest, first_value(outline -> 0) over each_section as cited
      from sources cross join jsonb_each(outlines) as section(name, outline)
      window each_section as (partition by contact_id, name order by age)
    ), lost as (
      select distinct on (contact_id, name, id) contact_id, name, age, number,
        rest -> 1 -> (bullet ->> 0)::integer as part,
        substr(content, (bullet ->> 1)::integer + 1, (bullet ->> 2)::integer) as words
      from (
        select *, outline -> 0 as ids, (outline ->> 1)::jsonb as rest from said
        where age > newest and not cited @> (outline -> 0) offset 0
      ) as older
      cross join jsonb_array_elements_text(ids) with ordinality as cites(id, place)
      cross join lateral (select (rest -> 0 ->> (place::integer - 1))::integer as number) as its
      cross join lateral (select rest -> 2 -> number as bullet) as the
      where not cited ? id
      order by contact_id, name, id, age
    ), added as (
      select contact_id, name, jsonb_object_agg(heading,
        jsonb_build_object('line', line, 'bullets', bullets, 'place', place)) as headings
      from (
        select contact_id, name, part ->> 0 as heading, min(age * 1000000 + number) as place,
          (array_agg(part ->> 1 order by age, number))[1] as line,
          string_agg(words, E'\n' order by age, number) as bullets
        from (select distinct contact_id, name, age, number, part, words from lost) as bullets
        group by contact_id, name, heading
      ) as each_heading
      group by contact_id, name
    ), sections as (
      select contact_id, name, case when headings is null then content else (
        select string_agg(words, '' order by place) from (
          select number as place,
            substr(content, begins + 1, case when here is null then ends else says end - begins)
            || case when here is null then '' else
              case when says > begins then E'\n' else '' end || (here ->> 'bullets')
              || case when ends = length(content) then '' when ends = fills then E'\n\n'
                else substr(content, fills + 1, ends - fills) end
            end as words
          from jsonb_array_elements((outline ->> 1)::jsonb -> 1)
            with ordinality as parts(part, number)
          cross join lateral (values (headings -> (part ->> 0), (part ->> 2)::integer,
            (part ->> 3)::integer, (part ->> 4)::integer, (part ->> 5)::integer)
          ) as its(here, begins, says, fills, ends)
          union all
          select 1000000 + (new ->> 'place')::bigint,
            E'\n\n' || (new ->> 'line') || E'\n' || (new ->> 'bullets')
          from jsonb_each(headings) as given(heading, new)
          where not jsonb_path_exists((outline ->> 1)::jsonb -> 1, '$[*] ? (@[0] == $heading)',
            jsonb_build_object('heading', heading))
        ) as pieces) end as content
      from said left join added using (contact_id, name)
      where age = newest
    ), texts as (
      select contact_id, jsonb_object_agg(name, content) as sections from sections group by contact_id
    ), lists as (
      select contact_id,
        array_agg(value order by place) filter (where not is_subtype) as types,
        array_agg(value order by place) filter (where is_subtype) as subtypes
      from (
        select contact_id, is_subtype, value, min(number - age * 1000000) as place
        from sources
        cross join lateral (values (false, eni_source_types), (true, eni_source_subtypes))
          as list(is_subtype, entries)
        cross join unnest(entries) with ordinality as entry(value, number)
        group by contact_id, is_subtype, value
      ) as entries
      group by contact_id
    ), more as (
      select contact_id,
        jsonb_object_agg(key, value order by age desc) filter (where is_metadata) as metadata,
        jsonb_object_agg(key, value order by age desc) filter (where not is_metadata) as others
      from sources
      cross join lateral (values (true, additional_metadata), (false, others)) as pair(is_metadata, pairs)
      cross join jsonb_each(pairs)
      group by contact_id
    ), delivered as (
      select contact_id, count(*) as number, min(delivery.generated_at) as dated,
        min(delivery.created_at) as seen
      from sources
      join public.elvis__insight_deliveries as delivery using (contact_id, generator, eni_id)
      where delivery.contact_id = any (pending) and delivery.id <> all (but_deliveries)
      group by contact_id
    ), summed as (
      select contact_id,
        (array_agg(member_name order by age desc) filter (where member_name is not null))[1]
          as member_name,
        (array_agg(system_prompt_key order by age) filter (where system_prompt_key is not null))[1]
          as system_prompt_key,
        (array_agg(context_files order by age) filter (where context_files is not null))[1]
          as context_files,
        sum(record_count) as record_count, sum(total_eni_ids) as total_eni_ids,
        (array_agg(processing_status order by age))[1] as processing_status,
        count(*) as number, min(generated_at) as dated, min(created_at) as seen
      from sources group by contact_id
    ), changed as (
      insert into public.elvis__structured_insights as stored (contact_id, eni_id, member_name,
        eni_source_types, eni_source_subtypes, system_prompt_key, context_files, record_count,
        total_eni_ids, insights, personal, business, investing, three_i, deals, introductions,
        generated_at, processing_status, version, additional_metadata)
      select contact_id, format('COMBINED-%s-ALL', contact_id), member_name, coalesce(types, '{}'),
        coalesce(subtypes, '{}'), system_prompt_key, context_files, record_count, total_eni_ids,
        coalesce(others, '{}') || coalesce(sections, '{}'), sections ->> 'personal',
        sections ->> 'business', sections ->> 'investing', sections ->> '3i', sections ->> 'deals',
        sections ->> 'introductions',
        -- Somebody may have deleted deliveries.
        coalesce(least(delivered.dated, summed.dated), delivered.seen, summed.seen),
        coalesce(processing_status, 'completed'), greatest(delivered.number, summed.number), metadata
      from summed left join texts using (contact_id) left join lists using (contact_id)
      left join more using (contact_id) left join delivered using (contact_id)
      order by contact_id collate "C"
      on conflict (contact_id, eni_id) do update set
        (member_name, eni_source_types, eni_source_subtypes, system_prompt_key, context_files,
          record_count, total_eni_ids, insights, personal, business, investing, three_i, deals,
          introductions, generated_at, processing_status, version, additional_metadata)
        = row(excluded.member_name, excluded.eni_source_types, excluded.eni_source_subtypes,
          excluded.system_prompt_key, excluded.context_files, excluded.record_count,
          excluded.total_eni_ids, excluded.insights, excluded.personal, excluded.business,
          excluded.investing, excluded.three_i, excluded.deals, excluded.introductions,
          excluded.generated_at, excluded.processing_status, excluded.version,
          excluded.additional_metadata)
      where stored.contact_id = any (locked)
        and (stored.member_name, stored.eni_source_types, stored.eni_source_subtypes,
          stored.system_prompt_key, stored.context_files, stored.record_count, stored.total_eni_ids,
          stored.insights, stored.personal, stored.business, stored.investing, stored.three_i,
          stored.deals, stored.introductions, stored.generated_at, stored.processing_status,
          stored.version, stored.additional_metadata)
        is distinct from (excluded.member_name, excluded.eni_source_types,
          excluded.eni_source_subtypes, excluded.system_prompt_key, excluded.context_files,
          excluded.record_count, excluded.total_eni_ids, excluded.insights, excluded.personal,
          excluded.business, excluded.investing, excluded.three_i, excluded.deals,
          excluded.introductions, excluded.generated_at, excluded.processing_status,
          excluded.version, excluded.additional_metadata)
      returning contact_id
    )
    select coalesce(array_agg(contact_id), '{}') into written from changed;
    total := total + cardinality(written);
    pending := array(
      select contact_id from public.elvis__structured_insights
      where contact_id = any (pending) and contact_id <> all (locked || written)
        and eni_id = format('COMBINED-%s-ALL', contact_id));
  end loop;
  return total;
end
$function$;

-- The derivation for contents that were new.
create function public.importer_derive_insights(run jsonb, keys jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
begin
  return jsonb_build_object('elvis__structured_insights', public.importer_consolidate_insights(
    array(select distinct key ->> 'contact_id' from jsonb_array_elements(keys) as key)));
end
$function$;

-- The derivation for sources that got a content that was not new. The others are done already: the same
-- transaction wrote a delivery of the contact.
create function public.importer_derive_known_insights(run jsonb, keys jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' set enable_seqscan = off as $function$
begin
  return jsonb_build_object('elvis__structured_insights', public.importer_consolidate_insights(array(
    select distinct contact_id from jsonb_to_recordset(keys) as source(contact_id text)
    where not exists (
      select from public.elvis__insight_deliveries as delivery
      where delivery.contact_id = source.contact_id
        and delivery.xmin = pg_current_xact_id()::xid))));
end
$function$;

-- Before a reset deletes sources: their contacts get the rows that the others make.
create function public.importer_undo_insights(ids text[]) returns void
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  contacts constant text[] := array(
    select distinct contact_id from public.elvis__insight_sources where id = any (ids::bigint[]));
begin
  delete from public.elvis__structured_insights as stored
  where contact_id = any (contacts) and eni_id = format('COMBINED-%s-ALL', contact_id)
    and not exists (
      select from public.elvis__insight_sources as source
      where source.contact_id = stored.contact_id and source.id <> all (ids::bigint[]));
  perform public.importer_consolidate_insights(contacts, but_sources => ids::bigint[]);
end
$function$;

-- Before a reset deletes deliveries: the same.
create function public.importer_uncount_insights(ids text[]) returns void
language plpgsql volatile security invoker set search_path = '' as $function$
begin
  perform public.importer_consolidate_insights(
    array(select distinct contact_id from public.elvis__insight_deliveries
      where id = any (ids::bigint[])),
    but_deliveries => ids::bigint[]);
end
$function$;

select public.importer_close('public.elvis__insight_sources', 'public.elvis__insight_deliveries',
  'public.elvis__structured_insights');

update public.import_target set schema_version = '20261122000007';
notify pgrst, 'reload schema';
