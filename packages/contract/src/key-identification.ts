import { Type } from 'typebox';
import { maxCiphertextBytes } from './key-schemas.ts';
import { define } from './operation.ts';
import { base64, closed, uuid } from './schemas.ts';

/** Ciphertexts name the version of the key that opens them. */
export const keyIdentificationOperations = {
  'keys.identify': define({
    id: 'keys.identify',
    summary:
      'Say which of the keys that the caller may use a ciphertext, or a wrapped data key, names; it is not opened',
    method: 'POST',
    path: '/v1/ciphertexts/identify',
    input: Type.Object({ ciphertext: base64(maxCiphertextBytes, 'Ciphertext, or wrapped data key') }, closed),
    output: Type.Object({ key: uuid, arn: Type.String(), version: Type.Integer() }, closed),
    permission: 'keys:process',
    effect: 'read',
    record: 'access-log',
    recorded: [],
    reason: 'none',
    errors: ['ciphertext.invalid', 'key.unknown'],
    requirements: ['URS-002', 'URS-012'],
  }),
} as const;
