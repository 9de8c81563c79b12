-- The epoch that new rows are wrapped under: what was wrapped under an older one by a slow node is refused.
create table shred_epoch (
  singleton integer primary key check (singleton = 1),
  epoch integer not null,
  -- The id of its key: a node that has another key under the number does not write. Null until the first node says it.
  key text
) strict;
insert into shred_epoch (singleton, epoch) select 1, coalesce(max(epoch), 1) from shreddable_key;

-- The rows of an epoch are found when the next one begins.
create index shreddable_key_epoch on shreddable_key (epoch);
