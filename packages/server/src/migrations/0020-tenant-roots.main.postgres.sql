-- expands: new tables.
-- Hold your own key: tenants whose key is under a root of trust of their own; and who else can open their data.
create table tenant_root (
  tenant text collate "C" primary key references tenant (id),
  -- null: the tenant's key is back under the instance key.
  root text collate "C",
  -- The tenant's key under that root; empty where there is none.
  wrapped_key bytea not null,
  -- The key that seals the tenant's rows, under the instance key: rows can be read and written while the root refuses.
  wrapped_row_key bytea not null,
  lease_seconds bigint not null,
  -- Counts the changes of this row.
  version bigint not null,
  changed_at bigint not null,
  seal bytea not null
);

create table second_recipient (
  id text collate "C" primary key,
  tenant text collate "C" not null references tenant (id),
  name text collate "C" not null,
  study text collate "C" references study (id),
  system text collate "C" references system (id),
  covers text collate "C" not null,
  -- Its public file (docs/formats/escrow-key.md); empty where it was lost with the database.
  file text collate "C" not null,
  state text collate "C" not null,
  registered_at bigint not null,
  changed_at bigint not null,
  seal bytea not null
);
create index second_recipient_tenant on second_recipient (tenant);
