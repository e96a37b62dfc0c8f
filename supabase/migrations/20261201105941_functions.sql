-- The functions that are rendered from the tables. This file is generated, by `resilient-importer
-- schema export`: a change belongs into imports/tables. It is the newest migration for `supabase
-- db push`; `schema apply` goes by its checksum, which it ends with.

-- The tables that functions for any table may read, with the cases in which a row is not written,
-- and the functions that undo derivations.
create or replace function public.importer_tables() returns jsonb
language plpgsql immutable security invoker set search_path = '' as $function$
begin
  return $tables${
    "public.image_assets": {}, "public.search_results": {}, "public.device_test": {},
      "organisation.identities": {}, "organisation.offices": {}, "organisation.web_addresses": {},
      "organisation.employees": {}, "organisation.social_links": {}, "organisation.industries": {},
      "organisation.phones": {}, "organisation.office_addresses": {}, "organisation.office_industries": {},
      "people.identities": {}, "people.profiles": {}, "people.genders": {}, "people.social_links": {},
      "people.statuses": {}, "people.emails": {}, "people.phones": {}, "people.addresses": {},
      "people.experiences": {}, "people.job_title_details": {}, "people.job_functions": {},
      "people.job_seniority": {}, "people.educations": {}, "people.certifications": {},
      "people.memberships": {}, "people.publications": {}, "people.patents": {}, "people.awards": {},
      "raw.recognition_files": {}, "raw.recipes": {}, "public.elvis__insight_sources": {},
      "public.elvis__insight_deliveries": {}, "public.images": {}, "public.elvis__structured_insights": {}
  }$tables$::jsonb
    || jsonb_build_object('raw.recognition_files', jsonb_build_object(
      'guarded', $sql$public.importer_worked_on(stored.recognition_id)$sql$,
      'undo', $sql$public.importer_undo_recognitions$sql$))
    || jsonb_build_object('raw.recipes', jsonb_build_object(
      'guarded', $sql$public.importer_worked_on(stored.recognition_id)$sql$))
    || jsonb_build_object('public.elvis__insight_sources', jsonb_build_object(
      'undo', $sql$public.importer_undo_insights$sql$))
    || jsonb_build_object('public.elvis__insight_deliveries', jsonb_build_object(
      'undo', $sql$public.importer_uncount_insights$sql$));
end
$function$;

-- Those of some hashes that rows name, but for the rows of some runs.
create or replace function public.importer_named(hashes text[], but text[] default '{}')
returns setof text
language plpgsql stable security invoker set search_path = '' as $function$
begin
  return query
    select hash from unnest(hashes) as hash join public.search_results as stored on stored.image_hash = hash
      where stored.batch_id <> all (but)
    union
    select hash from unnest(hashes) as hash join public.device_test as stored on
      jsonb_path_query_array(stored.images, '$[*].sha256') @> jsonb_build_array(hash) where
      stored.batch_id <> all (but);
end
$function$;

