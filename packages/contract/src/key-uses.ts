import { Type } from 'typebox';
import { define } from './operation.ts';
import { base64, closed, encryptionContext, reason, uuid } from './schemas.ts';

/** Plaintext of the encrypt operation, at most 64 KiB. */
export const maxPlaintextBytes = 65_536;
/** Longest ciphertext of the encrypt operation: 98 bytes more (docs/formats/compact.md). */
export const maxCiphertextBytes = maxPlaintextBytes + 98;
/** Longest ciphertext of a data key. */
export const maxDataKeyCiphertextBytes = 512;

const useLogged = Type.Boolean({ description: 'Whether each use of the data key has to be reported' });

/** What keeps a key from being used in a context. */
const useErrors = [
  'key.unknown',
  'key.unusable',
  'key.revoked',
  'tenant.sealed',
  'ledger.unwitnessed',
  'context.invalid',
  'context.subject_required',
  'study.unknown',
  'subject.unknown',
] as const;

/** What services do with keys; plaintext and keys leave in answers to these alone. */
export const keyUseOperations = {
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
    errors: useErrors,
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
    errors: [...useErrors, 'ciphertext.invalid', 'reason.required'],
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
        useLogged,
      },
      closed,
    ),
    permission: 'keys:protect',
    effect: 'use',
    record: 'entry',
    recorded: ['context'],
    reason: 'none',
    errors: useErrors,
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
    output: Type.Object({ plaintext: Type.String(), key: uuid, version: Type.Integer(), useLogged }, closed),
    permission: 'keys:process',
    effect: 'use',
    record: 'entry',
    recorded: ['context', 'reason'],
    reason: 'optional',
    errors: [...useErrors, 'ciphertext.invalid', 'reason.required'],
    requirements: ['URS-002', 'URS-012', 'URS-032', 'URS-047'],
  }),
} as const;
