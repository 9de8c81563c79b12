import { Type } from 'typebox';
import { key, keyPurposes } from './key-schemas.ts';
import { define } from './operation.ts';
import { base64, closed, label, reason, time, uuid } from './schemas.ts';

/** Algorithms whose keys can be brought from elsewhere (the crypto package reads each). */
export const importAlgorithms = [
  'AES_256',
  'HMAC_256',
  'HMAC_384',
  'HMAC_512',
  'ECC_NIST_P256',
  'ECC_NIST_P384',
  'ED25519',
  'RSA_3072',
  'RSA_4096',
] as const;
/** The pairs that material is wrapped under on its way. */
export const wrappingAlgorithms = ['RSA_4096', 'RSA_3072'] as const;
/** How material is wrapped on its way: docs/formats/key-transfer.md. */
export const transferWrap = 'RSA_AES_KEY_WRAP_SHA_256';
/** Longest wrapped material, bytes: 512 under RSA, and 4,096 with padding under AES. */
export const maxWrappedMaterialBytes = 512 + 4096 + 16;
/** Longest public key, SubjectPublicKeyInfo in DER, bytes: that of RSA with 4,096 bits has 550. */
export const maxTransferKeyBytes = 640;
/** How long a token can be used, hours, and for how many tries. */
export const importTokenHours = 24;
export const maxImportTries = 5;

const token = Type.String({
  pattern: '^tkm_[A-Za-z0-9_-]{43}$',
  description: 'Good once, for whoever asked for it, for the key that it was given for',
});
const wrappingAlgorithm = Type.Optional(
  Type.Enum(wrappingAlgorithms, { description: 'What is made to wrap under; RSA_4096 otherwise' }),
);

const parameters = Type.Object(
  {
    key: uuid,
    algorithm: Type.Enum(importAlgorithms),
    wrap: Type.Enum([transferWrap] as const),
    publicKey: base64(maxTransferKeyBytes, 'SubjectPublicKeyInfo, DER: wrap the material under it'),
    token,
    expiresAt: time,
  },
  closed,
);

const brought = {
  token,
  wrapped: base64(maxWrappedMaterialBytes, 'The material, wrapped as the parameters say'),
  source: Type.String({
    ...label,
    description: 'The module or process that made it, such as manufacturer, model, serial number',
  }),
  statement: Type.String({ ...reason, description: "The custodian's statement on how it was made and kept" }),
  reason,
};
const refusals = [
  'import.token_invalid',
  'import.unwrap_failed',
  'import.material_invalid',
  'import.material_weak',
  'import.material_known',
] as const;

const asked = {
  output: parameters,
  permission: 'keys:manage',
  personOnly: true,
  effect: 'change',
  keepsEpoch: true,
  record: 'entry',
  method: 'POST',
} as const;
const imports = {
  output: key,
  permission: 'keys:manage',
  personOnly: true,
  effect: 'change',
  record: 'entry',
  method: 'POST',
  recorded: ['source', 'statement', 'reason'],
  reason: 'required',
} as const;

/** Keys that were made elsewhere, and are brought here. */
export const keyImportOperations = {
  'keys.import-parameters': define({
    ...asked,
    id: 'keys.import-parameters',
    summary:
      'Ask for what a key that was made elsewhere is brought under: a public key and a token, good once',
    path: '/v1/key-imports',
    input: Type.Object(
      {
        system: uuid,
        algorithm: Type.Enum(importAlgorithms),
        purpose: Type.Optional(
          Type.Enum(keyPurposes, {
            description:
              'For good; needed where the algorithm can have more than one (docs/key-algorithms.md)',
          }),
        ),
        description: Type.Optional(label),
        expiresAt: Type.Optional(Type.Integer({ ...time, description: 'When the key ends to protect, ms' })),
        exportable: Type.Optional(
          Type.Boolean({ description: 'For good: it may leave again, wrapped, where people approve it' }),
        ),
        wrappingAlgorithm,
      },
      closed,
    ),
    recorded: [
      'system',
      'algorithm',
      'purpose',
      'description',
      'expiresAt',
      'exportable',
      'wrappingAlgorithm',
    ],
    reason: 'none',
    errors: [
      'system.unknown',
      'date.past',
      'key.purpose_unsuitable',
      'key.algorithm_unapproved',
      'key.hsm_required',
      'import.too_many',
    ],
    requirements: ['URS-002', 'URS-088'],
  }),
  'keys.import': define({
    ...imports,
    id: 'keys.import',
    summary: 'Bring a key that was made elsewhere, wrapped as its parameters say',
    path: '/v1/key-imports/import',
    input: Type.Object(brought, closed),
    errors: [...refusals, 'system.unknown', 'date.past'],
    requirements: ['URS-002', 'URS-007', 'URS-088'],
  }),
  'keys.import-version-parameters': define({
    ...asked,
    id: 'keys.import-version-parameters',
    summary: 'Ask for what the next version of an imported key is brought under',
    path: '/v1/keys/{key}/import-version-parameters',
    input: Type.Object({ key: uuid, wrappingAlgorithm }, closed),
    recorded: ['wrappingAlgorithm'],
    reason: 'none',
    errors: ['key.unknown', 'key.transition_undefined', 'key.not_imported', 'import.too_many'],
    requirements: ['URS-003', 'URS-088'],
  }),
  'keys.import-version': define({
    ...imports,
    id: 'keys.import-version',
    summary: 'Rotate an imported key: bring its next version, wrapped as its parameters say',
    path: '/v1/keys/{key}/import-version',
    input: Type.Object({ key: uuid, ...brought }, closed),
    errors: [...refusals, 'key.unknown', 'key.transition_undefined', 'key.not_imported'],
    requirements: ['URS-003', 'URS-088'],
  }),
} as const;
