import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { exportSecret, importSecret, secretLengths } from './keys/material.ts';
import { idBytes, requireBytes, requireSymmetricKey } from './checks.ts';
import { CryptoError } from './errors.ts';
import { decrypt, encrypt, hkdfExpand, zeroNonce } from './primitives.ts';
import {
  aes256Gcm,
  isForPurpose,
  keyAlgorithm,
  keyAlgorithms,
  keyPurposes,
  requireSuite,
  wrapSuites,
  type KeyAlgorithm,
  type KeyPurpose,
} from './registry.ts';

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
  import: 11,
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
  /** Of a system's key, one that can have the purpose; absent for Trialkeep's own, whose purpose has one algorithm. */
  algorithm?: KeyAlgorithm;
}>;

const version = 1;
const suite = 1;
const saltBytes = 32;
const headBytes = 2 + saltBytes;
const placeBytes = 2 + 3 * idBytes;
/** Bytes of a wrapped key beside its secret. */
const overheadBytes = headBytes + placeBytes + 1 + aes256Gcm.tagBytes;
/** Bytes of a wrapped key whose secret has 32 bytes: every one of Trialkeep's own. */
export const wrappedKeyBytes = overheadBytes + 32;
const label = Buffer.from('trialkeep/wrap/v1\0');

/**
 * Wraps a key for its place (docs/formats/wrapped-key.md).
 *
 * @param o.wrappingKey 256-bit symmetric key
 * @param o.key symmetric or private key of the place's algorithm
 * @returns 133 bytes where the secret has 32, more where it has more
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
 * @returns a symmetric or private key of the place's algorithm; owned by the caller, and released with the last reference to it
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
  const { least, most } = secretLengths(algorithmOf(o.place));
  const secretBytes = o.wrapped.length - overheadBytes;
  if (secretBytes < least || secretBytes > most) throw new CryptoError('crypto.wrapped_key_malformed');

  const head = o.wrapped.subarray(0, headBytes);
  const tagOffset = o.wrapped.length - aes256Gcm.tagBytes;
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
 * The typed structure that is wrapped: `place[50] ‖ u8 secret type ‖ secret`. A root of trust whose own
 * wrap takes no authenticated data wraps this, so that a swapped row is noticed there too.
 *
 * @returns secret bytes, 83 for one of Trialkeep's own keys, owned by the caller, who zeroes them
 */
export function encodeKeyStructure(place: KeyPlace, key: KeyObject): Buffer {
  const encodedPlace = encodePlace(place);
  const algorithm = algorithmOf(place);
  const secret = exportSecret(algorithm, key);
  const structure = Buffer.alloc(placeBytes + 1 + secret.length);
  structure.set(encodedPlace);
  structure[placeBytes] = keyAlgorithm(algorithm).secretType;
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
  const algorithm = algorithmOf(place);
  const isOfPlace =
    Buffer.compare(encodedPlace, structure.subarray(0, placeBytes)) === 0 &&
    structure[placeBytes] === keyAlgorithm(algorithm).secretType;
  const key = isOfPlace ? importSecret(algorithm, structure.subarray(placeBytes + 1)) : undefined;
  if (key === undefined) throw new CryptoError('crypto.wrapped_key_invalid');
  return key;
}

/**
 * Reads a structure whose place is not known beforehand. The bytes stay the caller's, who zeroes them.
 *
 * @throws CryptoError `crypto.wrapped_key_malformed` for bytes that are no structure of a known place and key
 */
export function parseKeyStructure(structure: Uint8Array): { place: KeyPlace; key: KeyObject } {
  const kind = Object.entries(kindBytes).find(([, byte]) => byte === structure[0])?.[0];
  const purpose = Object.entries(keyPurposes).find(([, { byte }]) => byte === structure[placeBytes - 1])?.[0];
  const algorithm = Object.entries(keyAlgorithms).find(
    ([, { secretType }]) => secretType === structure[placeBytes],
  )?.[0];
  if (
    structure.length <= placeBytes ||
    kind === undefined ||
    purpose === undefined ||
    algorithm === undefined
  ) {
    throw new CryptoError('crypto.wrapped_key_malformed');
  }
  const id = (index: number): Buffer =>
    Buffer.from(structure.slice(1 + index * idBytes, 1 + (index + 1) * idBytes));
  const place: KeyPlace = {
    kind: kind as KeyPlace['kind'],
    tenantId: id(0),
    keyId: id(1),
    versionId: id(2),
    purpose: purpose as KeyPurpose,
    ...(kind === 'system' && { algorithm: algorithm as KeyAlgorithm }),
  };
  try {
    return { place, key: decodeKeyStructure(place, structure) };
  } catch (error) {
    if (error instanceof CryptoError) throw new CryptoError('crypto.wrapped_key_malformed');
    throw error;
  }
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

/** The algorithm of the key at a place: the one that it names and that can have its purpose, or that of Trialkeep's own for the purpose. */
function algorithmOf(place: KeyPlace): KeyAlgorithm {
  const { purpose, algorithm } = place;
  const own = Object.hasOwn(keyPurposes, purpose) ? keyPurposes[purpose].algorithm : undefined;
  const named = algorithm ?? own;
  if (named === undefined || (named !== own && !isForPurpose(named, purpose))) {
    throw new CryptoError('crypto.argument_invalid', 'place');
  }
  return named;
}
