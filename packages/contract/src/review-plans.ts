import { Type } from 'typebox';
import type { Static } from 'typebox';
import { conditions } from './conditions.ts';
import { define } from './operation.ts';
import { roles } from './roles.ts';
import type { Role } from './roles.ts';
import { closed, label, reason, time, uuid } from './schemas.ts';

/** How thoroughly a plan is reviewed: docs/formats/audit-review.md says what share of the entries that means. */
export const reviewRisks = ['low', 'medium', 'high'] as const;
export type ReviewRisk = (typeof reviewRisks)[number];
/** The roles that a plan can call to review. */
export const reviewerRoles = (Object.keys(roles) as Role[]).filter((role) =>
  (roles[role] as readonly string[]).includes('reviews:do'),
);

const { from: _from, to: _to, ...filterFields } = conditions;
/** What entries a plan is about: a question without its times. */
const filter = Type.Object(filterFields, closed);
export type ReviewFilter = Static<typeof filter>;

const text = reason;
const reviewers = Type.Object(
  {
    roles: Type.Array(Type.Enum(reviewerRoles), { maxItems: reviewerRoles.length, uniqueItems: true }),
    persons: Type.Array(uuid, { maxItems: 50, uniqueItems: true }),
  },
  { ...closed, description: 'Who may review: people with one of the roles, and the persons' },
);
const definition = {
  name: label,
  filter,
  intervalDays: Type.Integer({ minimum: 1, maximum: 366 }),
  graceDays: Type.Integer({
    minimum: 0,
    maximum: 90,
    description: 'Days after which an open review is overdue',
  }),
  risk: Type.Enum(reviewRisks),
  reviewers,
};

const plan = Type.Object(
  {
    id: uuid,
    ...definition,
    rationale: Type.Union([Type.String(), Type.Null()]),
    author: Type.String({ description: 'Who planned or last changed it: a person or a credential' }),
    state: Type.Enum(['active', 'ended']),
    version: Type.Integer({ minimum: 1 }),
    covered: Type.Integer({ minimum: 0, description: 'Where the next review begins' }),
    dueAt: time,
    createdAt: time,
  },
  closed,
);

const change = { effect: 'change', keepsEpoch: true, record: 'entry', requirements: ['URS-040'] } as const;

/** Plans of audit-trail reviews (docs/formats/audit-review.md). */
export const reviewPlanOperations = {
  'reviews.plan': define({
    ...change,
    id: 'reviews.plan',
    summary: 'Plan reviews of the audit trail: which entries, how often, how thoroughly, by whom and why',
    method: 'POST',
    path: '/v1/review-plans',
    input: Type.Object(
      {
        ...definition,
        rationale: text,
        first: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: Number.MAX_SAFE_INTEGER,
            description:
              'Place where the first review begins; otherwise that of the entry of the plan itself',
          }),
        ),
        firstDueAt: Type.Optional(time),
      },
      closed,
    ),
    output: plan,
    permission: 'reviews:manage',
    recorded: [
      'name',
      'filter',
      'intervalDays',
      'graceDays',
      'risk',
      'reviewers',
      'rationale',
      'first',
      'firstDueAt',
    ],
    reason: 'none',
    errors: ['review.plan_exists', 'review.range', 'review.too_many', 'person.unknown', 'date.past'],
  }),
  'reviews.change-plan': define({
    ...change,
    id: 'reviews.change-plan',
    summary: 'Change a plan from its next review on; what is open stays as it was opened',
    method: 'POST',
    path: '/v1/review-plans/{plan}/change',
    input: Type.Object(
      { plan: uuid, ...Type.Partial(Type.Object({ ...definition, rationale: text })).properties, reason },
      closed,
    ),
    output: plan,
    permission: 'reviews:manage',
    recorded: ['name', 'filter', 'intervalDays', 'graceDays', 'risk', 'reviewers', 'rationale', 'reason'],
    reason: 'required',
    errors: ['review.plan_unknown', 'review.plan_ended', 'review.plan_exists', 'person.unknown'],
  }),
  'reviews.end-plan': define({
    ...change,
    id: 'reviews.end-plan',
    summary: 'End a plan: no further reviews are opened; those that are open go on',
    method: 'POST',
    path: '/v1/review-plans/{plan}/end',
    input: Type.Object({ plan: uuid, reason }, closed),
    output: plan,
    permission: 'reviews:manage',
    recorded: ['reason'],
    reason: 'required',
    errors: ['review.plan_unknown', 'review.plan_ended'],
  }),
  'reviews.plans': define({
    id: 'reviews.plans',
    effect: 'read',
    record: 'entry',
    reason: 'none',
    requirements: ['URS-040'],
    summary: 'List the plans of audit-trail reviews',
    method: 'GET',
    path: '/v1/review-plans',
    input: Type.Object({}, closed),
    output: Type.Object({ plans: Type.Array(plan) }, closed),
    permission: 'ledger:read',
    recorded: [],
    errors: [],
  }),
} as const;
