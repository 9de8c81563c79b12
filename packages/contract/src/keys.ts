import { Type } from 'typebox';
import { key, keyAlgorithms, keyProtections, keyPurposes, revocationCauses } from './key-schemas.ts';
import { define } from './operation.ts';
import { closed, label, reason, time, uuid } from './schemas.ts';

const changed = {
  output: key,
  permission: 'keys:manage',
  effect: 'change',
  record: 'entry',
  method: 'POST',
} as const;

/** How often a key rotates, days (URS-003). */
const rotationPeriod = Type.Integer({ minimum: 60, maximum: 180 });
/** The recipient usage period behind the originator's (SP 800-57 part 1 rev. 5, section 5.3.6), days: up to a hundred years. */
const recipientPeriod = Type.Integer({ minimum: 1, maximum: 36_500 });

/** The life of keys, from generation to destruction. */
export const keyOperations = {
  'keys.create': define({
    ...changed,
    id: 'keys.create',
    summary: 'Generate a key for one system',
    path: '/v1/keys',
    input: Type.Object(
      {
        system: uuid,
        algorithm: Type.Optional(Type.Enum(keyAlgorithms)),
        purpose: Type.Optional(
          Type.Enum(keyPurposes, {
            description:
              'For good; needed where the algorithm can have more than one (docs/key-algorithms.md)',
          }),
        ),
        legacyReason: Type.Optional(reason),
        description: Type.Optional(label),
        activatesAt: Type.Optional(time),
        expiresAt: Type.Optional(time),
        rotationPeriodDays: Type.Optional(rotationPeriod),
        recipientPeriodDays: Type.Optional(recipientPeriod),
        useLogged: Type.Optional(
          Type.Boolean({
            description: 'For good: its data keys are of one subject each, and their uses are reported',
          }),
        ),
        exportable: Type.Optional(
          Type.Boolean({ description: 'For good: it may leave, wrapped, where people approve it' }),
        ),
        protection: Type.Optional(
          Type.Enum(keyProtections, {
            description: 'For good; what the type of the system demands, and software otherwise',
          }),
        ),
      },
      closed,
    ),
    recorded: [
      'system',
      'algorithm',
      'purpose',
      'legacyReason',
      'description',
      'activatesAt',
      'expiresAt',
      'rotationPeriodDays',
      'recipientPeriodDays',
      'useLogged',
      'exportable',
      'protection',
    ],
    reason: 'none',
    errors: [
      'system.unknown',
      'date.past',
      'date.order',
      'key.purpose_unsuitable',
      'key.legacy_reason_required',
      'key.algorithm_unapproved',
      'key.not_exportable',
      'key.hsm_required',
      'key.hsm_missing',
      'key.hsm_unsupported',
      'key.module_unreachable',
    ],
    requirements: ['URS-002', 'URS-003', 'URS-007', 'URS-008', 'URS-014', 'URS-045'],
  }),
  'keys.rotate': define({
    ...changed,
    id: 'keys.rotate',
    summary: 'Add a version that protects from now on; older ones only process',
    path: '/v1/keys/{key}/rotate',
    input: Type.Object({ key: uuid, reason: Type.Optional(reason) }, closed),
    recorded: ['reason'],
    reason: 'optional',
    errors: [
      'key.unknown',
      'key.transition_undefined',
      'key.imported',
      'key.module_unreachable',
      'key.hsm_unsupported',
    ],
    requirements: ['URS-003'],
  }),
  'keys.set-rotation': define({
    ...changed,
    id: 'keys.set-rotation',
    summary: 'Say how often a key rotates (null: as the tenant says), and how long its old versions process',
    path: '/v1/keys/{key}/set-rotation',
    input: Type.Object(
      {
        key: uuid,
        periodDays: Type.Optional(Type.Union([rotationPeriod, Type.Null()])),
        recipientPeriodDays: Type.Optional(Type.Union([recipientPeriod, Type.Null()])),
        reason,
      },
      closed,
    ),
    recorded: ['periodDays', 'recipientPeriodDays', 'reason'],
    reason: 'required',
    errors: ['key.unknown', 'key.transition_undefined'],
    requirements: ['URS-002', 'URS-003'],
  }),
  'keys.set-rotation-policy': define({
    ...changed,
    id: 'keys.set-rotation-policy',
    summary: 'Say how often the keys of the tenant rotate that have no period of their own',
    path: '/v1/key-rotation-policy',
    input: Type.Object({ periodDays: rotationPeriod, reason }, closed),
    output: Type.Object({ periodDays: rotationPeriod }, closed),
    recorded: ['periodDays', 'reason'],
    reason: 'required',
    errors: [],
    requirements: ['URS-003'],
  }),
  'keys.rotation-policy': define({
    id: 'keys.rotation-policy',
    summary: 'Show how often the keys of the tenant rotate that have no period of their own',
    method: 'GET',
    path: '/v1/key-rotation-policy',
    input: Type.Object({}, closed),
    output: Type.Object({ periodDays: rotationPeriod }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-003'],
  }),
  'keys.suspend': define({
    ...changed,
    id: 'keys.suspend',
    urgent: true,
    summary: 'Stop all use of a key until it is resumed',
    path: '/v1/keys/{key}/suspend',
    input: Type.Object({ key: uuid, reason }, closed),
    recorded: ['reason'],
    reason: 'required',
    errors: ['key.unknown', 'key.transition_undefined'],
    requirements: ['URS-002', 'URS-004'],
  }),
  'keys.resume': define({
    ...changed,
    id: 'keys.resume',
    summary: 'Make a suspended key active again',
    path: '/v1/keys/{key}/resume',
    input: Type.Object({ key: uuid, reason }, closed),
    recorded: ['reason'],
    reason: 'required',
    errors: ['key.unknown', 'key.transition_undefined'],
    requirements: ['URS-002'],
  }),
  'keys.revoke': define({
    ...changed,
    id: 'keys.revoke',
    urgent: true,
    summary: 'Revoke a key: no service request made after the answer succeeds with it',
    path: '/v1/keys/{key}/revoke',
    input: Type.Object({ key: uuid, cause: Type.Enum(revocationCauses), reason }, closed),
    recorded: ['cause', 'reason'],
    reason: 'required',
    errors: ['key.unknown', 'key.transition_undefined'],
    requirements: ['URS-002', 'URS-004'],
  }),
  'keys.schedule-destruction': define({
    ...changed,
    id: 'keys.schedule-destruction',
    summary:
      'Have a key that is out of use destroyed after a waiting period, in which nobody uses it: nothing that it protected opens again',
    path: '/v1/keys/{key}/schedule-destruction',
    input: Type.Object(
      {
        key: uuid,
        waitingDays: Type.Optional(
          Type.Integer({ minimum: 7, maximum: 30, description: 'From the approval on; 30 by default' }),
        ),
        reason,
      },
      closed,
    ),
    approval: { people: 2, withinDays: 7 },
    recorded: ['waitingDays', 'reason'],
    reason: 'required',
    errors: ['key.unknown', 'key.transition_undefined', 'key.destruction_pending', 'hold.applies'],
    requirements: ['URS-002', 'URS-006', 'URS-010'],
  }),
  'keys.cancel-destruction': define({
    ...changed,
    id: 'keys.cancel-destruction',
    urgent: true,
    summary: 'Call off the destruction of a key while it waits',
    path: '/v1/keys/{key}/cancel-destruction',
    input: Type.Object({ key: uuid, reason }, closed),
    recorded: ['reason'],
    reason: 'required',
    errors: ['key.unknown', 'key.destruction_none'],
    requirements: ['URS-006'],
  }),
} as const;
