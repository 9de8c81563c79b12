-- expands: new tables.
-- Hold your own key: tenants whose key is under a root of trust of their own; and who else can open their data.
create table tenant_root (
  tenant text primary key references tenant (id),
  -- null: the tenant's key is back under the instance key.
  root text,
  -- The tenant's key under that root; empty where there is none.
  wrapped_key blob not null,
  -- The key that seals the tenant's rows, under the instance key: rows can be read and written while the root refuses.
  wrapped_row_key blob not null,
  lease_seconds integer not null,
  -- Counts the changes of this row.
  version integer not null,
  changed_at integer not null,
  seal blob not null
) strict;

create table second_recipient (
  id text primary key,
  tenant text not null references tenant (id),
  name text not null,
  study text references study (id),
  system text references system (id),
  covers text not null,
  -- Its public file (docs/formats/escrow-key.md); empty where it was lost with the database.
  file text not null,
  state text not null,
  registered_at integer not null,
  changed_at integer not null,
  seal blob not null
) strict;
create index second_recipient_tenant on second_recipient (tenant);
