-- A key whose destruction is waiting; set: nobody uses it. Part of what the row's seal covers.
alter table key add column destruction_due_at bigint;
create index key_destruction on key (destruction_due_at) where destruction_due_at is not null;

-- What must not be destroyed or erased: until a date (retention), or until people end it (legal).
create table hold (
  id text collate "C" primary key,
  tenant text collate "C" not null references tenant (id),
  about text collate "C" not null check (about in ('tenant', 'study', 'subject', 'key')),
  -- The id of what it is about: the tenant's, a study's, a subject's alias, a key's.
  thing text collate "C" not null,
  -- Of a subject.
  study text collate "C",
  kind text collate "C" not null check (kind in ('retention', 'legal')),
  until_at bigint,
  state text collate "C" not null check (state in ('placed', 'released')),
  placed_by text collate "C",
  placed_at bigint not null,
  changed_at bigint not null,
  seal bytea not null
);
create index hold_thing on hold (tenant, state, about, thing);

-- Every place that still has a key, or a copy of the store of keys to forget: a backup, a site, an escrow, an export.
create table holder (
  id text collate "C" primary key,
  log bigint not null references log (id),
  kind text collate "C" not null,
  name text collate "C" not null,
  contact text collate "C" not null,
  -- all: of the tenant, or of every tenant where the log is the instance's.
  about text collate "C" not null check (about in ('all', 'study', 'subject', 'key')),
  thing text collate "C",
  -- Of a subject.
  study text collate "C",
  state text collate "C" not null check (state in ('registered', 'ended')),
  registered_by text collate "C",
  registered_at bigint not null,
  expires_at bigint,
  changed_at bigint not null,
  seal bytea not null
);
create index holder_log on holder (log, state);

-- Somebody said that a place does not have one key any more.
create table holder_attestation (
  holder text collate "C" not null references holder (id),
  about text collate "C" not null,
  thing text collate "C" not null,
  actor text collate "C",
  made_at bigint not null,
  seal bytea not null,
  primary key (holder, about, thing)
);

-- When the key of a subject went from the store of keys to forget, and under which epoch that was; when a later epoch was the only one; when
-- no registered place had the key any more.
create table erasure (
  study text collate "C" not null references study (id),
  subject text collate "C" not null,
  tenant text collate "C" not null references tenant (id),
  removed_at bigint not null,
  epoch bigint not null,
  renewed_at bigint,
  completed_at bigint,
  seal bytea not null,
  primary key (study, subject)
);
create index erasure_open on erasure (tenant) where completed_at is null;
