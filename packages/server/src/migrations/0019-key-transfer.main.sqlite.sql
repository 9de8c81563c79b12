-- A key that was made elsewhere: its versions are brought, and it does not rotate by itself. One that may leave, wrapped, where people
-- approve it. Both for good, and, where set, part of what the row's seal covers.
alter table key add column imported integer not null default 0 check (imported in (0, 1));
alter table key add column exportable integer not null default 0 check (exportable in (0, 1));

-- An import that was asked for and not completed yet; the private key that material is wrapped for goes with the row.
create table key_import (
  id text primary key,
  tenant text not null references tenant (id),
  requester text not null,
  token_hash blob not null unique,
  wrapping_algorithm text not null,
  wrapped_key blob not null,
  -- The key that is going to be made, or that gets a version.
  key text not null,
  is_version integer not null check (is_version in (0, 1)),
  system text not null,
  algorithm text not null,
  purpose text not null,
  description text not null,
  exportable integer not null check (exportable in (0, 1)),
  key_expires_at integer,
  -- Requests that named its token; counted before the material is looked at.
  tries integer not null,
  ends_at integer not null,
  seal blob not null
) strict;
create index key_import_tenant on key_import (tenant);

-- Keyed fingerprints of all material that was ever imported or exported, of every tenant; none is taken away.
create table known_material (fingerprint blob primary key) strict, without rowid;

-- Who keys can be exported to.
create table key_destination (
  id text primary key,
  tenant text not null references tenant (id),
  name text not null,
  contact text not null,
  -- SubjectPublicKeyInfo, DER, and its SHA-256.
  public_key blob not null,
  fingerprint text not null,
  state text not null check (state in ('registered', 'retired')),
  registered_by text,
  registered_at integer not null,
  changed_at integer not null,
  seal blob not null
) strict;
create index key_destination_tenant on key_destination (tenant);

-- Keys that were exported, wrapped for their destination, until they are fetched no more.
create table key_export (
  id text primary key,
  tenant text not null references tenant (id),
  key text not null,
  version integer not null,
  destination text not null references key_destination (id),
  fingerprint text not null,
  wrapped blob not null,
  exported_at integer not null,
  ends_at integer not null,
  seal blob not null
) strict;
create index key_export_key on key_export (tenant, key);
