-- Evidence documents (docs/formats/evidence-document.md): what was made, and the hash of its content as the ledger's entry has it.
create table evidence (
  id text collate "C" primary key,
  log bigint not null references log (id),
  kind text collate "C" not null,
  hash text collate "C" not null,
  actor text collate "C" not null,
  -- How many parts the content lies in.
  parts bigint not null,
  -- The time of the ledger's entry, ms.
  made_at bigint not null,
  seal bytea not null
);
create index evidence_log on evidence (log, made_at);

-- The content, in pieces in the compact form under the log's payload key.
create table evidence_part (
  evidence text collate "C" not null references evidence (id),
  part bigint not null,
  ciphertext bytea not null,
  primary key (evidence, part)
);
