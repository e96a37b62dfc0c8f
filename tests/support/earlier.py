"""Tables of the earlier systems, as their users have them, with awkward rows."""

from __future__ import annotations

RECOGNITIONS = """
create schema raw;
create type public.item_type as enum ('FOOD', 'BUZZER', 'PLATE', 'BOTTLE', 'OTHER');
create type public.tray_item_source as enum ('RECIPE_LINE_OPTION', 'MENU_ITEM', 'MANUAL', 'MODEL');
create type public.bottle_orientation as enum ('horizontal', 'vertical');
create table raw.recognition_files (
  id bigserial primary key, recognition_id bigint not null, batch_id text, active_menu jsonb,
  image1_path text, image2_path text, image1_width integer, image1_height integer,
  image2_width integer, image2_height integer, created_at timestamptz default now());
create table raw.recipes (
  id bigserial primary key, recognition_id bigint not null, payload jsonb,
  created_at timestamptz default now());
create table raw.qwen_annotations (
  id bigserial primary key, recognition_id bigint not null, image_path text, bbox jsonb,
  class_name text, item_type text, external_id text, created_at timestamptz default now());
create unique index idx_raw_qwen_unique
  on raw.qwen_annotations (recognition_id, image_path, class_name, bbox);
create table public.recognitions (
  id bigint primary key, batch_id text, created_at timestamptz default now());
create table public.images (
  id bigserial primary key,
  recognition_id bigint not null references public.recognitions on delete cascade,
  camera_number integer not null check (camera_number in (1, 2)), storage_path text not null,
  width integer, height integer, created_at timestamptz default now(),
  unique (recognition_id, camera_number));
create table public.recognition_active_menu_items (
  id bigserial primary key,
  recognition_id bigint not null references public.recognitions on delete cascade,
  external_id text not null, name text not null, category text, price numeric(10, 2),
  metadata jsonb, created_at timestamptz default now(), unique (recognition_id, external_id));
create table public.recipes (
  id bigserial primary key, recognition_id bigint not null unique, raw_payload jsonb,
  total_amount numeric(10, 2), created_at timestamptz default now());
create table public.recipe_lines (
  id bigserial primary key, recipe_id bigint not null references public.recipes on delete cascade,
  line_number integer not null, quantity integer not null, has_ambiguity boolean default false,
  raw_name text, created_at timestamptz default now(), unique (recipe_id, line_number));
create table public.recipe_line_options (
  id bigserial primary key,
  recipe_line_id bigint not null references public.recipe_lines on delete cascade,
  external_id text not null, name text not null, is_selected boolean default false,
  model_score float, created_at timestamptz default now());
create table public.initial_tray_items (
  id bigserial primary key,
  recognition_id bigint not null references public.recognitions on delete cascade,
  item_type public.item_type not null, source public.tray_item_source not null,
  recipe_line_option_id bigint references public.recipe_line_options,
  menu_item_external_id text, metadata jsonb, bottle_orientation public.bottle_orientation,
  created_at timestamptz default now(),
  foreign key (recognition_id, menu_item_external_id)
    references public.recognition_active_menu_items (recognition_id, external_id)
    deferrable initially deferred);
create table public.initial_annotations (
  id bigserial primary key, image_id bigint not null references public.images on delete cascade,
  initial_tray_item_id bigint not null references public.initial_tray_items on delete cascade,
  bbox jsonb not null, source text default 'MODEL', is_occluded boolean default false,
  created_at timestamptz default now());
create table public.validation_work_log (
  id bigserial primary key, recognition_id bigint not null
    references public.recognitions on delete cascade);
create table public.work_items (
  id bigserial primary key,
  initial_item_id bigint references public.initial_tray_items deferrable initially deferred,
  work_log_id bigint references public.validation_work_log on delete cascade);
create table public.work_annotations (
  id bigserial primary key, initial_annotation_id bigint references public.initial_annotations);
create view public.export_recognitions_view as select id, batch_id from public.recognitions;
"""
"""Of the first versions: without `recipe_line_id`, and without the later unique keys."""

