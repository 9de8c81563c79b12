import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { idBytes } from './checks.ts';
import { CryptoError } from './errors.ts';

const credentialPrefix = 'tkc_';
const credentialPattern = /^tkc_[A-Za-z0-9_-]{43}$/;
const credentialLabel = 'trialkeep/credential/v1\0';

/** A fresh random identifier, 16 bytes: of a key, a key version, an entry, a subject's alias. */
export function randomId(): Buffer {
  return randomBytes(idBytes);
}

/** Whether two secrets are equal. The time taken depends on their lengths only. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * A fresh service credential: `tkc_` and 256 random bits as base64url (RFC 4648 section 5), 47 characters.
 * The prefix lets secret scanners find one that leaked. It is shown once and never stored; `hashCredential`
 * is.
 */
export function generateCredential(): string {
  return credentialPrefix + randomBytes(32).toString('base64url');
}

/**
 * What is stored of a credential: 32 bytes, SHA-256("trialkeep/credential/v1\0" ‖ credential). A fast hash
 * suffices because the credential is 256 random bits and not a password.
 *
 * @throws CryptoError `crypto.credential_malformed`
 */
export function hashCredential(credential: string): Buffer {
  // The last of 43 characters carries 4 bits: one spelling is canonical, the others are refused.
  const encoded = credential.slice(credentialPrefix.length);
  const canonical =
    credentialPattern.test(credential) && Buffer.from(encoded, 'base64url').toString('base64url') === encoded;
  if (!canonical) throw new CryptoError('crypto.credential_malformed');
  return createHash('sha256').update(credentialLabel).update(credential).digest();
}
