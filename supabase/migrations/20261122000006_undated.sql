-- Of two rows of which one has no date, nobody can say which is newer: nothing is overwritten.

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
    with incoming_rows as materialized (
      select ordinal, search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash from rows from (jsonb_to_recordset(body -> 'rows' -> 'search_results') as (search_name text, search_state text, search_ts timestamptz, license_number text, license_status text, license_name text, license_type text, address text, city text, state text, zip text, issue_date date, expiration_date date, result_status text, meta jsonb, raw jsonb, image_hash text)) with ordinality as input(search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash, ordinal)
    ), winners as not materialized (
      select distinct on (search_name, search_state, license_number) * from incoming_rows
      order by search_name, search_state, license_number, search_ts desc nulls last, case when search_ts is null then ordinal end, ordinal desc
    ), written as (
      insert into public.search_results as stored (dataset_id, batch_id, search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash)
      select (body -> 'run' ->> 'dataset_id')::bigint, (body -> 'run' ->> 'batch_id')::text, search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash from winners
      order by search_name, search_state, license_number
      on conflict (dataset_id, search_name, search_state, license_number) do update set search_ts = excluded.search_ts, license_status = excluded.license_status, license_name = excluded.license_name, license_type = excluded.license_type, address = excluded.address, city = excluded.city, state = excluded.state, zip = excluded.zip, issue_date = excluded.issue_date, expiration_date = excluded.expiration_date, result_status = excluded.result_status, meta = excluded.meta, raw = excluded.raw, image_hash = excluded.image_hash, batch_id = excluded.batch_id, updated_at = now()
      where case
        when (body -> 'run' ->> 'if_exists') = 'newer' or stored.batch_id = (body -> 'run' ->> 'batch_id')::text
          then excluded.search_ts >= stored.search_ts and (stored.search_ts, stored.license_status, stored.license_name, stored.license_type, stored.address, stored.city, stored.state, stored.zip, stored.issue_date, stored.expiration_date, stored.result_status, stored.meta, stored.raw, stored.image_hash) is distinct from (excluded.search_ts, excluded.license_status, excluded.license_name, excluded.license_type, excluded.address, excluded.city, excluded.state, excluded.zip, excluded.issue_date, excluded.expiration_date, excluded.result_status, excluded.meta, excluded.raw, excluded.image_hash)
        else (body -> 'run' ->> 'if_exists') = 'replace'
      end
      returning row(stored.search_name, stored.search_state, stored.license_number) as row_key, (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) = jsonb_array_length(body -> 'rows' -> 'search_results')
        then repeat('I', jsonb_array_length(body -> 'rows' -> 'search_results')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted and stored.present and not (stored.search_ts, stored.license_status, stored.license_name, stored.license_type, stored.address, stored.city, stored.state, stored.zip, stored.issue_date, stored.expiration_date, stored.result_status, stored.meta, stored.raw, stored.image_hash) is distinct from (winner.search_ts, winner.license_status, winner.license_name, winner.license_type, winner.address, winner.city, winner.state, winner.zip, winner.issue_date, winner.expiration_date, winner.result_status, winner.meta, winner.raw, winner.image_hash) then '='
              when not written.inserted then 'U'
              when stored.present is null then '!'
              when not (stored.search_ts, stored.license_status, stored.license_name, stored.license_type, stored.address, stored.city, stored.state, stored.zip, stored.issue_date, stored.expiration_date, stored.result_status, stored.meta, stored.raw, stored.image_hash) is distinct from (winner.search_ts, winner.license_status, winner.license_name, winner.license_type, winner.address, winner.city, winner.state, winner.zip, winner.issue_date, winner.expiration_date, winner.result_status, winner.meta, winner.raw, winner.image_hash) then '='
              when (body -> 'run' ->> 'if_exists') = 'keep' and stored.batch_id <> (body -> 'run' ->> 'batch_id')::text then 'S'
              when (stored.search_ts is null or winner.search_ts is null) then '?'
              when stored.search_ts > winner.search_ts then 'S'
              else '!'
            end as outcome
          from (select *, row(search_name, search_state, license_number) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
        select true as present, kept.* from public.search_results as kept
        where (written.inserted is null or (not written.inserted and (body -> 'run' ->> 'if_exists') = 'replace')) and kept.dataset_id = (body -> 'run' ->> 'dataset_id')::bigint and kept.search_name = winner.search_name and kept.search_state = winner.search_state and kept.license_number = winner.license_number
        union all
        select true as present, kept.* from public.search_results as kept
        where (written.inserted is null or (not written.inserted and (body -> 'run' ->> 'if_exists') = 'replace')) and kept.dataset_id = (body -> 'run' ->> 'dataset_id')::bigint and kept.search_name = winner.search_name and kept.search_state = winner.search_state and winner.license_number is null and kept.license_number is null
        limit 1
      ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome when rows.moment is null or judged.outcome in ('?', '!') then '!' else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(search_name, search_state, license_number) as row_key, search_ts as moment from incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    if strpos(outcomes, '!') > 0 then
        select string_agg(
          case
            when winner.letter <> '!' then winner.letter
            when stored.present is null then '='
                  when not (stored.search_ts, stored.license_status, stored.license_name, stored.license_type, stored.address, stored.city, stored.state, stored.zip, stored.issue_date, stored.expiration_date, stored.result_status, stored.meta, stored.raw, stored.image_hash) is distinct from (winner.search_ts, winner.license_status, winner.license_name, winner.license_type, winner.address, winner.city, winner.state, winner.zip, winner.issue_date, winner.expiration_date, winner.result_status, winner.meta, winner.raw, winner.image_hash) then '='
                  when (body -> 'run' ->> 'if_exists') = 'keep' and stored.batch_id <> (body -> 'run' ->> 'batch_id')::text then 'S'
                  when (stored.search_ts is null or winner.search_ts is null) then '?'
                  when stored.search_ts > winner.search_ts then 'S'
                  else '='
          end, '' order by winner.ordinal) into outcomes
        from (
          select ordinal, search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash,
            substr(outcomes, (ordinal - 1 + 1)::integer, 1) as letter
          from rows from (jsonb_to_recordset(body -> 'rows' -> 'search_results') as (search_name text, search_state text, search_ts timestamptz, license_number text, license_status text, license_name text, license_type text, address text, city text, state text, zip text, issue_date date, expiration_date date, result_status text, meta jsonb, raw jsonb, image_hash text)) with ordinality as input(search_name, search_state, search_ts, license_number, license_status, license_name, license_type, address, city, state, zip, issue_date, expiration_date, result_status, meta, raw, image_hash, ordinal)
        ) as winner
        left join lateral (
            select true as present, kept.* from public.search_results as kept
            where winner.letter = '!' and kept.dataset_id = (body -> 'run' ->> 'dataset_id')::bigint and kept.search_name = winner.search_name and kept.search_state = winner.search_state and kept.license_number = winner.license_number
            union all
            select true as present, kept.* from public.search_results as kept
            where winner.letter = '!' and kept.dataset_id = (body -> 'run' ->> 'dataset_id')::bigint and kept.search_name = winner.search_name and kept.search_state = winner.search_state and winner.license_number is null and kept.license_number is null
            limit 1
          ) as stored on true;
    end if;
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
      select distinct on (search_name, search_state, license_number) * from incoming_rows
      order by search_name, search_state, license_number, search_ts desc nulls last, case when search_ts is null then ordinal end, ordinal desc
    ), compared as (
      select winner.ordinal, stored.id::text as id,
        case
          when stored.present is null then 'missing'
          when stored.search_ts > winner.search_ts then 'superseded'
          when (body -> 'run' ->> 'if_exists') = 'keep' and stored.batch_id <> (body -> 'run' ->> 'batch_id')::text and (stored.search_ts, stored.license_status, stored.license_name, stored.license_type, stored.address, stored.city, stored.state, stored.zip, stored.issue_date, stored.expiration_date, stored.result_status, stored.meta, stored.raw, stored.image_hash) is distinct from (winner.search_ts, winner.license_status, winner.license_name, winner.license_type, winner.address, winner.city, winner.state, winner.zip, winner.issue_date, winner.expiration_date, winner.result_status, winner.meta, winner.raw, winner.image_hash) then 'superseded'
          when (stored.search_ts is null or winner.search_ts is null) and (stored.search_ts, stored.license_status, stored.license_name, stored.license_type, stored.address, stored.city, stored.state, stored.zip, stored.issue_date, stored.expiration_date, stored.result_status, stored.meta, stored.raw, stored.image_hash) is distinct from (winner.search_ts, winner.license_status, winner.license_name, winner.license_type, winner.address, winner.city, winner.state, winner.zip, winner.issue_date, winner.expiration_date, winner.result_status, winner.meta, winner.raw, winner.image_hash) then case when (body -> 'run' ->> 'if_exists') = 'newer' then 'undecided' else 'superseded' end
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
        'd', case when compared.found in ('different', 'undecided') then compared.differing end
      ) order by rows.ordinal), '[]'::jsonb) into comparison
    from incoming_rows as rows
    left join compared on compared.ordinal = rows.ordinal;
    answer := answer || jsonb_build_object('search_results', comparison);
  end if;
  return answer;
end
$function$;

