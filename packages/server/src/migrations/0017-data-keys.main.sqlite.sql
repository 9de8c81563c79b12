-- Wrapped data keys that services have had registered, so that they are wrapped anew after a rotation of the key. Each authenticates
-- itself: a row that was changed does not open.
create table data_key (
  key text not null references key (id),
  -- SHA-256 of the data key as it was first wrapped.
  reference blob not null,
  -- The version of the key that it is wrapped under now.
  version integer not null,
  wrapped blob not null,
  -- The encryption context, in the encoding of docs/formats/compact.md.
  context blob not null,
  -- The subject in the context, whose erasure takes the row along.
  subject text,
  registered_at integer not null,
  primary key (key, reference)
) strict, without rowid;
create index data_key_of_subject on data_key (subject) where subject is not null;

-- How many data keys of a key are registered, and the version that a rewrap was last begun towards.
create table data_key_registry (
  key text primary key references key (id),
  log integer not null references log (id),
  registered integer not null,
  aimed_version integer not null
) strict;

create table rewrap (
  id text primary key,
  log integer not null references log (id),
  key text not null references key (id),
  -- The version that all become wrapped under.
  version integer not null,
  state text not null,
  -- The state of the key that stopped it.
  cause text,
  -- Shares that workers take one by one.
  parts integer not null,
  -- Data keys that were registered when it began.
  total integer not null,
  begun_at integer not null,
  -- How long it was running before it last began to, ms; and when that was, where it is running.
  worked_ms integer not null,
  running_since integer,
  ended_at integer
) strict;
create index rewrap_of_log on rewrap (log, begun_at, id);
create index rewrap_of_key on rewrap (key, state);

-- A share of a rewrap, by the first byte of the reference: one worker's.
create table rewrap_part (
  rewrap text not null references rewrap (id),
  part integer not null,
  -- The reference that was looked at last; null before the first.
  behind blob,
  rewrapped integer not null,
  -- Already under the version, or gone.
  passed integer not null,
  failed integer not null,
  -- Under a version that is gone, or whose time to process is over.
  lost integer not null,
  -- SHA-256 over the hashes of its batches so far, in hexadecimal.
  hash text not null,
  ended_at integer,
  primary key (rewrap, part)
) strict, without rowid;