RECOGNITION_ROWS = """
insert into public.recognitions (id, batch_id, created_at) values
  (1, 'batch_20251024_121255', '2025-10-24'), (2, null, '2025-10-25'),
  (3, 'batch_20251026_080000', '2025-10-26');
-- Loaded twice; the size of a photo is unknown.
insert into raw.recognition_files (id, recognition_id, batch_id, active_menu, image1_path,
  image2_path, image1_width, image1_height) values
  (11, 1, 'batch_20251024_121255', '[1]', 'camera1.jpg', 'camera2.jpg', 160, 90),
  (12, 1, 'batch_20251027_000000', '[2]', 'camera1.jpg', 'camera2.jpg', 161, 91),
  (13, 2, null, null, 'camera1.jpg', 'camera2.jpg', null, null),
  -- Its transform has failed.
  (14, 4, 'batch_20251024_121255', '[]', 'camera1.jpg', 'camera2.jpg', 160, 90);
insert into raw.recipes (id, recognition_id, payload) values
  (21, 1, '[1]'), (22, 1, '[2]'), (23, 4, '[]');
insert into raw.qwen_annotations
  (id, recognition_id, image_path, bbox, class_name, item_type) values
  (31, 1, 'camera1.jpg', '{"x": 1}', 'dish_0', 'FOOD'),
  (32, 1, 'camera1.jpg', '{"x": 1}', null, 'FOOD'),
  (33, 1, 'camera1.jpg', '{"x": 1}', null, 'FOOD'),
  (34, 1, 'camera1.jpg', '{"x": 1}', '', 'FOOD'),
  (35, 1, 'camera2.jpg', '{"x": 2.50}', 'plate', 'PLATE'),
  (36, 9, 'camera1.jpg', '{"x": 1}', 'plate', 'PLATE');
insert into public.images (id, recognition_id, camera_number, storage_path, width, height) values
  (41, 1, 1, 'recognitions/1/camera1.jpg', 160, 90),
  (42, 1, 2, 'recognitions/1/camera2.jpg', null, null),
  (43, 2, 1, 'recognitions/2/camera1.jpg', 16, 9),
  (44, 2, 2, 'recognitions/2/camera2.jpg', 16, 9),
  (45, 3, 1, 'recognitions/3/camera1.jpg', 16, 9),
  (46, 3, 2, 'recognitions/3/camera2.jpg', 16, 9);
insert into public.recognition_active_menu_items
  (id, recognition_id, external_id, name, category, price, metadata) values
  (51, 1, '17', 'SOUP', 'Soups', 2.50, '{"ProtoNames": ["sopa"]}'),
  (52, 1, '24', 'COD', null, null, null),
  (53, 3, '17', 'SOUP', null, 2, '{}');
insert into public.recipes (id, recognition_id, raw_payload, total_amount) values
  (61, 1, '[{"Count": 1}]', null), (62, 4, '[]', null);
insert into public.recipe_lines
  (id, recipe_id, line_number, quantity, has_ambiguity, raw_name) values
  (71, 61, 1, 2, false, 'SOUP'), (72, 61, 2, 1, true, 'COD'), (73, 62, 1, 1, null, null);
insert into public.recipe_line_options (id, recipe_line_id, external_id, name, is_selected) values
  (81, 71, '17', 'SOUP', false), (82, 71, '17', 'SOUP', true), (83, 72, '24', 'COD', false),
  (84, 72, '31', 'HAKE', null), (85, 73, '17', 'SOUP', true);
insert into public.initial_tray_items (id, recognition_id, item_type, source, recipe_line_option_id,
  menu_item_external_id, metadata, bottle_orientation) values
  (91, 1, 'FOOD', 'RECIPE_LINE_OPTION', 81, '17', '{"qwen_label": "dish_0", "number": 1}', null),
  (92, 1, 'FOOD', 'RECIPE_LINE_OPTION', 82, '17', '{"qwen_label": "dish_0", "number": 2}', null),
  (93, 1, 'PLATE', 'MANUAL', null, null, '{"qwen_label": "plate"}', null),
  (94, 1, 'PLATE', 'MODEL', null, null, '{"qwen_label": "plate"}', null),
  (95, 2, 'BOTTLE', 'MODEL', null, null, null, 'vertical'),
  (96, 2, 'BOTTLE', 'MODEL', null, null, '{}', 'horizontal'),
  (97, 3, 'FOOD', 'MENU_ITEM', null, '17', '{"qwen_label": "dish_0"}', null),
  (98, 3, 'FOOD', 'MENU_ITEM', null, '17', '{"qwen_label": "dish_0"}', null),
  (99, 1, 'PLATE', 'MODEL', null, null, '{"qwen_label": "plate"}', null);
insert into public.initial_annotations
  (id, image_id, initial_tray_item_id, bbox, is_occluded) values
  (101, 41, 91, '{"x": 1}', false), (102, 41, 92, '{"x": 1}', null),
  (103, 41, 92, '{"x": 2}', true),
  (104, 42, 93, '{"x": 2.50}', false), (105, 42, 94, '{"x": 2.50}', false),
  (106, 45, 97, '{"x": 1}', false), (107, 45, 98, '{"x": 1}', false);
-- People work on the second of two items, on two of three plates, and on the second of two boxes.
insert into public.validation_work_log (id, recognition_id) values (1, 1);
insert into public.work_items (id, initial_item_id, work_log_id) values
  (1, 92, 1), (2, 94, 1), (3, 99, 1), (4, null, null);
insert into public.work_annotations (id, initial_annotation_id) values (1, 102), (2, 105);
"""

DEVICE_TESTS = """
create table public.devices (id uuid primary key);
create table public.device_test (
  id uuid primary key default gen_random_uuid(), created_at timestamptz default now(),
  updated_at timestamptz default now(), folder_name text not null, images text[] default '{}',
  device_id uuid references public.devices (id), device_name text, device_type text,
  test_results jsonb, test_date timestamptz,
  test_status text check (test_status in ('pending', 'passed', 'failed', 'incomplete')),
  upload_batch text, notes text, metadata jsonb default '{}', data_type text,
  unique (folder_name, device_id));
"""
"""Of the first versions: without `data`."""

DEVICE_TEST_ROWS = """
insert into public.devices values
  ('00000000-0000-0000-0000-000000000001'), ('00000000-0000-0000-0000-000000000002');
insert into public.device_test
  (updated_at, folder_name, images, device_id, test_results, test_status, upload_batch) values
  ('2025-06-01', 'Batch54', '{a.jpg}', null, '{"result": []}', 'failed', 'quick_batch_1'),
  ('2025-06-02', 'Batch54', '{a.jpg,b.jpg}', null, '{"result": [1.50]}', 'passed', 'quick_batch_2'),
  (null, 'Batch54', null, null, null, 'pending', null),
  ('2025-06-03', 'Batch55', null, null, null, 'pending', null),
  ('2025-06-04', 'Batch56', '{}', '00000000-0000-0000-0000-000000000001', '{}', 'failed', 'b'),
  ('2025-06-05', 'Batch56', '{c.jpg}', '00000000-0000-0000-0000-000000000002', '{}',
    'incomplete', 'b'),
  ('2025-06-06', 'Batch57', '{d.jpg}', '00000000-0000-0000-0000-000000000001', null, null, 'b');
update public.device_test set created_at = null where folder_name = 'Batch55';
"""
