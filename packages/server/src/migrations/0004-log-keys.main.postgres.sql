-- The keys that sign a log's checkpoints: several at a time, and those that once did, which old checkpoints are verified with.
create table log_key (
  -- The version id in the place of the wrapped key.
  id text collate "C" primary key,
  log bigint not null references log (id),
  algorithm text collate "C" not null check (algorithm in ('ED25519', 'ML_DSA_44')),
  verifier_key text collate "C" not null unique,
  -- Under the instance key; null once the key is destroyed.
  wrapped_key bytea,
  state text collate "C" not null check (state in ('active', 'ending', 'ended')),
  -- Entries that the log had when the key began to sign, and when it stopped.
  from_size bigint not null,
  until_size bigint,
  -- When an ending key is to stop.
  ends_at bigint,
  check ((state = 'ended') = (wrapped_key is null))
);
create unique index log_key_active on log_key (log, algorithm) where state = 'active';
create unique index log_key_ending on log_key (log, algorithm) where state = 'ending';
create index log_key_log on log_key (log);
insert into log_key (id, log, algorithm, verifier_key, wrapped_key, state, from_size)
  select coalesce(tenant, '00000000-0000-0000-0000-000000000000'), id, 'ED25519', verifier_key, wrapped_signing_key, 'active', 0
  from log;
alter table log drop column verifier_key;
alter table log drop column wrapped_signing_key;

-- Entries below are archived and no longer served; how far they have been deleted follows.
alter table log add column pruned_below bigint not null default 0;
alter table log add column deleted_below bigint not null default 0;
