-- What questions are answered from: where each value of each member of the entries stands (questions/postings.ts). It follows the
-- log at its own pace, and is empty here: the server makes it while it runs. A later migration that changes what it holds deletes its
-- rows, and sets the size of every projection to 0.
create table ledger_posting (
  log integer not null references log (id),
  field text not null,
  value text not null,
  -- 4,096 positions of the log.
  chunk integer not null,
  positions blob not null,
  primary key (log, field, value, chunk)
) strict, without rowid;
create table ledger_projection (
  log integer primary key references log (id),
  size integer not null
) strict;

-- What is left of the index follows the tree: where an entry stands, and the time of a place.
create table ledger_place (
  log integer not null references log (id),
  position integer not null,
  entry text not null,
  time integer not null,
  primary key (log, position)
) strict;
insert into ledger_place (log, position, entry, time) select log, position, entry, time from ledger_index;
drop table ledger_index;
alter table ledger_place rename to ledger_index;
create unique index ledger_index_entry on ledger_index (log, entry);

-- Conditions that people ask again and again; nothing is authorised by them.
create table saved_question (
  id text primary key,
  log integer not null references log (id),
  name text not null,
  -- Who saved it: a person or a credential.
  owner text not null,
  -- Canonical JSON.
  question blob not null,
  created_at integer not null,
  unique (log, name)
) strict;
