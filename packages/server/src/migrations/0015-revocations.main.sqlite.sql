-- Emergency revocation: studies that are closed for key use, drills, and when keys rotate and how long they process.
create table study_closure (
  study text primary key references study (id),
  tenant text not null references tenant (id),
  state text not null,
  cause text not null,
  changed_at integer not null,
  seal blob not null
) strict;
create index study_closure_tenant on study_closure (tenant);

create table drill (
  id text primary key,
  log integer not null references log (id),
  scope text not null,
  -- What was made up for it; null until it is.
  system text,
  key text,
  credential text,
  state text not null,
  begun_at integer not null,
  ended_at integer,
  -- Canonical JSON: the steps and what they took.
  record blob,
  hash text,
  seal blob not null
) strict;
create index drill_log on drill (log, begun_at, id);

create table drill_schedule (
  log integer primary key references log (id),
  every_days integer not null,
  scope text not null,
  next_at integer not null,
  seal blob not null
) strict;

-- How often keys of the tenant rotate that have no period of their own.
create table rotation_policy (
  tenant text primary key references tenant (id),
  period_days integer not null,
  changed_at integer not null,
  seal blob not null
) strict;

-- Whether the period is the key's own, or that of the tenant's policy. Those from before there was one keep theirs.
alter table key add column own_rotation integer not null default 1;
-- How long a version may process after it has ended to protect, days; null: without an end.
alter table key add column recipient_period_days integer;
