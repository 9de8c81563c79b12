import { Type } from 'typebox';
import {
  contextErrors,
  maxCiphertextBytes,
  maxPlaintextBytes,
  processErrors,
  useErrors,
} from './key-schemas.ts';
import { define } from './operation.ts';
import { base64, closed, encryptionContext, reason, uuid } from './schemas.ts';

const version = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    description:
      'Of a key for decryption, whose ciphertexts name none: the version whose public key was used; the current one by default',
  }),
);

/** Plaintext under keys of purpose `encrypt`, and under the public keys of those of purpose `decrypt`. */
export const keyEncryptionOperations = {
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
    errors: [...useErrors, ...contextErrors, 'second_recipient.required', 'second_recipient.lost'],
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
        version,
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
    errors: [...processErrors, ...contextErrors, 'key.version_unknown', 'ciphertext.invalid'],
    requirements: ['URS-002', 'URS-012', 'URS-032', 'URS-047'],
  }),
  'keys.re-encrypt': define({
    id: 'keys.re-encrypt',
    summary: 'Decrypt under one key and encrypt under another; the plaintext never leaves the server',
    method: 'POST',
    path: '/v1/keys/{key}/re-encrypt',
    input: Type.Object(
      {
        key: uuid,
        ciphertext: base64(maxCiphertextBytes, 'Ciphertext of the encrypt operation'),
        version,
        context: Type.Optional(encryptionContext),
        target: uuid,
        targetContext: Type.Optional(encryptionContext),
        reason: Type.Optional(reason),
      },
      closed,
    ),
    output: Type.Object(
      {
        ciphertext: Type.String(),
        key: uuid,
        version: Type.Integer({ description: 'That it was decrypted with' }),
        target: uuid,
        targetVersion: Type.Integer(),
      },
      closed,
    ),
    permission: 'keys:protect',
    effect: 'use',
    record: 'entry',
    recorded: ['context', 'target', 'reason'],
    reason: 'optional',
    errors: [
      ...processErrors,
      ...contextErrors,
      'key.version_unknown',
      'ciphertext.invalid',
      'access.denied',
      'second_recipient.required',
      'second_recipient.lost',
    ],
    requirements: ['URS-002', 'URS-003', 'URS-012', 'URS-032'],
  }),
} as const;
