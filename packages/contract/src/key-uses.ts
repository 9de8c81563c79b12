import { Type } from 'typebox';
import { dataKeyOperations } from './data-keys.ts';
import { keyAgreementOperations } from './key-agreement.ts';
import { keyEncryptionOperations } from './key-encryption.ts';
import { keyMacOperations } from './key-macs.ts';
import { keySignatureOperations } from './key-signatures.ts';
import { define } from './operation.ts';
import { closed } from './schemas.ts';

/** Bytes of one answer of the random operation, at most. */
export const maxRandomBytes = 1024;

/** What services do with keys; plaintext and keys leave in answers to these alone. */
export const keyUseOperations = {
  ...keyEncryptionOperations,
  ...dataKeyOperations,
  ...keySignatureOperations,
  ...keyMacOperations,
  ...keyAgreementOperations,
  'random.generate': define({
    id: 'random.generate',
    summary: 'Get random bytes from the generator that the keys come from',
    method: 'POST',
    path: '/v1/random',
    input: Type.Object({ bytes: Type.Integer({ minimum: 1, maximum: maxRandomBytes }) }, closed),
    output: Type.Object({ random: Type.String({ description: 'base64' }) }, closed),
    permission: 'keys:protect',
    effect: 'use',
    record: 'entry',
    recorded: ['bytes'],
    reason: 'none',
    errors: ['tenant.sealed', 'ledger.unwitnessed'],
    requirements: ['URS-001', 'URS-032'],
  }),
} as const;
