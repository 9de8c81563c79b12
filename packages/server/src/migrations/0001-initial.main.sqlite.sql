-- Times are milliseconds since 1970 (UTC); ids are UUIDs in lower case; aliases are 32 hex digits.

create table instance (
  singleton integer primary key check (singleton = 1),
  id text not null,
  profile text not null,
  region text not null,
  origin text not null,
  root_id text not null,
  wrapped_key blob not null,
  created_at integer not null
) strict;

create table tenant (
  id text primary key,
  account text not null unique,
  name text not null unique,
  key_version text not null,
  wrapped_key blob not null,
  created_at integer not null
) strict;

-- One log per tenant, and one for the instance (tenant is null).
create table log (
  id integer primary key,
  tenant text unique references tenant (id),
  origin text not null unique,
  verifier_key text not null,
  wrapped_signing_key blob not null,
  payload_key_version text not null,
  wrapped_payload_key blob not null
) strict;

-- The one lock: the size of the log, and the epoch of everything that an authorisation can read.
create table head (
  log integer primary key references log (id),
  size integer not null,
  epoch integer not null,
  time integer not null,
  integrated_size integer not null,
  root blob not null
) strict;

create table ledger_entry (
  log integer not null references log (id),
  position integer not null,
  bytes blob not null,
  primary key (log, position)
) strict;

create table ledger_payload (
  log integer not null,
  position integer not null,
  ciphertext blob not null,
  primary key (log, position)
) strict;

create table ledger_tile (
  log integer not null references log (id),
  level integer not null,
  tile integer not null,
  hashes blob not null,
  primary key (log, level, tile)
) strict;

create table ledger_checkpoint (
  log integer not null references log (id),
  size integer not null,
  note text not null,
  created_at integer not null,
  primary key (log, size)
) strict;

-- What questions are answered from: a projection of the log up to the head's integrated size.
create table ledger_index (
  log integer not null references log (id),
  position integer not null,
  entry text not null,
  time integer not null,
  operation text not null,
  outcome text not null,
  actor text,
  key text,
  study text,
  system text,
  subject text,
  class text,
  primary key (log, position)
) strict;
create unique index ledger_index_entry on ledger_index (log, entry);
create index ledger_index_subject on ledger_index (log, subject, position) where subject is not null;
create index ledger_index_key on ledger_index (log, key, position) where key is not null;
create index ledger_index_operation on ledger_index (log, operation, position);
create index ledger_index_time on ledger_index (log, time, position);

create table study (
  id text primary key,
  tenant text not null references tenant (id),
  protocol text not null,
  title text not null,
  created_at integer not null,
  unique (tenant, protocol)
) strict;

create table system (
  id text primary key,
  tenant text not null references tenant (id),
  name text not null,
  type text not null,
  vendor text not null,
  created_at integer not null,
  unique (tenant, name)
) strict;

create table subject (
  tenant text not null references tenant (id),
  study text not null references study (id),
  alias text not null,
  -- The site's number of the participant, in the compact form under the subject's own key.
  number_ciphertext blob not null,
  created_at integer not null,
  primary key (study, alias)
) strict;

create table credential (
  id text primary key,
  log integer not null references log (id),
  name text not null,
  role text not null,
  system text references system (id),
  secret_hash blob not null,
  state text not null,
  created_at integer not null,
  expires_at integer,
  -- MAC under the tenant's (or the instance's) row key, so that a row changed behind the server is not believed.
  seal blob not null
) strict;
create index credential_log on credential (log);
create unique index credential_secret on credential (secret_hash);

create table credential_key (
  credential text not null references credential (id),
  key text not null references key (id),
  seal blob not null,
  primary key (credential, key)
) strict;

create table key (
  id text primary key,
  tenant text not null references tenant (id),
  system text not null references system (id),
  description text not null,
  algorithm text not null,
  purpose text not null,
  state text not null,
  version integer not null,
  created_at integer not null,
  activates_at integer,
  expires_at integer,
  rotation_period_days integer not null,
  rotation_due_at integer not null,
  revocation_cause text,
  revoked_at integer,
  seal blob not null
) strict;
create index key_tenant on key (tenant, system);

create table key_version (
  id text primary key,
  key text not null references key (id),
  version integer not null,
  wrapped_secret blob not null,
  created_at integer not null,
  -- The wrapped secret is bound to its id; the seal binds the id to its number.
  seal blob not null,
  unique (key, version)
) strict;
