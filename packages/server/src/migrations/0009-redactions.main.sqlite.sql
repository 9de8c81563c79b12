-- Payloads that were removed after people approved it. The ledger's entry decides; the row says when it was made.
create table ledger_redaction (
  log integer not null references log (id),
  position integer not null,
  redacted_at integer not null,
  primary key (log, position)
) strict;
