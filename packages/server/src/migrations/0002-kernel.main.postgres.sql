-- The tree follows the log at its own pace: its cursor has a row of its own, so that following never holds up an append.
create table ledger_tree (
  log bigint primary key references log (id),
  size bigint not null,
  root bytea not null
);
insert into ledger_tree (log, size, root) select log, integrated_size, root from head;
alter table head drop column integrated_size;
alter table head drop column root;

-- Work that is due at a time. A run holds a lease; it ends the job in the transaction of the job's effect.
create table job (
  name text collate "C" primary key,
  task text collate "C" not null,
  -- JSON with ids and numbers, never a secret.
  input text collate "C" not null,
  due_at bigint not null,
  -- The run that holds the job; empty while nobody does.
  lease text collate "C" not null,
  leased_until bigint not null,
  attempts bigint not null,
  -- The error code of the last run that failed.
  failure text collate "C"
);
create index job_due on job (due_at);
insert into job (name, task, input, due_at, lease, leased_until, attempts)
  select 'keys.rotate/' || id, 'keys.rotate',
    '{"dueAt":' || rotation_due_at || ',"key":"' || id || '","tenant":"' || tenant || '","version":' || version || '}',
    rotation_due_at, '', 0, 0
  from key where state = 'active';

-- What is done outside the database: meant, with an entry, before it is done; settled, with an entry, after it.
create table effect (
  id text collate "C" primary key,
  log bigint not null references log (id),
  kind text collate "C" not null,
  -- JSON with ids and numbers, never a secret.
  input text collate "C" not null,
  state text collate "C" not null check (state in ('intended', 'settled')),
  intended_at bigint not null,
  settled_at bigint,
  seal bytea not null
);
create index effect_intended on effect (intended_at) where state = 'intended';

create table person (
  id text collate "C" primary key,
  log bigint not null references log (id),
  name text collate "C" not null,
  login text collate "C" not null,
  state text collate "C" not null check (state in ('invited', 'active', 'left')),
  -- JSON array of roles, in the order of their names.
  roles text collate "C" not null,
  -- The authenticators that are in force.
  password text collate "C",
  totp text collate "C",
  -- Counts the changes of this row, as its entries in the ledger do.
  revision bigint not null,
  created_at bigint not null,
  -- Failed sign-ins in a row, and until when none is tried; not sealed.
  failures bigint not null,
  locked_until bigint not null,
  seal bytea not null,
  unique (log, login)
);

create table authenticator (
  id text collate "C" primary key,
  person text collate "C" not null references person (id),
  type text collate "C" not null check (type in ('password', 'totp')),
  -- Of a password its hash (PHC string), of a one-time-password generator its wrapped secret.
  secret bytea not null,
  -- The time step of the last code that was taken; 0 before the first.
  used_step bigint not null,
  created_at bigint not null,
  seal bytea not null
);
create index authenticator_person on authenticator (person);

create table invitation (
  id text collate "C" primary key,
  log bigint not null references log (id),
  person text collate "C" not null references person (id),
  secret_hash bytea not null,
  -- The generator that the invited person has been shown and has not confirmed yet.
  totp text collate "C" references authenticator (id),
  state text collate "C" not null check (state in ('open', 'used', 'withdrawn')),
  created_at bigint not null,
  expires_at bigint not null,
  seal bytea not null
);
create unique index invitation_secret on invitation (secret_hash);
create index invitation_person on invitation (person);

create table session (
  id text collate "C" primary key,
  log bigint not null references log (id),
  person text collate "C" not null references person (id),
  secret_hash bytea not null,
  -- How many independent factors were shown when it began.
  level bigint not null,
  state text collate "C" not null check (state in ('active', 'ended')),
  created_at bigint not null,
  expires_at bigint not null,
  seal bytea not null
);
create unique index session_secret on session (secret_hash);
create index session_person on session (person);

create table approval (
  id text collate "C" primary key,
  log bigint not null references log (id),
  operation text collate "C" not null,
  -- The request document (docs/formats/signature.md), in the compact form under the log's payload key.
  request bytea not null,
  -- SHA-256 of the request document, in hexadecimal: what people approve.
  hash text collate "C" not null,
  requester text collate "C" not null references person (id),
  -- The password that the requester had then: what was begun before they were invited anew is void.
  requester_password text collate "C" not null,
  needed bigint not null,
  state text collate "C" not null check (state in ('pending', 'approved', 'executed', 'denied', 'cancelled', 'failed')),
  requested_at bigint not null,
  expires_at bigint not null,
  -- The error code of an execution that failed.
  failure text collate "C",
  seal bytea not null
);
create index approval_log on approval (log, requested_at);

create table approval_vote (
  approval text collate "C" not null references approval (id),
  person text collate "C" not null references person (id),
  decision text collate "C" not null check (decision in ('approve', 'deny')),
  voted_at bigint not null,
  signature text collate "C" not null,
  -- The password that the person had then: a decision from before they were invited anew does not count.
  password text collate "C" not null,
  seal bytea not null,
  primary key (approval, person)
);

create table signature (
  id text collate "C" primary key,
  log bigint not null references log (id),
  person text collate "C" not null references person (id),
  -- The signature record (docs/formats/signature.md), and its SHA-256 as the ledger's entry has it.
  record bytea not null,
  hash text collate "C" not null,
  created_at bigint not null,
  seal bytea not null
);
create index signature_log on signature (log, created_at);

-- Whether the keys of a tenant can be used. Every tenant has its row; the server makes those of older tenants at its next start.
create table tenant_seal (
  tenant text collate "C" primary key references tenant (id),
  state text collate "C" not null check (state in ('open', 'sealed')),
  changed_at bigint not null,
  seal bytea not null
);

alter table subject add column state text collate "C" not null default 'active';
