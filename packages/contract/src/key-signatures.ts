import { Type } from 'typebox';
import {
  maxMessageBytes,
  maxSignatureBytes,
  processErrors,
  signatureAlgorithms,
  useErrors,
} from './key-schemas.ts';
import { define } from './operation.ts';
import { base64, closed, reason, uuid } from './schemas.ts';

const version = Type.Integer({ minimum: 1, maximum: 1_000_000 });
const algorithm = Type.Enum(signatureAlgorithms);
/** What is signed: one of the two. */
const signed = {
  message: Type.Optional(base64(maxMessageBytes, 'The message; longer ones go by their digest')),
  digest: Type.Optional(
    base64(64, "The message's digest under the algorithm's hash; only for RSA, in place of the message"),
  ),
  algorithm: Type.Optional(algorithm),
  encoding: Type.Optional(
    Type.Enum(['der', 'p1363'], {
      description:
        'Of ECDSA signatures: DER as OpenSSL and AWS KMS have it, the default; or r and s side by side',
    }),
  ),
};
const signatureErrors = ['signature.algorithm_unsuitable', 'signature.input_invalid'] as const;

/** Signatures of systems' keys of purpose `sign`. They are a machine's: those of people are in signatures.ts. */
export const keySignatureOperations = {
  'keys.sign': define({
    id: 'keys.sign',
    summary: 'Sign a message of up to 4,096 bytes with the current version of a key',
    method: 'POST',
    path: '/v1/keys/{key}/sign',
    input: Type.Object({ key: uuid, ...signed }, closed),
    output: Type.Object(
      {
        signature: Type.String({ description: 'base64' }),
        algorithm,
        key: uuid,
        version,
      },
      closed,
    ),
    permission: 'keys:protect',
    effect: 'use',
    record: 'entry',
    recorded: ['algorithm', 'encoding'],
    reason: 'none',
    errors: [...useErrors, ...signatureErrors],
    requirements: ['URS-012', 'URS-032', 'URS-045'],
  }),
  'keys.verify': define({
    id: 'keys.verify',
    summary: 'Check a signature of a key',
    method: 'POST',
    path: '/v1/keys/{key}/verify',
    input: Type.Object(
      {
        key: uuid,
        ...signed,
        signature: base64(maxSignatureBytes, 'Signature'),
        version: Type.Optional(version),
        reason: Type.Optional(reason),
      },
      closed,
    ),
    output: Type.Object({ valid: Type.Boolean(), algorithm, key: uuid, version }, closed),
    permission: 'keys:process',
    effect: 'use',
    record: 'entry',
    recorded: ['algorithm', 'encoding', 'version', 'reason'],
    reason: 'optional',
    errors: [...processErrors, ...signatureErrors, 'key.version_unknown'],
    requirements: ['URS-012', 'URS-032', 'URS-045'],
  }),
} as const;
