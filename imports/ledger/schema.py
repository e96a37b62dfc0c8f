"""The ledger's tables, version by version: a file of an older one is brought up to date."""

from __future__ import annotations

VERSION_1 = """
create table scope (
  id integer primary key,
  kind text not null,
  source text not null,
  tag text not null,
  target_id text not null,
  unique (kind, source, tag, target_id)
);
create table run (
  batch_id text primary key,
  run_id text not null,
  scope_id integer not null references scope (id),
  state_file text not null,
  started_at real not null,
  finished_at real,
  exit_code integer,
  completed integer not null default 0
);
create table run_count (
  batch_id text not null,
  name text not null,
  value integer not null,
  primary key (batch_id, name)
) without rowid;
create table item (
  id integer primary key autoincrement,
  scope_id integer not null references scope (id),
  path text not null,
  size integer not null,
  mtime_ns integer not null,
  state text not null,
  item_group integer,
  chunk integer,
  phase text,
  reason text,
  tries integer not null default 0,
  warnings text,
  updated_at real not null,
  unique (scope_id, path)
);
create index item_unfinished on item (scope_id, id) where state <> 'imported';
create index item_failed on item (scope_id, path) where state = 'failed';
create index item_warned on item (scope_id, path) where warnings is not null;
create table item_image (
  item_id integer not null,
  position integer not null,
  path text not null,
  primary key (item_id, position)
) without rowid;
create index item_image_path on item_image (path);
create table image (
  path text primary key,
  size integer not null,
  mtime_ns integer not null,
  sha256 text,
  extension text,
  content_type text,
  width integer,
  height integer,
  problem text,
  settled_by text
);
create index image_sha256 on image (sha256) where sha256 is not null;
"""

VERSION_2 = """
alter table item add column file_count integer not null default 1;
alter table item add column digest text not null default '';
alter table item add column created_at real;
alter table item add column cause text;
alter table item add column failed_in text;
update item set cause = cause_of(reason), tries = 1 where state = 'failed';
create index item_cause on item (scope_id, cause) where state = 'failed';
create table failure (
  id integer primary key,
  item_id integer not null,
  batch_id text not null,
  phase text not null,
  reason text not null,
  failed_at real not null
);
create index failure_item on failure (item_id);
create table batch (
  id integer primary key,
  scope_id integer not null references scope (id),
  batch_id text not null,
  number integer not null,
  items integer not null,
  failed integer not null,
  started_at real not null,
  finished_at real not null,
  unique (batch_id, number)
);
create index batch_scope on batch (scope_id, id);
create view folder_status as
select
  iif(item.path = '.', source, source || '/' || item.path) as folder_path,
  iif(item.path = '.',
    substr(source, length(rtrim(source, replace(source, '/', ''))) + 1),
    substr(item.path, length(rtrim(item.path, replace(item.path, '/', ''))) + 1)) as folder_name,
  mtime_ns / 1e9 as last_modified,
  file_count,
  iif(digest = '', size || '-' || mtime_ns, digest) as file_hash,
  case state when 'imported' then 'success' when 'failed' then 'failed' else 'pending' end
    as upload_status,
  iif(state = 'imported', updated_at, null) as upload_timestamp,
  reason as error_message,
  tries as retry_count,
  coalesce(created_at, updated_at) as created_at,
  updated_at,
  kind,
  tag
from item join scope on scope.id = item.scope_id;
create view upload_batches as
select
  printf('%s_%05d', batch_id, number) as batch_id,
  printf('batch %d of %s', number, batch_id) as batch_name,
  items as total_folders,
  items - failed as successful_uploads,
  failed as failed_uploads,
  started_at as start_time,
  finished_at as end_time,
  'completed' as status,
  started_at as created_at,
  kind,
  tag
from batch join scope on scope.id = batch.scope_id;
create view folder_errors as
select
  iif(item.path = '.', source, source || '/' || item.path) as folder_path,
  failure.phase,
  failure.reason as error_message,
  failure.batch_id,
  failed_at,
  kind,
  tag
from failure join item on item.id = failure.item_id join scope on scope.id = item.scope_id;
"""

VERSION_3 = """
alter table item add column records integer;
alter table item add column row_count integer not null default 1;
alter table item add column cut_off integer;
alter table item add column records_done integer not null default 0;
alter table item add column succeeded integer not null default 0;
alter table item add column refused integer not null default 0;
alter table item add column began_at real;
alter table item add column ended_at real;
alter table item add column disposed_at real;
alter table item add column moved_to text;
alter table item add column disposal_problem text;
alter table item add column found_wrong integer not null default 0;
create index item_disposed on item (scope_id, state) where disposed_at is not null;
create index item_found_wrong on item (scope_id, path) where found_wrong <> 0;
create index item_not_disposed_of on item (scope_id, path) where disposal_problem is not null;
create table record_failure (
  item_id integer not null,
  number integer not null,
  label text not null,
  reason text not null,
  primary key (item_id, number)
) without rowid;
"""

