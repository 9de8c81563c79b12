-- Who cosigns a log, and whether results of key use wait for them (docs/how-to/witness-a-ledger.md).
create table witnessing_policy (
  log integer primary key references log (id),
  -- C2SP tlog-policy, and the mirrors as a JSON array of name, key and url.
  policy text not null,
  mirrors text not null,
  mode text not null,
  bound_ms integer not null,
  version integer not null,
  -- SHA-256 of the canonical JSON of the four above, in hexadecimal.
  hash text not null,
  changed_at integer not null,
  seal blob not null
) strict;

-- How far a log is witnessed under its present policy.
create table witnessing_progress (
  log integer primary key references log (id),
  -- The checkpoint that the cosigners were last asked about.
  round_size integer not null,
  round_at integer not null,
  -- Entries under the newest checkpoint that meets the quorum.
  witnessed_size integer not null,
  -- Since when results of key use are withheld, as the ledger says; null where they are not.
  withheld_since integer,
  seal blob not null
) strict;

-- What is known of each witness and mirror; nothing is decided by it but when to ask again.
create table witnessing_cosigner (
  log integer not null references log (id),
  -- Key name and key id.
  cosigner text not null,
  -- Entries that it is known to have seen, and under its newest cosignature.
  seen_size integer not null,
  size integer not null,
  -- By its own clock, seconds since 1970; null where it has cosigned nothing.
  cosigned_at integer,
  failure text,
  failing_since integer,
  failures integer not null,
  -- Not asked again before.
  next_at integer not null,
  primary key (log, cosigner)
) strict;

-- Signature lines of witnesses and mirrors, each of which has been verified.
create table ledger_cosignature (
  log integer not null references log (id),
  size integer not null,
  cosigner text not null,
  line text not null,
  time integer not null,
  primary key (log, size, cosigner)
) strict;
