import { Type } from 'typebox';
import { keyAlgorithms, keyPurposes, keyStates, processErrors } from './key-schemas.ts';
import { define } from './operation.ts';
import { base64, closed, reason, uuid } from './schemas.ts';

const version = Type.Integer({ minimum: 1, maximum: 1_000_000 });
const chosen = { version: Type.Optional(version), reason: Type.Optional(reason) };
const secret = Type.Object(
  {
    sharedSecret: Type.String({ description: 'base64; not a key yet: derive one from it' }),
    key: uuid,
    version,
  },
  closed,
);
const agreeing = {
  method: 'POST',
  output: secret,
  permission: 'keys:process',
  effect: 'use',
  record: 'entry',
  recorded: ['version', 'reason'],
  reason: 'optional',
  requirements: ['URS-012', 'URS-032', 'URS-045'],
} as const;

/** Secrets that two sides come to, with the server's private half; and the public halves of all kinds of pairs. */
export const keyAgreementOperations = {
  'keys.derive-shared-secret': define({
    ...agreeing,
    id: 'keys.derive-shared-secret',
    summary: "Derive the secret that a key shares with another's public key (ECDH, X25519)",
    path: '/v1/keys/{key}/derive-shared-secret',
    input: Type.Object(
      {
        key: uuid,
        publicKey: base64(120, "The other side's public key: SubjectPublicKeyInfo, DER"),
        ...chosen,
      },
      closed,
    ),
    recorded: ['publicKey', 'version', 'reason'],
    errors: [...processErrors, 'key.version_unknown', 'agreement.public_key_unsuitable'],
  }),
  'keys.decapsulate': define({
    ...agreeing,
    id: 'keys.decapsulate',
    summary: 'Derive the secret that was encapsulated to the public key of a key (ML-KEM)',
    path: '/v1/keys/{key}/decapsulate',
    input: Type.Object({ key: uuid, ciphertext: base64(1088, 'Encapsulation'), ...chosen }, closed),
    errors: [...processErrors, 'key.version_unknown', 'ciphertext.invalid'],
  }),
  'keys.public-key': define({
    id: 'keys.public-key',
    summary: 'Get the public key of a version of a key, whatever state it is in',
    method: 'GET',
    path: '/v1/keys/{key}/public-key',
    input: Type.Object({ key: uuid, version: Type.Optional(version) }, closed),
    output: Type.Object(
      {
        publicKey: Type.String({ description: 'SubjectPublicKeyInfo, DER, base64' }),
        key: uuid,
        version,
        algorithm: Type.Enum(keyAlgorithms),
        purpose: Type.Enum(keyPurposes),
        state: Type.Enum(keyStates),
      },
      closed,
    ),
    permission: 'keys:public',
    effect: 'read',
    record: 'entry',
    recorded: ['version'],
    reason: 'none',
    errors: ['key.unknown', 'key.version_unknown', 'key.wrong_purpose'],
    requirements: ['URS-012', 'URS-045'],
  }),
} as const;
