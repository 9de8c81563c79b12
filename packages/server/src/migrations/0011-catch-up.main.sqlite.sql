-- Logs that have got forgotten entries from a mirror, and whose rows have not been brought in line with them yet: no key is used.
create table catch_up (
  log integer primary key references log (id)
) strict;
