-- insights: searching and deleting them. Other reads are those of any table, see importer_rows.

-- Finds insights by a text, as people type it into a web search: words in any form, "a phrase", or,
-- -without. `payload` has `text`; `sections`, the columns that it must be in; and `limit`. The best rows
-- come first, each with `rank` and `excerpt`, in which each hit is between the characters U+0002 and
-- U+0003; they are nowhere else. If very many rows are found, some of them are ranked.
create or replace function public.importer_search_insights(payload jsonb) returns jsonb
language plpgsql stable security invoker set search_path = '' as $function$
declare
  body constant jsonb := public.importer_body(payload);
  sections constant jsonb := body -> 'sections';
  asked constant tsquery := websearch_to_tsquery('pg_catalog.english', body ->> 'text');
  -- Beginnings of the words in question: their ends differ in the forms of a word.
  beginnings constant text[] := array(select left(word, greatest(3, length(word) - 1))
    from unnest(tsvector_to_array(to_tsvector('pg_catalog.english', body ->> 'text'))) as word);
  options constant text := E'StartSel="\x02", StopSel="\x03", MaxWords=40, MinWords=15, MaxFragments=1';
  answer jsonb;
begin
  with found as (
    select stored.id, stored.search
    from public.elvis__structured_insights as stored
    cross join lateral (select public.importer_insight_text(stored, sections) as content) as said
    where stored.search @@ asked and case
      when jsonb_array_length(sections) = 6 then true
      -- To look for the words first is much faster than to parse each text.
      when strpos(asked::text, '!') = 0 and not exists (
        select from unnest(beginnings) as beginning where strpos(lower(content), beginning) > 0
      ) then false
      else to_tsvector('pg_catalog.english', content) @@ asked end
    limit 250
  ), best as materialized (
    select id, ts_rank_cd(search, asked, 1) as rank
    from found order by rank desc, id limit (body ->> 'limit')::integer
  )
  select coalesce(jsonb_agg(to_jsonb(hit) order by hit.rank desc, hit.id), '[]') into answer
  from (
    select stored.id, contact_id, eni_id, member_name, eni_source_type, eni_source_subtype,
      eni_source_types, eni_source_subtypes, generator, system_prompt_key, context_files, record_count,
      total_eni_ids, insights, generated_at, created_at, updated_at, processing_status, version,
      additional_metadata, best.rank,
      -- A part of the text around the first hit: to parse all of it would take ten times as long.
      case when strpos(short, E'\x02') > 0 then short
        else ts_headline('pg_catalog.english', translate(content, E'\x02\x03', ''), asked, options)
        end as excerpt
    from best join public.elvis__structured_insights as stored on stored.id = best.id
    cross join lateral (select public.importer_insight_text(stored, sections) as content) as said
    cross join lateral (
      select min(nullif(strpos(lower(content collate "C"), beginning), 0)) as place
      from unnest(beginnings) as beginning
    ) as first
    cross join lateral (
      select ts_headline('pg_catalog.english', translate(substr(content, greatest(place - 120, 1), 500),
        E'\x02\x03', ''), asked, options) as short
    ) as shortened
  ) as hit;
  return answer;
end
$function$;

-- The text of some sections of an insight.
create or replace function public.importer_insight_text(
  stored public.elvis__structured_insights, sections jsonb
) returns text
language plpgsql immutable security invoker set search_path = '' as $function$
begin
  return concat_ws(E'\n',
    case when sections ? 'personal' then stored.personal end,
    case when sections ? 'business' then stored.business end,
    case when sections ? 'investing' then stored.investing end,
    case when sections ? 'three_i' then stored.three_i end,
    case when sections ? 'deals' then stored.deals end,
    case when sections ? 'introductions' then stored.introductions end);
end
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
