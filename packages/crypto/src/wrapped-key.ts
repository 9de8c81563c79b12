import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { idBytes, requireBytes, requireSymmetricKey } from './checks.ts';
import { CryptoError } from './errors.ts';
import { decrypt, encrypt, hkdfExpand, zeroNonce } from './primitives.ts';
import {
  aes256Gcm,
  keyAlgorithms,
  keyPurposes,
  requireSuite,
  wrapSuites,
  type KeyAlgorithm,
  type KeyPurpose,
} from './registry.ts';
import { mlDsa44PrivateKey, mlDsa44Seed } from './ml-dsa.ts';
import { ed25519PrivateKey, ed25519Seed } from './signature.ts';

const kindBytes = {
  instance: 1,
  tenant: 2,
  system: 3,
  study: 4,
  subject: 5,
  ledger: 6,
  epoch: 7,
  payload: 8,
  backup: 9,
  authenticator: 10,
} as const;

/** Where a key belongs. A wrapped key opens only at the place it was wrapped for. */
export type KeyPlace = Readonly<{
  kind: keyof typeof kindBytes;
  /** 16 bytes; zeros for the instance's own keys */
  tenantId: Uint8Array;
  /** 16 bytes */
  keyId: Uint8Array;
  /** 16 bytes */
  versionId: Uint8Array;
  purpose: KeyPurpose;
}>;

const version = 1;
const suite = 1;
const saltBytes = 32;
const headBytes = 2 + saltBytes;
const placeBytes = 2 + 3 * idBytes;
const secretBytes = 32;
const structureBytes = placeBytes + 1 + secretBytes;
/** Bytes of a wrapped key. */
export const wrappedKeyBytes = headBytes + structureBytes + aes256Gcm.tagBytes;
const label = Buffer.from('trialkeep/wrap/v1\0');

/**
 * Wraps a key for its place (docs/formats/wrapped-key.md).
 *
 * @param o.wrappingKey 256-bit symmetric key
 * @param o.key 256-bit symmetric key or, for the purpose `sign`, an Ed25519 private key
 * @returns 133 bytes
 * @throws CryptoError `crypto.key_unsuitable`, `crypto.argument_invalid`
 */
export function wrapKey(o: {
  readonly wrappingKey: KeyObject;
  readonly place: KeyPlace;
  readonly key: KeyObject;
}): Buffer {
  return wrapKeyWithSalt(o, randomBytes(saltBytes));
}

/**
 * `wrapKey` with a chosen salt: only for test vectors. A salt used twice under one key breaks both wrapped
 * keys.
 */
export function wrapKeyWithSalt(
  o: { readonly wrappingKey: KeyObject; readonly place: KeyPlace; readonly key: KeyObject },
  salt: Uint8Array,
): Buffer {
  const head = Buffer.concat([Buffer.of(version, suite), salt]);
  const structure = encodeKeyStructure(o.place, o.key);
  try {
    const wrapping = derive(o.wrappingKey, head, encodePlace(o.place));
    const { ciphertext, tag } = encrypt(wrapping, zeroNonce, head, structure);
    return Buffer.concat([head, ciphertext, tag]);
  } finally {
    structure.fill(0);
  }
}

/**
 * Unwraps a key at its place.
 *
 * @returns a symmetric key, or for the purpose `sign` an Ed25519 private key; owned by the caller, and
 *   released with the last reference to it
 * @throws CryptoError `crypto.wrapped_key_invalid`; for bytes that are not of the form
 *   `crypto.wrapped_key_malformed`, `crypto.version_unknown`, `crypto.suite_unknown`
 */
