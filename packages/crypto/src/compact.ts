import { createSecretKey, hash, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto';
import { idBytes, requireBytes, requireSymmetricKey } from './checks.ts';
import { encodeContext, type EncryptionContext } from './context.ts';
import { CryptoError } from './errors.ts';
import { decrypt, encrypt, hkdfExpand, zeroNonce } from './primitives.ts';
import { aes256Gcm, compactSuites, requireSuite } from './registry.ts';

/** The longest plaintext of the compact form, in bytes. */
export const maximumCompactPlaintextBytes = 65_536;

/** How much longer a compact ciphertext is than its plaintext, in bytes. */
export const compactOverheadBytes = 98;

const version = 1;
const suite = 1;
const saltBytes = 32;
const commitmentOffset = 50;
const ciphertextOffset = 82;
const okmBytes = 64;
const label = Buffer.from('trialkeep/compact/v1\0');

/** A key version and its place: what the compact form binds a ciphertext to. Identifiers have 16 bytes. */
export type CompactKey = Readonly<{
  /** 256-bit symmetric key of this version; stays the caller's */
  key: KeyObject;
  keyVersionId: Uint8Array;
  tenantId: Uint8Array;
  keyId: Uint8Array;
}>;

/**
 * Encrypts in the compact form (docs/formats/compact.md).
 *
 * @param o.plaintext 0 to 65,536 bytes; stays the caller's, who zeroes it
 * @returns the ciphertext, 98 bytes longer than the plaintext
 * @throws CryptoError `crypto.plaintext_too_long`, `crypto.context_invalid`, `crypto.key_unsuitable`,
 *   `crypto.argument_invalid`
 */
export function sealCompact(
  o: CompactKey & { readonly context: EncryptionContext; readonly plaintext: Uint8Array },
): Buffer {
  return sealCompactWithSalt(o, randomBytes(saltBytes));
}

/**
 * `sealCompact` with a chosen salt: only for test vectors. A salt used twice under one key breaks both
 * ciphertexts.
 */
export function sealCompactWithSalt(
  o: CompactKey & { readonly context: EncryptionContext; readonly plaintext: Uint8Array },
  salt: Uint8Array,
): Buffer {
  const head = compactHead(o, salt);
  return sealDerived(head, derive(o, head), o.plaintext);
}

/** A key version that stays where it is, in a token: what the compact form has of it is one HMAC for each ciphertext. */
export type RemoteCompactKey = Omit<CompactKey, 'key'> &
  Readonly<{
    /** HMAC-SHA-512 under the key version (FIPS 198-1): 64 bytes, which are zeroed here. */
    mac(message: Uint8Array): Promise<Buffer>;
  }>;

/** `sealCompact` under a key version that stays where it is. @throws CryptoError as `sealCompact`, and what `mac` throws */
export async function sealCompactRemote(
  o: RemoteCompactKey & { readonly context: EncryptionContext; readonly plaintext: Uint8Array },
): Promise<Buffer> {
  const head = compactHead(o, randomBytes(saltBytes));
  return sealDerived(head, await deriveRemote(o, head), o.plaintext);
}

/** `openCompact` under a key version that stays where it is. @throws CryptoError as `openCompact`, and what `mac` throws */
export async function openCompactRemote(
  o: Omit<RemoteCompactKey, 'keyVersionId'> & {
    readonly context: EncryptionContext;
    readonly ciphertext: Uint8Array;
  },
): Promise<Buffer> {
  requireCompact(o.ciphertext);
  return openDerived(await deriveRemote(o, o.ciphertext.subarray(0, commitmentOffset)), o.ciphertext);
}

function compactHead(
  { keyVersionId, plaintext }: { readonly keyVersionId: Uint8Array; readonly plaintext: Uint8Array },
  salt: Uint8Array,
): Buffer {
  requireBytes(keyVersionId, idBytes, 'keyVersionId');
  if (plaintext.length > maximumCompactPlaintextBytes) throw new CryptoError('crypto.plaintext_too_long');
  return Buffer.concat([Buffer.of(version, suite), keyVersionId, salt]);
}

function sealDerived(head: Buffer, derived: Derived, plaintext: Uint8Array): Buffer {
  const sealed = Buffer.alloc(compactOverheadBytes + plaintext.length);
  sealed.set(head);
  sealed.set(derived.commitment, commitmentOffset);
  const { ciphertext, tag } = encrypt(
    derived.key,
    zeroNonce,
    sealed.subarray(0, ciphertextOffset),
    plaintext,
  );
  sealed.set(ciphertext, ciphertextOffset);
  sealed.set(tag, ciphertextOffset + ciphertext.length);
  return sealed;
}

/**
 * Decrypts the compact form. Whatever is wrong with key, tenant, context or bytes gives the same error.
 *
 * @returns the plaintext, owned by the caller, who zeroes it when it is secret
 * @throws CryptoError `crypto.ciphertext_invalid`, and for bytes that are not of the form
 *   `crypto.ciphertext_truncated`, `crypto.ciphertext_malformed`, `crypto.version_unknown`,
 *   `crypto.suite_unknown`
 */
export function openCompact(
  o: Omit<CompactKey, 'keyVersionId'> & {
    readonly context: EncryptionContext;
    readonly ciphertext: Uint8Array;
  },
): Buffer {
  requireCompact(o.ciphertext);
  return openDerived(derive(o, o.ciphertext.subarray(0, commitmentOffset)), o.ciphertext);
}

function openDerived(derived: Derived, ciphertext: Uint8Array): Buffer {
  const tagOffset = ciphertext.length - aes256Gcm.tagBytes;
  // The commitment first: without it a ciphertext could be made that opens under two keys.
  if (!timingSafeEqual(derived.commitment, ciphertext.subarray(commitmentOffset, ciphertextOffset))) {
    throw new CryptoError('crypto.ciphertext_invalid');
  }
  const plaintext = decrypt(
    derived.key,
    zeroNonce,
    ciphertext.subarray(0, ciphertextOffset),
    ciphertext.subarray(ciphertextOffset, tagOffset),
    ciphertext.subarray(tagOffset),
  );
  if (plaintext === undefined) throw new CryptoError('crypto.ciphertext_invalid');
  return plaintext;
}

/**
 * The id of the key version that a compact ciphertext names, 16 bytes. Nothing is authenticated yet: use it
 * only to look the key up.
 *
 * @throws CryptoError as `openCompact` for bytes that are not of the form
 */
export function compactKeyVersionId(ciphertext: Uint8Array): Buffer {
  requireCompact(ciphertext);
  return Buffer.from(ciphertext.subarray(2, 2 + idBytes));
}

/** Attacker-controlled input: version, suite and length are checked before anything is derived from it. */
function requireCompact(ciphertext: Uint8Array): void {
  const [versionByte, suiteByte] = ciphertext;
  if (versionByte !== undefined && versionByte !== version) {
    throw new CryptoError('crypto.version_unknown', `compact form ${versionByte}`);
  }
  if (suiteByte !== undefined) requireSuite(compactSuites, suiteByte, 2);
  if (ciphertext.length < compactOverheadBytes) throw new CryptoError('crypto.ciphertext_truncated');
  if (ciphertext.length > compactOverheadBytes + maximumCompactPlaintextBytes) {
    throw new CryptoError('crypto.ciphertext_malformed', 'longer than the compact form allows');
  }
}

/** What one ciphertext is encrypted under, and the commitment to the key version that it followed from. */
interface Derived {
  readonly key: KeyObject;
  readonly commitment: Buffer;
}

type Bound = Pick<CompactKey, 'tenantId' | 'keyId'> & { readonly context: EncryptionContext };

function derive(o: Omit<CompactKey, 'keyVersionId'> & Bound, head: Uint8Array): Derived {
  requireSymmetricKey(o.key);
  return split(hkdfExpand(o.key, infoOf(o, head)));
}

async function deriveRemote(o: Omit<RemoteCompactKey, 'keyVersionId'> & Bound, head: Uint8Array) {
  const okm = await o.mac(Buffer.concat([infoOf(o, head), Buffer.of(1)]));
  requireBytes(okm, okmBytes, 'mac');
  return split(okm);
}

function infoOf({ tenantId, keyId, context }: Bound, head: Uint8Array): Buffer {
  requireBytes(tenantId, idBytes, 'tenantId');
  requireBytes(keyId, idBytes, 'keyId');
  const contextDigest = hash('sha256', encodeContext(context), 'buffer');
  return Buffer.concat([label, head, tenantId, keyId, contextDigest]);
}

function split(okm: Buffer): Derived {
  const key = createSecretKey(okm.subarray(0, aes256Gcm.keyBytes));
  okm.fill(0, 0, aes256Gcm.keyBytes);
  return { key, commitment: okm.subarray(aes256Gcm.keyBytes) };
}
