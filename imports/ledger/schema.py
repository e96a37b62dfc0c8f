"""The ledger's tables: a script for each version, which leads to it from the one before."""

from __future__ import annotations

VERSION_6 = """
-- What the user's own state folder knows this ledger by, if it lies in a source.
create table origin (token text not null);

-- A source in a target, imported as a kind under a tag.
create table scope (
  id integer primary key,
  kind text not null,
  source text not null,
  tag text not null,
  target_id text not null,
  unique (kind, source, tag, target_id)
);

-- A run over a scope, and what it counted.
create table run (
  batch_id text primary key,
  run_id text not null,
  number integer,  -- by it runs are told apart in time
  scope_id integer not null references scope (id),
  state_file text not null,
  started_at real not null,
  finished_at real,
  exit_code integer,
  completed integer not null default 0,
  told integer not null default 0,  -- whether the user has seen its report
  deletes integer not null default 0,  -- whether it may have deleted files of its source
  reset_at real  -- when what it imported was undone
);
create index run_number on run (number);
create index run_untold on run (scope_id) where told = 0;
create table run_count (
  batch_id text not null,
  name text not null,
  value integer not null,
  primary key (batch_id, name)
) without rowid;

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

-- A batch of items that were merged in one transaction.
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

-- A file or folder of a source, and what it came to. Long texts stand last.
create table item (
  id integer primary key autoincrement,
  scope_id integer not null references scope (id),
  path text not null,

  -- By these it is known whether it changed.
  size integer not null,
  mtime_ns integer not null,
  file_count integer not null default 1,
  digest text not null default '',

  state text not null,
  created_at real,
  updated_at real not null,

  -- What it is imported with. Items of one group go together.
  item_group integer,
  chunk integer,  -- of the spool, which has its rows
  weight integer not null default 1,  -- of its rows: their count or KiB, whichever is more
  cut_off integer,  -- the first item of its batch, if that was ended early
  first_in integer,  -- the batch that it first went in with
  imported_in integer,  -- the batch that it went in with last

  -- Its records: how many there are, how many are done, and what these came to.
  records integer,
  records_done integer not null default 0,
  succeeded integer not null default 0,
  refused integer not null default 0,
  left_out integer not null default 0,  -- see record_exempt
  guarded integer not null default 0,
  began_at real,
  ended_at real,
  undated integer not null default 0,  -- whether nobody knows if they are newer than others
  found_wrong integer not null default 0,  -- whether verification found its rows wrong

  -- How many of its images are not where they are looked for; how many are there and are no images.
  not_found integer not null default 0,
  unusable integer not null default 0,

  -- What became of its file.
  stays integer not null default 0,  -- whether it is not of this kind, and is left where it is
  disposed_at real,
  moved_to text,
  disposal_problem text,

  -- How it failed, by how many runs it was tried, and in which one it failed last.
  tries integer not null default 0,
  phase text,
  failed_in text,
  cause text,
  reason text,

  -- When somebody acknowledged that it fails, who, and why.
  acknowledged_at real,
  acknowledged_by text,
  acknowledged_note text,

  warnings text,
  unique (scope_id, path)
);
create index item_unfinished on item (scope_id, id) where state <> 'imported';
create index item_failed on item (scope_id, path) where state = 'failed';
create index item_warned on item (scope_id, path) where warnings is not null;
create index item_disposed on item (scope_id, state) where disposed_at is not null;
create index item_found_wrong on item (scope_id, path) where found_wrong <> 0;
create index item_not_disposed_of on item (scope_id, path) where disposal_problem is not null;
create index item_lacking on item (scope_id, id) where not_found + unusable > 0;
create index item_exempt on item (scope_id, id) where left_out + guarded > 0;
create index item_acknowledged on item (scope_id, path) where acknowledged_at is not null;
create index item_cause on item (scope_id, cause)
  where state = 'failed' and acknowledged_at is null;

-- Every failure of an item, and the records that an item was imported without.
create table failure (
  id integer primary key,
  item_id integer not null,
  batch_id text not null,
  phase text not null,
  reason text not null,
  failed_at real not null
);
create index failure_item on failure (item_id);
create table record_failure (
  item_id integer not null,
  number integer not null,
  label text not null,
  reason text not null,
  primary key (item_id, number)
) without rowid;

-- The records that are not in the target as an item says, and rightly so: they refer to rows that
-- it lacks (outcome L), or it guards what it has (G).
create table record_exempt (
  item_id integer not null,
  number integer not null,
  label text not null,
  outcome text not null,
  primary key (item_id, number)
) without rowid;

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

-- The images of an item, in the order of its references.
create table item_image (
  item_id integer not null,
  position integer not null,
  path text not null,
  place text,  -- bucket and path, where it is stored if that is not under its hash
  passed_over integer not null default 0,  -- whether what was at its place stays: it is newer
  primary key (item_id, position)
) without rowid;
create index item_image_path on item_image (path);
create index item_image_place on item_image (place) where place is not null;

-- What this ledger's runs know of the places of images. `putting`: a run puts the image there, or
-- is about to. `put`: it has done so, and the rows of its item are not in yet. `stands`: they are.
-- `found`: it was there already, and none of these runs had put it.
create table placement (
  target_id text not null,
  place text not null,
  sha256 text not null,
  stage text not null,
  batch_id text not null,  -- empty if the image was put back: who had put it is not known
  kept text,  -- the path of a copy of what it replaced, while that may have to come back
  previous text,  -- the SHA-256 of that
  previous_stage text,  -- `stands` or `found`; null if it was somebody else's
  in_reset integer not null default 0,  -- whether a reset removes it, unless a row names it
  primary key (target_id, place)
) without rowid;
create index placement_open on placement (target_id, place) where stage in ('putting', 'put');
create index placement_in_reset on placement (target_id, place) where in_reset;
create index placement_kept on placement (target_id, place) where kept is not null;

-- An image file of any scope, and what is in it.
create table image (
  path text primary key,
  size integer not null,
  mtime_ns integer not null,
  sha256 text,
  extension text,
  content_type text,
  width integer,
  height integer,
  problem text,  -- why it cannot be used
  flaw text  -- what keeps it from being shown
);
create index image_sha256 on image (sha256) where sha256 is not null;

-- Which run over a scope, or over one item of it, saw an image stored last.
create table seen_stored (
  scope_id integer not null references scope (id),
  sha256 text not null,
  single_file text not null,
  batch_id text not null,
  primary key (scope_id, sha256, single_file)
) without rowid;

-- For users' queries.
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

UNRELEASED = 5
"""The last of the versions before the first release. Ledgers of these are refused."""

VERSIONS = (VERSION_6,)
"""The scripts that lead from each version to the next. A new version gets a script at the end.

What was before what is told by counters (`run.number`, `batch.id` and `item.imported_in`), never by
a time: a clock can be set back.

The views `folder_status` and `upload_batches` have the columns of the earlier upload manager's
tables (document "Advanced Supabase Upload System"), for the queries that its users have.
"""

NEWEST = UNRELEASED + len(VERSIONS)
"""The version of a ledger that all scripts have been run on."""
