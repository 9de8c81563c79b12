import { Type } from 'typebox';
import type { Static } from 'typebox';
import { revocationCauses } from './key-schemas.ts';
import { define } from './operation.ts';
import { closed, label, reason, sha256Hex, time, uuid } from './schemas.ts';

/** What everything that is bound to it can be ended for, at once. */
export const revocationScopes = ['vendor', 'system', 'study', 'person', 'credential', 'key'] as const;
export type RevocationScopeKind = (typeof revocationScopes)[number];

/** Exactly one of them. A vendor is named as its systems name it, the rest by their ids. */
export const revocationScope = Type.Object(
  {
    vendor: Type.Optional(label),
    system: Type.Optional(uuid),
    study: Type.Optional(uuid),
    person: Type.Optional(uuid),
    credential: Type.Optional(uuid),
    key: Type.Optional(uuid),
  },
  { ...closed, minProperties: 1, maxProperties: 1 },
);
export type RevocationScope = Static<typeof revocationScope>;

/** Scopes that a drill can make up something for. */
export const drillScopes = ['vendor', 'system', 'credential', 'key'] as const;
export const drillStates = ['running', 'passed', 'failed'] as const;

/** Most things of one kind that a preview names; the counts are of all. */
export const maxPreviewed = 1000;

const counts = Type.Object(
  {
    keys: Type.Integer(),
    credentials: Type.Integer(),
    people: Type.Integer(),
    sessions: Type.Integer(),
    studies: Type.Integer(),
  },
  closed,
);

const preview = Type.Object(
  {
    hash: { ...sha256Hex, description: 'SHA-256 of what would end; the revocation can be held to it' },
    counts,
    keys: Type.Array(Type.Object({ id: uuid, system: uuid, state: Type.String() }, closed)),
    systems: Type.Array(Type.Object({ id: uuid, name: label, vendor: label }, closed)),
    credentials: Type.Array(Type.Object({ id: uuid, name: label, role: Type.String() }, closed)),
    people: Type.Array(uuid),
    closedAt: Type.Union([time, Type.Null()], {
      description: 'When the study was closed, where it is; to revoke it again renews that',
    }),
    sessions: Type.Array(uuid, { description: 'Open sessions that end' }),
    dataKeys: Type.Object(
      {
        released: Type.Integer({ description: 'Data keys in clear that left within the bound' }),
        boundSeconds: Type.Integer({
          description: 'How long a client may go on using a data key that it has',
        }),
        complete: Type.Boolean({ description: 'false: there were too many entries to look through' }),
      },
      closed,
    ),
    unbounded: Type.Object(
      {
        keyPairs: Type.Integer({ description: 'Private keys of data key pairs that left in clear, ever' }),
        sharedSecrets: Type.Integer({ description: 'Agreed and decapsulated secrets that left, ever' }),
        complete: Type.Boolean({
          description: 'false: entries are archived, or there were too many to look through',
        }),
      },
      { ...closed, description: 'What its holders may go on using without an end' },
    ),
    approvals: Type.Array(uuid, { description: 'Waiting requests that name, or are by, what ends' }),
    streams: Type.Integer({ description: 'Credentials and people that end and may read the ledger' }),
    stops: Type.Array(Type.String(), { description: 'What will stop working, in sentences' }),
  },
  closed,
);

const drill = Type.Object(
  {
    id: uuid,
    scope: Type.Enum(drillScopes),
    state: Type.Enum(drillStates),
    begunAt: time,
    endedAt: Type.Union([time, Type.Null()]),
    steps: Type.Array(
      Type.Object(
        {
          name: Type.String(),
          elapsedMs: Type.Integer(),
          outcome: Type.Enum(['passed', 'failed']),
          code: Type.Optional(Type.String({ description: 'Why it failed' })),
        },
        closed,
      ),
    ),
    hash: Type.Union([sha256Hex, Type.Null()], { description: 'SHA-256 of its record, on its last entry' }),
  },
  closed,
);

const schedule = Type.Object(
  { everyDays: Type.Integer(), scope: Type.Enum(drillScopes), nextAt: time, overdue: Type.Boolean() },
  closed,
);

