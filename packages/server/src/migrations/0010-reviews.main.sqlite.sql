-- Plans of audit-trail reviews, and the reviews made under them (docs/formats/audit-review.md).
create table review_plan (
  id text primary key,
  log integer not null references log (id),
  name text not null,
  -- Canonical JSON: what, how often, how thoroughly, by whom, and the hash of why.
  definition blob not null,
  rationale blob not null,
  -- Who planned or last changed it: a person or a credential.
  author text not null,
  state text not null,
  version integer not null,
  -- Where the next review begins; it moves in the transaction that opens one.
  covered integer not null,
  due_at integer not null,
  created_at integer not null,
  seal blob not null
) strict;
create index review_plan_log on review_plan (log);

create table review (
  id text primary key,
  log integer not null references log (id),
  plan text not null references review_plan (id),
  -- The plan as it was when this was opened.
  plan_version integer not null,
  author text not null,
  definition blob not null,
  from_size integer not null,
  to_size integer not null,
  -- The first place that was not archived.
  first integer not null,
  root text not null,
  checkpoint text not null,
  matched integer not null,
  per_mille integer not null,
  opened_at integer not null,
  opened_by text,
  due_at integer not null,
  overdue_at integer,
  state text not null,
  reviewer text,
  outcome text,
  conclusion blob,
  conclusion_hash text,
  -- The document that was signed, and its hash.
  record blob,
  hash text,
  signature text,
  closed_at integer,
  seal blob not null,
  unique (plan, from_size)
) strict;
create index review_log on review (log, opened_at, id);

create table review_comment (
  id text primary key,
  log integer not null references log (id),
  review text not null references review (id),
  position integer not null,
  entry text not null,
  -- The subject under whose key the comment lies; null where it is the log's.
  subject text,
  author text not null,
  mark text not null,
  own integer not null,
  document blob not null,
  hash text not null,
  made_at integer not null,
  seal blob not null
) strict;
create index review_comment_review on review_comment (review, position);

-- How far each person has been shown a review.
create table review_reading (
  review text not null references review (id),
  person text not null,
  below integer not null,
  presented integer not null,
  -- The first place that was not archived when the person came to it.
  first integer not null,
  seal blob not null,
  primary key (review, person)
) strict;
