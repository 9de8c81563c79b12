-- Data keys of such a key are of one subject each, and every use of them is reported (docs/formats/use-receipt.md).
alter table key add column use_logged integer not null default 0;

-- Who reports uses, and how far its chain of receipts has come.
create table use_reporter (
  log integer not null references log (id),
  -- The reporter's public key, in hexadecimal.
  id text not null,
  -- The system whose services bring its receipts; null where whoever does acts for none.
  system text references system (id),
  last_sequence integer not null,
  -- SHA-256 of the last receipt, in hexadecimal.
  last_hash text not null,
  seal blob not null,
  primary key (log, id)
) strict;

-- The receipts that have their entries, so that one that comes again is told from another under its number.
create table use_receipt (
  log integer not null,
  reporter text not null,
  sequence integer not null,
  hash text not null,
  seal blob not null,
  primary key (log, reporter, sequence),
  foreign key (log, reporter) references use_reporter (log, id)
) strict;