create or replace function public.importer_merge_people(payload jsonb) returns jsonb
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
  if body -> 'rows' ? 'organisation.identities' then
    with incoming_rows as materialized (
      select ordinal, id, neuron360_company_id, name, domain, logo_url, industry, last_modified_date, source, content_signature from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.identities') as (id uuid, neuron360_company_id text, name text, domain text, logo_url text, industry text, last_modified_date timestamptz, source text, content_signature text)) with ordinality as input(id, neuron360_company_id, name, domain, logo_url, industry, last_modified_date, source, content_signature, ordinal)
    ), winners as not materialized (
      select distinct on (id) * from incoming_rows
      order by id, last_modified_date desc nulls last, source collate "C", ordinal desc
    ), written as (
      insert into organisation.identities as stored (dataset_id, batch_id, id, neuron360_company_id, name, domain, logo_url, industry, last_modified_date, source, content_signature)
      select (body -> 'run' ->> 'dataset_id')::bigint, (body -> 'run' ->> 'batch_id')::text, id, neuron360_company_id, name, domain, logo_url, industry, last_modified_date, source, content_signature from winners
      order by id
      on conflict (id) do update set neuron360_company_id = excluded.neuron360_company_id, name = excluded.name, domain = excluded.domain, logo_url = excluded.logo_url, industry = excluded.industry, last_modified_date = excluded.last_modified_date, source = excluded.source, content_signature = excluded.content_signature, dataset_id = excluded.dataset_id, batch_id = excluded.batch_id, updated_at = now()
      where case
        when (body -> 'run' ->> 'repair')::boolean and stored.content_signature = excluded.content_signature and coalesce(excluded.last_modified_date, '-infinity') = coalesce(stored.last_modified_date, '-infinity')
          then true
        when stored.batch_id = (body -> 'run' ->> 'batch_id')::text then coalesce(excluded.last_modified_date, '-infinity') > coalesce(stored.last_modified_date, '-infinity') or (coalesce(excluded.last_modified_date, '-infinity') = coalesce(stored.last_modified_date, '-infinity') and excluded.source collate "C" < stored.source collate "C")
        when (body -> 'run' ->> 'if_exists') = 'newer' then coalesce(excluded.last_modified_date, '-infinity') > coalesce(stored.last_modified_date, '-infinity')
        else (body -> 'run' ->> 'if_exists') = 'replace' and (stored.neuron360_company_id, stored.name, stored.domain, stored.logo_url, stored.industry, stored.last_modified_date, stored.content_signature) is distinct from (excluded.neuron360_company_id, excluded.name, excluded.domain, excluded.logo_url, excluded.industry, excluded.last_modified_date, excluded.content_signature)
      end
      returning row(stored.id) as row_key, (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) = jsonb_array_length(body -> 'rows' -> 'organisation.identities')
        then repeat('I', jsonb_array_length(body -> 'rows' -> 'organisation.identities')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted then 'U'
              when (stored.neuron360_company_id, stored.name, stored.domain, stored.logo_url, stored.industry, stored.last_modified_date, stored.content_signature) is distinct from (winner.neuron360_company_id, winner.name, winner.domain, winner.logo_url, winner.industry, winner.last_modified_date, winner.content_signature) then 'S'
              else '='
            end as outcome
          from (select *, row(id) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
        select true as present, kept.* from organisation.identities as kept
        where written.inserted is null and kept.id = winner.id
        limit 1
      ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(id) as row_key from incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    answer := answer || jsonb_build_object('organisation.identities', outcomes);
  end if;
  if body -> 'rows' ? 'organisation.offices' then
    with incoming_rows as materialized (
      select ordinal, id, organisation_id, neuron360_office_id, type, phones, last_modified_date, source, content_signature from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.offices') as (id uuid, organisation_id uuid, neuron360_office_id text, type text, phones jsonb, last_modified_date timestamptz, source text, content_signature text)) with ordinality as input(id, organisation_id, neuron360_office_id, type, phones, last_modified_date, source, content_signature, ordinal)
    ), winners as not materialized (
      select distinct on (id) * from incoming_rows
      order by id, last_modified_date desc nulls last, source collate "C", ordinal desc
    ), written as (
      insert into organisation.offices as stored (dataset_id, batch_id, id, organisation_id, neuron360_office_id, type, phones, last_modified_date, source, content_signature)
      select (body -> 'run' ->> 'dataset_id')::bigint, (body -> 'run' ->> 'batch_id')::text, id, organisation_id, neuron360_office_id, type, phones, last_modified_date, source, content_signature from winners
      order by id
      on conflict (id) do update set organisation_id = excluded.organisation_id, neuron360_office_id = excluded.neuron360_office_id, type = excluded.type, phones = excluded.phones, last_modified_date = excluded.last_modified_date, source = excluded.source, content_signature = excluded.content_signature, dataset_id = excluded.dataset_id, batch_id = excluded.batch_id, updated_at = now()
      where case
        when (body -> 'run' ->> 'repair')::boolean and stored.content_signature = excluded.content_signature and coalesce(excluded.last_modified_date, '-infinity') = coalesce(stored.last_modified_date, '-infinity')
          then true
        when stored.batch_id = (body -> 'run' ->> 'batch_id')::text then coalesce(excluded.last_modified_date, '-infinity') > coalesce(stored.last_modified_date, '-infinity') or (coalesce(excluded.last_modified_date, '-infinity') = coalesce(stored.last_modified_date, '-infinity') and excluded.source collate "C" < stored.source collate "C")
        when (body -> 'run' ->> 'if_exists') = 'newer' then coalesce(excluded.last_modified_date, '-infinity') > coalesce(stored.last_modified_date, '-infinity')
        else (body -> 'run' ->> 'if_exists') = 'replace' and (stored.organisation_id, stored.neuron360_office_id, stored.type, stored.phones, stored.last_modified_date, stored.content_signature) is distinct from (excluded.organisation_id, excluded.neuron360_office_id, excluded.type, excluded.phones, excluded.last_modified_date, excluded.content_signature)
      end
      returning row(stored.id) as row_key, (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) = jsonb_array_length(body -> 'rows' -> 'organisation.offices')
        then repeat('I', jsonb_array_length(body -> 'rows' -> 'organisation.offices')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted then 'U'
              when (stored.organisation_id, stored.neuron360_office_id, stored.type, stored.phones, stored.last_modified_date, stored.content_signature) is distinct from (winner.organisation_id, winner.neuron360_office_id, winner.type, winner.phones, winner.last_modified_date, winner.content_signature) then 'S'
              else '='
            end as outcome
          from (select *, row(id) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
        select true as present, kept.* from organisation.offices as kept
        where written.inserted is null and kept.id = winner.id
        limit 1
      ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(id) as row_key from incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    answer := answer || jsonb_build_object('organisation.offices', outcomes);
  end if;
  if answer ->> 'organisation.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'organisation.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from organisation.web_addresses as stored using owners
      where owners.outcome = 'U' and stored.organisation_id = owners.id and not exists (
        select from (select organisation_id from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.web_addresses') as (organisation_id uuid, url text, rank bigint)) with ordinality as input(organisation_id, url, rank, ordinal)) as kept where kept.organisation_id = stored.organisation_id)
    )
    insert into organisation.web_addresses as stored (organisation_id, url, rank)
    select incoming_rows.organisation_id, incoming_rows.url, incoming_rows.rank
    from (select organisation_id, url, rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.web_addresses') as (organisation_id uuid, url text, rank bigint)) with ordinality as input(organisation_id, url, rank, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.organisation_id and owners.outcome in ('I', 'U')
    order by incoming_rows.organisation_id
    on conflict (organisation_id) do update set url = excluded.url, rank = excluded.rank
      where (stored.url, stored.rank) is distinct from (excluded.url, excluded.rank);
  end if;
  if answer ->> 'organisation.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'organisation.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from organisation.employees as stored using owners
      where owners.outcome = 'U' and stored.organisation_id = owners.id and not exists (
        select from (select organisation_id from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.employees') as (organisation_id uuid, number_of_employees bigint, number_of_employees_code text, number_of_employees_min bigint, number_of_employees_max bigint)) with ordinality as input(organisation_id, number_of_employees, number_of_employees_code, number_of_employees_min, number_of_employees_max, ordinal)) as kept where kept.organisation_id = stored.organisation_id)
    )
    insert into organisation.employees as stored (organisation_id, number_of_employees, number_of_employees_code, number_of_employees_min, number_of_employees_max)
    select incoming_rows.organisation_id, incoming_rows.number_of_employees, incoming_rows.number_of_employees_code, incoming_rows.number_of_employees_min, incoming_rows.number_of_employees_max
    from (select organisation_id, number_of_employees, number_of_employees_code, number_of_employees_min, number_of_employees_max from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.employees') as (organisation_id uuid, number_of_employees bigint, number_of_employees_code text, number_of_employees_min bigint, number_of_employees_max bigint)) with ordinality as input(organisation_id, number_of_employees, number_of_employees_code, number_of_employees_min, number_of_employees_max, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.organisation_id and owners.outcome in ('I', 'U')
    order by incoming_rows.organisation_id
    on conflict (organisation_id) do update set number_of_employees = excluded.number_of_employees, number_of_employees_code = excluded.number_of_employees_code, number_of_employees_min = excluded.number_of_employees_min, number_of_employees_max = excluded.number_of_employees_max
      where (stored.number_of_employees, stored.number_of_employees_code, stored.number_of_employees_min, stored.number_of_employees_max) is distinct from (excluded.number_of_employees, excluded.number_of_employees_code, excluded.number_of_employees_min, excluded.number_of_employees_max);
  end if;
  if answer ->> 'organisation.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'organisation.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from organisation.social_links as stored using owners
      where owners.outcome = 'U' and stored.organisation_id = owners.id and not exists (
        select from (select organisation_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.social_links') as (organisation_id uuid, position integer, name text, url text)) with ordinality as input(organisation_id, position, name, url, ordinal)) as kept where kept.organisation_id = stored.organisation_id and kept.position = stored.position)
    )
    insert into organisation.social_links as stored (organisation_id, position, name, url)
    select incoming_rows.organisation_id, incoming_rows.position, incoming_rows.name, incoming_rows.url
    from (select organisation_id, position, name, url from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.social_links') as (organisation_id uuid, position integer, name text, url text)) with ordinality as input(organisation_id, position, name, url, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.organisation_id and owners.outcome in ('I', 'U')
    order by incoming_rows.organisation_id, incoming_rows.position
    on conflict (organisation_id, position) do update set name = excluded.name, url = excluded.url
      where (stored.name, stored.url) is distinct from (excluded.name, excluded.url);
  end if;
  if answer ->> 'organisation.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'organisation.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from organisation.industries as stored using owners
      where owners.outcome = 'U' and stored.organisation_id = owners.id and not exists (
        select from (select organisation_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.industries') as (organisation_id uuid, position integer, industry_id text, standard text, code2 text, name2 text, code3 text, name3 text, code4 text, name4 text, code5 text, name5 text, code6 text, name6 text, activity_priority integer, priority integer)) with ordinality as input(organisation_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority, ordinal)) as kept where kept.organisation_id = stored.organisation_id and kept.position = stored.position)
    )
    insert into organisation.industries as stored (organisation_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority)
    select incoming_rows.organisation_id, incoming_rows.position, incoming_rows.industry_id, incoming_rows.standard, incoming_rows.code2, incoming_rows.name2, incoming_rows.code3, incoming_rows.name3, incoming_rows.code4, incoming_rows.name4, incoming_rows.code5, incoming_rows.name5, incoming_rows.code6, incoming_rows.name6, incoming_rows.activity_priority, incoming_rows.priority
    from (select organisation_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.industries') as (organisation_id uuid, position integer, industry_id text, standard text, code2 text, name2 text, code3 text, name3 text, code4 text, name4 text, code5 text, name5 text, code6 text, name6 text, activity_priority integer, priority integer)) with ordinality as input(organisation_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.organisation_id and owners.outcome in ('I', 'U')
    order by incoming_rows.organisation_id, incoming_rows.position
    on conflict (organisation_id, position) do update set industry_id = excluded.industry_id, standard = excluded.standard, code2 = excluded.code2, name2 = excluded.name2, code3 = excluded.code3, name3 = excluded.name3, code4 = excluded.code4, name4 = excluded.name4, code5 = excluded.code5, name5 = excluded.name5, code6 = excluded.code6, name6 = excluded.name6, activity_priority = excluded.activity_priority, priority = excluded.priority
      where (stored.industry_id, stored.standard, stored.code2, stored.name2, stored.code3, stored.name3, stored.code4, stored.name4, stored.code5, stored.name5, stored.code6, stored.name6, stored.activity_priority, stored.priority) is distinct from (excluded.industry_id, excluded.standard, excluded.code2, excluded.name2, excluded.code3, excluded.name3, excluded.code4, excluded.name4, excluded.code5, excluded.name5, excluded.code6, excluded.name6, excluded.activity_priority, excluded.priority);
  end if;
  if answer ->> 'organisation.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'organisation.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from organisation.phones as stored using owners
      where owners.outcome = 'U' and stored.organisation_id = owners.id and not exists (
        select from (select organisation_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.phones') as (organisation_id uuid, position integer, phone text, ddi boolean, dnc boolean, type text, carrier text, priority integer)) with ordinality as input(organisation_id, position, phone, ddi, dnc, type, carrier, priority, ordinal)) as kept where kept.organisation_id = stored.organisation_id and kept.position = stored.position)
    )
    insert into organisation.phones as stored (organisation_id, position, phone, ddi, dnc, type, carrier, priority)
    select incoming_rows.organisation_id, incoming_rows.position, incoming_rows.phone, incoming_rows.ddi, incoming_rows.dnc, incoming_rows.type, incoming_rows.carrier, incoming_rows.priority
    from (select organisation_id, position, phone, ddi, dnc, type, carrier, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.phones') as (organisation_id uuid, position integer, phone text, ddi boolean, dnc boolean, type text, carrier text, priority integer)) with ordinality as input(organisation_id, position, phone, ddi, dnc, type, carrier, priority, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.organisation_id and owners.outcome in ('I', 'U')
    order by incoming_rows.organisation_id, incoming_rows.position
    on conflict (organisation_id, position) do update set phone = excluded.phone, ddi = excluded.ddi, dnc = excluded.dnc, type = excluded.type, carrier = excluded.carrier, priority = excluded.priority
      where (stored.phone, stored.ddi, stored.dnc, stored.type, stored.carrier, stored.priority) is distinct from (excluded.phone, excluded.ddi, excluded.dnc, excluded.type, excluded.carrier, excluded.priority);
  end if;
  if answer ->> 'organisation.offices' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'organisation.offices', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.offices') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from organisation.office_addresses as stored using owners
      where owners.outcome = 'U' and stored.office_id = owners.id and not exists (
        select from (select office_id from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.office_addresses') as (office_id uuid, formatted_address text, street_address text, street_number text, street text, premise text, subpremise text, establishment text, sublocality text, locality text, city text, postal_code text, postal_town text, county text, state text, region text, administrative_area_level_1 text, administrative_area_level_2 text, administrative_area_level_3 text, administrative_area_level_4 text, administrative_area_level_5 text, country text, country_code text, continent text, lat double precision, lng double precision, place_id text, accuracy text, quality text, score double precision, confidence_score double precision, last_modified_date timestamptz)) with ordinality as input(office_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date, ordinal)) as kept where kept.office_id = stored.office_id)
    )
    insert into organisation.office_addresses as stored (office_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date)
    select incoming_rows.office_id, incoming_rows.formatted_address, incoming_rows.street_address, incoming_rows.street_number, incoming_rows.street, incoming_rows.premise, incoming_rows.subpremise, incoming_rows.establishment, incoming_rows.sublocality, incoming_rows.locality, incoming_rows.city, incoming_rows.postal_code, incoming_rows.postal_town, incoming_rows.county, incoming_rows.state, incoming_rows.region, incoming_rows.administrative_area_level_1, incoming_rows.administrative_area_level_2, incoming_rows.administrative_area_level_3, incoming_rows.administrative_area_level_4, incoming_rows.administrative_area_level_5, incoming_rows.country, incoming_rows.country_code, incoming_rows.continent, incoming_rows.lat, incoming_rows.lng, incoming_rows.place_id, incoming_rows.accuracy, incoming_rows.quality, incoming_rows.score, incoming_rows.confidence_score, incoming_rows.last_modified_date
    from (select office_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.office_addresses') as (office_id uuid, formatted_address text, street_address text, street_number text, street text, premise text, subpremise text, establishment text, sublocality text, locality text, city text, postal_code text, postal_town text, county text, state text, region text, administrative_area_level_1 text, administrative_area_level_2 text, administrative_area_level_3 text, administrative_area_level_4 text, administrative_area_level_5 text, country text, country_code text, continent text, lat double precision, lng double precision, place_id text, accuracy text, quality text, score double precision, confidence_score double precision, last_modified_date timestamptz)) with ordinality as input(office_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.office_id and owners.outcome in ('I', 'U')
    order by incoming_rows.office_id
    on conflict (office_id) do update set formatted_address = excluded.formatted_address, street_address = excluded.street_address, street_number = excluded.street_number, street = excluded.street, premise = excluded.premise, subpremise = excluded.subpremise, establishment = excluded.establishment, sublocality = excluded.sublocality, locality = excluded.locality, city = excluded.city, postal_code = excluded.postal_code, postal_town = excluded.postal_town, county = excluded.county, state = excluded.state, region = excluded.region, administrative_area_level_1 = excluded.administrative_area_level_1, administrative_area_level_2 = excluded.administrative_area_level_2, administrative_area_level_3 = excluded.administrative_area_level_3, administrative_area_level_4 = excluded.administrative_area_level_4, administrative_area_level_5 = excluded.administrative_area_level_5, country = excluded.country, country_code = excluded.country_code, continent = excluded.continent, lat = excluded.lat, lng = excluded.lng, place_id = excluded.place_id, accuracy = excluded.accuracy, quality = excluded.quality, score = excluded.score, confidence_score = excluded.confidence_score, last_modified_date = excluded.last_modified_date
      where (stored.formatted_address, stored.street_address, stored.street_number, stored.street, stored.premise, stored.subpremise, stored.establishment, stored.sublocality, stored.locality, stored.city, stored.postal_code, stored.postal_town, stored.county, stored.state, stored.region, stored.administrative_area_level_1, stored.administrative_area_level_2, stored.administrative_area_level_3, stored.administrative_area_level_4, stored.administrative_area_level_5, stored.country, stored.country_code, stored.continent, stored.lat, stored.lng, stored.place_id, stored.accuracy, stored.quality, stored.score, stored.confidence_score, stored.last_modified_date) is distinct from (excluded.formatted_address, excluded.street_address, excluded.street_number, excluded.street, excluded.premise, excluded.subpremise, excluded.establishment, excluded.sublocality, excluded.locality, excluded.city, excluded.postal_code, excluded.postal_town, excluded.county, excluded.state, excluded.region, excluded.administrative_area_level_1, excluded.administrative_area_level_2, excluded.administrative_area_level_3, excluded.administrative_area_level_4, excluded.administrative_area_level_5, excluded.country, excluded.country_code, excluded.continent, excluded.lat, excluded.lng, excluded.place_id, excluded.accuracy, excluded.quality, excluded.score, excluded.confidence_score, excluded.last_modified_date);
  end if;
  if answer ->> 'organisation.offices' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'organisation.offices', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.offices') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from organisation.office_industries as stored using owners
      where owners.outcome = 'U' and stored.office_id = owners.id and not exists (
        select from (select office_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.office_industries') as (office_id uuid, position integer, industry_id text, standard text, code2 text, name2 text, code3 text, name3 text, code4 text, name4 text, code5 text, name5 text, code6 text, name6 text, activity_priority integer, priority integer)) with ordinality as input(office_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority, ordinal)) as kept where kept.office_id = stored.office_id and kept.position = stored.position)
    )
    insert into organisation.office_industries as stored (office_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority)
    select incoming_rows.office_id, incoming_rows.position, incoming_rows.industry_id, incoming_rows.standard, incoming_rows.code2, incoming_rows.name2, incoming_rows.code3, incoming_rows.name3, incoming_rows.code4, incoming_rows.name4, incoming_rows.code5, incoming_rows.name5, incoming_rows.code6, incoming_rows.name6, incoming_rows.activity_priority, incoming_rows.priority
    from (select office_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.office_industries') as (office_id uuid, position integer, industry_id text, standard text, code2 text, name2 text, code3 text, name3 text, code4 text, name4 text, code5 text, name5 text, code6 text, name6 text, activity_priority integer, priority integer)) with ordinality as input(office_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.office_id and owners.outcome in ('I', 'U')
    order by incoming_rows.office_id, incoming_rows.position
    on conflict (office_id, position) do update set industry_id = excluded.industry_id, standard = excluded.standard, code2 = excluded.code2, name2 = excluded.name2, code3 = excluded.code3, name3 = excluded.name3, code4 = excluded.code4, name4 = excluded.name4, code5 = excluded.code5, name5 = excluded.name5, code6 = excluded.code6, name6 = excluded.name6, activity_priority = excluded.activity_priority, priority = excluded.priority
      where (stored.industry_id, stored.standard, stored.code2, stored.name2, stored.code3, stored.name3, stored.code4, stored.name4, stored.code5, stored.name5, stored.code6, stored.name6, stored.activity_priority, stored.priority) is distinct from (excluded.industry_id, excluded.standard, excluded.code2, excluded.name2, excluded.code3, excluded.name3, excluded.code4, excluded.name4, excluded.code5, excluded.name5, excluded.code6, excluded.name6, excluded.activity_priority, excluded.priority);
  end if;
  if body -> 'rows' ? 'people.identities' then
    with incoming_rows as materialized (
      select ordinal, id, neuron360_profile_id, first_name, last_name, full_name, picture_url, last_seen_date, last_modified_date, resume_last_modified_date, rest, latest_modified_date, source, content_signature from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid, neuron360_profile_id text, first_name text, last_name text, full_name text, picture_url text, last_seen_date timestamptz, last_modified_date timestamptz, resume_last_modified_date timestamptz, rest jsonb, latest_modified_date timestamptz, source text, content_signature text)) with ordinality as input(id, neuron360_profile_id, first_name, last_name, full_name, picture_url, last_seen_date, last_modified_date, resume_last_modified_date, rest, latest_modified_date, source, content_signature, ordinal)
    ), winners as not materialized (
      select distinct on (id) * from incoming_rows
      order by id, latest_modified_date desc nulls last, source collate "C", ordinal desc
    ), written as (
      insert into people.identities as stored (dataset_id, batch_id, id, neuron360_profile_id, first_name, last_name, full_name, picture_url, last_seen_date, last_modified_date, resume_last_modified_date, rest, latest_modified_date, source, content_signature)
      select (body -> 'run' ->> 'dataset_id')::bigint, (body -> 'run' ->> 'batch_id')::text, id, neuron360_profile_id, first_name, last_name, full_name, picture_url, last_seen_date, last_modified_date, resume_last_modified_date, rest, latest_modified_date, source, content_signature from winners
      order by id
      on conflict (id) do update set neuron360_profile_id = excluded.neuron360_profile_id, first_name = excluded.first_name, last_name = excluded.last_name, full_name = excluded.full_name, picture_url = excluded.picture_url, last_seen_date = excluded.last_seen_date, last_modified_date = excluded.last_modified_date, resume_last_modified_date = excluded.resume_last_modified_date, rest = excluded.rest, latest_modified_date = excluded.latest_modified_date, source = excluded.source, content_signature = excluded.content_signature, dataset_id = excluded.dataset_id, batch_id = excluded.batch_id, updated_at = now()
      where case
        when (body -> 'run' ->> 'repair')::boolean and stored.content_signature = excluded.content_signature and coalesce(excluded.latest_modified_date, '-infinity') = coalesce(stored.latest_modified_date, '-infinity')
          then true
        when stored.batch_id = (body -> 'run' ->> 'batch_id')::text then excluded.latest_modified_date > stored.latest_modified_date or (coalesce(excluded.latest_modified_date, '-infinity') = coalesce(stored.latest_modified_date, '-infinity') and excluded.source collate "C" < stored.source collate "C" and (stored.latest_modified_date is not null or not (stored.neuron360_profile_id, stored.first_name, stored.last_name, stored.full_name, stored.picture_url, stored.last_seen_date, stored.last_modified_date, stored.resume_last_modified_date, stored.rest, stored.latest_modified_date, stored.content_signature) is distinct from (excluded.neuron360_profile_id, excluded.first_name, excluded.last_name, excluded.full_name, excluded.picture_url, excluded.last_seen_date, excluded.last_modified_date, excluded.resume_last_modified_date, excluded.rest, excluded.latest_modified_date, excluded.content_signature)))
        when (body -> 'run' ->> 'if_exists') = 'newer' then excluded.latest_modified_date > stored.latest_modified_date
        else (body -> 'run' ->> 'if_exists') = 'replace' and (stored.neuron360_profile_id, stored.first_name, stored.last_name, stored.full_name, stored.picture_url, stored.last_seen_date, stored.last_modified_date, stored.resume_last_modified_date, stored.rest, stored.latest_modified_date, stored.content_signature) is distinct from (excluded.neuron360_profile_id, excluded.first_name, excluded.last_name, excluded.full_name, excluded.picture_url, excluded.last_seen_date, excluded.last_modified_date, excluded.resume_last_modified_date, excluded.rest, excluded.latest_modified_date, excluded.content_signature)
      end
      returning row(stored.id) as row_key, (stored.xmax = 0) as inserted
    )
    select case
      when (select count(*) from written where inserted) = jsonb_array_length(body -> 'rows' -> 'people.identities')
        then repeat('I', jsonb_array_length(body -> 'rows' -> 'people.identities')::integer)
      else (
        with judged as (
          select winner.ordinal, winner.row_key,
            case
              when written.inserted then 'I'
              when not written.inserted then 'U'
              when stored.present is null then '!'
              when not (stored.neuron360_profile_id, stored.first_name, stored.last_name, stored.full_name, stored.picture_url, stored.last_seen_date, stored.last_modified_date, stored.resume_last_modified_date, stored.rest, stored.latest_modified_date, stored.content_signature) is distinct from (winner.neuron360_profile_id, winner.first_name, winner.last_name, winner.full_name, winner.picture_url, winner.last_seen_date, winner.last_modified_date, winner.resume_last_modified_date, winner.rest, winner.latest_modified_date, winner.content_signature) then '='
              when (body -> 'run' ->> 'if_exists') = 'keep' and stored.batch_id <> (body -> 'run' ->> 'batch_id')::text then 'S'
              when (stored.latest_modified_date is null or winner.latest_modified_date is null) then '?'
              else 'S'
            end as outcome
          from (select *, row(id) as row_key from winners) as winner
          left join written on written.row_key = winner.row_key
          left join lateral (
        select true as present, kept.* from people.identities as kept
        where written.inserted is null and kept.id = winner.id
        limit 1
      ) as stored on true
        )
        select string_agg(
          case when judged.ordinal = rows.ordinal then judged.outcome when rows.moment is null or judged.outcome in ('?', '!') then '!' else 'S' end,
          '' order by rows.ordinal)
        from (select ordinal, row(id) as row_key, latest_modified_date as moment from incoming_rows) as rows
        join judged on judged.row_key = rows.row_key
      ) end into outcomes;
    if strpos(outcomes, '!') > 0 then
        select string_agg(
          case
            when winner.letter <> '!' then winner.letter
            when stored.present is null then '='
                  when not (stored.neuron360_profile_id, stored.first_name, stored.last_name, stored.full_name, stored.picture_url, stored.last_seen_date, stored.last_modified_date, stored.resume_last_modified_date, stored.rest, stored.latest_modified_date, stored.content_signature) is distinct from (winner.neuron360_profile_id, winner.first_name, winner.last_name, winner.full_name, winner.picture_url, winner.last_seen_date, winner.last_modified_date, winner.resume_last_modified_date, winner.rest, winner.latest_modified_date, winner.content_signature) then '='
                  when (body -> 'run' ->> 'if_exists') = 'keep' and stored.batch_id <> (body -> 'run' ->> 'batch_id')::text then 'S'
                  when (stored.latest_modified_date is null or winner.latest_modified_date is null) then '?'
                  else 'S'
          end, '' order by winner.ordinal) into outcomes
        from (
          select ordinal, id, neuron360_profile_id, first_name, last_name, full_name, picture_url, last_seen_date, last_modified_date, resume_last_modified_date, rest, latest_modified_date, source, content_signature,
            substr(outcomes, (ordinal - 1 + 1)::integer, 1) as letter
          from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid, neuron360_profile_id text, first_name text, last_name text, full_name text, picture_url text, last_seen_date timestamptz, last_modified_date timestamptz, resume_last_modified_date timestamptz, rest jsonb, latest_modified_date timestamptz, source text, content_signature text)) with ordinality as input(id, neuron360_profile_id, first_name, last_name, full_name, picture_url, last_seen_date, last_modified_date, resume_last_modified_date, rest, latest_modified_date, source, content_signature, ordinal)
        ) as winner
        left join lateral (
            select true as present, kept.* from people.identities as kept
            where winner.letter = '!' and kept.id = winner.id
            limit 1
          ) as stored on true;
    end if;
    answer := answer || jsonb_build_object('people.identities', outcomes);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.profiles as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.profiles') as (person_id uuid, headline text, summary text, languages text[], expertises text[], tags text[], prior_industries text[], raw_location text)) with ordinality as input(person_id, headline, summary, languages, expertises, tags, prior_industries, raw_location, ordinal)) as kept where kept.person_id = stored.person_id)
    )
    insert into people.profiles as stored (person_id, headline, summary, languages, expertises, tags, prior_industries, raw_location)
    select incoming_rows.person_id, incoming_rows.headline, incoming_rows.summary, incoming_rows.languages, incoming_rows.expertises, incoming_rows.tags, incoming_rows.prior_industries, incoming_rows.raw_location
    from (select person_id, headline, summary, languages, expertises, tags, prior_industries, raw_location from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.profiles') as (person_id uuid, headline text, summary text, languages text[], expertises text[], tags text[], prior_industries text[], raw_location text)) with ordinality as input(person_id, headline, summary, languages, expertises, tags, prior_industries, raw_location, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id
    on conflict (person_id) do update set headline = excluded.headline, summary = excluded.summary, languages = excluded.languages, expertises = excluded.expertises, tags = excluded.tags, prior_industries = excluded.prior_industries, raw_location = excluded.raw_location
      where (stored.headline, stored.summary, stored.languages, stored.expertises, stored.tags, stored.prior_industries, stored.raw_location) is distinct from (excluded.headline, excluded.summary, excluded.languages, excluded.expertises, excluded.tags, excluded.prior_industries, excluded.raw_location);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.genders as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.genders') as (person_id uuid, gender text, confidence_score double precision)) with ordinality as input(person_id, gender, confidence_score, ordinal)) as kept where kept.person_id = stored.person_id)
    )
    insert into people.genders as stored (person_id, gender, confidence_score)
    select incoming_rows.person_id, incoming_rows.gender, incoming_rows.confidence_score
    from (select person_id, gender, confidence_score from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.genders') as (person_id uuid, gender text, confidence_score double precision)) with ordinality as input(person_id, gender, confidence_score, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id
    on conflict (person_id) do update set gender = excluded.gender, confidence_score = excluded.confidence_score
      where (stored.gender, stored.confidence_score) is distinct from (excluded.gender, excluded.confidence_score);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.social_links as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.social_links') as (person_id uuid, position integer, name text, url text)) with ordinality as input(person_id, position, name, url, ordinal)) as kept where kept.person_id = stored.person_id and kept.position = stored.position)
    )
    insert into people.social_links as stored (person_id, position, name, url)
    select incoming_rows.person_id, incoming_rows.position, incoming_rows.name, incoming_rows.url
    from (select person_id, position, name, url from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.social_links') as (person_id uuid, position integer, name text, url text)) with ordinality as input(person_id, position, name, url, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.position
    on conflict (person_id, position) do update set name = excluded.name, url = excluded.url
      where (stored.name, stored.url) is distinct from (excluded.name, excluded.url);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.statuses as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.statuses') as (person_id uuid, status text)) with ordinality as input(person_id, status, ordinal)) as kept where kept.person_id = stored.person_id)
    )
    insert into people.statuses as stored (person_id, status)
    select incoming_rows.person_id, incoming_rows.status
    from (select person_id, status from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.statuses') as (person_id uuid, status text)) with ordinality as input(person_id, status, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id
    on conflict (person_id) do update set status = excluded.status
      where (stored.status) is distinct from (excluded.status);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.emails as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.emails') as (person_id uuid, position integer, email text, type text, priority integer)) with ordinality as input(person_id, position, email, type, priority, ordinal)) as kept where kept.person_id = stored.person_id and kept.position = stored.position)
    )
    insert into people.emails as stored (person_id, position, email, type, priority)
    select incoming_rows.person_id, incoming_rows.position, incoming_rows.email, incoming_rows.type, incoming_rows.priority
    from (select person_id, position, email, type, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.emails') as (person_id uuid, position integer, email text, type text, priority integer)) with ordinality as input(person_id, position, email, type, priority, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.position
    on conflict (person_id, position) do update set email = excluded.email, type = excluded.type, priority = excluded.priority
      where (stored.email, stored.type, stored.priority) is distinct from (excluded.email, excluded.type, excluded.priority);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.phones as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.phones') as (person_id uuid, position integer, phone text, ddi boolean, dnc boolean, type text, carrier text, priority integer)) with ordinality as input(person_id, position, phone, ddi, dnc, type, carrier, priority, ordinal)) as kept where kept.person_id = stored.person_id and kept.position = stored.position)
    )
    insert into people.phones as stored (person_id, position, phone, ddi, dnc, type, carrier, priority)
    select incoming_rows.person_id, incoming_rows.position, incoming_rows.phone, incoming_rows.ddi, incoming_rows.dnc, incoming_rows.type, incoming_rows.carrier, incoming_rows.priority
    from (select person_id, position, phone, ddi, dnc, type, carrier, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.phones') as (person_id uuid, position integer, phone text, ddi boolean, dnc boolean, type text, carrier text, priority integer)) with ordinality as input(person_id, position, phone, ddi, dnc, type, carrier, priority, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.position
    on conflict (person_id, position) do update set phone = excluded.phone, ddi = excluded.ddi, dnc = excluded.dnc, type = excluded.type, carrier = excluded.carrier, priority = excluded.priority
      where (stored.phone, stored.ddi, stored.dnc, stored.type, stored.carrier, stored.priority) is distinct from (excluded.phone, excluded.ddi, excluded.dnc, excluded.type, excluded.carrier, excluded.priority);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.addresses as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.addresses') as (person_id uuid, formatted_address text, street_address text, street_number text, street text, premise text, subpremise text, establishment text, sublocality text, locality text, city text, postal_code text, postal_town text, county text, state text, region text, administrative_area_level_1 text, administrative_area_level_2 text, administrative_area_level_3 text, administrative_area_level_4 text, administrative_area_level_5 text, country text, country_code text, continent text, lat double precision, lng double precision, place_id text, accuracy text, quality text, score double precision, confidence_score double precision, last_modified_date timestamptz)) with ordinality as input(person_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date, ordinal)) as kept where kept.person_id = stored.person_id)
    )
    insert into people.addresses as stored (person_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date)
    select incoming_rows.person_id, incoming_rows.formatted_address, incoming_rows.street_address, incoming_rows.street_number, incoming_rows.street, incoming_rows.premise, incoming_rows.subpremise, incoming_rows.establishment, incoming_rows.sublocality, incoming_rows.locality, incoming_rows.city, incoming_rows.postal_code, incoming_rows.postal_town, incoming_rows.county, incoming_rows.state, incoming_rows.region, incoming_rows.administrative_area_level_1, incoming_rows.administrative_area_level_2, incoming_rows.administrative_area_level_3, incoming_rows.administrative_area_level_4, incoming_rows.administrative_area_level_5, incoming_rows.country, incoming_rows.country_code, incoming_rows.continent, incoming_rows.lat, incoming_rows.lng, incoming_rows.place_id, incoming_rows.accuracy, incoming_rows.quality, incoming_rows.score, incoming_rows.confidence_score, incoming_rows.last_modified_date
    from (select person_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.addresses') as (person_id uuid, formatted_address text, street_address text, street_number text, street text, premise text, subpremise text, establishment text, sublocality text, locality text, city text, postal_code text, postal_town text, county text, state text, region text, administrative_area_level_1 text, administrative_area_level_2 text, administrative_area_level_3 text, administrative_area_level_4 text, administrative_area_level_5 text, country text, country_code text, continent text, lat double precision, lng double precision, place_id text, accuracy text, quality text, score double precision, confidence_score double precision, last_modified_date timestamptz)) with ordinality as input(person_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id
    on conflict (person_id) do update set formatted_address = excluded.formatted_address, street_address = excluded.street_address, street_number = excluded.street_number, street = excluded.street, premise = excluded.premise, subpremise = excluded.subpremise, establishment = excluded.establishment, sublocality = excluded.sublocality, locality = excluded.locality, city = excluded.city, postal_code = excluded.postal_code, postal_town = excluded.postal_town, county = excluded.county, state = excluded.state, region = excluded.region, administrative_area_level_1 = excluded.administrative_area_level_1, administrative_area_level_2 = excluded.administrative_area_level_2, administrative_area_level_3 = excluded.administrative_area_level_3, administrative_area_level_4 = excluded.administrative_area_level_4, administrative_area_level_5 = excluded.administrative_area_level_5, country = excluded.country, country_code = excluded.country_code, continent = excluded.continent, lat = excluded.lat, lng = excluded.lng, place_id = excluded.place_id, accuracy = excluded.accuracy, quality = excluded.quality, score = excluded.score, confidence_score = excluded.confidence_score, last_modified_date = excluded.last_modified_date
      where (stored.formatted_address, stored.street_address, stored.street_number, stored.street, stored.premise, stored.subpremise, stored.establishment, stored.sublocality, stored.locality, stored.city, stored.postal_code, stored.postal_town, stored.county, stored.state, stored.region, stored.administrative_area_level_1, stored.administrative_area_level_2, stored.administrative_area_level_3, stored.administrative_area_level_4, stored.administrative_area_level_5, stored.country, stored.country_code, stored.continent, stored.lat, stored.lng, stored.place_id, stored.accuracy, stored.quality, stored.score, stored.confidence_score, stored.last_modified_date) is distinct from (excluded.formatted_address, excluded.street_address, excluded.street_number, excluded.street, excluded.premise, excluded.subpremise, excluded.establishment, excluded.sublocality, excluded.locality, excluded.city, excluded.postal_code, excluded.postal_town, excluded.county, excluded.state, excluded.region, excluded.administrative_area_level_1, excluded.administrative_area_level_2, excluded.administrative_area_level_3, excluded.administrative_area_level_4, excluded.administrative_area_level_5, excluded.country, excluded.country_code, excluded.continent, excluded.lat, excluded.lng, excluded.place_id, excluded.accuracy, excluded.quality, excluded.score, excluded.confidence_score, excluded.last_modified_date);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.experiences as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.experiences') as (person_id uuid, position integer, organisation_id uuid, office_id uuid, job_title text, start_date date, end_date date, summary text, current boolean, priority integer, raw_location text, rest jsonb)) with ordinality as input(person_id, position, organisation_id, office_id, job_title, start_date, end_date, summary, current, priority, raw_location, rest, ordinal)) as kept where kept.person_id = stored.person_id and kept.position = stored.position)
    )
    insert into people.experiences as stored (person_id, position, organisation_id, office_id, job_title, start_date, end_date, summary, current, priority, raw_location, rest)
    select incoming_rows.person_id, incoming_rows.position, incoming_rows.organisation_id, incoming_rows.office_id, incoming_rows.job_title, incoming_rows.start_date, incoming_rows.end_date, incoming_rows.summary, incoming_rows.current, incoming_rows.priority, incoming_rows.raw_location, incoming_rows.rest
    from (select person_id, position, organisation_id, office_id, job_title, start_date, end_date, summary, current, priority, raw_location, rest from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.experiences') as (person_id uuid, position integer, organisation_id uuid, office_id uuid, job_title text, start_date date, end_date date, summary text, current boolean, priority integer, raw_location text, rest jsonb)) with ordinality as input(person_id, position, organisation_id, office_id, job_title, start_date, end_date, summary, current, priority, raw_location, rest, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.position
    on conflict (person_id, position) do update set organisation_id = excluded.organisation_id, office_id = excluded.office_id, job_title = excluded.job_title, start_date = excluded.start_date, end_date = excluded.end_date, summary = excluded.summary, current = excluded.current, priority = excluded.priority, raw_location = excluded.raw_location, rest = excluded.rest
      where (stored.organisation_id, stored.office_id, stored.job_title, stored.start_date, stored.end_date, stored.summary, stored.current, stored.priority, stored.raw_location, stored.rest) is distinct from (excluded.organisation_id, excluded.office_id, excluded.job_title, excluded.start_date, excluded.end_date, excluded.summary, excluded.current, excluded.priority, excluded.raw_location, excluded.rest);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.job_title_details as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, experience_position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.job_title_details') as (person_id uuid, experience_position integer, raw_job_title text, raw_job_title_language_code text, raw_job_title_language_detection_confidence_score double precision, raw_translated_job_title text, normalized_job_title_id bigint, normalized_job_title text)) with ordinality as input(person_id, experience_position, raw_job_title, raw_job_title_language_code, raw_job_title_language_detection_confidence_score, raw_translated_job_title, normalized_job_title_id, normalized_job_title, ordinal)) as kept where kept.person_id = stored.person_id and kept.experience_position = stored.experience_position)
    )
    insert into people.job_title_details as stored (person_id, experience_position, raw_job_title, raw_job_title_language_code, raw_job_title_language_detection_confidence_score, raw_translated_job_title, normalized_job_title_id, normalized_job_title)
    select incoming_rows.person_id, incoming_rows.experience_position, incoming_rows.raw_job_title, incoming_rows.raw_job_title_language_code, incoming_rows.raw_job_title_language_detection_confidence_score, incoming_rows.raw_translated_job_title, incoming_rows.normalized_job_title_id, incoming_rows.normalized_job_title
    from (select person_id, experience_position, raw_job_title, raw_job_title_language_code, raw_job_title_language_detection_confidence_score, raw_translated_job_title, normalized_job_title_id, normalized_job_title from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.job_title_details') as (person_id uuid, experience_position integer, raw_job_title text, raw_job_title_language_code text, raw_job_title_language_detection_confidence_score double precision, raw_translated_job_title text, normalized_job_title_id bigint, normalized_job_title text)) with ordinality as input(person_id, experience_position, raw_job_title, raw_job_title_language_code, raw_job_title_language_detection_confidence_score, raw_translated_job_title, normalized_job_title_id, normalized_job_title, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.experience_position
    on conflict (person_id, experience_position) do update set raw_job_title = excluded.raw_job_title, raw_job_title_language_code = excluded.raw_job_title_language_code, raw_job_title_language_detection_confidence_score = excluded.raw_job_title_language_detection_confidence_score, raw_translated_job_title = excluded.raw_translated_job_title, normalized_job_title_id = excluded.normalized_job_title_id, normalized_job_title = excluded.normalized_job_title
      where (stored.raw_job_title, stored.raw_job_title_language_code, stored.raw_job_title_language_detection_confidence_score, stored.raw_translated_job_title, stored.normalized_job_title_id, stored.normalized_job_title) is distinct from (excluded.raw_job_title, excluded.raw_job_title_language_code, excluded.raw_job_title_language_detection_confidence_score, excluded.raw_translated_job_title, excluded.normalized_job_title_id, excluded.normalized_job_title);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.job_functions as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, experience_position, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.job_functions') as (person_id uuid, experience_position integer, position integer, level1_code text, level1_name text, level1_confidence_score double precision, level2_code text, level2_name text, level2_confidence_score double precision, level3_code text, level3_name text, level3_confidence_score double precision, priority integer)) with ordinality as input(person_id, experience_position, position, level1_code, level1_name, level1_confidence_score, level2_code, level2_name, level2_confidence_score, level3_code, level3_name, level3_confidence_score, priority, ordinal)) as kept where kept.person_id = stored.person_id and kept.experience_position = stored.experience_position and kept.position = stored.position)
    )
    insert into people.job_functions as stored (person_id, experience_position, position, level1_code, level1_name, level1_confidence_score, level2_code, level2_name, level2_confidence_score, level3_code, level3_name, level3_confidence_score, priority)
    select incoming_rows.person_id, incoming_rows.experience_position, incoming_rows.position, incoming_rows.level1_code, incoming_rows.level1_name, incoming_rows.level1_confidence_score, incoming_rows.level2_code, incoming_rows.level2_name, incoming_rows.level2_confidence_score, incoming_rows.level3_code, incoming_rows.level3_name, incoming_rows.level3_confidence_score, incoming_rows.priority
    from (select person_id, experience_position, position, level1_code, level1_name, level1_confidence_score, level2_code, level2_name, level2_confidence_score, level3_code, level3_name, level3_confidence_score, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.job_functions') as (person_id uuid, experience_position integer, position integer, level1_code text, level1_name text, level1_confidence_score double precision, level2_code text, level2_name text, level2_confidence_score double precision, level3_code text, level3_name text, level3_confidence_score double precision, priority integer)) with ordinality as input(person_id, experience_position, position, level1_code, level1_name, level1_confidence_score, level2_code, level2_name, level2_confidence_score, level3_code, level3_name, level3_confidence_score, priority, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.experience_position, incoming_rows.position
    on conflict (person_id, experience_position, position) do update set level1_code = excluded.level1_code, level1_name = excluded.level1_name, level1_confidence_score = excluded.level1_confidence_score, level2_code = excluded.level2_code, level2_name = excluded.level2_name, level2_confidence_score = excluded.level2_confidence_score, level3_code = excluded.level3_code, level3_name = excluded.level3_name, level3_confidence_score = excluded.level3_confidence_score, priority = excluded.priority
      where (stored.level1_code, stored.level1_name, stored.level1_confidence_score, stored.level2_code, stored.level2_name, stored.level2_confidence_score, stored.level3_code, stored.level3_name, stored.level3_confidence_score, stored.priority) is distinct from (excluded.level1_code, excluded.level1_name, excluded.level1_confidence_score, excluded.level2_code, excluded.level2_name, excluded.level2_confidence_score, excluded.level3_code, excluded.level3_name, excluded.level3_confidence_score, excluded.priority);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.job_seniority as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, experience_position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.job_seniority') as (person_id uuid, experience_position integer, job_level text)) with ordinality as input(person_id, experience_position, job_level, ordinal)) as kept where kept.person_id = stored.person_id and kept.experience_position = stored.experience_position)
    )
    insert into people.job_seniority as stored (person_id, experience_position, job_level)
    select incoming_rows.person_id, incoming_rows.experience_position, incoming_rows.job_level
    from (select person_id, experience_position, job_level from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.job_seniority') as (person_id uuid, experience_position integer, job_level text)) with ordinality as input(person_id, experience_position, job_level, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.experience_position
    on conflict (person_id, experience_position) do update set job_level = excluded.job_level
      where (stored.job_level) is distinct from (excluded.job_level);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.educations as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.educations') as (person_id uuid, position integer, educational_establishment text, diploma text, specialization text, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, educational_establishment, diploma, specialization, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)) as kept where kept.person_id = stored.person_id and kept.position = stored.position)
    )
    insert into people.educations as stored (person_id, position, educational_establishment, diploma, specialization, start_date, end_date, priority, web_address_url, web_address_rank)
    select incoming_rows.person_id, incoming_rows.position, incoming_rows.educational_establishment, incoming_rows.diploma, incoming_rows.specialization, incoming_rows.start_date, incoming_rows.end_date, incoming_rows.priority, incoming_rows.web_address_url, incoming_rows.web_address_rank
    from (select person_id, position, educational_establishment, diploma, specialization, start_date, end_date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.educations') as (person_id uuid, position integer, educational_establishment text, diploma text, specialization text, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, educational_establishment, diploma, specialization, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.position
    on conflict (person_id, position) do update set educational_establishment = excluded.educational_establishment, diploma = excluded.diploma, specialization = excluded.specialization, start_date = excluded.start_date, end_date = excluded.end_date, priority = excluded.priority, web_address_url = excluded.web_address_url, web_address_rank = excluded.web_address_rank
      where (stored.educational_establishment, stored.diploma, stored.specialization, stored.start_date, stored.end_date, stored.priority, stored.web_address_url, stored.web_address_rank) is distinct from (excluded.educational_establishment, excluded.diploma, excluded.specialization, excluded.start_date, excluded.end_date, excluded.priority, excluded.web_address_url, excluded.web_address_rank);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.certifications as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.certifications') as (person_id uuid, position integer, name text, authority text, reference text, description text, date date, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, authority, reference, description, date, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)) as kept where kept.person_id = stored.person_id and kept.position = stored.position)
    )
    insert into people.certifications as stored (person_id, position, name, authority, reference, description, date, start_date, end_date, priority, web_address_url, web_address_rank)
    select incoming_rows.person_id, incoming_rows.position, incoming_rows.name, incoming_rows.authority, incoming_rows.reference, incoming_rows.description, incoming_rows.date, incoming_rows.start_date, incoming_rows.end_date, incoming_rows.priority, incoming_rows.web_address_url, incoming_rows.web_address_rank
    from (select person_id, position, name, authority, reference, description, date, start_date, end_date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.certifications') as (person_id uuid, position integer, name text, authority text, reference text, description text, date date, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, authority, reference, description, date, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.position
    on conflict (person_id, position) do update set name = excluded.name, authority = excluded.authority, reference = excluded.reference, description = excluded.description, date = excluded.date, start_date = excluded.start_date, end_date = excluded.end_date, priority = excluded.priority, web_address_url = excluded.web_address_url, web_address_rank = excluded.web_address_rank
      where (stored.name, stored.authority, stored.reference, stored.description, stored.date, stored.start_date, stored.end_date, stored.priority, stored.web_address_url, stored.web_address_rank) is distinct from (excluded.name, excluded.authority, excluded.reference, excluded.description, excluded.date, excluded.start_date, excluded.end_date, excluded.priority, excluded.web_address_url, excluded.web_address_rank);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.memberships as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.memberships') as (person_id uuid, position integer, title text, name text, description text, reference text, location text, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, title, name, description, reference, location, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)) as kept where kept.person_id = stored.person_id and kept.position = stored.position)
    )
    insert into people.memberships as stored (person_id, position, title, name, description, reference, location, start_date, end_date, priority, web_address_url, web_address_rank)
    select incoming_rows.person_id, incoming_rows.position, incoming_rows.title, incoming_rows.name, incoming_rows.description, incoming_rows.reference, incoming_rows.location, incoming_rows.start_date, incoming_rows.end_date, incoming_rows.priority, incoming_rows.web_address_url, incoming_rows.web_address_rank
    from (select person_id, position, title, name, description, reference, location, start_date, end_date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.memberships') as (person_id uuid, position integer, title text, name text, description text, reference text, location text, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, title, name, description, reference, location, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.position
    on conflict (person_id, position) do update set title = excluded.title, name = excluded.name, description = excluded.description, reference = excluded.reference, location = excluded.location, start_date = excluded.start_date, end_date = excluded.end_date, priority = excluded.priority, web_address_url = excluded.web_address_url, web_address_rank = excluded.web_address_rank
      where (stored.title, stored.name, stored.description, stored.reference, stored.location, stored.start_date, stored.end_date, stored.priority, stored.web_address_url, stored.web_address_rank) is distinct from (excluded.title, excluded.name, excluded.description, excluded.reference, excluded.location, excluded.start_date, excluded.end_date, excluded.priority, excluded.web_address_url, excluded.web_address_rank);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.publications as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.publications') as (person_id uuid, position integer, name text, description text, issue text, reference text, date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, description, issue, reference, date, priority, web_address_url, web_address_rank, ordinal)) as kept where kept.person_id = stored.person_id and kept.position = stored.position)
    )
    insert into people.publications as stored (person_id, position, name, description, issue, reference, date, priority, web_address_url, web_address_rank)
    select incoming_rows.person_id, incoming_rows.position, incoming_rows.name, incoming_rows.description, incoming_rows.issue, incoming_rows.reference, incoming_rows.date, incoming_rows.priority, incoming_rows.web_address_url, incoming_rows.web_address_rank
    from (select person_id, position, name, description, issue, reference, date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.publications') as (person_id uuid, position integer, name text, description text, issue text, reference text, date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, description, issue, reference, date, priority, web_address_url, web_address_rank, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.position
    on conflict (person_id, position) do update set name = excluded.name, description = excluded.description, issue = excluded.issue, reference = excluded.reference, date = excluded.date, priority = excluded.priority, web_address_url = excluded.web_address_url, web_address_rank = excluded.web_address_rank
      where (stored.name, stored.description, stored.issue, stored.reference, stored.date, stored.priority, stored.web_address_url, stored.web_address_rank) is distinct from (excluded.name, excluded.description, excluded.issue, excluded.reference, excluded.date, excluded.priority, excluded.web_address_url, excluded.web_address_rank);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.patents as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.patents') as (person_id uuid, position integer, name text, description text, issue text, number text, reference text, date date, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, description, issue, number, reference, date, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)) as kept where kept.person_id = stored.person_id and kept.position = stored.position)
    )
    insert into people.patents as stored (person_id, position, name, description, issue, number, reference, date, start_date, end_date, priority, web_address_url, web_address_rank)
    select incoming_rows.person_id, incoming_rows.position, incoming_rows.name, incoming_rows.description, incoming_rows.issue, incoming_rows.number, incoming_rows.reference, incoming_rows.date, incoming_rows.start_date, incoming_rows.end_date, incoming_rows.priority, incoming_rows.web_address_url, incoming_rows.web_address_rank
    from (select person_id, position, name, description, issue, number, reference, date, start_date, end_date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.patents') as (person_id uuid, position integer, name text, description text, issue text, number text, reference text, date date, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, description, issue, number, reference, date, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.position
    on conflict (person_id, position) do update set name = excluded.name, description = excluded.description, issue = excluded.issue, number = excluded.number, reference = excluded.reference, date = excluded.date, start_date = excluded.start_date, end_date = excluded.end_date, priority = excluded.priority, web_address_url = excluded.web_address_url, web_address_rank = excluded.web_address_rank
      where (stored.name, stored.description, stored.issue, stored.number, stored.reference, stored.date, stored.start_date, stored.end_date, stored.priority, stored.web_address_url, stored.web_address_rank) is distinct from (excluded.name, excluded.description, excluded.issue, excluded.number, excluded.reference, excluded.date, excluded.start_date, excluded.end_date, excluded.priority, excluded.web_address_url, excluded.web_address_rank);
  end if;
  if answer ->> 'people.identities' ~ '[IU]' then
    with owners as (
      select id, substr(answer ->> 'people.identities', (ordinal - 1 + 1)::integer, 1) as outcome from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid)) with ordinality as input(id, ordinal)
    ), gone as (
      delete from people.awards as stored using owners
      where owners.outcome = 'U' and stored.person_id = owners.id and not exists (
        select from (select person_id, position from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.awards') as (person_id uuid, position integer, name text, description text, issue text, date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, description, issue, date, priority, web_address_url, web_address_rank, ordinal)) as kept where kept.person_id = stored.person_id and kept.position = stored.position)
    )
    insert into people.awards as stored (person_id, position, name, description, issue, date, priority, web_address_url, web_address_rank)
    select incoming_rows.person_id, incoming_rows.position, incoming_rows.name, incoming_rows.description, incoming_rows.issue, incoming_rows.date, incoming_rows.priority, incoming_rows.web_address_url, incoming_rows.web_address_rank
    from (select person_id, position, name, description, issue, date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.awards') as (person_id uuid, position integer, name text, description text, issue text, date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, description, issue, date, priority, web_address_url, web_address_rank, ordinal)) as incoming_rows
    join owners on owners.id = incoming_rows.person_id and owners.outcome in ('I', 'U')
    order by incoming_rows.person_id, incoming_rows.position
    on conflict (person_id, position) do update set name = excluded.name, description = excluded.description, issue = excluded.issue, date = excluded.date, priority = excluded.priority, web_address_url = excluded.web_address_url, web_address_rank = excluded.web_address_rank
      where (stored.name, stored.description, stored.issue, stored.date, stored.priority, stored.web_address_url, stored.web_address_rank) is distinct from (excluded.name, excluded.description, excluded.issue, excluded.date, excluded.priority, excluded.web_address_url, excluded.web_address_rank);
  end if;
  insert into public.import_merges (request_id, batch_id, answer)
    values ((body ->> 'request_id')::uuid, body -> 'run' ->> 'batch_id', answer);
  return answer;
end
$function$;

create or replace function public.importer_compare_people(payload jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  body jsonb := case jsonb_typeof(payload)
    when 'string' then (payload #>> '{}')::jsonb else payload end;
  answer jsonb;
  comparison jsonb;
begin
  answer := '{}';
  if body -> 'rows' ? 'organisation.identities' then
    with incoming_rows as (
      select ordinal, id, neuron360_company_id, name, domain, logo_url, industry, last_modified_date, source, content_signature from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.identities') as (id uuid, neuron360_company_id text, name text, domain text, logo_url text, industry text, last_modified_date timestamptz, source text, content_signature text)) with ordinality as input(id, neuron360_company_id, name, domain, logo_url, industry, last_modified_date, source, content_signature, ordinal)
    ), winners as (
      select distinct on (id) * from incoming_rows
      order by id, last_modified_date desc nulls last, source collate "C", ordinal desc
    ), compared as (
      select winner.ordinal, stored.id::text as id,
        case
          when stored.present is null then 'missing'
          when (stored.content_signature, stored.last_modified_date) is distinct from (winner.content_signature, winner.last_modified_date) and ((body -> 'run' ->> 'if_exists') = 'keep' or coalesce(stored.last_modified_date, '-infinity') >= coalesce(winner.last_modified_date, '-infinity')) then 'superseded'
          when (stored.neuron360_company_id, stored.name, stored.domain, stored.logo_url, stored.industry, stored.last_modified_date, stored.content_signature)
            is distinct from (winner.neuron360_company_id, winner.name, winner.domain, winner.logo_url, winner.industry, winner.last_modified_date, winner.content_signature) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'neuron360_company_id', case when stored.neuron360_company_id is distinct from winner.neuron360_company_id then jsonb_build_array(stored.neuron360_company_id, winner.neuron360_company_id) end,
          'name', case when stored.name is distinct from winner.name then jsonb_build_array(stored.name, winner.name) end,
          'domain', case when stored.domain is distinct from winner.domain then jsonb_build_array(stored.domain, winner.domain) end,
          'logo_url', case when stored.logo_url is distinct from winner.logo_url then jsonb_build_array(stored.logo_url, winner.logo_url) end,
          'industry', case when stored.industry is distinct from winner.industry then jsonb_build_array(stored.industry, winner.industry) end,
          'last_modified_date', case when stored.last_modified_date is distinct from winner.last_modified_date then jsonb_build_array(stored.last_modified_date, winner.last_modified_date) end,
          'content_signature', case when stored.content_signature is distinct from winner.content_signature then jsonb_build_array(stored.content_signature, winner.content_signature) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from organisation.identities as kept
        where true and kept.id = winner.id
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
    answer := answer || jsonb_build_object('organisation.identities', comparison);
  end if;
  if body -> 'rows' ? 'organisation.offices' then
    with incoming_rows as (
      select ordinal, id, organisation_id, neuron360_office_id, type, phones, last_modified_date, source, content_signature from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.offices') as (id uuid, organisation_id uuid, neuron360_office_id text, type text, phones jsonb, last_modified_date timestamptz, source text, content_signature text)) with ordinality as input(id, organisation_id, neuron360_office_id, type, phones, last_modified_date, source, content_signature, ordinal)
    ), winners as (
      select distinct on (id) * from incoming_rows
      order by id, last_modified_date desc nulls last, source collate "C", ordinal desc
    ), compared as (
      select winner.ordinal, stored.id::text as id,
        case
          when stored.present is null then 'missing'
          when (stored.content_signature, stored.last_modified_date) is distinct from (winner.content_signature, winner.last_modified_date) and ((body -> 'run' ->> 'if_exists') = 'keep' or coalesce(stored.last_modified_date, '-infinity') >= coalesce(winner.last_modified_date, '-infinity')) then 'superseded'
          when (stored.organisation_id, stored.neuron360_office_id, stored.type, stored.phones, stored.last_modified_date, stored.content_signature)
            is distinct from (winner.organisation_id, winner.neuron360_office_id, winner.type, winner.phones, winner.last_modified_date, winner.content_signature) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'organisation_id', case when stored.organisation_id is distinct from winner.organisation_id then jsonb_build_array(stored.organisation_id, winner.organisation_id) end,
          'neuron360_office_id', case when stored.neuron360_office_id is distinct from winner.neuron360_office_id then jsonb_build_array(stored.neuron360_office_id, winner.neuron360_office_id) end,
          'type', case when stored.type is distinct from winner.type then jsonb_build_array(stored.type, winner.type) end,
          'phones', case when stored.phones is distinct from winner.phones then jsonb_build_array(stored.phones, winner.phones) end,
          'last_modified_date', case when stored.last_modified_date is distinct from winner.last_modified_date then jsonb_build_array(stored.last_modified_date, winner.last_modified_date) end,
          'content_signature', case when stored.content_signature is distinct from winner.content_signature then jsonb_build_array(stored.content_signature, winner.content_signature) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from organisation.offices as kept
        where true and kept.id = winner.id
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
    answer := answer || jsonb_build_object('organisation.offices', comparison);
  end if;
  if body -> 'rows' ? 'organisation.web_addresses' then
    with incoming_rows as (
      select ordinal, organisation_id, url, rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.web_addresses') as (organisation_id uuid, url text, rank bigint)) with ordinality as input(organisation_id, url, rank, ordinal)
    ), winners as (
      select distinct on (organisation_id) * from incoming_rows
      order by organisation_id, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.url, stored.rank)
            is distinct from (winner.url, winner.rank) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'url', case when stored.url is distinct from winner.url then jsonb_build_array(stored.url, winner.url) end,
          'rank', case when stored.rank is distinct from winner.rank then jsonb_build_array(stored.rank, winner.rank) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from organisation.web_addresses as kept
        where true and kept.organisation_id = winner.organisation_id
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
    answer := answer || jsonb_build_object('organisation.web_addresses', comparison);
  end if;
  if body -> 'rows' ? 'organisation.employees' then
    with incoming_rows as (
      select ordinal, organisation_id, number_of_employees, number_of_employees_code, number_of_employees_min, number_of_employees_max from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.employees') as (organisation_id uuid, number_of_employees bigint, number_of_employees_code text, number_of_employees_min bigint, number_of_employees_max bigint)) with ordinality as input(organisation_id, number_of_employees, number_of_employees_code, number_of_employees_min, number_of_employees_max, ordinal)
    ), winners as (
      select distinct on (organisation_id) * from incoming_rows
      order by organisation_id, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.number_of_employees, stored.number_of_employees_code, stored.number_of_employees_min, stored.number_of_employees_max)
            is distinct from (winner.number_of_employees, winner.number_of_employees_code, winner.number_of_employees_min, winner.number_of_employees_max) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'number_of_employees', case when stored.number_of_employees is distinct from winner.number_of_employees then jsonb_build_array(stored.number_of_employees, winner.number_of_employees) end,
          'number_of_employees_code', case when stored.number_of_employees_code is distinct from winner.number_of_employees_code then jsonb_build_array(stored.number_of_employees_code, winner.number_of_employees_code) end,
          'number_of_employees_min', case when stored.number_of_employees_min is distinct from winner.number_of_employees_min then jsonb_build_array(stored.number_of_employees_min, winner.number_of_employees_min) end,
          'number_of_employees_max', case when stored.number_of_employees_max is distinct from winner.number_of_employees_max then jsonb_build_array(stored.number_of_employees_max, winner.number_of_employees_max) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from organisation.employees as kept
        where true and kept.organisation_id = winner.organisation_id
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
    answer := answer || jsonb_build_object('organisation.employees', comparison);
  end if;
  if body -> 'rows' ? 'organisation.social_links' then
    with incoming_rows as (
      select ordinal, organisation_id, position, name, url from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.social_links') as (organisation_id uuid, position integer, name text, url text)) with ordinality as input(organisation_id, position, name, url, ordinal)
    ), winners as (
      select distinct on (organisation_id, position) * from incoming_rows
      order by organisation_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.name, stored.url)
            is distinct from (winner.name, winner.url) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'name', case when stored.name is distinct from winner.name then jsonb_build_array(stored.name, winner.name) end,
          'url', case when stored.url is distinct from winner.url then jsonb_build_array(stored.url, winner.url) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from organisation.social_links as kept
        where true and kept.organisation_id = winner.organisation_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('organisation.social_links', comparison);
  end if;
  if body -> 'rows' ? 'organisation.industries' then
    with incoming_rows as (
      select ordinal, organisation_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.industries') as (organisation_id uuid, position integer, industry_id text, standard text, code2 text, name2 text, code3 text, name3 text, code4 text, name4 text, code5 text, name5 text, code6 text, name6 text, activity_priority integer, priority integer)) with ordinality as input(organisation_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority, ordinal)
    ), winners as (
      select distinct on (organisation_id, position) * from incoming_rows
      order by organisation_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.industry_id, stored.standard, stored.code2, stored.name2, stored.code3, stored.name3, stored.code4, stored.name4, stored.code5, stored.name5, stored.code6, stored.name6, stored.activity_priority, stored.priority)
            is distinct from (winner.industry_id, winner.standard, winner.code2, winner.name2, winner.code3, winner.name3, winner.code4, winner.name4, winner.code5, winner.name5, winner.code6, winner.name6, winner.activity_priority, winner.priority) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'industry_id', case when stored.industry_id is distinct from winner.industry_id then jsonb_build_array(stored.industry_id, winner.industry_id) end,
          'standard', case when stored.standard is distinct from winner.standard then jsonb_build_array(stored.standard, winner.standard) end,
          'code2', case when stored.code2 is distinct from winner.code2 then jsonb_build_array(stored.code2, winner.code2) end,
          'name2', case when stored.name2 is distinct from winner.name2 then jsonb_build_array(stored.name2, winner.name2) end,
          'code3', case when stored.code3 is distinct from winner.code3 then jsonb_build_array(stored.code3, winner.code3) end,
          'name3', case when stored.name3 is distinct from winner.name3 then jsonb_build_array(stored.name3, winner.name3) end,
          'code4', case when stored.code4 is distinct from winner.code4 then jsonb_build_array(stored.code4, winner.code4) end,
          'name4', case when stored.name4 is distinct from winner.name4 then jsonb_build_array(stored.name4, winner.name4) end,
          'code5', case when stored.code5 is distinct from winner.code5 then jsonb_build_array(stored.code5, winner.code5) end,
          'name5', case when stored.name5 is distinct from winner.name5 then jsonb_build_array(stored.name5, winner.name5) end,
          'code6', case when stored.code6 is distinct from winner.code6 then jsonb_build_array(stored.code6, winner.code6) end,
          'name6', case when stored.name6 is distinct from winner.name6 then jsonb_build_array(stored.name6, winner.name6) end,
          'activity_priority', case when stored.activity_priority is distinct from winner.activity_priority then jsonb_build_array(stored.activity_priority, winner.activity_priority) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from organisation.industries as kept
        where true and kept.organisation_id = winner.organisation_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('organisation.industries', comparison);
  end if;
  if body -> 'rows' ? 'organisation.phones' then
    with incoming_rows as (
      select ordinal, organisation_id, position, phone, ddi, dnc, type, carrier, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.phones') as (organisation_id uuid, position integer, phone text, ddi boolean, dnc boolean, type text, carrier text, priority integer)) with ordinality as input(organisation_id, position, phone, ddi, dnc, type, carrier, priority, ordinal)
    ), winners as (
      select distinct on (organisation_id, position) * from incoming_rows
      order by organisation_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.phone, stored.ddi, stored.dnc, stored.type, stored.carrier, stored.priority)
            is distinct from (winner.phone, winner.ddi, winner.dnc, winner.type, winner.carrier, winner.priority) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'phone', case when stored.phone is distinct from winner.phone then jsonb_build_array(stored.phone, winner.phone) end,
          'ddi', case when stored.ddi is distinct from winner.ddi then jsonb_build_array(stored.ddi, winner.ddi) end,
          'dnc', case when stored.dnc is distinct from winner.dnc then jsonb_build_array(stored.dnc, winner.dnc) end,
          'type', case when stored.type is distinct from winner.type then jsonb_build_array(stored.type, winner.type) end,
          'carrier', case when stored.carrier is distinct from winner.carrier then jsonb_build_array(stored.carrier, winner.carrier) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from organisation.phones as kept
        where true and kept.organisation_id = winner.organisation_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('organisation.phones', comparison);
  end if;
  if body -> 'rows' ? 'organisation.office_addresses' then
    with incoming_rows as (
      select ordinal, office_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.office_addresses') as (office_id uuid, formatted_address text, street_address text, street_number text, street text, premise text, subpremise text, establishment text, sublocality text, locality text, city text, postal_code text, postal_town text, county text, state text, region text, administrative_area_level_1 text, administrative_area_level_2 text, administrative_area_level_3 text, administrative_area_level_4 text, administrative_area_level_5 text, country text, country_code text, continent text, lat double precision, lng double precision, place_id text, accuracy text, quality text, score double precision, confidence_score double precision, last_modified_date timestamptz)) with ordinality as input(office_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date, ordinal)
    ), winners as (
      select distinct on (office_id) * from incoming_rows
      order by office_id, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.formatted_address, stored.street_address, stored.street_number, stored.street, stored.premise, stored.subpremise, stored.establishment, stored.sublocality, stored.locality, stored.city, stored.postal_code, stored.postal_town, stored.county, stored.state, stored.region, stored.administrative_area_level_1, stored.administrative_area_level_2, stored.administrative_area_level_3, stored.administrative_area_level_4, stored.administrative_area_level_5, stored.country, stored.country_code, stored.continent, stored.lat, stored.lng, stored.place_id, stored.accuracy, stored.quality, stored.score, stored.confidence_score, stored.last_modified_date)
            is distinct from (winner.formatted_address, winner.street_address, winner.street_number, winner.street, winner.premise, winner.subpremise, winner.establishment, winner.sublocality, winner.locality, winner.city, winner.postal_code, winner.postal_town, winner.county, winner.state, winner.region, winner.administrative_area_level_1, winner.administrative_area_level_2, winner.administrative_area_level_3, winner.administrative_area_level_4, winner.administrative_area_level_5, winner.country, winner.country_code, winner.continent, winner.lat, winner.lng, winner.place_id, winner.accuracy, winner.quality, winner.score, winner.confidence_score, winner.last_modified_date) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'formatted_address', case when stored.formatted_address is distinct from winner.formatted_address then jsonb_build_array(stored.formatted_address, winner.formatted_address) end,
          'street_address', case when stored.street_address is distinct from winner.street_address then jsonb_build_array(stored.street_address, winner.street_address) end,
          'street_number', case when stored.street_number is distinct from winner.street_number then jsonb_build_array(stored.street_number, winner.street_number) end,
          'street', case when stored.street is distinct from winner.street then jsonb_build_array(stored.street, winner.street) end,
          'premise', case when stored.premise is distinct from winner.premise then jsonb_build_array(stored.premise, winner.premise) end,
          'subpremise', case when stored.subpremise is distinct from winner.subpremise then jsonb_build_array(stored.subpremise, winner.subpremise) end,
          'establishment', case when stored.establishment is distinct from winner.establishment then jsonb_build_array(stored.establishment, winner.establishment) end,
          'sublocality', case when stored.sublocality is distinct from winner.sublocality then jsonb_build_array(stored.sublocality, winner.sublocality) end,
          'locality', case when stored.locality is distinct from winner.locality then jsonb_build_array(stored.locality, winner.locality) end,
          'city', case when stored.city is distinct from winner.city then jsonb_build_array(stored.city, winner.city) end,
          'postal_code', case when stored.postal_code is distinct from winner.postal_code then jsonb_build_array(stored.postal_code, winner.postal_code) end,
          'postal_town', case when stored.postal_town is distinct from winner.postal_town then jsonb_build_array(stored.postal_town, winner.postal_town) end,
          'county', case when stored.county is distinct from winner.county then jsonb_build_array(stored.county, winner.county) end,
          'state', case when stored.state is distinct from winner.state then jsonb_build_array(stored.state, winner.state) end,
          'region', case when stored.region is distinct from winner.region then jsonb_build_array(stored.region, winner.region) end,
          'administrative_area_level_1', case when stored.administrative_area_level_1 is distinct from winner.administrative_area_level_1 then jsonb_build_array(stored.administrative_area_level_1, winner.administrative_area_level_1) end,
          'administrative_area_level_2', case when stored.administrative_area_level_2 is distinct from winner.administrative_area_level_2 then jsonb_build_array(stored.administrative_area_level_2, winner.administrative_area_level_2) end,
          'administrative_area_level_3', case when stored.administrative_area_level_3 is distinct from winner.administrative_area_level_3 then jsonb_build_array(stored.administrative_area_level_3, winner.administrative_area_level_3) end,
          'administrative_area_level_4', case when stored.administrative_area_level_4 is distinct from winner.administrative_area_level_4 then jsonb_build_array(stored.administrative_area_level_4, winner.administrative_area_level_4) end,
          'administrative_area_level_5', case when stored.administrative_area_level_5 is distinct from winner.administrative_area_level_5 then jsonb_build_array(stored.administrative_area_level_5, winner.administrative_area_level_5) end,
          'country', case when stored.country is distinct from winner.country then jsonb_build_array(stored.country, winner.country) end,
          'country_code', case when stored.country_code is distinct from winner.country_code then jsonb_build_array(stored.country_code, winner.country_code) end,
          'continent', case when stored.continent is distinct from winner.continent then jsonb_build_array(stored.continent, winner.continent) end,
          'lat', case when stored.lat is distinct from winner.lat then jsonb_build_array(stored.lat, winner.lat) end,
          'lng', case when stored.lng is distinct from winner.lng then jsonb_build_array(stored.lng, winner.lng) end,
          'place_id', case when stored.place_id is distinct from winner.place_id then jsonb_build_array(stored.place_id, winner.place_id) end,
          'accuracy', case when stored.accuracy is distinct from winner.accuracy then jsonb_build_array(stored.accuracy, winner.accuracy) end,
          'quality', case when stored.quality is distinct from winner.quality then jsonb_build_array(stored.quality, winner.quality) end,
          'score', case when stored.score is distinct from winner.score then jsonb_build_array(stored.score, winner.score) end,
          'confidence_score', case when stored.confidence_score is distinct from winner.confidence_score then jsonb_build_array(stored.confidence_score, winner.confidence_score) end,
          'last_modified_date', case when stored.last_modified_date is distinct from winner.last_modified_date then jsonb_build_array(stored.last_modified_date, winner.last_modified_date) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from organisation.office_addresses as kept
        where true and kept.office_id = winner.office_id
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
    answer := answer || jsonb_build_object('organisation.office_addresses', comparison);
  end if;
  if body -> 'rows' ? 'organisation.office_industries' then
    with incoming_rows as (
      select ordinal, office_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'organisation.office_industries') as (office_id uuid, position integer, industry_id text, standard text, code2 text, name2 text, code3 text, name3 text, code4 text, name4 text, code5 text, name5 text, code6 text, name6 text, activity_priority integer, priority integer)) with ordinality as input(office_id, position, industry_id, standard, code2, name2, code3, name3, code4, name4, code5, name5, code6, name6, activity_priority, priority, ordinal)
    ), winners as (
      select distinct on (office_id, position) * from incoming_rows
      order by office_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.industry_id, stored.standard, stored.code2, stored.name2, stored.code3, stored.name3, stored.code4, stored.name4, stored.code5, stored.name5, stored.code6, stored.name6, stored.activity_priority, stored.priority)
            is distinct from (winner.industry_id, winner.standard, winner.code2, winner.name2, winner.code3, winner.name3, winner.code4, winner.name4, winner.code5, winner.name5, winner.code6, winner.name6, winner.activity_priority, winner.priority) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'industry_id', case when stored.industry_id is distinct from winner.industry_id then jsonb_build_array(stored.industry_id, winner.industry_id) end,
          'standard', case when stored.standard is distinct from winner.standard then jsonb_build_array(stored.standard, winner.standard) end,
          'code2', case when stored.code2 is distinct from winner.code2 then jsonb_build_array(stored.code2, winner.code2) end,
          'name2', case when stored.name2 is distinct from winner.name2 then jsonb_build_array(stored.name2, winner.name2) end,
          'code3', case when stored.code3 is distinct from winner.code3 then jsonb_build_array(stored.code3, winner.code3) end,
          'name3', case when stored.name3 is distinct from winner.name3 then jsonb_build_array(stored.name3, winner.name3) end,
          'code4', case when stored.code4 is distinct from winner.code4 then jsonb_build_array(stored.code4, winner.code4) end,
          'name4', case when stored.name4 is distinct from winner.name4 then jsonb_build_array(stored.name4, winner.name4) end,
          'code5', case when stored.code5 is distinct from winner.code5 then jsonb_build_array(stored.code5, winner.code5) end,
          'name5', case when stored.name5 is distinct from winner.name5 then jsonb_build_array(stored.name5, winner.name5) end,
          'code6', case when stored.code6 is distinct from winner.code6 then jsonb_build_array(stored.code6, winner.code6) end,
          'name6', case when stored.name6 is distinct from winner.name6 then jsonb_build_array(stored.name6, winner.name6) end,
          'activity_priority', case when stored.activity_priority is distinct from winner.activity_priority then jsonb_build_array(stored.activity_priority, winner.activity_priority) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from organisation.office_industries as kept
        where true and kept.office_id = winner.office_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('organisation.office_industries', comparison);
  end if;
  if body -> 'rows' ? 'people.identities' then
    with incoming_rows as (
      select ordinal, id, neuron360_profile_id, first_name, last_name, full_name, picture_url, last_seen_date, last_modified_date, resume_last_modified_date, rest, latest_modified_date, source, content_signature from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.identities') as (id uuid, neuron360_profile_id text, first_name text, last_name text, full_name text, picture_url text, last_seen_date timestamptz, last_modified_date timestamptz, resume_last_modified_date timestamptz, rest jsonb, latest_modified_date timestamptz, source text, content_signature text)) with ordinality as input(id, neuron360_profile_id, first_name, last_name, full_name, picture_url, last_seen_date, last_modified_date, resume_last_modified_date, rest, latest_modified_date, source, content_signature, ordinal)
    ), winners as (
      select distinct on (id) * from incoming_rows
      order by id, latest_modified_date desc nulls last, source collate "C", ordinal desc
    ), compared as (
      select winner.ordinal, stored.id::text as id,
        case
          when stored.present is null then 'missing'
          when (stored.latest_modified_date is null or winner.latest_modified_date is null) and (stored.content_signature, stored.latest_modified_date) is distinct from (winner.content_signature, winner.latest_modified_date) then case when (body -> 'run' ->> 'if_exists') = 'newer' then 'undecided' else 'superseded' end
          when (stored.content_signature, stored.latest_modified_date) is distinct from (winner.content_signature, winner.latest_modified_date) and ((body -> 'run' ->> 'if_exists') = 'keep' or coalesce(stored.latest_modified_date, '-infinity') >= coalesce(winner.latest_modified_date, '-infinity')) then 'superseded'
          when (stored.neuron360_profile_id, stored.first_name, stored.last_name, stored.full_name, stored.picture_url, stored.last_seen_date, stored.last_modified_date, stored.resume_last_modified_date, stored.rest, stored.latest_modified_date, stored.content_signature)
            is distinct from (winner.neuron360_profile_id, winner.first_name, winner.last_name, winner.full_name, winner.picture_url, winner.last_seen_date, winner.last_modified_date, winner.resume_last_modified_date, winner.rest, winner.latest_modified_date, winner.content_signature) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'neuron360_profile_id', case when stored.neuron360_profile_id is distinct from winner.neuron360_profile_id then jsonb_build_array(stored.neuron360_profile_id, winner.neuron360_profile_id) end,
          'first_name', case when stored.first_name is distinct from winner.first_name then jsonb_build_array(stored.first_name, winner.first_name) end,
          'last_name', case when stored.last_name is distinct from winner.last_name then jsonb_build_array(stored.last_name, winner.last_name) end,
          'full_name', case when stored.full_name is distinct from winner.full_name then jsonb_build_array(stored.full_name, winner.full_name) end,
          'picture_url', case when stored.picture_url is distinct from winner.picture_url then jsonb_build_array(stored.picture_url, winner.picture_url) end,
          'last_seen_date', case when stored.last_seen_date is distinct from winner.last_seen_date then jsonb_build_array(stored.last_seen_date, winner.last_seen_date) end,
          'last_modified_date', case when stored.last_modified_date is distinct from winner.last_modified_date then jsonb_build_array(stored.last_modified_date, winner.last_modified_date) end,
          'resume_last_modified_date', case when stored.resume_last_modified_date is distinct from winner.resume_last_modified_date then jsonb_build_array(stored.resume_last_modified_date, winner.resume_last_modified_date) end,
          'rest', case when stored.rest is distinct from winner.rest then jsonb_build_array(stored.rest, winner.rest) end,
          'latest_modified_date', case when stored.latest_modified_date is distinct from winner.latest_modified_date then jsonb_build_array(stored.latest_modified_date, winner.latest_modified_date) end,
          'content_signature', case when stored.content_signature is distinct from winner.content_signature then jsonb_build_array(stored.content_signature, winner.content_signature) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.identities as kept
        where true and kept.id = winner.id
        limit 1
      ) as stored on true
    )
    select coalesce(jsonb_agg(jsonb_build_object(
        'o', rows.ordinal,
        's', coalesce(compared.found, 'superseded'),
        'i', compared.id,
        'd', case when compared.found in ('different', 'undecided') then compared.differing end
      ) order by rows.ordinal), '[]'::jsonb) into comparison
    from incoming_rows as rows
    left join compared on compared.ordinal = rows.ordinal;
    answer := answer || jsonb_build_object('people.identities', comparison);
  end if;
  if body -> 'rows' ? 'people.profiles' then
    with incoming_rows as (
      select ordinal, person_id, headline, summary, languages, expertises, tags, prior_industries, raw_location from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.profiles') as (person_id uuid, headline text, summary text, languages text[], expertises text[], tags text[], prior_industries text[], raw_location text)) with ordinality as input(person_id, headline, summary, languages, expertises, tags, prior_industries, raw_location, ordinal)
    ), winners as (
      select distinct on (person_id) * from incoming_rows
      order by person_id, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.headline, stored.summary, stored.languages, stored.expertises, stored.tags, stored.prior_industries, stored.raw_location)
            is distinct from (winner.headline, winner.summary, winner.languages, winner.expertises, winner.tags, winner.prior_industries, winner.raw_location) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'headline', case when stored.headline is distinct from winner.headline then jsonb_build_array(stored.headline, winner.headline) end,
          'summary', case when stored.summary is distinct from winner.summary then jsonb_build_array(stored.summary, winner.summary) end,
          'languages', case when stored.languages is distinct from winner.languages then jsonb_build_array(stored.languages, winner.languages) end,
          'expertises', case when stored.expertises is distinct from winner.expertises then jsonb_build_array(stored.expertises, winner.expertises) end,
          'tags', case when stored.tags is distinct from winner.tags then jsonb_build_array(stored.tags, winner.tags) end,
          'prior_industries', case when stored.prior_industries is distinct from winner.prior_industries then jsonb_build_array(stored.prior_industries, winner.prior_industries) end,
          'raw_location', case when stored.raw_location is distinct from winner.raw_location then jsonb_build_array(stored.raw_location, winner.raw_location) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.profiles as kept
        where true and kept.person_id = winner.person_id
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
    answer := answer || jsonb_build_object('people.profiles', comparison);
  end if;
  if body -> 'rows' ? 'people.genders' then
    with incoming_rows as (
      select ordinal, person_id, gender, confidence_score from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.genders') as (person_id uuid, gender text, confidence_score double precision)) with ordinality as input(person_id, gender, confidence_score, ordinal)
    ), winners as (
      select distinct on (person_id) * from incoming_rows
      order by person_id, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.gender, stored.confidence_score)
            is distinct from (winner.gender, winner.confidence_score) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'gender', case when stored.gender is distinct from winner.gender then jsonb_build_array(stored.gender, winner.gender) end,
          'confidence_score', case when stored.confidence_score is distinct from winner.confidence_score then jsonb_build_array(stored.confidence_score, winner.confidence_score) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.genders as kept
        where true and kept.person_id = winner.person_id
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
    answer := answer || jsonb_build_object('people.genders', comparison);
  end if;
  if body -> 'rows' ? 'people.social_links' then
    with incoming_rows as (
      select ordinal, person_id, position, name, url from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.social_links') as (person_id uuid, position integer, name text, url text)) with ordinality as input(person_id, position, name, url, ordinal)
    ), winners as (
      select distinct on (person_id, position) * from incoming_rows
      order by person_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.name, stored.url)
            is distinct from (winner.name, winner.url) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'name', case when stored.name is distinct from winner.name then jsonb_build_array(stored.name, winner.name) end,
          'url', case when stored.url is distinct from winner.url then jsonb_build_array(stored.url, winner.url) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.social_links as kept
        where true and kept.person_id = winner.person_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('people.social_links', comparison);
  end if;
  if body -> 'rows' ? 'people.statuses' then
    with incoming_rows as (
      select ordinal, person_id, status from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.statuses') as (person_id uuid, status text)) with ordinality as input(person_id, status, ordinal)
    ), winners as (
      select distinct on (person_id) * from incoming_rows
      order by person_id, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.status)
            is distinct from (winner.status) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'status', case when stored.status is distinct from winner.status then jsonb_build_array(stored.status, winner.status) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.statuses as kept
        where true and kept.person_id = winner.person_id
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
    answer := answer || jsonb_build_object('people.statuses', comparison);
  end if;
  if body -> 'rows' ? 'people.emails' then
    with incoming_rows as (
      select ordinal, person_id, position, email, type, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.emails') as (person_id uuid, position integer, email text, type text, priority integer)) with ordinality as input(person_id, position, email, type, priority, ordinal)
    ), winners as (
      select distinct on (person_id, position) * from incoming_rows
      order by person_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.email, stored.type, stored.priority)
            is distinct from (winner.email, winner.type, winner.priority) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'email', case when stored.email is distinct from winner.email then jsonb_build_array(stored.email, winner.email) end,
          'type', case when stored.type is distinct from winner.type then jsonb_build_array(stored.type, winner.type) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.emails as kept
        where true and kept.person_id = winner.person_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('people.emails', comparison);
  end if;
  if body -> 'rows' ? 'people.phones' then
    with incoming_rows as (
      select ordinal, person_id, position, phone, ddi, dnc, type, carrier, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.phones') as (person_id uuid, position integer, phone text, ddi boolean, dnc boolean, type text, carrier text, priority integer)) with ordinality as input(person_id, position, phone, ddi, dnc, type, carrier, priority, ordinal)
    ), winners as (
      select distinct on (person_id, position) * from incoming_rows
      order by person_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.phone, stored.ddi, stored.dnc, stored.type, stored.carrier, stored.priority)
            is distinct from (winner.phone, winner.ddi, winner.dnc, winner.type, winner.carrier, winner.priority) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'phone', case when stored.phone is distinct from winner.phone then jsonb_build_array(stored.phone, winner.phone) end,
          'ddi', case when stored.ddi is distinct from winner.ddi then jsonb_build_array(stored.ddi, winner.ddi) end,
          'dnc', case when stored.dnc is distinct from winner.dnc then jsonb_build_array(stored.dnc, winner.dnc) end,
          'type', case when stored.type is distinct from winner.type then jsonb_build_array(stored.type, winner.type) end,
          'carrier', case when stored.carrier is distinct from winner.carrier then jsonb_build_array(stored.carrier, winner.carrier) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.phones as kept
        where true and kept.person_id = winner.person_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('people.phones', comparison);
  end if;
  if body -> 'rows' ? 'people.addresses' then
    with incoming_rows as (
      select ordinal, person_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.addresses') as (person_id uuid, formatted_address text, street_address text, street_number text, street text, premise text, subpremise text, establishment text, sublocality text, locality text, city text, postal_code text, postal_town text, county text, state text, region text, administrative_area_level_1 text, administrative_area_level_2 text, administrative_area_level_3 text, administrative_area_level_4 text, administrative_area_level_5 text, country text, country_code text, continent text, lat double precision, lng double precision, place_id text, accuracy text, quality text, score double precision, confidence_score double precision, last_modified_date timestamptz)) with ordinality as input(person_id, formatted_address, street_address, street_number, street, premise, subpremise, establishment, sublocality, locality, city, postal_code, postal_town, county, state, region, administrative_area_level_1, administrative_area_level_2, administrative_area_level_3, administrative_area_level_4, administrative_area_level_5, country, country_code, continent, lat, lng, place_id, accuracy, quality, score, confidence_score, last_modified_date, ordinal)
    ), winners as (
      select distinct on (person_id) * from incoming_rows
      order by person_id, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.formatted_address, stored.street_address, stored.street_number, stored.street, stored.premise, stored.subpremise, stored.establishment, stored.sublocality, stored.locality, stored.city, stored.postal_code, stored.postal_town, stored.county, stored.state, stored.region, stored.administrative_area_level_1, stored.administrative_area_level_2, stored.administrative_area_level_3, stored.administrative_area_level_4, stored.administrative_area_level_5, stored.country, stored.country_code, stored.continent, stored.lat, stored.lng, stored.place_id, stored.accuracy, stored.quality, stored.score, stored.confidence_score, stored.last_modified_date)
            is distinct from (winner.formatted_address, winner.street_address, winner.street_number, winner.street, winner.premise, winner.subpremise, winner.establishment, winner.sublocality, winner.locality, winner.city, winner.postal_code, winner.postal_town, winner.county, winner.state, winner.region, winner.administrative_area_level_1, winner.administrative_area_level_2, winner.administrative_area_level_3, winner.administrative_area_level_4, winner.administrative_area_level_5, winner.country, winner.country_code, winner.continent, winner.lat, winner.lng, winner.place_id, winner.accuracy, winner.quality, winner.score, winner.confidence_score, winner.last_modified_date) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'formatted_address', case when stored.formatted_address is distinct from winner.formatted_address then jsonb_build_array(stored.formatted_address, winner.formatted_address) end,
          'street_address', case when stored.street_address is distinct from winner.street_address then jsonb_build_array(stored.street_address, winner.street_address) end,
          'street_number', case when stored.street_number is distinct from winner.street_number then jsonb_build_array(stored.street_number, winner.street_number) end,
          'street', case when stored.street is distinct from winner.street then jsonb_build_array(stored.street, winner.street) end,
          'premise', case when stored.premise is distinct from winner.premise then jsonb_build_array(stored.premise, winner.premise) end,
          'subpremise', case when stored.subpremise is distinct from winner.subpremise then jsonb_build_array(stored.subpremise, winner.subpremise) end,
          'establishment', case when stored.establishment is distinct from winner.establishment then jsonb_build_array(stored.establishment, winner.establishment) end,
          'sublocality', case when stored.sublocality is distinct from winner.sublocality then jsonb_build_array(stored.sublocality, winner.sublocality) end,
          'locality', case when stored.locality is distinct from winner.locality then jsonb_build_array(stored.locality, winner.locality) end,
          'city', case when stored.city is distinct from winner.city then jsonb_build_array(stored.city, winner.city) end,
          'postal_code', case when stored.postal_code is distinct from winner.postal_code then jsonb_build_array(stored.postal_code, winner.postal_code) end,
          'postal_town', case when stored.postal_town is distinct from winner.postal_town then jsonb_build_array(stored.postal_town, winner.postal_town) end,
          'county', case when stored.county is distinct from winner.county then jsonb_build_array(stored.county, winner.county) end,
          'state', case when stored.state is distinct from winner.state then jsonb_build_array(stored.state, winner.state) end,
          'region', case when stored.region is distinct from winner.region then jsonb_build_array(stored.region, winner.region) end,
          'administrative_area_level_1', case when stored.administrative_area_level_1 is distinct from winner.administrative_area_level_1 then jsonb_build_array(stored.administrative_area_level_1, winner.administrative_area_level_1) end,
          'administrative_area_level_2', case when stored.administrative_area_level_2 is distinct from winner.administrative_area_level_2 then jsonb_build_array(stored.administrative_area_level_2, winner.administrative_area_level_2) end,
          'administrative_area_level_3', case when stored.administrative_area_level_3 is distinct from winner.administrative_area_level_3 then jsonb_build_array(stored.administrative_area_level_3, winner.administrative_area_level_3) end,
          'administrative_area_level_4', case when stored.administrative_area_level_4 is distinct from winner.administrative_area_level_4 then jsonb_build_array(stored.administrative_area_level_4, winner.administrative_area_level_4) end,
          'administrative_area_level_5', case when stored.administrative_area_level_5 is distinct from winner.administrative_area_level_5 then jsonb_build_array(stored.administrative_area_level_5, winner.administrative_area_level_5) end,
          'country', case when stored.country is distinct from winner.country then jsonb_build_array(stored.country, winner.country) end,
          'country_code', case when stored.country_code is distinct from winner.country_code then jsonb_build_array(stored.country_code, winner.country_code) end,
          'continent', case when stored.continent is distinct from winner.continent then jsonb_build_array(stored.continent, winner.continent) end,
          'lat', case when stored.lat is distinct from winner.lat then jsonb_build_array(stored.lat, winner.lat) end,
          'lng', case when stored.lng is distinct from winner.lng then jsonb_build_array(stored.lng, winner.lng) end,
          'place_id', case when stored.place_id is distinct from winner.place_id then jsonb_build_array(stored.place_id, winner.place_id) end,
          'accuracy', case when stored.accuracy is distinct from winner.accuracy then jsonb_build_array(stored.accuracy, winner.accuracy) end,
          'quality', case when stored.quality is distinct from winner.quality then jsonb_build_array(stored.quality, winner.quality) end,
          'score', case when stored.score is distinct from winner.score then jsonb_build_array(stored.score, winner.score) end,
          'confidence_score', case when stored.confidence_score is distinct from winner.confidence_score then jsonb_build_array(stored.confidence_score, winner.confidence_score) end,
          'last_modified_date', case when stored.last_modified_date is distinct from winner.last_modified_date then jsonb_build_array(stored.last_modified_date, winner.last_modified_date) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.addresses as kept
        where true and kept.person_id = winner.person_id
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
    answer := answer || jsonb_build_object('people.addresses', comparison);
  end if;
  if body -> 'rows' ? 'people.experiences' then
    with incoming_rows as (
      select ordinal, person_id, position, organisation_id, office_id, job_title, start_date, end_date, summary, current, priority, raw_location, rest from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.experiences') as (person_id uuid, position integer, organisation_id uuid, office_id uuid, job_title text, start_date date, end_date date, summary text, current boolean, priority integer, raw_location text, rest jsonb)) with ordinality as input(person_id, position, organisation_id, office_id, job_title, start_date, end_date, summary, current, priority, raw_location, rest, ordinal)
    ), winners as (
      select distinct on (person_id, position) * from incoming_rows
      order by person_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.organisation_id, stored.office_id, stored.job_title, stored.start_date, stored.end_date, stored.summary, stored.current, stored.priority, stored.raw_location, stored.rest)
            is distinct from (winner.organisation_id, winner.office_id, winner.job_title, winner.start_date, winner.end_date, winner.summary, winner.current, winner.priority, winner.raw_location, winner.rest) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'organisation_id', case when stored.organisation_id is distinct from winner.organisation_id then jsonb_build_array(stored.organisation_id, winner.organisation_id) end,
          'office_id', case when stored.office_id is distinct from winner.office_id then jsonb_build_array(stored.office_id, winner.office_id) end,
          'job_title', case when stored.job_title is distinct from winner.job_title then jsonb_build_array(stored.job_title, winner.job_title) end,
          'start_date', case when stored.start_date is distinct from winner.start_date then jsonb_build_array(stored.start_date, winner.start_date) end,
          'end_date', case when stored.end_date is distinct from winner.end_date then jsonb_build_array(stored.end_date, winner.end_date) end,
          'summary', case when stored.summary is distinct from winner.summary then jsonb_build_array(stored.summary, winner.summary) end,
          'current', case when stored.current is distinct from winner.current then jsonb_build_array(stored.current, winner.current) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end,
          'raw_location', case when stored.raw_location is distinct from winner.raw_location then jsonb_build_array(stored.raw_location, winner.raw_location) end,
          'rest', case when stored.rest is distinct from winner.rest then jsonb_build_array(stored.rest, winner.rest) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.experiences as kept
        where true and kept.person_id = winner.person_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('people.experiences', comparison);
  end if;
  if body -> 'rows' ? 'people.job_title_details' then
    with incoming_rows as (
      select ordinal, person_id, experience_position, raw_job_title, raw_job_title_language_code, raw_job_title_language_detection_confidence_score, raw_translated_job_title, normalized_job_title_id, normalized_job_title from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.job_title_details') as (person_id uuid, experience_position integer, raw_job_title text, raw_job_title_language_code text, raw_job_title_language_detection_confidence_score double precision, raw_translated_job_title text, normalized_job_title_id bigint, normalized_job_title text)) with ordinality as input(person_id, experience_position, raw_job_title, raw_job_title_language_code, raw_job_title_language_detection_confidence_score, raw_translated_job_title, normalized_job_title_id, normalized_job_title, ordinal)
    ), winners as (
      select distinct on (person_id, experience_position) * from incoming_rows
      order by person_id, experience_position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.raw_job_title, stored.raw_job_title_language_code, stored.raw_job_title_language_detection_confidence_score, stored.raw_translated_job_title, stored.normalized_job_title_id, stored.normalized_job_title)
            is distinct from (winner.raw_job_title, winner.raw_job_title_language_code, winner.raw_job_title_language_detection_confidence_score, winner.raw_translated_job_title, winner.normalized_job_title_id, winner.normalized_job_title) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'raw_job_title', case when stored.raw_job_title is distinct from winner.raw_job_title then jsonb_build_array(stored.raw_job_title, winner.raw_job_title) end,
          'raw_job_title_language_code', case when stored.raw_job_title_language_code is distinct from winner.raw_job_title_language_code then jsonb_build_array(stored.raw_job_title_language_code, winner.raw_job_title_language_code) end,
          'raw_job_title_language_detection_confidence_score', case when stored.raw_job_title_language_detection_confidence_score is distinct from winner.raw_job_title_language_detection_confidence_score then jsonb_build_array(stored.raw_job_title_language_detection_confidence_score, winner.raw_job_title_language_detection_confidence_score) end,
          'raw_translated_job_title', case when stored.raw_translated_job_title is distinct from winner.raw_translated_job_title then jsonb_build_array(stored.raw_translated_job_title, winner.raw_translated_job_title) end,
          'normalized_job_title_id', case when stored.normalized_job_title_id is distinct from winner.normalized_job_title_id then jsonb_build_array(stored.normalized_job_title_id, winner.normalized_job_title_id) end,
          'normalized_job_title', case when stored.normalized_job_title is distinct from winner.normalized_job_title then jsonb_build_array(stored.normalized_job_title, winner.normalized_job_title) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.job_title_details as kept
        where true and kept.person_id = winner.person_id and kept.experience_position = winner.experience_position
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
    answer := answer || jsonb_build_object('people.job_title_details', comparison);
  end if;
  if body -> 'rows' ? 'people.job_functions' then
    with incoming_rows as (
      select ordinal, person_id, experience_position, position, level1_code, level1_name, level1_confidence_score, level2_code, level2_name, level2_confidence_score, level3_code, level3_name, level3_confidence_score, priority from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.job_functions') as (person_id uuid, experience_position integer, position integer, level1_code text, level1_name text, level1_confidence_score double precision, level2_code text, level2_name text, level2_confidence_score double precision, level3_code text, level3_name text, level3_confidence_score double precision, priority integer)) with ordinality as input(person_id, experience_position, position, level1_code, level1_name, level1_confidence_score, level2_code, level2_name, level2_confidence_score, level3_code, level3_name, level3_confidence_score, priority, ordinal)
    ), winners as (
      select distinct on (person_id, experience_position, position) * from incoming_rows
      order by person_id, experience_position, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.level1_code, stored.level1_name, stored.level1_confidence_score, stored.level2_code, stored.level2_name, stored.level2_confidence_score, stored.level3_code, stored.level3_name, stored.level3_confidence_score, stored.priority)
            is distinct from (winner.level1_code, winner.level1_name, winner.level1_confidence_score, winner.level2_code, winner.level2_name, winner.level2_confidence_score, winner.level3_code, winner.level3_name, winner.level3_confidence_score, winner.priority) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'level1_code', case when stored.level1_code is distinct from winner.level1_code then jsonb_build_array(stored.level1_code, winner.level1_code) end,
          'level1_name', case when stored.level1_name is distinct from winner.level1_name then jsonb_build_array(stored.level1_name, winner.level1_name) end,
          'level1_confidence_score', case when stored.level1_confidence_score is distinct from winner.level1_confidence_score then jsonb_build_array(stored.level1_confidence_score, winner.level1_confidence_score) end,
          'level2_code', case when stored.level2_code is distinct from winner.level2_code then jsonb_build_array(stored.level2_code, winner.level2_code) end,
          'level2_name', case when stored.level2_name is distinct from winner.level2_name then jsonb_build_array(stored.level2_name, winner.level2_name) end,
          'level2_confidence_score', case when stored.level2_confidence_score is distinct from winner.level2_confidence_score then jsonb_build_array(stored.level2_confidence_score, winner.level2_confidence_score) end,
          'level3_code', case when stored.level3_code is distinct from winner.level3_code then jsonb_build_array(stored.level3_code, winner.level3_code) end,
          'level3_name', case when stored.level3_name is distinct from winner.level3_name then jsonb_build_array(stored.level3_name, winner.level3_name) end,
          'level3_confidence_score', case when stored.level3_confidence_score is distinct from winner.level3_confidence_score then jsonb_build_array(stored.level3_confidence_score, winner.level3_confidence_score) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.job_functions as kept
        where true and kept.person_id = winner.person_id and kept.experience_position = winner.experience_position and kept.position = winner.position
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
    answer := answer || jsonb_build_object('people.job_functions', comparison);
  end if;
  if body -> 'rows' ? 'people.job_seniority' then
    with incoming_rows as (
      select ordinal, person_id, experience_position, job_level from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.job_seniority') as (person_id uuid, experience_position integer, job_level text)) with ordinality as input(person_id, experience_position, job_level, ordinal)
    ), winners as (
      select distinct on (person_id, experience_position) * from incoming_rows
      order by person_id, experience_position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.job_level)
            is distinct from (winner.job_level) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'job_level', case when stored.job_level is distinct from winner.job_level then jsonb_build_array(stored.job_level, winner.job_level) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.job_seniority as kept
        where true and kept.person_id = winner.person_id and kept.experience_position = winner.experience_position
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
    answer := answer || jsonb_build_object('people.job_seniority', comparison);
  end if;
  if body -> 'rows' ? 'people.educations' then
    with incoming_rows as (
      select ordinal, person_id, position, educational_establishment, diploma, specialization, start_date, end_date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.educations') as (person_id uuid, position integer, educational_establishment text, diploma text, specialization text, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, educational_establishment, diploma, specialization, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)
    ), winners as (
      select distinct on (person_id, position) * from incoming_rows
      order by person_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.educational_establishment, stored.diploma, stored.specialization, stored.start_date, stored.end_date, stored.priority, stored.web_address_url, stored.web_address_rank)
            is distinct from (winner.educational_establishment, winner.diploma, winner.specialization, winner.start_date, winner.end_date, winner.priority, winner.web_address_url, winner.web_address_rank) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'educational_establishment', case when stored.educational_establishment is distinct from winner.educational_establishment then jsonb_build_array(stored.educational_establishment, winner.educational_establishment) end,
          'diploma', case when stored.diploma is distinct from winner.diploma then jsonb_build_array(stored.diploma, winner.diploma) end,
          'specialization', case when stored.specialization is distinct from winner.specialization then jsonb_build_array(stored.specialization, winner.specialization) end,
          'start_date', case when stored.start_date is distinct from winner.start_date then jsonb_build_array(stored.start_date, winner.start_date) end,
          'end_date', case when stored.end_date is distinct from winner.end_date then jsonb_build_array(stored.end_date, winner.end_date) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end,
          'web_address_url', case when stored.web_address_url is distinct from winner.web_address_url then jsonb_build_array(stored.web_address_url, winner.web_address_url) end,
          'web_address_rank', case when stored.web_address_rank is distinct from winner.web_address_rank then jsonb_build_array(stored.web_address_rank, winner.web_address_rank) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.educations as kept
        where true and kept.person_id = winner.person_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('people.educations', comparison);
  end if;
  if body -> 'rows' ? 'people.certifications' then
    with incoming_rows as (
      select ordinal, person_id, position, name, authority, reference, description, date, start_date, end_date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.certifications') as (person_id uuid, position integer, name text, authority text, reference text, description text, date date, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, authority, reference, description, date, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)
    ), winners as (
      select distinct on (person_id, position) * from incoming_rows
      order by person_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.name, stored.authority, stored.reference, stored.description, stored.date, stored.start_date, stored.end_date, stored.priority, stored.web_address_url, stored.web_address_rank)
            is distinct from (winner.name, winner.authority, winner.reference, winner.description, winner.date, winner.start_date, winner.end_date, winner.priority, winner.web_address_url, winner.web_address_rank) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'name', case when stored.name is distinct from winner.name then jsonb_build_array(stored.name, winner.name) end,
          'authority', case when stored.authority is distinct from winner.authority then jsonb_build_array(stored.authority, winner.authority) end,
          'reference', case when stored.reference is distinct from winner.reference then jsonb_build_array(stored.reference, winner.reference) end,
          'description', case when stored.description is distinct from winner.description then jsonb_build_array(stored.description, winner.description) end,
          'date', case when stored.date is distinct from winner.date then jsonb_build_array(stored.date, winner.date) end,
          'start_date', case when stored.start_date is distinct from winner.start_date then jsonb_build_array(stored.start_date, winner.start_date) end,
          'end_date', case when stored.end_date is distinct from winner.end_date then jsonb_build_array(stored.end_date, winner.end_date) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end,
          'web_address_url', case when stored.web_address_url is distinct from winner.web_address_url then jsonb_build_array(stored.web_address_url, winner.web_address_url) end,
          'web_address_rank', case when stored.web_address_rank is distinct from winner.web_address_rank then jsonb_build_array(stored.web_address_rank, winner.web_address_rank) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.certifications as kept
        where true and kept.person_id = winner.person_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('people.certifications', comparison);
  end if;
  if body -> 'rows' ? 'people.memberships' then
    with incoming_rows as (
      select ordinal, person_id, position, title, name, description, reference, location, start_date, end_date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.memberships') as (person_id uuid, position integer, title text, name text, description text, reference text, location text, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, title, name, description, reference, location, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)
    ), winners as (
      select distinct on (person_id, position) * from incoming_rows
      order by person_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.title, stored.name, stored.description, stored.reference, stored.location, stored.start_date, stored.end_date, stored.priority, stored.web_address_url, stored.web_address_rank)
            is distinct from (winner.title, winner.name, winner.description, winner.reference, winner.location, winner.start_date, winner.end_date, winner.priority, winner.web_address_url, winner.web_address_rank) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'title', case when stored.title is distinct from winner.title then jsonb_build_array(stored.title, winner.title) end,
          'name', case when stored.name is distinct from winner.name then jsonb_build_array(stored.name, winner.name) end,
          'description', case when stored.description is distinct from winner.description then jsonb_build_array(stored.description, winner.description) end,
          'reference', case when stored.reference is distinct from winner.reference then jsonb_build_array(stored.reference, winner.reference) end,
          'location', case when stored.location is distinct from winner.location then jsonb_build_array(stored.location, winner.location) end,
          'start_date', case when stored.start_date is distinct from winner.start_date then jsonb_build_array(stored.start_date, winner.start_date) end,
          'end_date', case when stored.end_date is distinct from winner.end_date then jsonb_build_array(stored.end_date, winner.end_date) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end,
          'web_address_url', case when stored.web_address_url is distinct from winner.web_address_url then jsonb_build_array(stored.web_address_url, winner.web_address_url) end,
          'web_address_rank', case when stored.web_address_rank is distinct from winner.web_address_rank then jsonb_build_array(stored.web_address_rank, winner.web_address_rank) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.memberships as kept
        where true and kept.person_id = winner.person_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('people.memberships', comparison);
  end if;
  if body -> 'rows' ? 'people.publications' then
    with incoming_rows as (
      select ordinal, person_id, position, name, description, issue, reference, date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.publications') as (person_id uuid, position integer, name text, description text, issue text, reference text, date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, description, issue, reference, date, priority, web_address_url, web_address_rank, ordinal)
    ), winners as (
      select distinct on (person_id, position) * from incoming_rows
      order by person_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.name, stored.description, stored.issue, stored.reference, stored.date, stored.priority, stored.web_address_url, stored.web_address_rank)
            is distinct from (winner.name, winner.description, winner.issue, winner.reference, winner.date, winner.priority, winner.web_address_url, winner.web_address_rank) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'name', case when stored.name is distinct from winner.name then jsonb_build_array(stored.name, winner.name) end,
          'description', case when stored.description is distinct from winner.description then jsonb_build_array(stored.description, winner.description) end,
          'issue', case when stored.issue is distinct from winner.issue then jsonb_build_array(stored.issue, winner.issue) end,
          'reference', case when stored.reference is distinct from winner.reference then jsonb_build_array(stored.reference, winner.reference) end,
          'date', case when stored.date is distinct from winner.date then jsonb_build_array(stored.date, winner.date) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end,
          'web_address_url', case when stored.web_address_url is distinct from winner.web_address_url then jsonb_build_array(stored.web_address_url, winner.web_address_url) end,
          'web_address_rank', case when stored.web_address_rank is distinct from winner.web_address_rank then jsonb_build_array(stored.web_address_rank, winner.web_address_rank) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.publications as kept
        where true and kept.person_id = winner.person_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('people.publications', comparison);
  end if;
  if body -> 'rows' ? 'people.patents' then
    with incoming_rows as (
      select ordinal, person_id, position, name, description, issue, number, reference, date, start_date, end_date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.patents') as (person_id uuid, position integer, name text, description text, issue text, number text, reference text, date date, start_date date, end_date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, description, issue, number, reference, date, start_date, end_date, priority, web_address_url, web_address_rank, ordinal)
    ), winners as (
      select distinct on (person_id, position) * from incoming_rows
      order by person_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.name, stored.description, stored.issue, stored.number, stored.reference, stored.date, stored.start_date, stored.end_date, stored.priority, stored.web_address_url, stored.web_address_rank)
            is distinct from (winner.name, winner.description, winner.issue, winner.number, winner.reference, winner.date, winner.start_date, winner.end_date, winner.priority, winner.web_address_url, winner.web_address_rank) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'name', case when stored.name is distinct from winner.name then jsonb_build_array(stored.name, winner.name) end,
          'description', case when stored.description is distinct from winner.description then jsonb_build_array(stored.description, winner.description) end,
          'issue', case when stored.issue is distinct from winner.issue then jsonb_build_array(stored.issue, winner.issue) end,
          'number', case when stored.number is distinct from winner.number then jsonb_build_array(stored.number, winner.number) end,
          'reference', case when stored.reference is distinct from winner.reference then jsonb_build_array(stored.reference, winner.reference) end,
          'date', case when stored.date is distinct from winner.date then jsonb_build_array(stored.date, winner.date) end,
          'start_date', case when stored.start_date is distinct from winner.start_date then jsonb_build_array(stored.start_date, winner.start_date) end,
          'end_date', case when stored.end_date is distinct from winner.end_date then jsonb_build_array(stored.end_date, winner.end_date) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end,
          'web_address_url', case when stored.web_address_url is distinct from winner.web_address_url then jsonb_build_array(stored.web_address_url, winner.web_address_url) end,
          'web_address_rank', case when stored.web_address_rank is distinct from winner.web_address_rank then jsonb_build_array(stored.web_address_rank, winner.web_address_rank) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.patents as kept
        where true and kept.person_id = winner.person_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('people.patents', comparison);
  end if;
  if body -> 'rows' ? 'people.awards' then
    with incoming_rows as (
      select ordinal, person_id, position, name, description, issue, date, priority, web_address_url, web_address_rank from rows from (jsonb_to_recordset(body -> 'rows' -> 'people.awards') as (person_id uuid, position integer, name text, description text, issue text, date date, priority integer, web_address_url text, web_address_rank bigint)) with ordinality as input(person_id, position, name, description, issue, date, priority, web_address_url, web_address_rank, ordinal)
    ), winners as (
      select distinct on (person_id, position) * from incoming_rows
      order by person_id, position, ordinal desc
    ), compared as (
      select winner.ordinal, null::text as id,
        case
          when stored.present is null then 'missing'
          
          when (stored.name, stored.description, stored.issue, stored.date, stored.priority, stored.web_address_url, stored.web_address_rank)
            is distinct from (winner.name, winner.description, winner.issue, winner.date, winner.priority, winner.web_address_url, winner.web_address_rank) then 'different'
          else 'same'
        end as found,
        jsonb_strip_nulls(jsonb_build_object(
          'name', case when stored.name is distinct from winner.name then jsonb_build_array(stored.name, winner.name) end,
          'description', case when stored.description is distinct from winner.description then jsonb_build_array(stored.description, winner.description) end,
          'issue', case when stored.issue is distinct from winner.issue then jsonb_build_array(stored.issue, winner.issue) end,
          'date', case when stored.date is distinct from winner.date then jsonb_build_array(stored.date, winner.date) end,
          'priority', case when stored.priority is distinct from winner.priority then jsonb_build_array(stored.priority, winner.priority) end,
          'web_address_url', case when stored.web_address_url is distinct from winner.web_address_url then jsonb_build_array(stored.web_address_url, winner.web_address_url) end,
          'web_address_rank', case when stored.web_address_rank is distinct from winner.web_address_rank then jsonb_build_array(stored.web_address_rank, winner.web_address_rank) end
        )) as differing
      from winners as winner
      left join lateral (
        select true as present, kept.* from people.awards as kept
        where true and kept.person_id = winner.person_id and kept.position = winner.position
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
    answer := answer || jsonb_build_object('people.awards', comparison);
  end if;
  return answer;
end
$function$;

update public.import_target set schema_version = '20261122000006';
notify pgrst, 'reload schema';
