import { Type } from 'typebox';
import type { TSchema } from 'typebox';
import { entryKinds } from './conditions.ts';
import { define } from './operation.ts';
import { reviewPlanOperations, reviewRisks } from './review-plans.ts';
import {
  closed,
  cursor,
  label,
  nextCursor,
  reason,
  sha256Hex,
  signatureComponents,
  time,
  uuid,
} from './schemas.ts';

/** `overdue` follows from the date; the others are stored. */
export const reviewStates = ['open', 'overdue', 'closed'] as const;
export const reviewMarks = ['noted', 'questioned'] as const;
export type ReviewMark = (typeof reviewMarks)[number];
export const reviewOutcomes = ['no-findings', 'findings'] as const;
export type ReviewOutcome = (typeof reviewOutcomes)[number];
/** Entries that one request shows or comments on, at most. */
export const maxReviewPage = 200;
export const maxCommented = 100;

const index = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Place in the log' });
const size = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const text = reason;
const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const review = Type.Object(
  {
    id: uuid,
    plan: uuid,
    planVersion: Type.Integer({ minimum: 1 }),
    name: label,
    risk: Type.Enum(reviewRisks),
    state: Type.Enum(reviewStates),
    from: index,
    to: size,
    root: Type.String({ description: 'Of the log at `to`, base64' }),
    matched: size,
    perMille: Type.Integer({ minimum: 1, maximum: 1000, description: 'The share that has to be presented' }),
    openedAt: time,
    openedBy: orNull(uuid),
    dueAt: time,
    overdueAt: orNull(time),
    reviewer: orNull(uuid),
    outcome: Type.Union([Type.Enum(reviewOutcomes), Type.Null()]),
    hash: orNull(sha256Hex),
    signature: orNull(uuid),
    closedAt: orNull(time),
  },
  closed,
);
const shown = Type.Object(
  {
    review,
    record: Type.Union([Type.String(), Type.Null()], {
      description: 'Canonical JSON, once it is concluded; its SHA-256 is the hash that is signed',
    }),
    hash: orNull(sha256Hex),
    conclusion: Type.Union([Type.String(), Type.Null()], {
      description: 'Canonical JSON; its hash is in the record; null where there is none, or it does not open',
    }),
    readings: Type.Array(
      Type.Object(
        { person: uuid, presented: size, below: size, isComplete: Type.Boolean() },
        { ...closed, description: 'What each person has been shown: so many entries, up to this place' },
      ),
    ),
  },
  closed,
);

const change = { effect: 'change', keepsEpoch: true, record: 'entry', requirements: ['URS-040'] } as const;
const read = { effect: 'read', record: 'entry', reason: 'none', requirements: ['URS-040'] } as const;

const lookingOperations = {
  'reviews.list': define({
    ...read,
    id: 'reviews.list',
    summary: 'List audit-trail reviews with their states, a page at a time',
    method: 'GET',
    path: '/v1/reviews',
    input: Type.Object(
      {
        state: Type.Optional(Type.Enum(reviewStates)),
        plan: Type.Optional(uuid),
        cursor: Type.Optional(cursor),
      },
      closed,
    ),
    output: Type.Object({ reviews: Type.Array(review), next: nextCursor }, closed),
    permission: 'ledger:read',
    recorded: ['state', 'plan'],
    errors: [],
  }),
  'reviews.show': define({
    ...read,
    id: 'reviews.show',
    summary: 'Show an audit-trail review, who has been shown how much of it, and the record that is signed',
    method: 'GET',
    path: '/v1/reviews/{review}',
    input: Type.Object({ review: uuid }, closed),
    output: shown,
    permission: 'ledger:read',
    recorded: [],
    errors: ['review.unknown'],
  }),
  'reviews.comments': define({
    ...read,
    id: 'reviews.comments',
    summary: 'List what was said about entries of an audit-trail review, a page at a time',
    method: 'GET',
    path: '/v1/reviews/{review}/comments',
    input: Type.Object({ review: uuid, cursor: Type.Optional(cursor) }, closed),
    output: Type.Object(
      {
        comments: Type.Array(
          Type.Object(
            {
              id: uuid,
              index,
              entry: uuid,
              author: uuid,
              mark: Type.Enum(reviewMarks),
              own: Type.Boolean(),
              hash: sha256Hex,
              document: Type.Union([Type.String(), Type.Null()], {
                description: 'Canonical JSON; null where its key was destroyed or it was altered',
              }),
              madeAt: time,
            },
            closed,
          ),
        ),
        next: nextCursor,
      },
      closed,
    ),
    permission: 'ledger:read',
    recorded: [],
    errors: ['review.unknown'],
  }),
} as const;

