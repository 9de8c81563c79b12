-- What questions are answered from: where each value of each member of the entries stands (questions/postings.ts). It follows the
-- log at its own pace, and is empty here: the server makes it while it runs. A later migration that changes what it holds deletes its
-- rows, and sets the size of every projection to 0.
create table ledger_posting (
  log bigint not null references log (id),
  field text collate "C" not null,
  value text collate "C" not null,
  -- 4,096 positions of the log.
  chunk bigint not null,
  positions bytea not null,
  primary key (log, field, value, chunk)
) with (fillfactor = 80);
create table ledger_projection (
  log bigint primary key references log (id),
  size bigint not null
);

-- What is left of the index follows the tree: where an entry stands, and the time of a place.
drop index ledger_index_subject;
drop index ledger_index_key;
drop index ledger_index_operation;
drop index ledger_index_time;
alter table ledger_index drop column operation;
alter table ledger_index drop column outcome;
alter table ledger_index drop column actor;
alter table ledger_index drop column key;
alter table ledger_index drop column study;
alter table ledger_index drop column system;
alter table ledger_index drop column subject;
alter table ledger_index drop column class;

-- Conditions that people ask again and again; nothing is authorised by them.
create table saved_question (
  id text collate "C" primary key,
  log bigint not null references log (id),
  name text collate "C" not null,
  -- Who saved it: a person or a credential.
  owner text collate "C" not null,
  -- Canonical JSON.
  question bytea not null,
  created_at bigint not null,
  unique (log, name)
);
