import { Type } from 'typebox';
import { define } from './operation.ts';
import { closed, reason, time, uuid } from './schemas.ts';

/** Longest lease: a day. */
export const maxLeaseSeconds = 86_400;
/** What a root says of the tenant's key: it gives it, it refuses it, or it cannot be asked. `unasked`: not since the start of the node. */
export const rootAnswers = ['open', 'refused', 'unreachable', 'unasked'] as const;

const leaseSeconds = Type.Integer({
  minimum: 0,
  maximum: maxLeaseSeconds,
  description:
    "How long the tenant's key is used after its root was asked; a refusal bites no later. 0: the root is asked for every operation",
});
const optionalTime = Type.Union([time, Type.Null()]);

const view = Type.Object(
  {
    root: Type.Union([uuid, Type.Null()], { description: 'null: under the instance key' }),
    kind: Type.Union([Type.String(), Type.Null()]),
    leaseSeconds: Type.Integer({ description: 'The longest time until a refusal of the root bites' }),
    version: Type.Integer({ description: 'How often this was changed' }),
    changedAt: optionalTime,
    available: Type.Array(uuid, { description: 'Roots that the operator has put in place for the tenant' }),
    answer: Type.Enum(rootAnswers, { description: 'What the root said when this node asked it last' }),
    askedAt: optionalTime,
    since: Type.Union([time, Type.Null()], { description: 'Since when it answers so' }),
    held: Type.Boolean({ description: 'Whether this node holds the key now' }),
  },
  closed,
);

const changing = {
  method: 'POST',
  permission: 'keys:manage',
  effect: 'change',
  record: 'entry',
  reason: 'required',
  output: view,
  approval: { people: 2, withinDays: 7 },
} as const;
const requirements = ['URS-049', 'URS-083'] as const;
const rootFailures = ['tenant.root_refused', 'tenant.root_unreachable'] as const;

/** Hold your own key: a tenant's key under the tenant's own root of trust. */
export const tenantRootOperations = {
  'tenant-root.show': define({
    id: 'tenant-root.show',
    summary: "Show which root of trust holds the tenant's key, how soon a refusal bites, and what it answers",
    method: 'GET',
    path: '/v1/tenant-root',
    input: Type.Object({}, closed),
    output: view,
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements,
  }),
  'tenant-root.move': define({
    ...changing,
    id: 'tenant-root.move',
    summary: "Move the tenant's key to a root of trust of the tenant's own, or back under the instance key",
    path: '/v1/tenant-root/move',
    input: Type.Object(
      {
        root: Type.Union([uuid, Type.Null()], { description: 'null: under the instance key' }),
        leaseSeconds: Type.Optional(leaseSeconds),
        reason,
      },
      closed,
    ),
    recorded: ['root', 'leaseSeconds', 'reason'],
    errors: [...rootFailures, 'tenant.root_unknown', 'tenant.root_unsuitable', 'tenant.root_current'],
    requirements: [...requirements, 'URS-010'],
  }),
  'tenant-root.set-lease': define({
    ...changing,
    id: 'tenant-root.set-lease',
    summary: "Say how long the tenant's key may be used before its root of trust is asked again",
    path: '/v1/tenant-root/lease',
    input: Type.Object({ leaseSeconds, reason }, closed),
    recorded: ['leaseSeconds', 'reason'],
    errors: ['tenant.root_none', 'tenant.root_current'],
    requirements: [...requirements, 'URS-010'],
  }),
} as const;