const doing = { ...change, permission: 'reviews:do', personOnly: true } as const;
const doingErrors = ['review.unknown', 'review.closed', 'review.not_reviewer'] as const;

const reviewingOperations = {
  'reviews.open': define({
    ...change,
    id: 'reviews.open',
    summary: 'Open the next review of a plan now, up to the newest entry',
    method: 'POST',
    path: '/v1/review-plans/{plan}/open',
    input: Type.Object({ plan: uuid, reason }, closed),
    output: review,
    permission: 'reviews:manage',
    recorded: ['reason'],
    reason: 'required',
    errors: ['review.plan_unknown', 'review.plan_ended', 'review.nothing_new', 'question.indexing'],
  }),
  'reviews.entries': define({
    ...doing,
    id: 'reviews.entries',
    summary:
      'Be shown the entries of a review, in order; what has been shown is kept, and a review closes only behind the last',
    method: 'POST',
    path: '/v1/reviews/{review}/entries',
    input: Type.Object(
      {
        review: uuid,
        from: Type.Optional(index),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maxReviewPage, default: 100 })),
      },
      closed,
    ),
    output: Type.Object(
      {
        entries: Type.Array(
          Type.Object(
            {
              index,
              kind: Type.Enum(entryKinds),
              entry: Type.String({ description: 'Canonical JSON, as hashed' }),
              own: Type.Boolean({ description: 'Whether the caller was the actor' }),
              marks: size,
            },
            closed,
          ),
        ),
        next: Type.Union([index, Type.Null()], {
          description: 'Where the next page begins; null behind the last',
        }),
        presented: size,
      },
      closed,
    ),
    recorded: ['from', 'limit'],
    reason: 'none',
    errors: [...doingErrors, 'review.out_of_order', 'question.indexing'],
  }),
  'reviews.comment': define({
    ...doing,
    id: 'reviews.comment',
    summary: 'Comment on entries of a review, or question them and say what follows',
    method: 'POST',
    path: '/v1/reviews/{review}/comment',
    input: Type.Object(
      {
        review: uuid,
        entries: Type.Array(uuid, { minItems: 1, maxItems: maxCommented, uniqueItems: true }),
        mark: Type.Enum(reviewMarks),
        comment: text,
        followUp: Type.Optional(text),
        own: Type.Optional(
          Type.Boolean({ description: 'Declares that the caller was the actor of all these entries' }),
        ),
      },
      closed,
    ),
    output: Type.Object(
      { comments: Type.Array(Type.Object({ id: uuid, index, entry: uuid, hash: sha256Hex }, closed)) },
      closed,
    ),
    recorded: ['entries', 'mark', 'own'],
    reason: 'none',
    errors: [
      ...doingErrors,
      'review.entry_foreign',
      'review.own_entry',
      'review.follow_up',
      'review.too_many',
    ],
  }),
  'reviews.conclude': define({
    ...doing,
    id: 'reviews.conclude',
    summary:
      'Conclude a review: what came of it, in a word and in sentences; that makes the record that is signed',
    method: 'POST',
    path: '/v1/reviews/{review}/conclude',
    input: Type.Object({ review: uuid, outcome: Type.Enum(reviewOutcomes), conclusion: text }, closed),
    output: shown,
    recorded: ['outcome'],
    reason: 'none',
    errors: [
      ...doingErrors,
      'review.own_plan',
      'review.contradicts',
      'review.unread',
      'review.own_entry',
      'question.indexing',
    ],
  }),
  'reviews.close': define({
    ...change,
    id: 'reviews.close',
    summary: 'Sign the record of a review, which closes it',
    method: 'POST',
    path: '/v1/reviews/{review}/close',
    input: Type.Object(
      { review: uuid, hash: sha256Hex, signature: Type.Optional(signatureComponents) },
      closed,
    ),
    output: review,
    permission: 'reviews:do',
    signature: { meaning: 'review' },
    recorded: [],
    reason: 'none',
    errors: [
      ...doingErrors,
      'review.own_plan',
      'review.contradicts',
      'review.unread',
      'review.own_entry',
      'question.indexing',
      'review.not_concluded',
      'review.changed',
    ],
    requirements: ['URS-029', 'URS-030', 'URS-031', 'URS-040'],
  }),
} as const;

/** Risk-based reviews of the audit trail (docs/formats/audit-review.md). */
export const reviewOperations = {
  ...reviewPlanOperations,
  ...lookingOperations,
  ...reviewingOperations,
} as const;
