"""The ledger's tables: for each version, a script that upgrades the version before it."""

from __future__ import annotations

VERSION_6 = """
-- The token by which the user's state folder knows this ledger, if it is in a source.
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

-- A run over a scope, and what it counted. Everywhere here, `batch_id` is the run's own name.
create table run (
  batch_id text primary key,
  given_id text, -- the batch id on its rows, if a user gave one; runs may share it
  run_id text not null,
  number integer, -- the order of runs
  scope_id integer not null references scope (id),
  state_file text not null,
  started_at real not null,
  finished_at real,
  exit_code integer,
  completed integer not null default 0,
  reported integer not null default 0,  -- whether the user has seen its report
  deletes integer not null default 0,  -- whether it may have deleted files of its source
  reset_at real -- when it was reset
);
create index run_number on run (number);
create index run_given on run (given_id) where given_id is not null;
create index run_unreported on run (scope_id) where reported = 0;
create table run_count (
  batch_id text not null,
  name text not null,
  value integer not null,
  primary key (batch_id, name)
) without rowid;

-- The work state of the last run of a scope, or of one item of it: other runs overwrite the file.
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

-- A file or folder of a source, and its result. Long texts come last.
create table item (
  id integer primary key autoincrement,
  scope_id integer not null references scope (id),
  path text not null,

  -- The signature, which shows whether it changed.
  size integer not null,
  mtime_ns integer not null,
  file_count integer not null default 1,
  digest text not null default '',

  state text not null,
  created_at real,
  updated_at real not null,

  -- Its batch. Items of one group are in one batch.
  item_group integer,
  chunk integer,  -- of the spool, which has its rows
  weight integer not null default 1,  -- of its rows: their count or KiB, whichever is more
  cut_off integer, -- the first item of its batch, if the batch was ended early
  first_in integer, -- the batch that first imported it
  imported_in integer, -- the batch that last imported it

  -- Its records: their number, how many are done, and their results.
  records integer,
  records_done integer not null default 0,
  succeeded integer not null default 0,
  refused integer not null default 0,
  left_out integer not null default 0,  -- see record_exempt
  guarded integer not null default 0,
  began_at real,
  ended_at real,
  undated integer not null default 0, -- whether a record has no date
  found_wrong integer not null default 0,  -- whether verification found its rows wrong

  -- The number of its images that do not exist, and of those that are not images.
  not_found integer not null default 0,
  unusable integer not null default 0,

  -- The disposal of its file.
  stays integer not null default 0, -- whether it is not of this kind, and is not touched
  disposed_at real,
  moved_to text,
  disposal_problem text,

  -- How it failed, how many runs have tried it, and in which one it failed last.
  tries integer not null default 0,
  phase text,
  failed_in text,
  cause text,
  reason text,

  -- When its failure was acknowledged, by whom, and why.
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

-- Every failure of an item, and the failed records of imported items.
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

-- The records that rightly differ from the target: their parent is missing (outcome L), or the
-- stored row is guarded (G).
create table record_exempt (
  item_id integer not null,
  number integer not null,
  label text not null,
  outcome text not null,
  primary key (item_id, number)
) without rowid;

-- Disposals of files: `deleted`, `moved` (to moved_to), or already `gone`; the reason if they had
-- failed. They stay when a new file appears at the path.
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
  place text, -- its bucket and path, if it is not stored under its hash
  skipped integer not null default 0,  -- whether what was at its place stays: it is newer
  primary key (item_id, position)
) without rowid;
create index item_image_path on item_image (path);
create index item_image_place on item_image (place) where place is not null;

-- The places of images. `putting`: a run is putting the image there, or will. `put`: it is there,
-- and the rows of its item are not imported yet. `committed`: they are. `found`: it was there
-- already, and no run of this ledger had put it.
create table placement (
  target_id text not null,
  place text not null,
  sha256 text not null,
  stage text not null,
  batch_id text not null, -- empty if the image was restored: it is unknown which run had put it
  kept text, -- the path of a copy of the replaced image, while it may have to be restored
  previous text, -- the SHA-256 of the replaced image
  previous_stage text, -- its stage, `committed` or `found`; null if somebody else had put it
  in_reset integer not null default 0, -- whether a reset removes it, unless a row names it
  primary key (target_id, place)
) without rowid;
create index placement_open on placement (target_id, place) where stage in ('putting', 'put');
create index placement_in_reset on placement (target_id, place) where in_reset;
create index placement_kept on placement (target_id, place) where kept is not null;

-- An image file of any scope, and its content.
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
  flaw text -- its damage, if it cannot be shown
);
create index image_sha256 on image (sha256) where sha256 is not null;

-- The last run of a scope, or of one item of it, that saw an image stored.
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
"""The last version before the first release. Ledgers up to this version are refused."""

VERSIONS = (VERSION_6,)
"""The scripts that upgrade each version to the next. A new version gets a script at the end.

Counters (`run.number`, `batch.id` and `item.imported_in`) order events, never times: a clock can be
set back.

The views `folder_status` and `upload_batches` have the columns of the tables of the earlier upload
manager (document "Advanced Supabase Upload System"), for the queries of its users.
"""

NEWEST = UNRELEASED + len(VERSIONS)
"""The version of a ledger after all scripts."""