create or replace function public.importer_merge_images(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
#variable_conflict use_column
declare
  body constant jsonb := public.importer_body(payload);
  batch constant jsonb := body -> 'rows';
  answer jsonb;
  outcomes text;
begin
  perform pg_advisory_xact_lock(hashtextextended(body ->> 'request_id', 0));
  select merges.answer into answer from public.import_merges as merges
    where merges.request_id = (body ->> 'request_id')::uuid;
  if found then return answer; end if;
  answer := '{"outcomes": {}, "derived": []}';

  if batch ? 'image_assets' then
    with incoming_rows as materialized (
      select *, ordinality as ordinal
      from jsonb_populate_recordset(null::public.image_assets, batch -> 'image_assets') with ordinality
    ), winners as not materialized (
      select distinct on (content_hash) * from incoming_rows
      order by content_hash, ordinal desc
    ), written as (
      insert into public.image_assets as stored (content_hash, storage_path, storage_type, file_size,
        content_type, width, height)
      select content_hash, storage_path, storage_type, file_size, content_type, width, height
      from winners order by content_hash
      on conflict (content_hash) do update set storage_path = excluded.storage_path,
        storage_type = excluded.storage_type, file_size = excluded.file_size,
        content_type = excluded.content_type, width = excluded.width, height = excluded.height
      where (stored.storage_path, stored.storage_type, stored.file_size, stored.content_type, stored.width,
        stored.height) is distinct from (excluded.storage_path, excluded.storage_type, excluded.file_size,
        excluded.content_type, excluded.width, excluded.height)
      returning row(stored.content_hash) as row_key, (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) = jsonb_array_length(batch -> 'image_assets') then
        repeat('I', jsonb_array_length(batch -> 'image_assets')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted then 'U'
              else '='
            end as outcome
          from (select *, row(content_hash) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
            select true as present, kept.* from public.image_assets as kept
            where written.inserted is null and kept.content_hash = winner.content_hash limit 1
          ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome
            else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(content_hash) as row_key from incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    answer := jsonb_set(answer, '{outcomes,image_assets}', to_jsonb(outcomes));
  end if;
  insert into public.import_merges (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
end
$function$;

create or replace function public.importer_merge_states(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
#variable_conflict use_column
declare
  body constant jsonb := public.importer_body(payload);
  batch constant jsonb := body -> 'rows';
  run_dataset_id constant bigint := (body -> 'run' ->> 'dataset_id')::bigint;
  run_batch_id constant text := (body -> 'run' ->> 'batch_id')::text;
  run_if_exists constant text := body -> 'run' ->> 'if_exists';
  run_repair constant boolean := (body -> 'run' ->> 'repair')::boolean;
  answer jsonb;
  outcomes text;
begin
  perform pg_advisory_xact_lock(hashtextextended(body ->> 'request_id', 0));
  select merges.answer into answer from public.import_merges as merges
    where merges.request_id = (body ->> 'request_id')::uuid;
  if found then return answer; end if;
  answer := '{"outcomes": {}, "derived": []}';

  if batch ? 'search_results' then
    with incoming_rows as materialized (
      select *, ordinality as ordinal
      from jsonb_populate_recordset(null::public.search_results, batch -> 'search_results') with ordinality
    ), winners as not materialized (
      select distinct on (search_name, search_state, license_number) * from incoming_rows
      order by search_name, search_state, license_number, search_ts desc nulls last, case when search_ts
        is null then ordinal end, ordinal desc
    ), written as (
      insert into public.search_results as stored (dataset_id, batch_id, search_name, search_state,
        search_ts, license_number, license_status, license_name, license_type, address, city, state, zip,
        issue_date, expiration_date, result_status, meta, raw, image_hash)
      select run_dataset_id, run_batch_id, search_name, search_state, search_ts, license_number,
        license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date,
        result_status, meta, raw, image_hash
      from winners order by search_name, search_state, license_number
      on conflict (dataset_id, search_name, search_state, license_number) do update set
        search_ts = excluded.search_ts, license_status = excluded.license_status,
        license_name = excluded.license_name, license_type = excluded.license_type,
        address = excluded.address, city = excluded.city, state = excluded.state, zip = excluded.zip,
        issue_date = excluded.issue_date, expiration_date = excluded.expiration_date,
        result_status = excluded.result_status, meta = excluded.meta, raw = excluded.raw,
        image_hash = excluded.image_hash, batch_id = excluded.batch_id,
        inserted_by = coalesce(stored.inserted_by, stored.batch_id), updated_at = now()
      where case
        when run_if_exists = 'newer' or stored.batch_id = run_batch_id
          then excluded.search_ts >= stored.search_ts and (stored.search_ts, stored.license_status,
            stored.license_name, stored.license_type, stored.address, stored.city, stored.state, stored.zip,
            stored.issue_date, stored.expiration_date, stored.result_status, stored.meta, stored.raw,
            stored.image_hash) is distinct from (excluded.search_ts, excluded.license_status,
            excluded.license_name, excluded.license_type, excluded.address, excluded.city, excluded.state,
            excluded.zip, excluded.issue_date, excluded.expiration_date, excluded.result_status,
            excluded.meta, excluded.raw, excluded.image_hash)
        else run_if_exists = 'replace'
      end
      returning row(stored.search_name, stored.search_state, stored.license_number) as row_key,
        (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) = jsonb_array_length(batch -> 'search_results')
        then repeat('I', jsonb_array_length(batch -> 'search_results')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted and stored.present and not (stored.search_ts, stored.license_status,
                stored.license_name, stored.license_type, stored.address, stored.city, stored.state,
                stored.zip, stored.issue_date, stored.expiration_date, stored.result_status, stored.meta,
                stored.raw, stored.image_hash) is distinct from (winner.search_ts, winner.license_status,
                winner.license_name, winner.license_type, winner.address, winner.city, winner.state,
                winner.zip, winner.issue_date, winner.expiration_date, winner.result_status, winner.meta,
                winner.raw, winner.image_hash) then '='
              when not written.inserted then 'U'
              when stored.present is null then '!'
              when not (stored.search_ts, stored.license_status, stored.license_name, stored.license_type,
                stored.address, stored.city, stored.state, stored.zip, stored.issue_date,
                stored.expiration_date, stored.result_status, stored.meta, stored.raw, stored.image_hash)
                is distinct from (winner.search_ts, winner.license_status, winner.license_name,
                winner.license_type, winner.address, winner.city, winner.state, winner.zip,
                winner.issue_date, winner.expiration_date, winner.result_status, winner.meta, winner.raw,
                winner.image_hash) then '='
              when run_if_exists = 'keep' and stored.batch_id <> run_batch_id then 'S'
              when (stored.search_ts is null or winner.search_ts is null) then '?'
              when stored.search_ts > winner.search_ts then 'S'
              else '!'
            end as outcome
          from (select *, row(search_name, search_state, license_number) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
            select true as present, kept.* from public.search_results as kept
            where (written.inserted is null or (not written.inserted and run_if_exists = 'replace')) and
              kept.dataset_id = run_dataset_id and kept.search_name = winner.search_name and
              kept.search_state = winner.search_state and kept.license_number = winner.license_number
            union all
            select true as present, kept.* from public.search_results as kept
            where (written.inserted is null or (not written.inserted and run_if_exists = 'replace')) and
              kept.dataset_id = run_dataset_id and kept.search_name = winner.search_name and
              kept.search_state = winner.search_state and winner.license_number is null and
              kept.license_number is null limit 1
          ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome
            when rows.timestamp is null or judged.outcome in ('?', '!') then '!' else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(search_name, search_state, license_number) as row_key,
          search_ts as timestamp from incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    if strpos(outcomes, '!') > 0 then
      select string_agg(
        case
          when winner.letter <> '!' then winner.letter
          when stored.present is null then '='
          when not (stored.search_ts, stored.license_status, stored.license_name, stored.license_type,
            stored.address, stored.city, stored.state, stored.zip, stored.issue_date,
            stored.expiration_date, stored.result_status, stored.meta, stored.raw, stored.image_hash)
            is distinct from (winner.search_ts, winner.license_status, winner.license_name,
            winner.license_type, winner.address, winner.city, winner.state, winner.zip, winner.issue_date,
            winner.expiration_date, winner.result_status, winner.meta, winner.raw, winner.image_hash) then
            '='
          when run_if_exists = 'keep' and stored.batch_id <> run_batch_id then 'S'
          when (stored.search_ts is null or winner.search_ts is null) then '?'
          when stored.search_ts > winner.search_ts then 'S'
          else '='
        end, '' order by winner.ordinal) into outcomes
      from (
        select *, substr(outcomes, ordinal::integer, 1) as letter
        from (
          select *, ordinality as ordinal
          from jsonb_populate_recordset(null::public.search_results, batch -> 'search_results')
            with ordinality
        ) as given
      ) as winner
      left join lateral (
        select true as present, kept.* from public.search_results as kept
        where winner.letter = '!' and kept.dataset_id = run_dataset_id and
          kept.search_name = winner.search_name and kept.search_state = winner.search_state and
          kept.license_number = winner.license_number
        union all
        select true as present, kept.* from public.search_results as kept
        where winner.letter = '!' and kept.dataset_id = run_dataset_id and
          kept.search_name = winner.search_name and kept.search_state = winner.search_state and
          winner.license_number is null and kept.license_number is null limit 1
      ) as stored on true;
    end if;
    answer := jsonb_set(answer, '{outcomes,search_results}', to_jsonb(outcomes));
  end if;
  insert into public.import_merges (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
end
$function$;

create or replace function public.importer_merge_folders(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
#variable_conflict use_column
declare
  body constant jsonb := public.importer_body(payload);
  batch constant jsonb := body -> 'rows';
  run_dataset_id constant bigint := (body -> 'run' ->> 'dataset_id')::bigint;
  run_batch_id constant text := (body -> 'run' ->> 'batch_id')::text;
  answer jsonb;
  outcomes text;
begin
  perform pg_advisory_xact_lock(hashtextextended(body ->> 'request_id', 0));
  select merges.answer into answer from public.import_merges as merges
    where merges.request_id = (body ->> 'request_id')::uuid;
  if found then return answer; end if;
  answer := '{"outcomes": {}, "derived": []}';

  if batch ? 'device_test' then
    with incoming_rows as materialized (
      select *, ordinality as ordinal
      from jsonb_populate_recordset(null::public.device_test, batch -> 'device_test') with ordinality
    ), winners as not materialized (
      select distinct on (folder_path) * from incoming_rows
      order by folder_path, ordinal desc
    ), written as (
      insert into public.device_test as stored (dataset_id, batch_id, folder_path, folder_name, device_id,
        device_name, device_type, test_status, stats, image_count, images, file_count, content_signature,
        last_modified)
      select run_dataset_id, run_batch_id, folder_path, folder_name, device_id, device_name, device_type,
        test_status, stats, image_count, images, file_count, content_signature, last_modified
      from winners order by folder_path
      on conflict (dataset_id, folder_path) do update set folder_name = excluded.folder_name,
        device_id = excluded.device_id, device_name = excluded.device_name,
        device_type = excluded.device_type, test_status = excluded.test_status, stats = excluded.stats,
        image_count = excluded.image_count, images = excluded.images, file_count = excluded.file_count,
        content_signature = excluded.content_signature, last_modified = excluded.last_modified,
        batch_id = excluded.batch_id, inserted_by = coalesce(stored.inserted_by, stored.batch_id),
        updated_at = now()
      where (stored.folder_name, stored.device_id, stored.device_name, stored.device_type,
        stored.test_status, stored.stats, stored.image_count, stored.images, stored.file_count,
        stored.content_signature, stored.last_modified) is distinct from (excluded.folder_name,
        excluded.device_id, excluded.device_name, excluded.device_type, excluded.test_status,
        excluded.stats, excluded.image_count, excluded.images, excluded.file_count,
        excluded.content_signature, excluded.last_modified)
      returning row(stored.folder_path) as row_key, (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) = jsonb_array_length(batch -> 'device_test') then
        repeat('I', jsonb_array_length(batch -> 'device_test')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted then 'U'
              else '='
            end as outcome
          from (select *, row(folder_path) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
            select true as present, kept.* from public.device_test as kept
            where written.inserted is null and kept.dataset_id = run_dataset_id and
              kept.folder_path = winner.folder_path limit 1
          ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome
            else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(folder_path) as row_key from incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    answer := jsonb_set(answer, '{outcomes,device_test}', to_jsonb(outcomes));
  end if;
  insert into public.import_merges (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
end
$function$;

create or replace function public.importer_merge_people(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
#variable_conflict use_column
declare
  body constant jsonb := public.importer_body(payload);
  batch constant jsonb := body -> 'rows';
  run_dataset_id constant bigint := (body -> 'run' ->> 'dataset_id')::bigint;
  run_batch_id constant text := (body -> 'run' ->> 'batch_id')::text;
  run_if_exists constant text := body -> 'run' ->> 'if_exists';
  run_repair constant boolean := (body -> 'run' ->> 'repair')::boolean;
  answer jsonb;
  outcomes text;
begin
  perform pg_advisory_xact_lock(hashtextextended(body ->> 'request_id', 0));
  select merges.answer into answer from public.import_merges as merges
    where merges.request_id = (body ->> 'request_id')::uuid;
  if found then return answer; end if;
  answer := '{"outcomes": {}, "derived": []}';

  if batch ? 'organisation.identities' then
    with incoming_rows as materialized (
      select *, ordinality as ordinal
      from jsonb_populate_recordset(null::organisation.identities, batch -> 'organisation.identities')
        with ordinality
    ), winners as not materialized (
      select distinct on (id) * from incoming_rows
      order by id, last_modified_date desc nulls last, source collate "C", ordinal desc
    ), written as (
      insert into organisation.identities as stored (dataset_id, batch_id, id, neuron360_company_id, name,
        domain, logo_url, industry, last_modified_date, source, content_signature)
      select run_dataset_id, run_batch_id, id, neuron360_company_id, name, domain, logo_url, industry,
        last_modified_date, source, content_signature
      from winners order by id
      on conflict (id) do update set neuron360_company_id = excluded.neuron360_company_id,
        name = excluded.name, domain = excluded.domain, logo_url = excluded.logo_url,
        industry = excluded.industry, last_modified_date = excluded.last_modified_date,
        source = excluded.source, content_signature = excluded.content_signature,
        dataset_id = excluded.dataset_id, batch_id = excluded.batch_id,
        inserted_by = coalesce(stored.inserted_by, stored.batch_id), updated_at = now()
      where case
        when run_repair and stored.content_signature = excluded.content_signature and
          coalesce(excluded.last_modified_date, '-infinity') =
          coalesce(stored.last_modified_date, '-infinity')
          then true
        when stored.batch_id = run_batch_id then coalesce(excluded.last_modified_date, '-infinity') >
          coalesce(stored.last_modified_date, '-infinity') or
          (coalesce(excluded.last_modified_date, '-infinity') =
          coalesce(stored.last_modified_date, '-infinity') and excluded.source collate "C" < stored.source
          collate "C")
        when run_if_exists = 'newer' then coalesce(excluded.last_modified_date, '-infinity') >
          coalesce(stored.last_modified_date, '-infinity')
        else run_if_exists = 'replace' and (stored.neuron360_company_id, stored.name, stored.domain,
          stored.logo_url, stored.industry, stored.last_modified_date, stored.content_signature)
          is distinct from (excluded.neuron360_company_id, excluded.name, excluded.domain,
          excluded.logo_url, excluded.industry, excluded.last_modified_date, excluded.content_signature)
      end
      returning row(stored.id) as row_key, (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) =
        jsonb_array_length(batch -> 'organisation.identities') then repeat('I',
        jsonb_array_length(batch -> 'organisation.identities')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted then 'U'
              when (stored.neuron360_company_id, stored.name, stored.domain, stored.logo_url,
                stored.industry, stored.last_modified_date, stored.content_signature) is distinct from
                (winner.neuron360_company_id, winner.name, winner.domain, winner.logo_url, winner.industry,
                winner.last_modified_date, winner.content_signature) then 'S'
              else '='
            end as outcome
          from (select *, row(id) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
            select true as present, kept.* from organisation.identities as kept
            where written.inserted is null and kept.id = winner.id limit 1
          ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome
            else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(id) as row_key from incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    if outcomes ~ '[IU]' then
      perform public.importer_replace_sets(body -> 'sets' -> 'organisation.identities', batch,
        array_agg(id), coalesce(array_agg(id) filter (where outcome = 'U'), '{}'))
      from (
        select id, substr(outcomes, ordinal::integer, 1) as outcome
        from rows from (jsonb_to_recordset(batch -> 'organisation.identities') as (id uuid))
          with ordinality as given(id, ordinal)
      ) as owner
      where outcome in ('I', 'U');
    end if;
    answer := jsonb_set(answer, '{outcomes,organisation.identities}', to_jsonb(outcomes));
  end if;

  if batch ? 'organisation.offices' then
    with incoming_rows as materialized (
      select *, ordinality as ordinal
      from jsonb_populate_recordset(null::organisation.offices, batch -> 'organisation.offices')
        with ordinality
    ), winners as not materialized (
      select distinct on (id) * from incoming_rows
      order by id, last_modified_date desc nulls last, source collate "C", ordinal desc
    ), written as (
      insert into organisation.offices as stored (dataset_id, batch_id, id, organisation_id,
        neuron360_office_id, type, phones, last_modified_date, source, content_signature)
      select run_dataset_id, run_batch_id, id, organisation_id, neuron360_office_id, type, phones,
        last_modified_date, source, content_signature
      from winners order by id
      on conflict (id) do update set organisation_id = excluded.organisation_id,
        neuron360_office_id = excluded.neuron360_office_id, type = excluded.type, phones = excluded.phones,
        last_modified_date = excluded.last_modified_date, source = excluded.source,
        content_signature = excluded.content_signature, dataset_id = excluded.dataset_id,
        batch_id = excluded.batch_id, inserted_by = coalesce(stored.inserted_by, stored.batch_id),
        updated_at = now()
      where case
        when run_repair and stored.content_signature = excluded.content_signature and
          coalesce(excluded.last_modified_date, '-infinity') =
          coalesce(stored.last_modified_date, '-infinity')
          then true
        when stored.batch_id = run_batch_id then coalesce(excluded.last_modified_date, '-infinity') >
          coalesce(stored.last_modified_date, '-infinity') or
          (coalesce(excluded.last_modified_date, '-infinity') =
          coalesce(stored.last_modified_date, '-infinity') and excluded.source collate "C" < stored.source
          collate "C")
        when run_if_exists = 'newer' then coalesce(excluded.last_modified_date, '-infinity') >
          coalesce(stored.last_modified_date, '-infinity')
        else run_if_exists = 'replace' and (stored.organisation_id, stored.neuron360_office_id, stored.type,
          stored.phones, stored.last_modified_date, stored.content_signature) is distinct from
          (excluded.organisation_id, excluded.neuron360_office_id, excluded.type, excluded.phones,
          excluded.last_modified_date, excluded.content_signature)
      end
      returning row(stored.id) as row_key, (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) =
        jsonb_array_length(batch -> 'organisation.offices') then repeat('I',
        jsonb_array_length(batch -> 'organisation.offices')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted then 'U'
              when (stored.organisation_id, stored.neuron360_office_id, stored.type, stored.phones,
                stored.last_modified_date, stored.content_signature) is distinct from
                (winner.organisation_id, winner.neuron360_office_id, winner.type, winner.phones,
                winner.last_modified_date, winner.content_signature) then 'S'
              else '='
            end as outcome
          from (select *, row(id) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
            select true as present, kept.* from organisation.offices as kept
            where written.inserted is null and kept.id = winner.id limit 1
          ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome
            else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(id) as row_key from incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    if outcomes ~ '[IU]' then
      perform public.importer_replace_sets(body -> 'sets' -> 'organisation.offices', batch,
        array_agg(id), coalesce(array_agg(id) filter (where outcome = 'U'), '{}'))
      from (
        select id, substr(outcomes, ordinal::integer, 1) as outcome
        from rows from (jsonb_to_recordset(batch -> 'organisation.offices') as (id uuid))
          with ordinality as given(id, ordinal)
      ) as owner
      where outcome in ('I', 'U');
    end if;
    answer := jsonb_set(answer, '{outcomes,organisation.offices}', to_jsonb(outcomes));
  end if;

  if batch ? 'people.identities' then
    with incoming_rows as materialized (
      select *, ordinality as ordinal
      from jsonb_populate_recordset(null::people.identities, batch -> 'people.identities') with ordinality
    ), winners as not materialized (
      select distinct on (id) * from incoming_rows
      order by id, latest_modified_date desc nulls last, source collate "C", ordinal desc
    ), written as (
      insert into people.identities as stored (dataset_id, batch_id, id, neuron360_profile_id, first_name,
        last_name, full_name, picture_url, last_seen_date, last_modified_date, resume_last_modified_date,
        rest, latest_modified_date, source, content_signature)
      select run_dataset_id, run_batch_id, id, neuron360_profile_id, first_name, last_name, full_name,
        picture_url, last_seen_date, last_modified_date, resume_last_modified_date, rest,
        latest_modified_date, source, content_signature
      from winners order by id
      on conflict (id) do update set neuron360_profile_id = excluded.neuron360_profile_id,
        first_name = excluded.first_name, last_name = excluded.last_name, full_name = excluded.full_name,
        picture_url = excluded.picture_url, last_seen_date = excluded.last_seen_date,
        last_modified_date = excluded.last_modified_date,
        resume_last_modified_date = excluded.resume_last_modified_date, rest = excluded.rest,
        latest_modified_date = excluded.latest_modified_date, source = excluded.source,
        content_signature = excluded.content_signature, dataset_id = excluded.dataset_id,
        batch_id = excluded.batch_id, inserted_by = coalesce(stored.inserted_by, stored.batch_id),
        updated_at = now()
      where case
        when run_repair and stored.content_signature = excluded.content_signature and
          coalesce(excluded.latest_modified_date, '-infinity') =
          coalesce(stored.latest_modified_date, '-infinity')
          then true
        when stored.batch_id = run_batch_id then excluded.latest_modified_date > stored.latest_modified_date
          or (coalesce(excluded.latest_modified_date, '-infinity') =
          coalesce(stored.latest_modified_date, '-infinity') and excluded.source collate "C" < stored.source
          collate "C" and (stored.latest_modified_date is not null or not (stored.neuron360_profile_id,
          stored.first_name, stored.last_name, stored.full_name, stored.picture_url, stored.last_seen_date,
          stored.last_modified_date, stored.resume_last_modified_date, stored.rest,
          stored.latest_modified_date, stored.content_signature) is distinct from
          (excluded.neuron360_profile_id, excluded.first_name, excluded.last_name, excluded.full_name,
          excluded.picture_url, excluded.last_seen_date, excluded.last_modified_date,
          excluded.resume_last_modified_date, excluded.rest, excluded.latest_modified_date,
          excluded.content_signature)))
        when run_if_exists = 'newer' then excluded.latest_modified_date > stored.latest_modified_date
        else run_if_exists = 'replace' and (stored.neuron360_profile_id, stored.first_name,
          stored.last_name, stored.full_name, stored.picture_url, stored.last_seen_date,
          stored.last_modified_date, stored.resume_last_modified_date, stored.rest,
          stored.latest_modified_date, stored.content_signature) is distinct from
          (excluded.neuron360_profile_id, excluded.first_name, excluded.last_name, excluded.full_name,
          excluded.picture_url, excluded.last_seen_date, excluded.last_modified_date,
          excluded.resume_last_modified_date, excluded.rest, excluded.latest_modified_date,
          excluded.content_signature)
      end
      returning row(stored.id) as row_key, (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) = jsonb_array_length(batch -> 'people.identities')
        then repeat('I', jsonb_array_length(batch -> 'people.identities')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted then 'U'
              when stored.present is null then '!'
              when not (stored.neuron360_profile_id, stored.first_name, stored.last_name, stored.full_name,
                stored.picture_url, stored.last_seen_date, stored.last_modified_date,
                stored.resume_last_modified_date, stored.rest, stored.latest_modified_date,
                stored.content_signature) is distinct from (winner.neuron360_profile_id, winner.first_name,
                winner.last_name, winner.full_name, winner.picture_url, winner.last_seen_date,
                winner.last_modified_date, winner.resume_last_modified_date, winner.rest,
                winner.latest_modified_date, winner.content_signature) then '='
              when run_if_exists = 'keep' and stored.batch_id <> run_batch_id then 'S'
              when (stored.latest_modified_date is null or winner.latest_modified_date is null) then '?'
              else 'S'
            end as outcome
          from (select *, row(id) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
            select true as present, kept.* from people.identities as kept
            where written.inserted is null and kept.id = winner.id limit 1
          ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome
            when rows.timestamp is null or judged.outcome in ('?', '!') then '!' else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(id) as row_key, latest_modified_date as timestamp from incoming_rows) as
          rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    if strpos(outcomes, '!') > 0 then
      select string_agg(
        case
          when winner.letter <> '!' then winner.letter
          when stored.present is null then '='
          when not (stored.neuron360_profile_id, stored.first_name, stored.last_name, stored.full_name,
            stored.picture_url, stored.last_seen_date, stored.last_modified_date,
            stored.resume_last_modified_date, stored.rest, stored.latest_modified_date,
            stored.content_signature) is distinct from (winner.neuron360_profile_id, winner.first_name,
            winner.last_name, winner.full_name, winner.picture_url, winner.last_seen_date,
            winner.last_modified_date, winner.resume_last_modified_date, winner.rest,
            winner.latest_modified_date, winner.content_signature) then '='
          when run_if_exists = 'keep' and stored.batch_id <> run_batch_id then 'S'
          when (stored.latest_modified_date is null or winner.latest_modified_date is null) then '?'
          else 'S'
        end, '' order by winner.ordinal) into outcomes
      from (
        select *, substr(outcomes, ordinal::integer, 1) as letter
        from (
          select *, ordinality as ordinal
          from jsonb_populate_recordset(null::people.identities, batch -> 'people.identities')
            with ordinality
        ) as given
      ) as winner
      left join lateral (
        select true as present, kept.* from people.identities as kept
        where winner.letter = '!' and kept.id = winner.id limit 1
      ) as stored on true;
    end if;
    if outcomes ~ '[IU]' then
      perform public.importer_replace_sets(body -> 'sets' -> 'people.identities', batch,
        array_agg(id), coalesce(array_agg(id) filter (where outcome = 'U'), '{}'))
      from (
        select id, substr(outcomes, ordinal::integer, 1) as outcome
        from rows from (jsonb_to_recordset(batch -> 'people.identities') as (id uuid))
          with ordinality as given(id, ordinal)
      ) as owner
      where outcome in ('I', 'U');
    end if;
    answer := jsonb_set(answer, '{outcomes,people.identities}', to_jsonb(outcomes));
  end if;
  insert into public.import_merges (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
end
$function$;

create or replace function public.importer_merge_recognitions(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
#variable_conflict use_column
declare
  body constant jsonb := public.importer_body(payload);
  batch constant jsonb := body -> 'rows';
  run_batch_id constant text := (body -> 'run' ->> 'batch_id')::text;
  answer jsonb;
  outcomes text;
begin
  perform pg_advisory_xact_lock(hashtextextended(body ->> 'request_id', 0));
  select merges.answer into answer from public.import_merges as merges
    where merges.request_id = (body ->> 'request_id')::uuid;
  if found then return answer; end if;
  answer := '{"outcomes": {}, "derived": []}';

  if batch ? 'raw.recognition_files' then
    with incoming_rows as materialized (
      select *, ordinality as ordinal
      from jsonb_populate_recordset(null::raw.recognition_files, batch -> 'raw.recognition_files')
        with ordinality
    ), winners as not materialized (
      select distinct on (recognition_id) * from incoming_rows
      order by recognition_id, ordinal desc
    ), written as (
      insert into raw.recognition_files as stored (batch_id, recognition_id, active_menu, image1_path,
        image2_path, image1_width, image1_height, image2_width, image2_height, image1_sha256, image2_sha256,
        receipt_sha256)
      select run_batch_id, recognition_id, active_menu, image1_path, image2_path, image1_width,
        image1_height, image2_width, image2_height, image1_sha256, image2_sha256, receipt_sha256
      from winners order by recognition_id
      on conflict (recognition_id) do update set active_menu = excluded.active_menu,
        image1_path = excluded.image1_path, image2_path = excluded.image2_path,
        image1_width = excluded.image1_width, image1_height = excluded.image1_height,
        image2_width = excluded.image2_width, image2_height = excluded.image2_height,
        image1_sha256 = excluded.image1_sha256, image2_sha256 = excluded.image2_sha256,
        receipt_sha256 = excluded.receipt_sha256, batch_id = excluded.batch_id,
        inserted_by = coalesce(stored.inserted_by, stored.batch_id)
      where (public.importer_worked_on(stored.recognition_id)) is not true and (stored.active_menu,
        stored.image1_path, stored.image2_path, stored.image1_width, stored.image1_height,
        stored.image2_width, stored.image2_height, stored.image1_sha256, stored.image2_sha256,
        stored.receipt_sha256) is distinct from (excluded.active_menu, excluded.image1_path,
        excluded.image2_path, excluded.image1_width, excluded.image1_height, excluded.image2_width,
        excluded.image2_height, excluded.image1_sha256, excluded.image2_sha256, excluded.receipt_sha256)
      returning row(stored.recognition_id) as row_key, (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) =
        jsonb_array_length(batch -> 'raw.recognition_files') then repeat('I',
        jsonb_array_length(batch -> 'raw.recognition_files')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted then 'U'
              when stored.present is null then '!'
              when not (stored.active_menu, stored.image1_path, stored.image2_path, stored.image1_width,
                stored.image1_height, stored.image2_width, stored.image2_height, stored.image1_sha256,
                stored.image2_sha256, stored.receipt_sha256) is distinct from (winner.active_menu,
                winner.image1_path, winner.image2_path, winner.image1_width, winner.image1_height,
                winner.image2_width, winner.image2_height, winner.image1_sha256, winner.image2_sha256,
                winner.receipt_sha256) then '='
              when public.importer_worked_on(stored.recognition_id) then 'G'
              else '!'
            end as outcome
          from (select *, row(recognition_id) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
            select true as present, kept.* from raw.recognition_files as kept
            where written.inserted is null and kept.recognition_id = winner.recognition_id limit 1
          ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome
            else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(recognition_id) as row_key from incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    if strpos(outcomes, '!') > 0 then
      select string_agg(
        case
          when winner.letter <> '!' then winner.letter
          when stored.present is null then '='
          when not (stored.active_menu, stored.image1_path, stored.image2_path, stored.image1_width,
            stored.image1_height, stored.image2_width, stored.image2_height, stored.image1_sha256,
            stored.image2_sha256, stored.receipt_sha256) is distinct from (winner.active_menu,
            winner.image1_path, winner.image2_path, winner.image1_width, winner.image1_height,
            winner.image2_width, winner.image2_height, winner.image1_sha256, winner.image2_sha256,
            winner.receipt_sha256) then '='
          when public.importer_worked_on(stored.recognition_id) then 'G'
          else '='
        end, '' order by winner.ordinal) into outcomes
      from (
        select *, substr(outcomes, ordinal::integer, 1) as letter
        from (
          select *, ordinality as ordinal
          from jsonb_populate_recordset(null::raw.recognition_files, batch -> 'raw.recognition_files')
            with ordinality
        ) as given
      ) as winner
      left join lateral (
        select true as present, kept.* from raw.recognition_files as kept
        where winner.letter = '!' and kept.recognition_id = winner.recognition_id limit 1
      ) as stored on true;
    end if;
    answer := jsonb_set(answer, '{outcomes,raw.recognition_files}', to_jsonb(outcomes));
  end if;

  if batch ? 'raw.recipes' then
    with incoming_rows as materialized (
      select *, ordinality as ordinal
      from jsonb_populate_recordset(null::raw.recipes, batch -> 'raw.recipes') with ordinality
    ), winners as not materialized (
      select distinct on (recognition_id) * from incoming_rows
      order by recognition_id, ordinal desc
    ), written as (
      insert into raw.recipes as stored (batch_id, recognition_id, payload)
      select run_batch_id, recognition_id, payload
      from winners order by recognition_id
      on conflict (recognition_id) do update set payload = excluded.payload, batch_id = excluded.batch_id,
        inserted_by = coalesce(stored.inserted_by, stored.batch_id)
      where (public.importer_worked_on(stored.recognition_id)) is not true and (stored.payload)
        is distinct from (excluded.payload)
      returning row(stored.recognition_id) as row_key, (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) = jsonb_array_length(batch -> 'raw.recipes') then
        repeat('I', jsonb_array_length(batch -> 'raw.recipes')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted then 'U'
              when stored.present is null then '!'
              when not (stored.payload) is distinct from (winner.payload) then '='
              when public.importer_worked_on(stored.recognition_id) then 'G'
              else '!'
            end as outcome
          from (select *, row(recognition_id) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
            select true as present, kept.* from raw.recipes as kept
            where written.inserted is null and kept.recognition_id = winner.recognition_id limit 1
          ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome
            else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(recognition_id) as row_key from incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    if strpos(outcomes, '!') > 0 then
      select string_agg(
        case
          when winner.letter <> '!' then winner.letter
          when stored.present is null then '='
          when not (stored.payload) is distinct from (winner.payload) then '='
          when public.importer_worked_on(stored.recognition_id) then 'G'
          else '='
        end, '' order by winner.ordinal) into outcomes
      from (
        select *, substr(outcomes, ordinal::integer, 1) as letter
        from (
          select *, ordinality as ordinal
          from jsonb_populate_recordset(null::raw.recipes, batch -> 'raw.recipes') with ordinality
        ) as given
      ) as winner
      left join lateral (
        select true as present, kept.* from raw.recipes as kept
        where winner.letter = '!' and kept.recognition_id = winner.recognition_id limit 1
      ) as stored on true;
    end if;
    answer := jsonb_set(answer, '{outcomes,raw.recipes}', to_jsonb(outcomes));
  end if;

  if answer #>> '{outcomes,raw.recognition_files}' ~ '[IU]' then
    answer := jsonb_insert(answer, '{derived,-1}', (
      select coalesce(public.importer_derive_recognitions(body -> 'run',
        jsonb_agg(jsonb_build_object('recognition_id', recognition_id) order by ordinal)), '{}')
      from (
        select *, ordinality as ordinal
        from jsonb_populate_recordset(null::raw.recognition_files, batch -> 'raw.recognition_files')
          with ordinality
      ) as given
      where substr(answer #>> '{outcomes,raw.recognition_files}', ordinal::integer, 1) in ('I', 'U')
    ), true);
  end if;
  insert into public.import_merges (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
end
$function$;

create or replace function public.importer_merge_insights(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
#variable_conflict use_column
declare
  body constant jsonb := public.importer_body(payload);
  batch constant jsonb := body -> 'rows';
  run_batch_id constant text := (body -> 'run' ->> 'batch_id')::text;
  run_if_exists constant text := body -> 'run' ->> 'if_exists';
  run_repair constant boolean := (body -> 'run' ->> 'repair')::boolean;
  answer jsonb;
  outcomes text;
begin
  perform pg_advisory_xact_lock(hashtextextended(body ->> 'request_id', 0));
  select merges.answer into answer from public.import_merges as merges
    where merges.request_id = (body ->> 'request_id')::uuid;
  if found then return answer; end if;
  answer := '{"outcomes": {}, "derived": []}';

  if batch ? 'elvis__insight_sources' then
    with incoming_rows as materialized (
      select *, ordinality as ordinal
      from jsonb_populate_recordset(null::public.elvis__insight_sources, batch -> 'elvis__insight_sources')
        with ordinality
    ), winners as not materialized (
      select distinct on (contact_id, generator, eni_id) * from incoming_rows
      order by contact_id, generator, eni_id, precedence desc nulls last, case when precedence is null then
        ordinal end, ordinal desc
    ), written as (
      insert into public.elvis__insight_sources as stored (batch_id, contact_id, generator, eni_id,
        precedence, content_hash, member_name, eni_source_types, eni_source_subtypes, system_prompt_key,
        context_files, record_count, total_eni_ids, generated_at, processing_status, personal, business,
        investing, three_i, deals, introductions, others, unread, outlines, additional_metadata)
      select run_batch_id, contact_id, generator, eni_id, precedence, content_hash, member_name,
        eni_source_types, eni_source_subtypes, system_prompt_key, context_files, record_count,
        total_eni_ids, generated_at, processing_status, personal, business, investing, three_i, deals,
        introductions, others, unread, outlines, additional_metadata
      from winners order by contact_id, generator, eni_id
      on conflict (contact_id, generator, eni_id) do update set precedence = excluded.precedence,
        content_hash = excluded.content_hash, member_name = excluded.member_name,
        eni_source_types = excluded.eni_source_types, eni_source_subtypes = excluded.eni_source_subtypes,
        system_prompt_key = excluded.system_prompt_key, context_files = excluded.context_files,
        record_count = excluded.record_count, total_eni_ids = excluded.total_eni_ids,
        generated_at = excluded.generated_at, processing_status = excluded.processing_status,
        personal = excluded.personal, business = excluded.business, investing = excluded.investing,
        three_i = excluded.three_i, deals = excluded.deals, introductions = excluded.introductions,
        others = excluded.others, unread = excluded.unread, outlines = excluded.outlines,
        additional_metadata = excluded.additional_metadata, batch_id = excluded.batch_id,
        inserted_by = coalesce(stored.inserted_by, stored.batch_id), updated_at = now()
      where case
        when run_if_exists = 'newer' or stored.batch_id = run_batch_id
          then excluded.precedence >= stored.precedence and (stored.precedence, stored.content_hash,
            stored.member_name, stored.eni_source_types, stored.eni_source_subtypes,
            stored.system_prompt_key, stored.context_files, stored.record_count, stored.total_eni_ids,
            stored.generated_at, stored.processing_status, stored.personal, stored.business,
            stored.investing, stored.three_i, stored.deals, stored.introductions, stored.others,
            stored.unread, stored.outlines, stored.additional_metadata) is distinct from
            (excluded.precedence, excluded.content_hash, excluded.member_name, excluded.eni_source_types,
            excluded.eni_source_subtypes, excluded.system_prompt_key, excluded.context_files,
            excluded.record_count, excluded.total_eni_ids, excluded.generated_at,
            excluded.processing_status, excluded.personal, excluded.business, excluded.investing,
            excluded.three_i, excluded.deals, excluded.introductions, excluded.others, excluded.unread,
            excluded.outlines, excluded.additional_metadata)
        else run_if_exists = 'replace'
      end
      returning row(stored.contact_id, stored.generator, stored.eni_id) as row_key, (stored.xmax = 0) as
        inserted
    )
    select case
      when (select count(*) from written where inserted) =
        jsonb_array_length(batch -> 'elvis__insight_sources') then repeat('I',
        jsonb_array_length(batch -> 'elvis__insight_sources')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted and stored.present and not (stored.precedence, stored.content_hash,
                stored.member_name, stored.eni_source_types, stored.eni_source_subtypes,
                stored.system_prompt_key, stored.context_files, stored.record_count, stored.total_eni_ids,
                stored.generated_at, stored.processing_status, stored.personal, stored.business,
                stored.investing, stored.three_i, stored.deals, stored.introductions, stored.others,
                stored.unread, stored.outlines, stored.additional_metadata) is distinct from
                (winner.precedence, winner.content_hash, winner.member_name, winner.eni_source_types,
                winner.eni_source_subtypes, winner.system_prompt_key, winner.context_files,
                winner.record_count, winner.total_eni_ids, winner.generated_at, winner.processing_status,
                winner.personal, winner.business, winner.investing, winner.three_i, winner.deals,
                winner.introductions, winner.others, winner.unread, winner.outlines,
                winner.additional_metadata) then '='
              when not written.inserted then 'U'
              when stored.present is null then '!'
              when not (stored.precedence, stored.content_hash, stored.member_name, stored.eni_source_types,
                stored.eni_source_subtypes, stored.system_prompt_key, stored.context_files,
                stored.record_count, stored.total_eni_ids, stored.generated_at, stored.processing_status,
                stored.personal, stored.business, stored.investing, stored.three_i, stored.deals,
                stored.introductions, stored.others, stored.unread, stored.outlines,
                stored.additional_metadata) is distinct from (winner.precedence, winner.content_hash,
                winner.member_name, winner.eni_source_types, winner.eni_source_subtypes,
                winner.system_prompt_key, winner.context_files, winner.record_count, winner.total_eni_ids,
                winner.generated_at, winner.processing_status, winner.personal, winner.business,
                winner.investing, winner.three_i, winner.deals, winner.introductions, winner.others,
                winner.unread, winner.outlines, winner.additional_metadata) then '='
              when run_if_exists = 'keep' and stored.batch_id <> run_batch_id then 'S'
              when (stored.precedence is null or winner.precedence is null) then '?'
              when stored.precedence > winner.precedence then 'S'
              else '!'
            end as outcome
          from (select *, row(contact_id, generator, eni_id) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
            select true as present, kept.* from public.elvis__insight_sources as kept
            where (written.inserted is null or (not written.inserted and run_if_exists = 'replace')) and
              kept.contact_id = winner.contact_id and kept.generator = winner.generator and
              kept.eni_id = winner.eni_id limit 1
          ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome
            when rows.timestamp is null or judged.outcome in ('?', '!') then '!' else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(contact_id, generator, eni_id) as row_key, precedence as timestamp from
          incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    if strpos(outcomes, '!') > 0 then
      select string_agg(
        case
          when winner.letter <> '!' then winner.letter
          when stored.present is null then '='
          when not (stored.precedence, stored.content_hash, stored.member_name, stored.eni_source_types,
            stored.eni_source_subtypes, stored.system_prompt_key, stored.context_files, stored.record_count,
            stored.total_eni_ids, stored.generated_at, stored.processing_status, stored.personal,
            stored.business, stored.investing, stored.three_i, stored.deals, stored.introductions,
            stored.others, stored.unread, stored.outlines, stored.additional_metadata) is distinct from
            (winner.precedence, winner.content_hash, winner.member_name, winner.eni_source_types,
            winner.eni_source_subtypes, winner.system_prompt_key, winner.context_files, winner.record_count,
            winner.total_eni_ids, winner.generated_at, winner.processing_status, winner.personal,
            winner.business, winner.investing, winner.three_i, winner.deals, winner.introductions,
            winner.others, winner.unread, winner.outlines, winner.additional_metadata) then '='
          when run_if_exists = 'keep' and stored.batch_id <> run_batch_id then 'S'
          when (stored.precedence is null or winner.precedence is null) then '?'
          when stored.precedence > winner.precedence then 'S'
          else '='
        end, '' order by winner.ordinal) into outcomes
      from (
        select *, substr(outcomes, ordinal::integer, 1) as letter
        from (
          select *, ordinality as ordinal
          from jsonb_populate_recordset(null::public.elvis__insight_sources,
            batch -> 'elvis__insight_sources') with ordinality
        ) as given
      ) as winner
      left join lateral (
        select true as present, kept.* from public.elvis__insight_sources as kept
        where winner.letter = '!' and kept.contact_id = winner.contact_id and
          kept.generator = winner.generator and kept.eni_id = winner.eni_id limit 1
      ) as stored on true;
    end if;
    answer := jsonb_set(answer, '{outcomes,elvis__insight_sources}', to_jsonb(outcomes));
  end if;

  if batch ? 'elvis__insight_deliveries' then
    with incoming_rows as materialized (
      select *, ordinality as ordinal
      from jsonb_populate_recordset(null::public.elvis__insight_deliveries,
        batch -> 'elvis__insight_deliveries') with ordinality
    ), winners as not materialized (
      select distinct on (contact_id, generator, eni_id, content_hash) * from incoming_rows
      order by contact_id, generator, eni_id, content_hash, ordinal desc
    ), written as (
      insert into public.elvis__insight_deliveries as stored (batch_id, contact_id, generator, eni_id,
        content_hash, generated_at)
      select run_batch_id, contact_id, generator, eni_id, content_hash, generated_at
      from winners order by contact_id, generator, eni_id, content_hash
      on conflict (contact_id, generator, eni_id, content_hash) do nothing
      returning row(stored.contact_id, stored.generator, stored.eni_id, stored.content_hash) as row_key,
        (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) =
        jsonb_array_length(batch -> 'elvis__insight_deliveries') then repeat('I',
        jsonb_array_length(batch -> 'elvis__insight_deliveries')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted then 'U'
              when (stored.generated_at) is distinct from (winner.generated_at) then 'S'
              else '='
            end as outcome
          from (select *, row(contact_id, generator, eni_id, content_hash) as row_key from winners) as
            winner
          left join written on written.row_key = winner.row_key
          left join lateral (
            select true as present, kept.* from public.elvis__insight_deliveries as kept
            where written.inserted is null and kept.contact_id = winner.contact_id and
              kept.generator = winner.generator and kept.eni_id = winner.eni_id and
              kept.content_hash = winner.content_hash limit 1
          ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome
            else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(contact_id, generator, eni_id, content_hash) as row_key from
          incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    answer := jsonb_set(answer, '{outcomes,elvis__insight_deliveries}', to_jsonb(outcomes));
  end if;

  if answer #>> '{outcomes,elvis__insight_deliveries}' ~ '[IU]' then
    answer := jsonb_insert(answer, '{derived,-1}', (
      select coalesce(public.importer_derive_insights(body -> 'run',
        jsonb_agg(jsonb_build_object('contact_id', contact_id, 'generator', generator, 'eni_id', eni_id,
          'content_hash', content_hash) order by ordinal)), '{}')
      from (
        select *, ordinality as ordinal
        from jsonb_populate_recordset(null::public.elvis__insight_deliveries,
          batch -> 'elvis__insight_deliveries') with ordinality
      ) as given
      where substr(answer #>> '{outcomes,elvis__insight_deliveries}', ordinal::integer, 1) in ('I', 'U')
    ), true);
  end if;

  if answer #>> '{outcomes,elvis__insight_sources}' ~ '[IU]' then
    answer := jsonb_insert(answer, '{derived,-1}', (
      select coalesce(public.importer_derive_known_insights(body -> 'run',
        jsonb_agg(jsonb_build_object('contact_id', contact_id, 'generator', generator, 'eni_id', eni_id)
          order by ordinal)), '{}')
      from (
        select *, ordinality as ordinal
        from jsonb_populate_recordset(null::public.elvis__insight_sources,
          batch -> 'elvis__insight_sources') with ordinality
      ) as given
      where substr(answer #>> '{outcomes,elvis__insight_sources}', ordinal::integer, 1) in ('I', 'U')
    ), true);
  end if;
  insert into public.import_merges (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
end
$function$;

select public.importer_close();
notify pgrst, 'reload schema';
update public.import_target set functions_checksum = '9fcb781788d90078aca5084e5192ee3286d9b597e7befe88e060c5030b59f0a7';
