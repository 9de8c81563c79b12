import { Type } from 'typebox';
import { closed, time, uuid } from './schemas.ts';

/** Algorithms that a key can have. The crypto package's registry implements each (a test holds the two together). */
export const keyAlgorithms = ['AES_256'] as const;
/** SP 800-57 part 1 rev. 5, section 7. */
export const keyStates = [
  'pre-activation',
  'active',
  'suspended',
  'deactivated',
  'compromised',
  'destroyed',
] as const;
export type KeyState = (typeof keyStates)[number];
/** Why a key is revoked. The first two mean that the key material itself is no longer trusted. */
export const revocationCauses = [
  'device-compromise',
  'breach',
  'role-change',
  'vendor-exit',
  'cessation',
] as const;
/** A key, as people and services see it. */
export const key = Type.Object(
  {
    id: uuid,
    arn: Type.String({ description: 'ARN-shaped name, for clients of the AWS protocol' }),
    system: uuid,
    description: Type.String(),
    algorithm: Type.Enum(keyAlgorithms),
    purpose: Type.Enum(['encrypt']),
    state: Type.Enum(keyStates),
    version: Type.Integer({ minimum: 1, description: 'The version that protects; older ones only process' }),
    createdAt: time,
    activatesAt: Type.Union([time, Type.Null()]),
    expiresAt: Type.Union([time, Type.Null()], { description: 'End of originator usage' }),
    rotationPeriodDays: Type.Integer(),
    rotationDueAt: time,
    useLogged: Type.Boolean({ description: 'Whether each use of its data keys is reported' }),
    revocation: Type.Union([
      Type.Object({ cause: Type.Enum(revocationCauses), at: time }, closed),
      Type.Null(),
    ]),
  },
  closed,
);
/** One generation of a key. */
export const version = Type.Object(
  { id: uuid, version: Type.Integer(), state: Type.Enum(['active', 'deactivated']), createdAt: time },
  closed,
);
