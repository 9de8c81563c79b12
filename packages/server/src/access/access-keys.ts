import { createHash, createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CryptoError, encodeBase32, equalSecrets, unwrapKey, wrapKey } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import type { Hierarchy } from '../keys/index.ts';
import { StartupError } from '../platform/errors.ts';
import { idBytes, idOfBytes, noTenant } from '../platform/ids.ts';
import type { SignedRequest } from '../platform/signed-request.ts';

/** Lets people, and scanners of secrets, see what they have before them. */
const idPrefix = 'TKAK';
const secretPrefix = 'tka_';
const secretBytes = 32;
const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const idPattern = /^TKAK([A-Z2-7]{26})$/;
const hashLabel = 'trialkeep/access-key/v1\0';

/** How far the time in a signature may be from the server's, ms; a captured request is good for no longer. */
export const maxSignatureSkewMs = 5 * 60 * 1000;

/** The id under which clients of the AWS protocols know a credential that signs: 30 characters, one for each id. */
export function accessKeyId(credential: string): string {
  return idPrefix + encodeBase32(idBytes(credential));
}

/** The credential that an access key id is of; undefined for any other text. */
export function credentialOfAccessKey(text: string): string | undefined {
  const digits = idPattern.exec(text)?.[1];
  if (digits === undefined) return undefined;
  let value = 0n;
  for (const digit of digits) value = value * 32n + BigInt(base32.indexOf(digit));
  // 26 digits have two bits more than 16 bytes.
  const id = idOfBytes(Buffer.from((value >> 2n).toString(16).padStart(32, '0'), 'hex'));
  return accessKeyId(id) === text ? id : undefined;
}

/** A fresh secret access key: 256 random bits, as text that is shown once and as the key that is wrapped. */
export function newSecretAccessKey(): { readonly secret: string; readonly key: KeyObject } {
  const bytes = randomBytes(secretBytes);
  const made = { secret: textOf(bytes), key: createSecretKey(bytes) };
  bytes.fill(0);
  return made;
}

function textOf(secret: Buffer): string {
  return secretPrefix + secret.toString('base64url');
}

/** What stands in the credential's row in the place of a bearer secret's hash. */
export function hashSecretAccessKey(secret: string): Buffer {
  return createHash('sha256').update(hashLabel).update(secret).digest();
}

/**
 * Wraps the secret of a credential: it opens at this credential's place alone. Under the instance key, as the keys that sign ledgers: what
 * is asked for while a tenant's own root of trust refuses can then be refused by name, on the record.
 */
export async function wrapSecret(
  hierarchy: Hierarchy,
  tenant: string | null,
  credential: string,
  key: KeyObject,
): Promise<Uint8Array> {
  const wrappingKey = await hierarchy.ownerKey(null);
  return wrapKey({ wrappingKey, place: accessKeyPlace(tenant, credential), key });
}

/**
 * The secret of a credential as signatures are derived from it: "AWS4" and the text that its holder has.
 *
 * @throws StartupError `database.altered` where it is not what was stored at its place
 */
export async function openSigningSecret(
  hierarchy: Hierarchy,
  tenant: string | null,
  credential: string,
  wrapped: Uint8Array,
): Promise<KeyObject> {
  const bytes = unwrapSecret(await hierarchy.ownerKey(null), tenant, credential, wrapped).export();
  const signing = Buffer.from(`AWS4${textOf(bytes)}`);
  bytes.fill(0);
  const key = createSecretKey(signing);
  signing.fill(0);
  return key;
}

/** The same secret under another instance key. */
export function secretAnew(
  change: { readonly before: KeyObject; readonly after: KeyObject },
  tenant: string | null,
  { credential, wrapped }: { readonly credential: string; readonly wrapped: Uint8Array },
): Uint8Array {
  const key = unwrapSecret(change.before, tenant, credential, wrapped);
  return wrapKey({ wrappingKey: change.after, place: accessKeyPlace(tenant, credential), key });
}

function unwrapSecret(
  wrappingKey: KeyObject,
  tenant: string | null,
  credential: string,
  wrapped: Uint8Array,
): KeyObject {
  try {
    return unwrapKey({ wrappingKey, place: accessKeyPlace(tenant, credential), wrapped });
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new StartupError(
      'database.altered',
      `The secret of credential ${credential} does not open.`,
      error,
    );
  }
}

/**
 * Whether the signature was made with the secret, over exactly this text, for this scope (AWS Signature Version 4: four HMACs derive the
 * signing key from the secret, the fifth is the signature). The comparison takes the same time wherever they differ.
 *
 * @param secret what `openSigningSecret` gives
 */
export function isSignedWith(secret: KeyObject, { scope, stringToSign, signature }: SignedRequest): boolean {
  const derived: Buffer[] = [];
  let key: KeyObject | Buffer = secret;
  for (const part of [scope.date, scope.region, scope.service, 'aws4_request']) {
    key = createHmac('sha256', key).update(part).digest();
    derived.push(key);
  }
  const expected = createHmac('sha256', key).update(stringToSign).digest();
  const isEqual = equalSecrets(expected, signature);
  for (const bytes of [...derived, expected]) bytes.fill(0);
  return isEqual;
}

/** Of the kind of what somebody authenticates with; the purpose tells it from the secret of a person's generator of codes. */
function accessKeyPlace(tenant: string | null, credential: string): KeyPlace {
  const id = idBytes(credential);
  const tenantId = tenant === null ? noTenant : idBytes(tenant);
  return { kind: 'authenticator', tenantId, keyId: id, versionId: id, purpose: 'mac' };
}