/** Ending, at once, everything that is bound to a vendor, system, study, person, credential or key; and exercising that. */
export const revocationOperations = {
  'revocations.preview': define({
    id: 'revocations.preview',
    summary: 'Say what an emergency revocation would end, without changing anything',
    method: 'POST',
    path: '/v1/revocations/preview',
    input: Type.Object({ scope: revocationScope, cause: Type.Optional(Type.Enum(revocationCauses)) }, closed),
    output: preview,
    permission: 'revocations:do',
    effect: 'read',
    record: 'entry',
    recorded: ['scope', 'cause'],
    reason: 'none',
    errors: [
      'vendor.unknown',
      'system.unknown',
      'study.unknown',
      'person.unknown',
      'credential.unknown',
      'key.unknown',
    ],
    requirements: ['URS-004'],
  }),
  'revocations.revoke': define({
    id: 'revocations.revoke',
    urgent: true,
    summary: 'End everything that is bound to a vendor, system, study, person, credential or key, at once',
    method: 'POST',
    path: '/v1/revocations',
    input: Type.Object(
      {
        scope: revocationScope,
        cause: Type.Enum(revocationCauses),
        reason,
        preview: Type.Optional(sha256Hex),
      },
      closed,
    ),
    output: Type.Object({ ended: counts, revokedAt: time }, closed),
    permission: 'revocations:do',
    effect: 'change',
    record: 'entry',
    recorded: ['scope', 'cause', 'reason', 'preview'],
    reason: 'required',
    errors: [
      'vendor.unknown',
      'system.unknown',
      'study.unknown',
      'person.unknown',
      'person.self',
      'credential.unknown',
      'credential.last_custodian',
      'key.unknown',
      'revocation.preview_outdated',
    ],
    requirements: ['URS-004'],
  }),
  'revocations.reopen-study': define({
    id: 'revocations.reopen-study',
    summary: 'Let keys be used again in the context of a study that was closed',
    method: 'POST',
    path: '/v1/revocations/studies/{study}/reopen',
    input: Type.Object(
      {
        study: uuid,
        closedAt: {
          ...time,
          description: 'The closure that ends, as revocations.preview says it; no later one',
        },
        reason,
      },
      closed,
    ),
    output: Type.Object({ study: uuid, state: Type.Enum(['open', 'closed']), changedAt: time }, closed),
    permission: 'revocations:do',
    approval: { people: 2, withinDays: 7 },
    effect: 'change',
    record: 'entry',
    recorded: ['reason', 'closedAt'],
    reason: 'required',
    errors: ['study.unknown', 'study.not_closed'],
    requirements: ['URS-004'],
  }),
  'revocations.drill': define({
    id: 'revocations.drill',
    summary:
      'Exercise an emergency revocation on something made up for it, and revoke nothing real; one that is under way is the answer',
    method: 'POST',
    path: '/v1/revocations/drills',
    input: Type.Object({ scope: Type.Optional(Type.Enum(drillScopes)) }, closed),
    output: drill,
    permission: 'revocations:do',
    effect: 'change',
    keepsEpoch: true,
    record: 'entry',
    recorded: ['scope'],
    reason: 'none',
    errors: [],
    requirements: ['URS-005'],
  }),
  'revocations.schedule-drill': define({
    id: 'revocations.schedule-drill',
    summary: 'Have a drill done every so many days, or none any more (0)',
    method: 'POST',
    path: '/v1/revocations/drills/schedule',
    input: Type.Object(
      {
        everyDays: Type.Integer({ minimum: 0, maximum: 366 }),
        scope: Type.Optional(Type.Enum(drillScopes)),
      },
      closed,
    ),
    output: Type.Object({ schedule: Type.Union([schedule, Type.Null()]) }, closed),
    permission: 'revocations:do',
    effect: 'change',
    keepsEpoch: true,
    record: 'entry',
    recorded: ['everyDays', 'scope'],
    reason: 'none',
    errors: [],
    requirements: ['URS-005'],
  }),
  'revocations.drills': define({
    id: 'revocations.drills',
    summary: 'List the newest hundred drills with what they measured, and the schedule',
    method: 'GET',
    path: '/v1/revocations/drills',
    input: Type.Object({}, closed),
    output: Type.Object({ drills: Type.Array(drill), schedule: Type.Union([schedule, Type.Null()]) }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-005'],
  }),
} as const;
