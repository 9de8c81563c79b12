import { Type } from 'typebox';
import { define } from './operation.ts';
import { base64, closed, encryptionContext, label, reason, time, uuid } from './schemas.ts';

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
/** Plaintext of the encrypt operation, at most 64 KiB. */
export const maxPlaintextBytes = 65_536;
/** Longest ciphertext of the encrypt operation: 98 bytes more (docs/formats/compact.md). */
export const maxCiphertextBytes = maxPlaintextBytes + 98;
/** Longest ciphertext of a data key. */
export const maxDataKeyCiphertextBytes = 512;

const key = Type.Object(
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
    revocation: Type.Union([
      Type.Object({ cause: Type.Enum(revocationCauses), at: time }, closed),
      Type.Null(),
    ]),
  },
  closed,
);
const version = Type.Object(
  { id: uuid, version: Type.Integer(), state: Type.Enum(['active', 'deactivated']), createdAt: time },
  closed,
);

const changed = {
  output: key,
  permission: 'keys:manage',
  effect: 'change',
  record: 'entry',
  method: 'POST',
} as const;

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
      },
      closed,
    ),
    recorded: ['system', 'algorithm', 'description', 'activatesAt', 'expiresAt', 'rotationPeriodDays'],
    reason: 'none',
    errors: ['system.unknown', 'date.past', 'date.order'],
    requirements: ['URS-002', 'URS-003', 'URS-007', 'URS-008'],
  }),
  'keys.list': define({
    id: 'keys.list',
    summary: 'List the inventory of keys: owner, system, algorithm, state and dates',
    method: 'GET',
    path: '/v1/keys',
    input: Type.Object({ system: Type.Optional(uuid) }, closed),
    output: Type.Object({ keys: Type.Array(key) }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: ['system'],
    reason: 'none',
    errors: [],
    requirements: ['URS-007'],
  }),
  'keys.show': define({
    id: 'keys.show',
    summary: 'Show one key with its versions',
    method: 'GET',
    path: '/v1/keys/{key}',
    input: Type.Object({ key: uuid }, closed),
    output: Type.Object({ key, versions: Type.Array(version) }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: ['key.unknown'],
    requirements: ['URS-007'],
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
  'keys.encrypt': define({
    id: 'keys.encrypt',
    summary: 'Encrypt up to 64 KiB under the current version of a key',
    method: 'POST',
    path: '/v1/keys/{key}/encrypt',
    input: Type.Object(
      {
        key: uuid,
        plaintext: base64(maxPlaintextBytes, 'Plaintext'),
        context: Type.Optional(encryptionContext),
      },
      closed,
    ),
    output: Type.Object({ ciphertext: Type.String(), key: uuid, version: Type.Integer() }, closed),
    permission: 'keys:protect',
    effect: 'use',
    record: 'entry',
    recorded: ['context'],
    reason: 'none',
    errors: [
      'key.unknown',
      'key.unusable',
      'key.revoked',
      'context.invalid',
      'study.unknown',
      'subject.unknown',
    ],
    requirements: ['URS-002', 'URS-012', 'URS-032', 'URS-046'],
  }),
  'keys.decrypt': define({
    id: 'keys.decrypt',
    summary: 'Decrypt what the encrypt operation returned, under the same context',
    method: 'POST',
    path: '/v1/keys/{key}/decrypt',
    input: Type.Object(
      {
        key: uuid,
        ciphertext: base64(maxCiphertextBytes, 'Ciphertext of the encrypt operation'),
        context: Type.Optional(encryptionContext),
        reason: Type.Optional(reason),
      },
      closed,
    ),
    output: Type.Object({ plaintext: Type.String(), key: uuid, version: Type.Integer() }, closed),
    permission: 'keys:process',
    effect: 'use',
    record: 'entry',
    recorded: ['context', 'reason'],
    reason: 'optional',
    errors: [
      'key.unknown',
      'key.unusable',
      'key.revoked',
      'context.invalid',
      'study.unknown',
      'subject.unknown',
      'ciphertext.invalid',
      'reason.required',
    ],
    requirements: ['URS-002', 'URS-012', 'URS-032', 'URS-047'],
  }),
  'keys.generate-data-key': define({
    id: 'keys.generate-data-key',
    summary: 'Generate a data key: once in clear for the caller, once wrapped for keeping beside the data',
    method: 'POST',
    path: '/v1/keys/{key}/data-keys',
    input: Type.Object({ key: uuid, context: Type.Optional(encryptionContext) }, closed),
    output: Type.Object(
      {
        plaintext: Type.String({ description: '32 bytes, base64' }),
        ciphertext: Type.String({ description: 'The wrapped data key, base64' }),
        key: uuid,
        arn: Type.String(),
        version: Type.Integer(),
      },
      closed,
    ),
    permission: 'keys:protect',
    effect: 'use',
    record: 'entry',
    recorded: ['context'],
    reason: 'none',
    errors: [
      'key.unknown',
      'key.unusable',
      'key.revoked',
      'context.invalid',
      'study.unknown',
      'subject.unknown',
    ],
    requirements: ['URS-002', 'URS-012', 'URS-032', 'URS-046'],
  }),
  'keys.decrypt-data-key': define({
    id: 'keys.decrypt-data-key',
    summary: 'Release a data key from its wrapped form, under the same context',
    method: 'POST',
    path: '/v1/keys/{key}/data-keys/decrypt',
    input: Type.Object(
      {
        key: uuid,
        ciphertext: base64(maxDataKeyCiphertextBytes, 'Wrapped data key'),
        context: Type.Optional(encryptionContext),
        reason: Type.Optional(reason),
      },
      closed,
    ),
    output: Type.Object({ plaintext: Type.String(), key: uuid, version: Type.Integer() }, closed),
    permission: 'keys:process',
    effect: 'use',
    record: 'entry',
    recorded: ['context', 'reason'],
    reason: 'optional',
    errors: [
      'key.unknown',
      'key.unusable',
      'key.revoked',
      'context.invalid',
      'study.unknown',
      'subject.unknown',
      'ciphertext.invalid',
      'reason.required',
    ],
    requirements: ['URS-002', 'URS-012', 'URS-032', 'URS-047'],
  }),
} as const;
