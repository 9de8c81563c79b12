import { timingSafeEqual } from 'node:crypto';
import { ecdsaDer, signatureAlgorithms } from '@trialkeep/crypto';
import type { EcdsaEncoding, RemoteCompactKey, SignatureAlgorithm, Signed } from '@trialkeep/crypto';
import { idBytes } from '../platform/ids.ts';
import { invalidCiphertext, publicKeyOf } from './permitted.ts';
import type { PermittedKey, UseParts } from './permitted.ts';
import type { KeyVersion } from './store.ts';
import type { ResidentVersion } from './token-keys.ts';

/** Whether the version stays in an HSM; its row is sealed. */
export function isResident({ token }: Pick<KeyVersion, 'token'>): boolean {
  return token !== null;
}

/** The HSM and the object there. The root of the tenant is asked, where it has one of its own: it may refuse these keys like the others. */
async function residentOf({ hierarchy }: UseParts, { tenant, row }: PermittedKey, { id, token }: KeyVersion) {
  await hierarchy.tenantKey(tenant);
  const version: ResidentVersion = { tenant, key: row.id, version: id, ...(token !== null && { token }) };
  return { tokenKeys: hierarchy.tokenKeys, version };
}

/** What makes and opens the compact form under a version that stays in an HSM: one HMAC there for each ciphertext. */
export async function remoteKeyOf(
  parts: UseParts,
  key: PermittedKey,
  version: KeyVersion,
): Promise<RemoteCompactKey> {
  const { tokenKeys, version: resident } = await residentOf(parts, key, version);
  return {
    mac: (message) => tokenKeys.mac(resident, 'sha512', message),
    keyVersionId: idBytes(version.id),
    tenantId: idBytes(key.tenant),
    keyId: idBytes(key.row.id),
  };
}

/** A signature made in the HSM. */
export async function signInToken(
  parts: UseParts,
  key: PermittedKey,
  version: KeyVersion,
  how: {
    readonly algorithm: SignatureAlgorithm;
    readonly signed: Signed;
    readonly encoding: EcdsaEncoding | undefined;
  },
): Promise<Buffer> {
  const { tokenKeys, version: resident } = await residentOf(parts, key, version);
  const signature = await tokenKeys.sign(resident, how.algorithm, how.signed);
  const isDer = signatureAlgorithms[how.algorithm].scheme === 'ecdsa' && how.encoding !== 'p1363';
  return isDer ? ecdsaDer(signature) : signature;
}

const macHashes = { HMAC_256: 'sha256', HMAC_384: 'sha384', HMAC_512: 'sha512' } as const;

/** A MAC made in the HSM. */
export async function macInToken(
  parts: UseParts,
  key: PermittedKey,
  version: KeyVersion,
  message: Uint8Array,
): Promise<Buffer> {
  const { tokenKeys, version: resident } = await residentOf(parts, key, version);
  return tokenKeys.mac(resident, macHashes[key.row.algorithm as keyof typeof macHashes], message);
}

/** Whether the MAC is the one of the message, in constant time. */
export async function isMacInToken(
  parts: UseParts,
  key: PermittedKey,
  version: KeyVersion,
  { message, mac }: { readonly message: Uint8Array; readonly mac: Uint8Array },
): Promise<boolean> {
  const expected = await macInToken(parts, key, version, message);
  return expected.length === mac.length && timingSafeEqual(expected, mac);
}

/** RSAES-OAEP in the HSM. What RSA cannot take is refused before: tokens differ in how they say so. @throws OperationError `ciphertext.invalid` */
export async function decryptInToken(
  parts: UseParts,
  key: PermittedKey,
  version: KeyVersion,
  ciphertext: Uint8Array,
): Promise<Buffer> {
  const { n } = publicKeyOf(key, version).export({ format: 'jwk' });
  const modulus = Buffer.from(n ?? '', 'base64url');
  if (ciphertext.length !== modulus.length || Buffer.compare(ciphertext, modulus) >= 0)
    throw invalidCiphertext();
  const { tokenKeys, version: resident } = await residentOf(parts, key, version);
  return tokenKeys.decrypt(resident, ciphertext);
}
