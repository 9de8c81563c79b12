import { Type } from 'typebox';
import { closed, time, uuid } from './schemas.ts';

/** Algorithms that a key can have. The crypto package's registry implements each (a test holds the two together). */
export const keyAlgorithms = [
  'AES_256',
  'HMAC_256',
  'HMAC_384',
  'HMAC_512',
  'ECC_NIST_P256',
  'ECC_NIST_P384',
  'ED25519',
  'RSA_3072',
  'RSA_4096',
  'RSA_2048',
  'X25519',
  'ML_KEM_768',
  'ML_DSA_65',
] as const;
/** What a key is for: one of these, for good. Which algorithm can have which, the crypto package's registry says. */
export const keyPurposes = ['encrypt', 'decrypt', 'sign', 'mac', 'agree'] as const;
/** How keys sign; each goes with one kind of key. */
export const signatureAlgorithms = [
  'ECDSA_SHA_256',
  'ECDSA_SHA_384',
  'ED25519',
  'ML_DSA_65',
  'RSASSA_PSS_SHA_256',
  'RSASSA_PSS_SHA_384',
  'RSASSA_PSS_SHA_512',
] as const;
/** Kinds of key pairs that are generated for callers. */
export const dataKeyPairAlgorithms = [
  'ECC_NIST_P256',
  'ECC_NIST_P384',
  'ED25519',
  'X25519',
  'RSA_3072',
] as const;

/** Where the material of a key is when it is used: in the server, or in an HSM that it never leaves. */
export const keyProtections = ['software', 'hsm'] as const;

/** Plaintext of the encrypt operation, at most 64 KiB. */
export const maxPlaintextBytes = 65_536;
/** Longest ciphertext of the encrypt operation: 98 bytes more (docs/formats/compact.md). */
export const maxCiphertextBytes = maxPlaintextBytes + 98;
/** Longest ciphertext of a data key. */
export const maxDataKeyCiphertextBytes = 512;
/** Longest message that is signed or authenticated. */
export const maxMessageBytes = 4096;
/** Longest signature: ML-DSA-65 has 3,309 bytes. */
export const maxSignatureBytes = 3309;

/** What every use of a key can answer. */
export const useErrors = [
  'key.unknown',
  'key.unusable',
  'key.revoked',
  'key.destruction_pending',
  'key.wrong_purpose',
  'tenant.sealed',
  'tenant.leaving',
  'tenant.root_refused',
  'tenant.root_unreachable',
  'ledger.unwitnessed',
  'key.module_unreachable',
  'key.module_gone',
] as const;
/** What a use that processes can answer beside. */
export const processErrors = [...useErrors, 'key.recipient_period_over', 'reason.required'] as const;
/** What a use with an encryption context can answer beside. */
export const contextErrors = [
  'context.invalid',
  'context.subject_required',
  'study.unknown',
  'study.closed',
  'study.erasing',
  'subject.unknown',
] as const;
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
/** A key, as people and services see it. */
export const key = Type.Object(
  {
    id: uuid,
    arn: Type.String({ description: 'ARN-shaped name, for clients of the AWS protocol' }),
    system: uuid,
    description: Type.String(),
    algorithm: Type.Enum(keyAlgorithms),
    purpose: Type.Enum(keyPurposes),
    state: Type.Enum(keyStates),
    version: Type.Integer({ minimum: 1, description: 'The version that protects; older ones only process' }),
    createdAt: time,
    activatesAt: Type.Union([time, Type.Null()]),
    expiresAt: Type.Union([time, Type.Null()], { description: 'End of originator usage' }),
    rotationPeriodDays: Type.Integer(),
    rotationDueAt: time,
    recipientPeriodDays: Type.Union([Type.Integer(), Type.Null()], {
      description: 'How long a version may process after it has ended to protect; null: without an end',
    }),
    useLogged: Type.Boolean({ description: 'Whether each use of its data keys is reported' }),
    origin: Type.Enum(['generated', 'imported'], {
      description: 'imported: made elsewhere; its versions are brought, and it does not rotate by itself',
    }),
    exportable: Type.Boolean({ description: 'Whether it may leave, wrapped, where people approve it' }),
    protection: Type.Enum(keyProtections, {
      description: 'hsm: its versions are made in an HSM, and used and destroyed there',
    }),
    destructionDueAt: Type.Union([time, Type.Null()], {
      description: 'Set while its destruction waits: nobody uses it',
    }),
    revocation: Type.Union([
      Type.Object({ cause: Type.Enum(revocationCauses), at: time }, closed),
      Type.Null(),
    ]),
  },
  closed,
);
/** One generation of a key. */
export const version = Type.Object(
  { id: uuid, version: Type.Integer(), state: Type.Enum(['active', 'deactivated']), createdAt: time },
  closed,
);
