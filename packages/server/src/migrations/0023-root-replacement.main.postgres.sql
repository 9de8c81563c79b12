-- Replacements of a compromised root of trust: the instance key, every tenant's key and every seal were made anew, and what follows is
-- done log by log and may be gone on with after a stop.
create table root_replacement (
  id text collate "C" primary key,
  -- The root that took the place of those before.
  root text collate "C" not null,
  reason text collate "C" not null,
  -- The approval that it went by, or why it went without one.
  approval text collate "C",
  break_glass text collate "C",
  -- The epoch of the shred store that was known with the old keys; its rows move to the next one.
  epoch bigint not null,
  state text collate "C" not null check (state in ('open', 'ended')),
  begun_at bigint not null,
  ended_at bigint,
  seal bytea not null
);
create unique index root_replacement_open on root_replacement (state) where state = 'open';

-- What is left to do for the log of the instance or of a tenant.
create table root_replacement_log (
  replacement text collate "C" not null references root_replacement (id),
  log bigint not null references log (id),
  -- The tenant's key from before, under the instance key of now, for the rows of the shred store; empty once they have moved.
  old_version text collate "C" not null,
  old_key bytea not null,
  state text collate "C" not null check (state in ('open', 'told', 'ended')),
  seal bytea not null,
  primary key (replacement, log)
);

-- What people have approved to be done to roots of trust, each once and within its time (roots.permit-change).
create table root_permit (
  id text collate "C" primary key,
  change text collate "C" not null check (change in ('add-standby', 'activate', 'retire', 'replace')),
  -- The root that it is about, where it is there already.
  root text collate "C",
  approval text collate "C",
  granted_at bigint not null,
  expires_at bigint not null,
  used_at bigint,
  seal bytea not null
);
