-- states: pharmacy licences from searches on state boards.

create table public.search_results (
  id bigint generated always as identity primary key,
  dataset_id bigint not null references public.datasets (id) on delete cascade,
  batch_id text not null, inserted_by text,
  search_name text not null, search_state text not null,
  search_ts timestamptz,
  license_number text, license_status text, license_name text, license_type text,
  address text, city text, state text, zip text,
  issue_date date, expiration_date date,
  result_status text,
  meta jsonb, raw jsonb,
  image_hash text references public.image_assets (content_hash),
  created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
  unique nulls not distinct (dataset_id, search_name, search_state, license_number)
);
comment on column public.search_results.inserted_by is
  'The batch id of the run that inserted the row, if another run has updated it.';
comment on column public.search_results.meta is 'The metadata of the file, unchanged.';
comment on column public.search_results.raw is
  'The rest of the file, with this one licence in search_result.licenses.';
create index search_results_batch_id on public.search_results (batch_id, id);
create index search_results_image_hash on public.search_results (image_hash)
  where image_hash is not null;

select public.importer_close('public.search_results');

update public.import_target set schema_version = '20261122000002';
notify pgrst, 'reload schema';
