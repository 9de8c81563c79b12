-- Evidence documents (docs/formats/evidence-document.md): what was made, and the hash of its content as the ledger's entry has it.
create table evidence (
  id text primary key,
  log integer not null references log (id),
  kind text not null,
  hash text not null,
  actor text not null,
  -- How many parts the content lies in.
  parts integer not null,
  -- The time of the ledger's entry, ms.
  made_at integer not null,
  seal blob not null
) strict;
create index evidence_log on evidence (log, made_at);

-- The content, in pieces in the compact form under the log's payload key.
create table evidence_part (
  evidence text not null references evidence (id),
  part integer not null,
  ciphertext blob not null,
  primary key (evidence, part)
) strict;
