-- Payloads that were removed after people approved it. The ledger's entry decides; the row says when it was made.
create table ledger_redaction (
  log bigint not null references log (id),
  position bigint not null,
  redacted_at bigint not null,
  primary key (log, position)
);
