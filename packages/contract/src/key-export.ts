import { Type } from 'typebox';
import { maxTransferKeyBytes, maxWrappedMaterialBytes, transferWrap } from './key-import.ts';
import { keyAlgorithms } from './key-schemas.ts';
import { define } from './operation.ts';
import { base64, closed, label, reason, sha256Hex, time, uuid } from './schemas.ts';

/** Destinations that a tenant registers at most. */
export const maxDestinations = 100;
/** How long an exported key can be fetched, days. */
export const exportedDays = 7;

const fingerprint = Type.String({
  ...sha256Hex,
  description: 'SHA-256 of the public key, SubjectPublicKeyInfo in DER',
});
const destination = Type.Object(
  {
    id: uuid,
    name: Type.String(),
    contact: Type.String({ description: 'Who answers for it' }),
    algorithm: Type.Enum(['RSA_3072', 'RSA_4096'] as const),
    fingerprint,
    state: Type.Enum(['registered', 'retired']),
    registeredAt: time,
  },
  closed,
);
const exported = {
  id: uuid,
  key: uuid,
  version: Type.Integer({ minimum: 1 }),
  destination: uuid,
  fingerprint,
  exportedAt: time,
  expiresAt: Type.Integer({ ...time, description: 'When the wrapped key is not kept any more, ms' }),
};

/** Keys that leave for somebody who was named, wrapped for them, where people approve it. */
export const keyExportOperations = {
  'destinations.register': define({
    id: 'destinations.register',
    summary: 'Register who keys can be exported to: a name and a public key',
    method: 'POST',
    path: '/v1/key-destinations',
    input: Type.Object(
      {
        name: label,
        contact: label,
        publicKey: base64(
          maxTransferKeyBytes,
          'RSA of 3,072 or 4,096 bits, exponent 65,537: SubjectPublicKeyInfo, DER',
        ),
      },
      closed,
    ),
    output: destination,
    permission: 'keys:manage',
    effect: 'change',
    keepsEpoch: true,
    record: 'entry',
    recorded: ['name', 'contact'],
    reason: 'none',
    errors: ['destination.key_unsuitable', 'destination.known', 'destination.too_many'],
    requirements: ['URS-010', 'URS-088'],
  }),
  'destinations.list': define({
    id: 'destinations.list',
    summary: 'List who keys can be exported to',
    method: 'GET',
    path: '/v1/key-destinations',
    input: Type.Object({}, closed),
    output: Type.Object({ destinations: Type.Array(destination) }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-010'],
  }),
  'keys.export': define({
    id: 'keys.export',
    summary: 'Export a version of an exportable key, wrapped for a registered destination',
    method: 'POST',
    path: '/v1/keys/{key}/export',
    input: Type.Object(
      {
        key: uuid,
        version: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
        destination: uuid,
        destinationName: Type.String({ ...label, description: 'As it is registered: what people approve' }),
        fingerprint: Type.String({ ...fingerprint, description: 'As it is registered: what people approve' }),
        reason,
      },
      closed,
    ),
    output: Type.Object(exported, closed),
    permission: 'keys:manage',
    effect: 'change',
    approval: { people: 2, withinDays: 7 },
    record: 'entry',
    recorded: ['destinationName', 'reason'],
    reason: 'required',
    errors: [
      'key.unknown',
      'key.unusable',
      'key.revoked',
      'key.destruction_pending',
      'key.not_exportable',
      'key.version_unknown',
      'destination.unknown',
      'destination.retired',
      'destination.mismatch',
      'holder.too_many',
      'tenant.sealed',
    ],
    requirements: ['URS-010', 'URS-006', 'URS-088'],
  }),
  'exports.list': define({
    id: 'exports.list',
    summary: 'List the exported keys that can still be fetched',
    method: 'GET',
    path: '/v1/key-exports',
    input: Type.Object({}, closed),
    output: Type.Object({ exports: Type.Array(Type.Object(exported, closed)) }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-010'],
  }),
  'exports.fetch': define({
    id: 'exports.fetch',
    summary: 'Fetch an exported key as it was wrapped for its destination',
    method: 'GET',
    path: '/v1/key-exports/{export}',
    input: Type.Object({ export: uuid }, closed),
    output: Type.Object(
      {
        ...exported,
        destinationName: Type.String(),
        algorithm: Type.Enum(keyAlgorithms),
        purpose: Type.String(),
        wrap: Type.Enum([transferWrap] as const),
        wrapped: base64(maxWrappedMaterialBytes, 'The material under the public key of the destination'),
      },
      closed,
    ),
    permission: 'keys:manage',
    // Key material leaves with it: the tenant's seal and the hold of its witnesses apply.
    effect: 'use',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [
      'export.unknown',
      'key.unusable',
      'key.revoked',
      'key.destruction_pending',
      'destination.retired',
      'tenant.sealed',
      'tenant.leaving',
      'ledger.unwitnessed',
    ],
    requirements: ['URS-010', 'URS-088'],
  }),
  'destinations.retire': define({
    id: 'destinations.retire',
    summary: 'Export no key to a destination any more, and take away what waits to be fetched for it',
    method: 'POST',
    path: '/v1/key-destinations/{destination}/retire',
    input: Type.Object({ destination: uuid, reason }, closed),
    output: destination,
    permission: 'keys:manage',
    effect: 'change',
    urgent: true,
    record: 'entry',
    recorded: ['reason'],
    reason: 'required',
    errors: ['destination.unknown', 'destination.retired'],
    requirements: ['URS-010'],
  }),
} as const;
