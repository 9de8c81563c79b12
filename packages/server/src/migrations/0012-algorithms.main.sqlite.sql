-- SubjectPublicKeyInfo, DER, of a version whose key is a pair; null for symmetric keys.
alter table key_version add column public_key blob;
