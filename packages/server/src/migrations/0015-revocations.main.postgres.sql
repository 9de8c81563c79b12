-- Emergency revocation: studies that are closed for key use, drills, and when keys rotate and how long they process.
create table study_closure (
  study text collate "C" primary key references study (id),
  tenant text collate "C" not null references tenant (id),
  state text collate "C" not null,
  cause text collate "C" not null,
  changed_at bigint not null,
  seal bytea not null
);
create index study_closure_tenant on study_closure (tenant);

create table drill (
  id text collate "C" primary key,
  log bigint not null references log (id),
  scope text collate "C" not null,
  -- What was made up for it; null until it is.
  system text collate "C",
  key text collate "C",
  credential text collate "C",
  state text collate "C" not null,
  begun_at bigint not null,
  ended_at bigint,
  -- Canonical JSON: the steps and what they took.
  record bytea,
  hash text collate "C",
  seal bytea not null
);
create index drill_log on drill (log, begun_at, id);

create table drill_schedule (
  log bigint primary key references log (id),
  every_days bigint not null,
  scope text collate "C" not null,
  next_at bigint not null,
  seal bytea not null
);

-- How often keys of the tenant rotate that have no period of their own.
create table rotation_policy (
  tenant text collate "C" primary key references tenant (id),
  period_days bigint not null,
  changed_at bigint not null,
  seal bytea not null
);

-- Whether the period is the key's own, or that of the tenant's policy. Those from before there was one keep theirs.
alter table key add column own_rotation bigint not null default 1;
-- How long a version may process after it has ended to protect, days; null: without an end.
alter table key add column recipient_period_days bigint;
