import { Type } from 'typebox';
import {
  contextErrors,
  dataKeyPairAlgorithms,
  maxDataKeyCiphertextBytes,
  processErrors,
  useErrors,
} from './key-schemas.ts';
import { define } from './operation.ts';
import { base64, closed, encryptionContext, reason, uuid } from './schemas.ts';

const useLogged = Type.Boolean({ description: 'Whether each use of the data key has to be reported' });
const wrapped = Type.String({ description: 'The wrapped data key, base64' });

const keepsRecipients = Type.Optional(
  Type.Boolean({ description: 'Whether the caller keeps what comes for second recipients beside the data' }),
);
/** The data key for each second recipient that is demanded: an encrypted data key of a sealed message. */
const furtherDataKeys = Type.Array(
  Type.Object(
    {
      id: uuid,
      name: Type.String(),
      providerId: Type.String(),
      providerInfo: Type.String({ description: 'base64' }),
      ciphertext: Type.String({ description: 'base64' }),
    },
    closed,
  ),
  { description: 'Who else can open the data key: all of these are kept beside the data' },
);

const generating = {
  method: 'POST',
  permission: 'keys:protect',
  effect: 'use',
  record: 'entry',
  reason: 'none',
  errors: [...useErrors, ...contextErrors, 'second_recipient.required', 'second_recipient.lost'],
} as const;
const requirements = ['URS-002', 'URS-012', 'URS-032', 'URS-046'] as const;

const pairInput = Type.Object(
  {
    key: uuid,
    algorithm: Type.Enum(dataKeyPairAlgorithms),
    context: Type.Optional(encryptionContext),
  },
  closed,
);
const pair = {
  algorithm: Type.Enum(dataKeyPairAlgorithms),
  publicKey: Type.String({ description: 'SubjectPublicKeyInfo, DER, base64' }),
  ciphertext: Type.String({
    description: 'The private key (PKCS #8, DER), encrypted under the key: `keys.decrypt` releases it',
  }),
  key: uuid,
  version: Type.Integer(),
};
const makingPairs = {
  ...generating,
  recorded: ['algorithm', 'context'],
  errors: [...generating.errors, 'key.use_logged', 'key.algorithm_unapproved'],
  requirements: [...requirements, 'URS-045'],
} as const;

/** Keys that clients use themselves; they lie wrapped beside what is under them. */
export const dataKeyOperations = {
  'keys.generate-data-key': define({
    ...generating,
    id: 'keys.generate-data-key',
    summary: 'Generate a data key: once in clear for the caller, once wrapped for keeping beside the data',
    path: '/v1/keys/{key}/data-keys',
    input: Type.Object(
      { key: uuid, context: Type.Optional(encryptionContext), recipients: keepsRecipients },
      closed,
    ),
    output: Type.Object(
      {
        plaintext: Type.String({ description: '32 bytes, base64' }),
        ciphertext: wrapped,
        key: uuid,
        arn: Type.String(),
        version: Type.Integer(),
        useLogged,
        recipients: furtherDataKeys,
      },
      closed,
    ),
    recorded: ['context'],
    requirements,
  }),
  'keys.generate-wrapped-data-key': define({
    ...generating,
    id: 'keys.generate-wrapped-data-key',
    summary: 'Generate a data key that leaves wrapped only: whoever needs it asks for it later',
    path: '/v1/keys/{key}/data-keys/wrapped',
    input: Type.Object(
      { key: uuid, context: Type.Optional(encryptionContext), recipients: keepsRecipients },
      closed,
    ),
    output: Type.Object(
      {
        ciphertext: wrapped,
        key: uuid,
        arn: Type.String(),
        version: Type.Integer(),
        useLogged,
        recipients: furtherDataKeys,
      },
      closed,
    ),
    recorded: ['context'],
    requirements,
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
    output: Type.Object({ plaintext: Type.String(), key: uuid, version: Type.Integer(), useLogged }, closed),
    permission: 'keys:process',
    effect: 'use',
    record: 'entry',
    recorded: ['context', 'reason'],
    reason: 'optional',
    errors: [...processErrors, ...contextErrors, 'ciphertext.invalid'],
    requirements: ['URS-002', 'URS-012', 'URS-032', 'URS-047'],
  }),
  'keys.generate-data-key-pair': define({
    ...makingPairs,
    id: 'keys.generate-data-key-pair',
    summary:
      'Generate a key pair for the caller: the private key once in clear, once encrypted under the key',
    path: '/v1/keys/{key}/data-key-pairs',
    input: pairInput,
    output: Type.Object(
      { ...pair, privateKey: Type.String({ description: 'PKCS #8, DER, base64' }) },
      closed,
    ),
  }),
  'keys.generate-wrapped-data-key-pair': define({
    ...makingPairs,
    id: 'keys.generate-wrapped-data-key-pair',
    summary: 'Generate a key pair whose private key leaves encrypted under the key only',
    path: '/v1/keys/{key}/data-key-pairs/wrapped',
    input: pairInput,
    output: Type.Object(pair, closed),
  }),
} as const;
