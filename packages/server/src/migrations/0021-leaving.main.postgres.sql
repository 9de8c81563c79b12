-- The erasure of a whole study: it waits until due_at and can be cancelled; then its keys go. A study without a row was never to be erased.
create table study_erasure (
  study text collate "C" primary key references study (id),
  tenant text collate "C" not null references tenant (id),
  state text collate "C" not null check (state in ('waiting', 'cancelled', 'erasing', 'erased')),
  due_at bigint not null,
  changed_at bigint not null,
  seal bytea not null
);
create index study_erasure_tenant on study_erasure (tenant);

-- The leaving of a tenant: one at a time. What is copied out, whether the recipient has opened it, and when its keys go.
create table tenant_exit (
  tenant text collate "C" primary key references tenant (id),
  id text collate "C" not null,
  state text collate "C" not null check (state in ('copying', 'copied', 'confirmed', 'waiting', 'cancelled', 'shredding', 'shredded')),
  -- Whether keys still open what they protected while the tenant leaves.
  uses text collate "C" not null check (uses in ('process', 'none')),
  -- The public file of the escrow key that pages are sealed to.
  recipient text collate "C" not null,
  pages bigint not null,
  -- How far the copy is; JSON.
  progress text collate "C" not null,
  -- The hash over what the pages hold in clear, hexadecimal.
  opened text collate "C" not null,
  -- SHA-256 of the manifest, hexadecimal.
  manifest text collate "C",
  due_at bigint,
  changed_at bigint not null,
  seal bytea not null
);

create table tenant_exit_page (
  tenant text collate "C" not null references tenant_exit (tenant),
  page bigint not null,
  part text collate "C" not null,
  bytes bigint not null,
  records bigint not null,
  hash text collate "C" not null,
  primary key (tenant, page)
);

-- The key that seals the tenant's rows, under the instance key, of a tenant whose own key is destroyed.
alter table tenant add column wrapped_row_key bytea;
