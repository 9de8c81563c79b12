-- The orders that the inventory of keys is read in, page by page.
create index key_created on key (tenant, created_at, id);
create index key_rotation_due on key (tenant, rotation_due_at, id);
create index key_expires on key (tenant, expires_at, id) where expires_at is not null;
-- What the metrics count, without reading the keys themselves.
create index key_states on key (state, activates_at, expires_at, rotation_due_at);
