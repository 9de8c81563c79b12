import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPair,
  generateKeySync,
  type KeyObject,
} from 'node:crypto';
import { CryptoError } from '../errors.ts';
import { keyAlgorithm } from '../registry.ts';
import { mlDsa44PrivateKey, mlDsa44Seed } from '../ml-dsa.ts';
import { ed25519PrivateKey, ed25519Seed } from '../signature.ts';

/** Longest PKCS #8 form of an RSA private key in use, bytes: that of 4,096 bits has 2,374 to 2,376. */
export const maximumPkcs8Bytes = 2560;

/** FIPS 186-5 section 5.1 asks for more than 2¹⁶; the usual one, and the only one here. */
const publicExponent = 0x10001;

/** Both halves of a pair that is made in a thread of the pool. */
function makePair(
  begin: (done: (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void) => void,
): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  return new Promise((resolve, reject) => {
    begin((error, publicKey, privateKey) =>
      error === null ? resolve({ publicKey, privateKey }) : reject(error),
    );
  });
}
/** OpenSSL's names of the curves. */
const ecdhCurves = { 'P-256': 'prime256v1', 'P-384': 'secp384r1' } as const;

/** What a key of a system consists of. */
export interface KeyMaterial {
  /** Symmetric or private; owned by the caller, and released with the last reference to it. */
  readonly secret: KeyObject;
  /** SubjectPublicKeyInfo, DER (RFC 5280 section 4.1.2.7); absent for symmetric keys. */
  readonly publicKey?: Uint8Array;
}

/**
 * Makes a fresh random key of any kind in the registry, off the event loop where it takes long (RSA: up to seconds).
 *
 * @throws CryptoError `crypto.algorithm_unknown`
 */
export async function generateKeyMaterial(algorithm: string): Promise<KeyMaterial> {
  const { secret } = keyAlgorithm(algorithm);
  switch (secret.form) {
    case 'symmetric': {
      const length = secret.bytes * 8;
      return { secret: generateKeySync(algorithm === 'AES_256' ? 'aes' : 'hmac', { length }) };
    }
    case 'scalar':
      return materialOf(await makePair((done) => generateKeyPair('ec', { namedCurve: secret.curve }, done)));
    case 'rsa':
      return materialOf(
        await makePair((done) =>
          generateKeyPair('rsa', { modulusLength: secret.bits, publicExponent }, done),
        ),
      );
    case 'seed':
      return materialOf(
        await makePair((done) => generateKeyPair(secret.keyType as 'ed25519', undefined, done)),
      );
  }
}

