-- The shred store: keys whose loss is forgetting. Kept apart from the database, and in no long-lived backup of it.

create table shreddable_key (
  id text primary key,
  tenant text not null,
  kind text not null check (kind in ('study', 'subject')),
  version text not null,
  epoch integer not null,
  wrapped_secret blob not null
) strict;
