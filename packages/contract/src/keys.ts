import { Type } from 'typebox';
import { key, keyAlgorithms, revocationCauses } from './key-schemas.ts';
import { define } from './operation.ts';
import { closed, label, reason, time, uuid } from './schemas.ts';

const changed = {
  output: key,
  permission: 'keys:manage',
  effect: 'change',
  record: 'entry',
  method: 'POST',
} as const;

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
        description: Type.Optional(label),
        activatesAt: Type.Optional(time),
        expiresAt: Type.Optional(time),
        rotationPeriodDays: Type.Optional(Type.Integer({ minimum: 60, maximum: 180 })),
        useLogged: Type.Optional(
          Type.Boolean({
            description: 'For good: its data keys are of one subject each, and their uses are reported',
          }),
        ),
      },
      closed,
    ),
    recorded: [
      'system',
      'algorithm',
      'description',
      'activatesAt',
      'expiresAt',
      'rotationPeriodDays',
      'useLogged',
    ],
    reason: 'none',
    errors: ['system.unknown', 'date.past', 'date.order'],
    requirements: ['URS-002', 'URS-003', 'URS-007', 'URS-008'],
  }),
  'keys.rotate': define({
    ...changed,
    id: 'keys.rotate',
    summary: 'Add a version that protects from now on; older ones only process',
    path: '/v1/keys/{key}/rotate',
    input: Type.Object({ key: uuid, reason: Type.Optional(reason) }, closed),
    recorded: ['reason'],
    reason: 'optional',
    errors: ['key.unknown', 'key.transition_undefined'],
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
  'keys.destroy': define({
    ...changed,
    id: 'keys.destroy',
    summary: 'Destroy the material of a key that is out of use: nothing that it protected opens again',
    path: '/v1/keys/{key}/destroy',
    input: Type.Object({ key: uuid, reason }, closed),
    approval: { people: 2, withinDays: 7 },
    recorded: ['reason'],
    reason: 'required',
    errors: ['key.unknown', 'key.transition_undefined'],
    requirements: ['URS-002', 'URS-010'],
  }),
} as const;
