-- Replacements of a compromised root of trust: the instance key, every tenant's key and every seal were made anew, and what follows is
-- done log by log and may be gone on with after a stop.
create table root_replacement (
  id text primary key,
  -- The root that took the place of those before.
  root text not null,
  reason text not null,
  -- The approval that it went by, or why it went without one.
  approval text,
  break_glass text,
  -- The epoch of the shred store that was known with the old keys; its rows move to the next one.
  epoch integer not null,
  state text not null check (state in ('open', 'ended')),
  begun_at integer not null,
  ended_at integer,
  seal blob not null
) strict;
create unique index root_replacement_open on root_replacement (state) where state = 'open';

-- What is left to do for the log of the instance or of a tenant.
create table root_replacement_log (
  replacement text not null references root_replacement (id),
  log integer not null references log (id),
  -- The tenant's key from before, under the instance key of now, for the rows of the shred store; empty once they have moved.
  old_version text not null,
  old_key blob not null,
  state text not null check (state in ('open', 'told', 'ended')),
  seal blob not null,
  primary key (replacement, log)
) strict;

-- What people have approved to be done to roots of trust, each once and within its time (roots.permit-change).
create table root_permit (
  id text primary key,
  change text not null check (change in ('add-standby', 'activate', 'retire', 'replace')),
  -- The root that it is about, where it is there already.
  root text,
  approval text,
  granted_at integer not null,
  expires_at integer not null,
  used_at integer,
  seal blob not null
) strict;
