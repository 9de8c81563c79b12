-- The secret of a credential that signs its requests, wrapped under the instance key; null: a bearer secret, of which there is the hash alone.
alter table credential add column wrapped_secret blob;
