-- folders: device tests, a folder each.

create table public.device_test (
  id bigint generated always as identity primary key,
  dataset_id bigint not null references public.datasets (id) on delete cascade,
  batch_id text not null, inserted_by text,
  folder_path text not null, folder_name text,
  device_id text, device_name text, device_type text,
  test_status text,
  stats jsonb,
  image_count integer not null,
  images jsonb not null,
  file_count integer not null,
  content_signature text not null,
  last_modified timestamptz,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
  unique (dataset_id, folder_path)
);
comment on column public.device_test.folder_path is 'Relative to the source; `.` is the source.';
comment on column public.device_test.images is
  'An array of name, sha256, size and content_type; image_assets has the place of each image.';
comment on column public.device_test.content_signature is
  'A hash over the names, sizes and mtimes of the files, which shows changes.';
create index device_test_batch_id on public.device_test (batch_id, id);
create index device_test_images on public.device_test
  using gin (jsonb_path_query_array(images, '$[*].sha256') jsonb_path_ops);
-- A hash index: a btree refuses long texts.
create index device_test_device_id on public.device_test using hash (device_id);

select public.importer_close('public.device_test');

update public.import_target set schema_version = '20261122000003';
notify pgrst, 'reload schema';
