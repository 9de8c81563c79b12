import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { idBytes } from './checks.ts';
import { CryptoError } from './errors.ts';

/**
 * The kinds of bearer secret: whoever shows one is let in. The prefix lets secret scanners find one that
 * leaked, and the label keeps the hash of one kind from standing for another.
 */
const kinds = {
  /** of a service, until it is revoked or expires */
  credential: { prefix: 'tkc_', label: 'trialkeep/credential/v1\0' },
  /** of a person who has signed in */
  session: { prefix: 'tks_', label: 'trialkeep/session/v1\0' },
  /** of a person who is to enrol, once */
  invitation: { prefix: 'tki_', label: 'trialkeep/invitation/v1\0' },
  /** of a person who brings key material, once; lets nobody in anywhere else */
  import: { prefix: 'tkm_', label: 'trialkeep/import/v1\0' },
} as const;

export type SecretKind = keyof typeof kinds;

const kindNames = Object.keys(kinds) as SecretKind[];
const prefixCharacters = 4;
const randomPattern = /^[A-Za-z0-9_-]{43}$/;

/** A fresh random identifier, 16 bytes: of a key, a key version, an entry, a subject's alias. */
export function randomId(): Buffer {
  return randomBytes(idBytes);
}

/** Whether two secrets are equal. The time taken depends on their lengths only. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * A fresh bearer secret: the prefix of its kind (`tkc_`, `tks_`, `tki_`, `tkm_`) and 256 random bits as base64url (RFC
 * 4648 section 5), 47 characters. It is shown or sent once and never stored; `hashSecret` is.
 */
export function generateSecret(kind: SecretKind): string {
  return kinds[kind].prefix + randomBytes(32).toString('base64url');
}

/** The kind of a bearer secret, or `undefined` where the text (of any length) is none. */
export function secretKind(text: string): SecretKind | undefined {
  const kind = kindNames.find((name) => text.startsWith(kinds[name].prefix));
  // The last of 43 characters carries 4 bits: one spelling is canonical, the others are refused.
  const random = text.slice(prefixCharacters);
  const canonical =
    randomPattern.test(random) && Buffer.from(random, 'base64url').toString('base64url') === random;
  return canonical ? kind : undefined;
}

/**
 * What is stored of a bearer secret: 32 bytes, SHA-256(label of its kind ‖ secret), the label being
 * "trialkeep/credential/v1\0" with the name of the kind. A fast hash suffices because the secret is 256 random
 * bits and not a password.
 *
 * @throws CryptoError `crypto.secret_malformed`
 */
export function hashSecret(secret: string): Buffer {
  const kind = secretKind(secret);
  if (kind === undefined) throw new CryptoError('crypto.secret_malformed');
  return createHash('sha256').update(kinds[kind].label).update(secret).digest();
}

/** A fresh service credential, `generateSecret('credential')`. */
export function generateCredential(): string {
  return generateSecret('credential');
}

/**
 * `hashSecret` of a service credential.
 *
 * @throws CryptoError `crypto.credential_malformed`, for secrets of other kinds too
 */
export function hashCredential(credential: string): Buffer {
  if (secretKind(credential) !== 'credential') throw new CryptoError('crypto.credential_malformed');
  return hashSecret(credential);
}