export function unwrapKey(o: {
  readonly wrappingKey: KeyObject;
  readonly place: KeyPlace;
  readonly wrapped: Uint8Array;
}): KeyObject {
  const [versionByte, suiteByte] = o.wrapped;
  if (versionByte !== undefined && versionByte !== version) {
    throw new CryptoError('crypto.version_unknown', `wrapped key ${versionByte}`);
  }
  if (suiteByte !== undefined) requireSuite(wrapSuites, suiteByte, 2);
  if (o.wrapped.length !== wrappedKeyBytes) throw new CryptoError('crypto.wrapped_key_malformed');

  const head = o.wrapped.subarray(0, headBytes);
  const tagOffset = wrappedKeyBytes - aes256Gcm.tagBytes;
  const structure = decrypt(
    derive(o.wrappingKey, head, encodePlace(o.place)),
    zeroNonce,
    head,
    o.wrapped.subarray(headBytes, tagOffset),
    o.wrapped.subarray(tagOffset),
  );
  if (structure === undefined) throw new CryptoError('crypto.wrapped_key_invalid');
  try {
    return decodeKeyStructure(o.place, structure);
  } finally {
    structure.fill(0);
  }
}

/**
 * The typed structure that is wrapped: `place[50] ‖ u8 secret type ‖ secret[32]`. A root of trust whose own
 * wrap takes no authenticated data wraps this, so that a swapped row is noticed there too.
 *
 * @returns 83 secret bytes, owned by the caller, who zeroes them
 */
export function encodeKeyStructure(place: KeyPlace, key: KeyObject): Buffer {
  const encodedPlace = encodePlace(place);
  const { algorithm } = keyPurposes[place.purpose];
  const secret = exportSecret(algorithm, key);
  const structure = Buffer.alloc(structureBytes);
  structure.set(encodedPlace);
  structure[placeBytes] = keyAlgorithms[algorithm].secretType;
  structure.set(secret, placeBytes + 1);
  secret.fill(0);
  return structure;
}

/**
 * Reads what `encodeKeyStructure` wrote. The bytes stay the caller's, who zeroes them.
 *
 * @throws CryptoError `crypto.wrapped_key_invalid` unless they name exactly this place
 */
export function decodeKeyStructure(place: KeyPlace, structure: Uint8Array): KeyObject {
  const encodedPlace = encodePlace(place);
  const { algorithm } = keyPurposes[place.purpose];
  if (
    structure.length !== structureBytes ||
    Buffer.compare(encodedPlace, structure.subarray(0, placeBytes)) !== 0 ||
    structure[placeBytes] !== keyAlgorithms[algorithm].secretType
  ) {
    throw new CryptoError('crypto.wrapped_key_invalid');
  }
  const secret = structure.subarray(placeBytes + 1);
  if (algorithm === 'ED25519') return ed25519PrivateKey(secret);
  return algorithm === 'ML_DSA_44' ? mlDsa44PrivateKey(secret) : createSecretKey(secret);
}

function derive(wrappingKey: KeyObject, head: Uint8Array, place: Uint8Array): KeyObject {
  requireSymmetricKey(wrappingKey);
  const okm = hkdfExpand(wrappingKey, Buffer.concat([label, head, place]));
  const key = createSecretKey(okm.subarray(0, aes256Gcm.keyBytes));
  okm.fill(0);
  return key;
}

function encodePlace(place: KeyPlace): Buffer {
  const kind = Object.hasOwn(kindBytes, place.kind) ? kindBytes[place.kind] : undefined;
  const purpose = keyPurposes[place.purpose] as { byte: number } | undefined;
  if (kind === undefined || purpose === undefined) throw new CryptoError('crypto.argument_invalid', 'place');
  requireBytes(place.tenantId, idBytes, 'place.tenantId');
  requireBytes(place.keyId, idBytes, 'place.keyId');
  requireBytes(place.versionId, idBytes, 'place.versionId');
  return Buffer.concat([
    Buffer.of(kind),
    place.tenantId,
    place.keyId,
    place.versionId,
    Buffer.of(purpose.byte),
  ]);
}

function exportSecret(algorithm: KeyAlgorithm, key: KeyObject): Buffer {
  if (algorithm === 'ED25519') return ed25519Seed(key);
  if (algorithm === 'ML_DSA_44') return mlDsa44Seed(key);
  requireSymmetricKey(key);
  return key.export();
}
