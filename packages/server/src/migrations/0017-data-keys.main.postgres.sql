-- Wrapped data keys that services have had registered, so that they are wrapped anew after a rotation of the key. Each authenticates
-- itself: a row that was changed does not open.
create table data_key (
  key text collate "C" not null references key (id),
  -- SHA-256 of the data key as it was first wrapped.
  reference bytea not null,
  -- The version of the key that it is wrapped under now.
  version bigint not null,
  wrapped bytea not null,
  -- The encryption context, in the encoding of docs/formats/compact.md.
  context bytea not null,
  -- The subject in the context, whose erasure takes the row along.
  subject text collate "C",
  registered_at bigint not null,
  primary key (key, reference)
);
create index data_key_of_subject on data_key (subject) where subject is not null;

-- How many data keys of a key are registered, and the version that a rewrap was last begun towards.
create table data_key_registry (
  key text collate "C" primary key references key (id),
  log bigint not null references log (id),
  registered bigint not null,
  aimed_version bigint not null
);

create table rewrap (
  id text collate "C" primary key,
  log bigint not null references log (id),
  key text collate "C" not null references key (id),
  -- The version that all become wrapped under.
  version bigint not null,
  state text collate "C" not null,
  -- The state of the key that stopped it.
  cause text collate "C",
  -- Shares that workers take one by one.
  parts bigint not null,
  -- Data keys that were registered when it began.
  total bigint not null,
  begun_at bigint not null,
  -- How long it was running before it last began to, ms; and when that was, where it is running.
  worked_ms bigint not null,
  running_since bigint,
  ended_at bigint
);
create index rewrap_of_log on rewrap (log, begun_at, id);
create index rewrap_of_key on rewrap (key, state);

-- A share of a rewrap, by the first byte of the reference: one worker's.
create table rewrap_part (
  rewrap text collate "C" not null references rewrap (id),
  part bigint not null,
  -- The reference that was looked at last; null before the first.
  behind bytea,
  rewrapped bigint not null,
  -- Already under the version, or gone.
  passed bigint not null,
  failed bigint not null,
  -- Under a version that is gone, or whose time to process is over.
  lost bigint not null,
  -- SHA-256 over the hashes of its batches so far, in hexadecimal.
  hash text collate "C" not null,
  ended_at bigint,
  primary key (rewrap, part)
);
