-- Who cosigns a log, and whether results of key use wait for them (docs/how-to/witness-a-ledger.md).
create table witnessing_policy (
  log bigint primary key references log (id),
  -- C2SP tlog-policy, and the mirrors as a JSON array of name, key and url.
  policy text collate "C" not null,
  mirrors text collate "C" not null,
  mode text collate "C" not null,
  bound_ms bigint not null,
  version bigint not null,
  -- SHA-256 of the canonical JSON of the four above, in hexadecimal.
  hash text collate "C" not null,
  changed_at bigint not null,
  seal bytea not null
);

-- How far a log is witnessed under its present policy.
create table witnessing_progress (
  log bigint primary key references log (id),
  -- The checkpoint that the cosigners were last asked about.
  round_size bigint not null,
  round_at bigint not null,
  -- Entries under the newest checkpoint that meets the quorum.
  witnessed_size bigint not null,
  -- Since when results of key use are withheld, as the ledger says; null where they are not.
  withheld_since bigint,
  seal bytea not null
);

-- What is known of each witness and mirror; nothing is decided by it but when to ask again.
create table witnessing_cosigner (
  log bigint not null references log (id),
  -- Key name and key id.
  cosigner text collate "C" not null,
  -- Entries that it is known to have seen, and under its newest cosignature.
  seen_size bigint not null,
  size bigint not null,
  -- By its own clock, seconds since 1970; null where it has cosigned nothing.
  cosigned_at bigint,
  failure text collate "C",
  failing_since bigint,
  failures bigint not null,
  -- Not asked again before.
  next_at bigint not null,
  primary key (log, cosigner)
);

-- Signature lines of witnesses and mirrors, each of which has been verified.
create table ledger_cosignature (
  log bigint not null references log (id),
  size bigint not null,
  cosigner text collate "C" not null,
  line text collate "C" not null,
  time bigint not null,
  primary key (log, size, cosigner)
);
