-- insights: searching and deleting them. Other reads are those of any table, see importer_rows.

-- Finds insights by a text, as people type it into a web search: words in any form, "a phrase", or,
-- -without. `payload` has the `text`; `fields`, the columns of the sections to search, or null for all;
-- and `limit`. The best rows come first, each with its `rank`, the `section` of the first hit, and an
-- `excerpt` of it, in which each hit is between the characters U+0002 and U+0003; these are nowhere else.
-- If more than 250 rows are found, 250 of them are ranked.
create or replace function public.importer_search_insights(payload jsonb) returns jsonb
language plpgsql stable security invoker set search_path = '' set jit = off as $function$
declare
  body constant jsonb := public.importer_body(payload);
  fields constant jsonb := nullif(body -> 'fields', 'null');
  wanted constant tsquery := websearch_to_tsquery('pg_catalog.english', body ->> 'text');
  any_word constant tsquery := replace(wanted::text, '&', '|')::tsquery;
  -- The beginnings of the words: their ends differ in the forms of a word.
  beginnings constant text[] := array(select left(word, greatest(3, length(word) - 1))
    from unnest(tsvector_to_array(to_tsvector('pg_catalog.english', body ->> 'text'))) as word);
  options constant text := E'StartSel="\x02", StopSel="\x03", MaxWords=40, MinWords=15, MaxFragments=1';
  answer jsonb;
begin
  with found as (
    select stored.id, stored.search, stored.updated_at
    from public.elvis__structured_insights as stored
    where stored.search @@ wanted and case
      when fields is null then true
      -- To look for the words first is much faster than to parse each text.
      when strpos(wanted::text, '!') = 0 and not exists (
        select from public.importer_insight_sections(personal, business, investing, three_i, deals,
          introductions) as said
        where fields ? name and exists (
          select from unnest(beginnings) as beginning where strpos(lower(content), beginning) > 0)
      ) then false
      else to_tsvector('pg_catalog.english', (select string_agg(content, E'\n')
        from public.importer_insight_sections(personal, business, investing, three_i, deals,
          introductions) where fields ? name)) @@ wanted end
    limit 250
  ), best as materialized (
    select id, ts_rank_cd(search, wanted, 1) as rank
    from found order by rank desc, updated_at desc, id limit (body ->> 'limit')::integer
  )
  select coalesce(jsonb_agg(to_jsonb(hit) order by hit.rank desc, hit.updated_at desc, hit.id), '[]')
  into answer
  from (
    select stored.id, contact_id, eni_id, member_name, eni_source_type, eni_source_subtype,
      eni_source_types, eni_source_subtypes, generator, system_prompt_key, context_files, record_count,
      total_eni_ids, insights, generated_at, created_at, updated_at, processing_status, version,
      additional_metadata, best.rank, first.section,
      -- A part of the section around the hit: to parse all of them would take ten times as long.
      case when strpos(first.excerpt, E'\x02') > 0 then first.excerpt else (
        select ts_headline('pg_catalog.english', translate(string_agg(content, E'\n'),
          E'\x02\x03', ''), any_word, options)
        from public.importer_insight_sections(personal, business, investing, three_i, deals,
          introductions) where fields is null or fields ? name
      ) end as excerpt
    from best join public.elvis__structured_insights as stored on stored.id = best.id
    left join lateral (
      select name as section, ts_headline('pg_catalog.english', translate(
        substr(content, greatest(place - 120, 1), 500), E'\x02\x03', ''), any_word, options) as excerpt
      from public.importer_insight_sections(personal, business, investing, three_i, deals,
          introductions) as said
      cross join lateral (
        select min(nullif(strpos(lower(content collate "C"), beginning), 0)) as place
        from unnest(beginnings) as beginning
      ) as its
      where (fields is null or fields ? name) and place > 0
      limit 1
    ) as first on true
  ) as hit;
  return answer;
end
$function$;

-- The sections of an insight, by the names of their columns, in their order.
create or replace function public.importer_insight_sections(
  personal text, business text, investing text, three_i text, deals text, introductions text
) returns table (name text, content text)
language sql immutable security invoker set search_path = '' as $function$
  values ('personal', personal), ('business', business), ('investing', investing),
    ('three_i', three_i), ('deals', deals), ('introductions', introductions)
$function$;

-- Deletes an insight by its `id`. With the one of all source groups of a contact, these are deleted,
-- too. A concurrent merge waits for the row, and then computes it from what it brings.
create or replace function public.importer_delete_insight(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body constant jsonb := public.importer_body(payload);
  contacts text[];
begin
  with gone as (
    delete from public.elvis__structured_insights where id = (body ->> 'id')::uuid
    returning contact_id, eni_id
  )
  select array_agg(contact_id) into contacts from gone
  where eni_id = format('COMBINED-%s-ALL', contact_id);
  delete from public.elvis__insight_deliveries where contact_id = any (contacts);
  delete from public.elvis__insight_sources where contact_id = any (contacts);
  return to_jsonb(contacts is not null);
end
$function$;

select public.importer_close();

update public.import_target set schema_version = '20261122000009';
notify pgrst, 'reload schema';
