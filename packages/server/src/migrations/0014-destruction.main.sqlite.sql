-- A key whose destruction is waiting; set: nobody uses it. Part of what the row's seal covers.
alter table key add column destruction_due_at integer;
create index key_destruction on key (destruction_due_at) where destruction_due_at is not null;

-- What must not be destroyed or erased: until a date (retention), or until people end it (legal).
create table hold (
  id text primary key,
  tenant text not null references tenant (id),
  about text not null check (about in ('tenant', 'study', 'subject', 'key')),
  -- The id of what it is about: the tenant's, a study's, a subject's alias, a key's.
  thing text not null,
  -- Of a subject.
  study text,
  kind text not null check (kind in ('retention', 'legal')),
  until_at integer,
  state text not null check (state in ('placed', 'released')),
  placed_by text,
  placed_at integer not null,
  changed_at integer not null,
  seal blob not null
) strict;
create index hold_thing on hold (tenant, state, about, thing);

-- Every place that still has a key, or a copy of the store of keys to forget: a backup, a site, an escrow, an export.
create table holder (
  id text primary key,
  log integer not null references log (id),
  kind text not null,
  name text not null,
  contact text not null,
  -- all: of the tenant, or of every tenant where the log is the instance's.
  about text not null check (about in ('all', 'study', 'subject', 'key')),
  thing text,
  -- Of a subject.
  study text,
  state text not null check (state in ('registered', 'ended')),
  registered_by text,
  registered_at integer not null,
  expires_at integer,
  changed_at integer not null,
  seal blob not null
) strict;
create index holder_log on holder (log, state);

-- Somebody said that a place does not have one key any more.
create table holder_attestation (
  holder text not null references holder (id),
  about text not null,
  thing text not null,
  actor text,
  made_at integer not null,
  seal blob not null,
  primary key (holder, about, thing)
) strict;

-- When the key of a subject went from the store of keys to forget, and under which epoch that was; when a later epoch was the only one; when
-- no registered place had the key any more.
create table erasure (
  study text not null references study (id),
  subject text not null,
  tenant text not null references tenant (id),
  removed_at integer not null,
  epoch integer not null,
  renewed_at integer,
  completed_at integer,
  seal blob not null,
  primary key (study, subject)
) strict;
create index erasure_open on erasure (tenant) where completed_at is null;