VERSION_4 = """
-- Of this ledger: what the user's own state folder knows it by, if it lies in a source.
create table origin (token text not null);

-- Of a run: its number, by which runs are told apart in time; whether the user has seen its
-- report; whether it may have deleted files of its source.
alter table run add column number integer;
alter table run add column told integer not null default 0;
alter table run add column deletes integer not null default 0;
update run set number = rowid, told = 1, deletes = scope_id in
  (select scope_id from item where disposed_at is not null);
create index run_number on run (number);
create index run_untold on run (scope_id) where told = 0;

-- Of an image: what keeps it from being shown.
alter table image add column flaw text;

-- Of an item: what its rows weigh, in rows or KiB, whichever is more; the batch that it went in
-- with; whether nobody knows if its records are newer than others; whether its file is not of
-- this kind, and is left where it is.
alter table item rename column row_count to weight;
alter table item add column imported_in integer;
alter table item add column undated integer not null default 0;
alter table item add column stays integer not null default 0;
-- Such files were taken for pages of nobody, to be deleted: they are read again.
update item set state = 'listed' where state = 'planned' and records = 0;

-- Of an item: how many of its images are not where they are looked for, and how many are there
-- and are no images. Until now only its warnings told.
alter table item add column not_found integer not null default 0;
alter table item add column unusable integer not null default 0;
update item set unusable = (
  select count(distinct image.path) from item_image join image on image.path = item_image.path
  where item_id = item.id and problem is not null)
where warnings is not null;
update item set not_found = max(0, (
  select count(*) from json_each(warnings)
  where value like 'image %' or value like 'metadata.source_image_file %') - unusable)
where warnings is not null;
-- These images were only not read: they are looked for as those are that come later.
update image set problem = null
where problem like '% changed while the run %' or problem like '% cannot be read: %';
create index item_lacking on item (scope_id, id) where not_found + unusable > 0;

-- What became of files: `deleted`, `moved` (to moved_to), or `gone` before; the reason if they had
-- failed. An item forgets it when a file comes under its path again.
create table disposal (
  id integer primary key,
  scope_id integer not null references scope (id),
  path text not null,
  size integer not null,
  mtime_ns integer not null,
  what text not null,
  reason text,
  moved_to text,
  batch_id text,
  disposed_at real not null
);
create index disposal_path on disposal (scope_id, path);
insert into disposal (scope_id, path, size, mtime_ns, what, reason, moved_to, disposed_at)
select scope_id, path, size, mtime_ns, iif(moved_to is null, 'deleted', 'moved'),
  iif(state = 'failed', reason, null), moved_to, disposed_at
from item where disposed_at is not null order by disposed_at;
"""

VERSION_5 = """
-- Of a failed item: when somebody acknowledged that it fails, who, and why.
alter table item add column acknowledged_at real;
alter table item add column acknowledged_by text;
alter table item add column acknowledged_note text;
create index item_acknowledged on item (scope_id, path) where acknowledged_at is not null;
drop index item_cause;
create index item_cause on item (scope_id, cause)
  where state = 'failed' and acknowledged_at is null;

-- The work state of the last run over a scope, or over one item of it: other work takes the file
-- over.
create table work_state (
  scope_id integer not null references scope (id),
  single_file text not null,
  batch_id text not null,
  unfinished integer not null,
  state text not null,
  primary key (scope_id, single_file)
);

-- Of an image: which run over a scope, or over one item of it, saw it stored last. Until now it was
-- one run of all scopes: another one over the same images had an unfinished run count them again.
create table seen_stored (
  scope_id integer not null references scope (id),
  sha256 text not null,
  single_file text not null,
  batch_id text not null,
  primary key (scope_id, sha256, single_file)
) without rowid;
insert or ignore into seen_stored
select scope_id, sha256, '', settled_by from image join run on run.batch_id = settled_by
where sha256 is not null;
-- Older versions of SQLite drop no column.
create table image_5 (
  path text primary key,
  size integer not null,
  mtime_ns integer not null,
  sha256 text,
  extension text,
  content_type text,
  width integer,
  height integer,
  problem text,
  flaw text
);
insert into image_5
select path, size, mtime_ns, sha256, extension, content_type, width, height, problem, flaw
from image;
drop table image;
alter table image_5 rename to image;
create index image_sha256 on image (sha256) where sha256 is not null;
"""

VERSIONS = (VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5)
"""The scripts that lead from each version to the next; their count is the newest version.

What was before what is told by counters (`run.number`, `batch.id` and `item.imported_in`), never by
a time: a clock can be set back.

The views `folder_status` and `upload_batches` have the columns of the earlier upload manager's
tables (document "Advanced Supabase Upload System"), for the queries that its users have.
"""
