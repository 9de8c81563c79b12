-- Tokens of time-stamping authorities under checkpoints (docs/formats/timestamp.md), each of which has been verified.
create table ledger_timestamp (
  log integer not null references log (id),
  size integer not null,
  -- What was stamped: the checkpoint under the log's own signatures.
  note text not null,
  token blob not null,
  -- The URL that was asked.
  authority text not null,
  -- By the authority's clock, ms.
  time integer not null,
  -- By the database's clock, ms.
  created_at integer not null,
  primary key (log, size)
) strict;

-- How the database's clock stands beside those of others, as they showed it last.
create table clock_source (
  source text primary key,
  state text not null check (state in ('within', 'beyond')),
  -- How far ahead the other clock was, ms, beyond what cannot be told.
  offset_ms integer not null,
  observed_at integer not null,
  -- When the ledger last said that the source is beyond the bound.
  alerted_at integer
) strict;
