-- The tree follows the log at its own pace: its cursor has a row of its own, so that following never holds up an append.
create table ledger_tree (
  log integer primary key references log (id),
  size integer not null,
  root blob not null
) strict;
insert into ledger_tree (log, size, root) select log, integrated_size, root from head;
alter table head drop column integrated_size;
alter table head drop column root;

-- Work that is due at a time. A run holds a lease; it ends the job in the transaction of the job's effect.
create table job (
  name text primary key,
  task text not null,
  -- JSON with ids and numbers, never a secret.
  input text not null,
  due_at integer not null,
  -- The run that holds the job; empty while nobody does.
  lease text not null,
  leased_until integer not null,
  attempts integer not null,
  -- The error code of the last run that failed.
  failure text
) strict;
create index job_due on job (due_at);
insert into job (name, task, input, due_at, lease, leased_until, attempts)
  select 'keys.rotate/' || id, 'keys.rotate',
    '{"dueAt":' || rotation_due_at || ',"key":"' || id || '","tenant":"' || tenant || '","version":' || version || '}',
    rotation_due_at, '', 0, 0
  from key where state = 'active';

-- What is done outside the database: meant, with an entry, before it is done; settled, with an entry, after it.
create table effect (
  id text primary key,
  log integer not null references log (id),
  kind text not null,
  -- JSON with ids and numbers, never a secret.
  input text not null,
  state text not null check (state in ('intended', 'settled')),
  intended_at integer not null,
  settled_at integer,
  seal blob not null
) strict;
create index effect_intended on effect (intended_at) where state = 'intended';

create table person (
  id text primary key,
  log integer not null references log (id),
  name text not null,
  login text not null,
  state text not null check (state in ('invited', 'active', 'left')),
  -- JSON array of roles, in the order of their names.
  roles text not null,
  -- The authenticators that are in force.
  password text,
  totp text,
  -- Counts the changes of this row, as its entries in the ledger do.
  revision integer not null,
  created_at integer not null,
  -- Failed sign-ins in a row, and until when none is tried; not sealed.
  failures integer not null,
  locked_until integer not null,
  seal blob not null,
  unique (log, login)
) strict;

create table authenticator (
  id text primary key,
  person text not null references person (id),
  type text not null check (type in ('password', 'totp')),
  -- Of a password its hash (PHC string), of a one-time-password generator its wrapped secret.
  secret blob not null,
  -- The time step of the last code that was taken; 0 before the first.
  used_step integer not null,
  created_at integer not null,
  seal blob not null
) strict;
create index authenticator_person on authenticator (person);

create table invitation (
  id text primary key,
  log integer not null references log (id),
  person text not null references person (id),
  secret_hash blob not null,
  -- The generator that the invited person has been shown and has not confirmed yet.
  totp text references authenticator (id),
  state text not null check (state in ('open', 'used', 'withdrawn')),
  created_at integer not null,
  expires_at integer not null,
  seal blob not null
) strict;
create unique index invitation_secret on invitation (secret_hash);
create index invitation_person on invitation (person);

create table session (
  id text primary key,
  log integer not null references log (id),
  person text not null references person (id),
  secret_hash blob not null,
  -- How many independent factors were shown when it began.
  level integer not null,
  state text not null check (state in ('active', 'ended')),
  created_at integer not null,
  expires_at integer not null,
  seal blob not null
) strict;
create unique index session_secret on session (secret_hash);
create index session_person on session (person);

create table approval (
  id text primary key,
  log integer not null references log (id),
  operation text not null,
  -- The request document (docs/formats/signature.md), in the compact form under the log's payload key.
  request blob not null,
  -- SHA-256 of the request document, in hexadecimal: what people approve.
  hash text not null,
  requester text not null references person (id),
  -- The password that the requester had then: what was begun before they were invited anew is void.
  requester_password text not null,
  needed integer not null,
  state text not null check (state in ('pending', 'approved', 'executed', 'denied', 'cancelled', 'failed')),
  requested_at integer not null,
  expires_at integer not null,
  -- The error code of an execution that failed.
  failure text,
  seal blob not null
) strict;
create index approval_log on approval (log, requested_at);

create table approval_vote (
  approval text not null references approval (id),
  person text not null references person (id),
  decision text not null check (decision in ('approve', 'deny')),
  voted_at integer not null,
  signature text not null,
  -- The password that the person had then: a decision from before they were invited anew does not count.
  password text not null,
  seal blob not null,
  primary key (approval, person)
) strict;

create table signature (
  id text primary key,
  log integer not null references log (id),
  person text not null references person (id),
  -- The signature record (docs/formats/signature.md), and its SHA-256 as the ledger's entry has it.
  record blob not null,
  hash text not null,
  created_at integer not null,
  seal blob not null
) strict;
create index signature_log on signature (log, created_at);

-- Whether the keys of a tenant can be used. Every tenant has its row; the server makes those of older tenants at its next start.
create table tenant_seal (
  tenant text primary key references tenant (id),
  state text not null check (state in ('open', 'sealed')),
  changed_at integer not null,
  seal blob not null
) strict;

alter table subject add column state text not null default 'active';