function materialOf({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): KeyMaterial {
  return { secret: privateKey, publicKey: encodePublicKey(publicKey) };
}

/** SubjectPublicKeyInfo, DER, of a private or public key. */
export function encodePublicKey(key: KeyObject): Buffer {
  return (key.type === 'public' ? key : createPublicKey(key)).export({ format: 'der', type: 'spki' });
}

/**
 * Reads a public key of one algorithm in its one encoding: SubjectPublicKeyInfo, DER, with named curve and uncompressed point.
 *
 * @throws CryptoError `crypto.key_unsuitable` for anything else
 */
export function parsePublicKey(algorithm: string, spki: Uint8Array): KeyObject {
  const row = keyAlgorithm(algorithm);
  const key = attempt(() => createPublicKey({ key: viewOf(spki), format: 'der', type: 'spki' }));
  if (key === undefined || !isOfAlgorithm(key, row.secret) || !encodePublicKey(key).equals(spki)) {
    throw new CryptoError('crypto.key_unsuitable', `a public key of ${algorithm} is needed`);
  }
  return key;
}

/** Whether a key, symmetric or either half of a pair, is of the algorithm whose `secret` column this is. */
export function isOfAlgorithm(key: KeyObject, secret: ReturnType<typeof keyAlgorithm>['secret']): boolean {
  const details = key.asymmetricKeyDetails;
  switch (secret.form) {
    case 'symmetric':
      return key.type === 'secret' && key.symmetricKeySize === secret.bytes;
    case 'scalar':
      return key.asymmetricKeyType === 'ec' && details?.namedCurve === ecdhCurves[secret.curve];
    case 'rsa':
      return (
        key.asymmetricKeyType === 'rsa' &&
        details?.modulusLength === secret.bits &&
        details.publicExponent === BigInt(publicExponent)
      );
    case 'seed':
      return key.asymmetricKeyType === secret.keyType;
  }
}

/** The lengths that a secret can have in its stored form, bytes, both included. */
export function secretLengths(algorithm: string): { readonly least: number; readonly most: number } {
  const { secret } = keyAlgorithm(algorithm);
  if (secret.form === 'rsa') return { least: 1, most: maximumPkcs8Bytes };
  return { least: secret.bytes, most: secret.bytes };
}

/**
 * The secret in the form that the registry says.
 *
 * @returns bytes that the caller owns and zeroes
 * @throws CryptoError `crypto.key_unsuitable` unless the key is of the algorithm
 */
export function exportSecret(algorithm: string, key: KeyObject): Buffer {
  const { secret } = keyAlgorithm(algorithm);
  if (algorithm === 'ED25519') return ed25519Seed(key);
  if (algorithm === 'ML_DSA_44') return mlDsa44Seed(key);
  const type = secret.form === 'symmetric' ? 'secret' : 'private';
  if (key.type !== type || !isOfAlgorithm(key, secret)) {
    throw new CryptoError('crypto.key_unsuitable', `a ${type} key of ${algorithm} is needed`);
  }
  const encoded = attempt(() => exported(key, secret));
  if (encoded === undefined) throw new CryptoError('crypto.key_unsuitable', 'the secret cannot be exported');
  return encoded;
}

function exported(key: KeyObject, secret: ReturnType<typeof keyAlgorithm>['secret']): Buffer {
  if (secret.form === 'symmetric') return key.export();
  if (secret.form === 'rsa') return key.export({ format: 'der', type: 'pkcs8' });
  if (secret.form === 'seed' && secret.keyType.startsWith('ml-')) return key.export({ format: 'raw-seed' });
  return key.export({ format: 'raw-private' });
}

/**
 * Reads what `exportSecret` wrote; the bytes stay the caller's, who zeroes them.
 *
 * @returns undefined for bytes that are not the one encoding of a secret of the algorithm
 */
export function importSecret(algorithm: string, bytes: Uint8Array): KeyObject | undefined {
  const { secret } = keyAlgorithm(algorithm);
  const { least, most } = secretLengths(algorithm);
  if (bytes.length < least || bytes.length > most) return undefined;
  return attempt(() => imported(algorithm, secret, bytes));
}

function imported(
  algorithm: string,
  secret: ReturnType<typeof keyAlgorithm>['secret'],
  bytes: Uint8Array,
): KeyObject | undefined {
  if (secret.form === 'symmetric') return createSecretKey(bytes);
  if (algorithm === 'ED25519') return ed25519PrivateKey(bytes);
  if (algorithm === 'ML_DSA_44') return mlDsa44PrivateKey(bytes);
  if (secret.form === 'seed') return rawPrivateKey(secret.keyType, bytes);
  if (secret.form === 'scalar') {
    // OpenSSL's import of a bare scalar does not look at its range; this does, and throws.
    createECDH(ecdhCurves[secret.curve]).setPrivateKey(bytes);
    return rawPrivateKey('ec', bytes, secret.curve);
  }
  const key = createPrivateKey({ key: viewOf(bytes), format: 'der', type: 'pkcs8' });
  if (!isOfAlgorithm(key, secret)) return undefined;
  const encoded = exported(key, secret);
  const isCanonical = encoded.equals(bytes);
  encoded.fill(0);
  return isCanonical ? key : undefined;
}

function rawPrivateKey(asymmetricKeyType: string, bytes: Uint8Array, namedCurve?: string): KeyObject {
  const format = asymmetricKeyType.startsWith('ml-') ? 'raw-seed' : 'raw-private';
  const input = { key: viewOf(bytes), format, asymmetricKeyType, ...(namedCurve && { namedCurve }) };
  return createPrivateKey(input as Parameters<typeof createPrivateKey>[0]);
}

/** OpenSSL throws where bytes are not a key; what it says of them is nobody's business. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** The same bytes, not a copy, as the Buffer that the platform asks for. */
function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
