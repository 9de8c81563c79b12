-- The shred store: keys whose loss is forgetting. Kept apart from the database, and in no long-lived backup of it.

create table shreddable_key (
  id text collate "C" primary key,
  tenant text collate "C" not null,
  kind text collate "C" not null check (kind in ('study', 'subject')),
  version text collate "C" not null,
  epoch bigint not null,
  wrapped_secret bytea not null
);
