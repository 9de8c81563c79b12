-- Data keys of such a key are of one subject each, and every use of them is reported (docs/formats/use-receipt.md).
alter table key add column use_logged bigint not null default 0;

-- Who reports uses, and how far its chain of receipts has come.
create table use_reporter (
  log bigint not null references log (id),
  -- The reporter's public key, in hexadecimal.
  id text collate "C" not null,
  -- The system whose services bring its receipts; null where whoever does acts for none.
  system text collate "C" references system (id),
  last_sequence bigint not null,
  -- SHA-256 of the last receipt, in hexadecimal.
  last_hash text collate "C" not null,
  seal bytea not null,
  primary key (log, id)
);

-- The receipts that have their entries, so that one that comes again is told from another under its number.
create table use_receipt (
  log bigint not null,
  reporter text collate "C" not null,
  sequence bigint not null,
  hash text collate "C" not null,
  seal bytea not null,
  primary key (log, reporter, sequence),
  foreign key (log, reporter) references use_reporter (log, id)
);
