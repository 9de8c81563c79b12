-- Plans of audit-trail reviews, and the reviews made under them (docs/formats/audit-review.md).
create table review_plan (
  id text collate "C" primary key,
  log bigint not null references log (id),
  name text collate "C" not null,
  -- Canonical JSON: what, how often, how thoroughly, by whom, and the hash of why.
  definition bytea not null,
  rationale bytea not null,
  -- Who planned or last changed it: a person or a credential.
  author text collate "C" not null,
  state text collate "C" not null,
  version bigint not null,
  -- Where the next review begins; it moves in the transaction that opens one.
  covered bigint not null,
  due_at bigint not null,
  created_at bigint not null,
  seal bytea not null
);
create index review_plan_log on review_plan (log);

create table review (
  id text collate "C" primary key,
  log bigint not null references log (id),
  plan text collate "C" not null references review_plan (id),
  -- The plan as it was when this was opened.
  plan_version bigint not null,
  author text collate "C" not null,
  definition bytea not null,
  from_size bigint not null,
  to_size bigint not null,
  -- The first place that was not archived.
  first bigint not null,
  root text collate "C" not null,
  checkpoint text collate "C" not null,
  matched bigint not null,
  per_mille bigint not null,
  opened_at bigint not null,
  opened_by text collate "C",
  due_at bigint not null,
  overdue_at bigint,
  state text collate "C" not null,
  reviewer text collate "C",
  outcome text collate "C",
  conclusion bytea,
  conclusion_hash text collate "C",
  -- The document that was signed, and its hash.
  record bytea,
  hash text collate "C",
  signature text collate "C",
  closed_at bigint,
  seal bytea not null,
  unique (plan, from_size)
);
create index review_log on review (log, opened_at, id);

create table review_comment (
  id text collate "C" primary key,
  log bigint not null references log (id),
  review text collate "C" not null references review (id),
  position bigint not null,
  entry text collate "C" not null,
  -- The subject under whose key the comment lies; null where it is the log's.
  subject text collate "C",
  author text collate "C" not null,
  mark text collate "C" not null,
  own bigint not null,
  document bytea not null,
  hash text collate "C" not null,
  made_at bigint not null,
  seal bytea not null
);
create index review_comment_review on review_comment (review, position);

-- How far each person has been shown a review.
create table review_reading (
  review text collate "C" not null references review (id),
  person text collate "C" not null,
  below bigint not null,
  presented bigint not null,
  -- The first place that was not archived when the person came to it.
  first bigint not null,
  seal bytea not null,
  primary key (review, person)
);
