-- The roots of trust under which the instance key is wrapped: the active one, stand-by ones, and those that were retired. The row of
-- the instance repeats the active one's, as older versions read it; an installation from before has no row here until its roots change.
create table instance_root (
  id text primary key,
  kind text not null,
  -- Where its root.json lies; relative to the data directory, or absolute.
  folder text not null,
  -- What the module says of itself, as JSON; empty where this process is the module.
  module text not null,
  -- Number of the module's CMVP certificate, as the operator recorded it.
  certificate text,
  -- Taken away with the root's retirement.
  wrapped_key blob,
  state text not null check (state in ('active', 'standby', 'retired')),
  made_at integer not null,
  changed_at integer not null,
  seal blob not null,
  check ((state = 'retired') = (wrapped_key is null))
) strict;
create unique index instance_root_active on instance_root (state) where state = 'active';
