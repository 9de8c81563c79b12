-- Tokens of time-stamping authorities under checkpoints (docs/formats/timestamp.md), each of which has been verified.
create table ledger_timestamp (
  log bigint not null references log (id),
  size bigint not null,
  -- What was stamped: the checkpoint under the log's own signatures.
  note text collate "C" not null,
  token bytea not null,
  -- The URL that was asked.
  authority text collate "C" not null,
  -- By the authority's clock, ms.
  time bigint not null,
  -- By the database's clock, ms.
  created_at bigint not null,
  primary key (log, size)
);

-- How the database's clock stands beside those of others, as they showed it last.
create table clock_source (
  source text collate "C" primary key,
  state text collate "C" not null check (state in ('within', 'beyond')),
  -- How far ahead the other clock was, ms, beyond what cannot be told.
  offset_ms bigint not null,
  observed_at bigint not null,
  -- When the ledger last said that the source is beyond the bound.
  alerted_at bigint
);
