-- Keys that are made in an HSM and stay there: for good, as the key is made. The row of such a version has no secret, and names the token
-- that it was made in.
alter table key add column protection text not null default 'software' check (protection in ('software', 'hsm'));
alter table key_version add column token text;
-- What is looked for in the HSM at start, and counted for the status page.
create index key_in_hsm on key (id) where protection = 'hsm';
