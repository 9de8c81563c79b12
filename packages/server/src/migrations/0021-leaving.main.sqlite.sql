-- The erasure of a whole study: it waits until due_at and can be cancelled; then its keys go. A study without a row was never to be erased.
create table study_erasure (
  study text primary key references study (id),
  tenant text not null references tenant (id),
  state text not null check (state in ('waiting', 'cancelled', 'erasing', 'erased')),
  due_at integer not null,
  changed_at integer not null,
  seal blob not null
) strict;
create index study_erasure_tenant on study_erasure (tenant);

-- The leaving of a tenant: one at a time. What is copied out, whether the recipient has opened it, and when its keys go.
create table tenant_exit (
  tenant text primary key references tenant (id),
  id text not null,
  state text not null check (state in ('copying', 'copied', 'confirmed', 'waiting', 'cancelled', 'shredding', 'shredded')),
  -- Whether keys still open what they protected while the tenant leaves.
  uses text not null check (uses in ('process', 'none')),
  -- The public file of the escrow key that pages are sealed to.
  recipient text not null,
  pages integer not null,
  -- How far the copy is; JSON.
  progress text not null,
  -- The hash over what the pages hold in clear, hexadecimal.
  opened text not null,
  -- SHA-256 of the manifest, hexadecimal.
  manifest text,
  due_at integer,
  changed_at integer not null,
  seal blob not null
) strict;

create table tenant_exit_page (
  tenant text not null references tenant_exit (tenant),
  page integer not null,
  part text not null,
  bytes integer not null,
  records integer not null,
  hash text not null,
  primary key (tenant, page)
) strict;

-- The key that seals the tenant's rows, under the instance key, of a tenant whose own key is destroyed.
alter table tenant add column wrapped_row_key blob;
