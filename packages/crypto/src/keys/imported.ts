import {
  checkPrime,
  createECDH,
  createPrivateKey,
  randomBytes,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';
import { CryptoError } from '../errors.ts';
import { keyAlgorithm } from '../registry.ts';
import { encodePublicKey, exportSecret, importSecret, isOfAlgorithm, type KeyMaterial } from './material.ts';
import { isRocaModulus, isWeakSecret } from './weak-material.ts';

/** Algorithms whose keys can be brought from elsewhere. Their secrets come as they are, private keys as PKCS #8 in DER. */
export const importableAlgorithms = [
  'AES_256',
  'HMAC_256',
  'HMAC_384',
  'HMAC_512',
  'ECC_NIST_P256',
  'ECC_NIST_P384',
  'ED25519',
  'RSA_3072',
  'RSA_4096',
] as const;
export type ImportableAlgorithm = (typeof importableAlgorithms)[number];

/** Longest material that is read, bytes: PKCS #8 of RSA with 4,096 bits has 2,376, and attributes may follow. */
export const maximumMaterialBytes = 4096;

const curves = { 'P-256': 'prime256v1', 'P-384': 'secp384r1' } as const;

/**
 * Reads key material that was made elsewhere, and refuses what is not a valid key (NIST SP 800-56A revision 3 section 5.6.2, SP 800-56B
 * revision 2 section 6.4.1, FIPS 186-5 appendix A.1.1) or can be guessed. How random it was when it was made, nobody can see afterwards.
 *
 * @param bytes stay the caller's, who zeroes them
 * @returns the key in Trialkeep's own form
 * @throws CryptoError `crypto.material_invalid`, `crypto.material_weak`; neither says anything of the bytes
 */
export async function readMaterial(algorithm: ImportableAlgorithm, bytes: Uint8Array): Promise<KeyMaterial> {
  const { secret } = keyAlgorithm(algorithm);
  if (secret.form === 'symmetric') {
    const key = importSecret(algorithm, bytes);
    if (key === undefined)
      throw new CryptoError('crypto.material_invalid', `${secret.bytes} bytes are needed`);
    requireStrong(bytes);
    return { secret: key };
  }
  const key = readPrivateKey(bytes);
  if (key === undefined || !isOfAlgorithm(key, secret)) {
    throw new CryptoError('crypto.material_invalid', `not a private key of ${algorithm} in PKCS #8`);
  }
  if (secret.form === 'rsa') await requireSoundRsa(key, secret.bits);
  const own = exportSecret(algorithm, key);
  try {
    if (secret.form !== 'rsa') requireStrong(own);
    if (secret.form === 'scalar') requireOwnPoint(key, curves[secret.curve], own);
    if (key.asymmetricKeyType === 'ed25519') requireOwnPublicKey(key, bytes);
    // Out of the secret alone: whatever else was in the file is left behind.
    const clean = importSecret(algorithm, own);
    if (clean === undefined) throw new CryptoError('crypto.material_invalid');
    requireConsistent(key, clean);
    return { secret: clean, publicKey: encodePublicKey(clean) };
  } finally {
    own.fill(0);
  }
}

/** One PrivateKeyInfo and nothing behind it (PKCS #8, RFC 5208; RFC 5958). */
function readPrivateKey(bytes: Uint8Array): KeyObject | undefined {
  if (bytes.length > maximumMaterialBytes || derBytes(bytes) !== bytes.length) return undefined;
  const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return attempt(() => createPrivateKey({ key, format: 'der', type: 'pkcs8' }));
}

/** How long the SEQUENCE is that the bytes begin with, by its own header; those in use have up to two bytes of length. */
function derBytes(bytes: Uint8Array): number | undefined {
  const [tag, first = 0, second = 0, third = 0] = bytes;
  if (tag !== 0x30) return undefined;
  if (first < 0x80) return 2 + first;
  if (first === 0x81) return 3 + second;
  return first === 0x82 ? 4 + second * 256 + third : undefined;
}

/**
 * The public key in the file of an Ed25519 key, where there is one (RFC 8410 section 7: `[1] IMPLICIT BIT STRING` of a OneAsymmetricKey), is that of
 * the secret: OpenSSL leaves it aside.
 */
function requireOwnPublicKey(key: KeyObject, file: Uint8Array): void {
  const own = encodePublicKey(key).subarray(-32);
  let rest = derContent(file)?.content ?? new Uint8Array();
  for (let member = derContent(rest); member !== undefined; member = derContent(rest)) {
    const [tag] = rest;
    rest = rest.subarray(member.end);
    const { content } = member;
    // A bit string begins with how many bits of its last byte are unused.
    if (tag === 0x81 && !(content[0] === 0 && own.equals(content.subarray(1)))) {
      throw new CryptoError('crypto.material_invalid', 'the public key is not that of the secret');
    }
  }
}

/** The first value of DER, with a length of up to two bytes as those in use have; OpenSSL has read the file before. */
function derContent(bytes: Uint8Array): { readonly content: Uint8Array; readonly end: number } | undefined {
  const [, first = 0, second = 0, third = 0] = bytes;
  if (bytes.length < 2 || first > 0x82) return undefined;
  const header = first < 0x80 ? 2 : first - 0x80 + 2;
  const length = first < 0x80 ? first : first === 0x81 ? second : second * 256 + third;
  const end = header + length;
  return end > bytes.length ? undefined : { content: bytes.subarray(header, end), end };
}

function requireStrong(secret: Uint8Array): void {
  if (isWeakSecret(secret)) throw new CryptoError('crypto.material_weak');
}

/** The point that came with a scalar is the scalar's: OpenSSL takes any that lies on the curve. */
function requireOwnPoint(key: KeyObject, curve: string, scalar: Uint8Array): void {
  const point = attempt(() => {
    const pair = createECDH(curve);
    pair.setPrivateKey(scalar);
    return { whole: pair.getPublicKey(), short: pair.getPublicKey(null, 'compressed') };
  });
  const said = encodePublicKey(key);
  const ends = (encoded: Buffer): boolean => said.subarray(-encoded.length).equals(encoded);
  if (point === undefined || (!ends(point.whole) && !ends(point.short))) {
    throw new CryptoError('crypto.material_invalid', 'the public point is not that of the scalar');
  }
}

/** What one half signs, the other verifies (FIPS 140-3 IG 10.3.A, pair-wise consistency); both as it came and as it was read. */
function requireConsistent(key: KeyObject, clean: KeyObject): void {
  const message = randomBytes(32);
  const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const isSound = attempt(() =>
    verify(
      digest,
      message,
      { key: encodePublicKey(key), format: 'der', type: 'spki' },
      sign(digest, message, clean),
    ),
  );
  if (isSound !== true) throw new CryptoError('crypto.material_invalid', 'its halves do not fit together');
}

/** The numbers of a private key with two primes (RFC 8017 section 3.2). */
type RsaNumbers = Readonly<Record<'n' | 'e' | 'd' | 'p' | 'q' | 'dp' | 'dq' | 'qi', bigint>>;

/**
 * SP 800-56B revision 2 section 6.4.1.2.3 (rsakpv1-crt) and FIPS 186-5 appendix A.1.1: two different primes of half the length, far
 * enough from each other, whose product is the modulus, and exponents that belong to them. The numbers are in memory that is not wiped.
 */
async function requireSoundRsa(key: KeyObject, bits: number): Promise<void> {
  const of = rsaNumbers(key);
  const problem = of === undefined ? 'it has not two primes' : rsaProblem(of, bits);
  if (of === undefined || problem !== undefined) throw new CryptoError('crypto.material_invalid', problem);
  if (isRocaModulus(of.n)) throw new CryptoError('crypto.material_weak', 'CVE-2017-15361');
  if (!(await isPrime(of.p)) || !(await isPrime(of.q))) {
    throw new CryptoError('crypto.material_invalid', 'a factor is not prime');
  }
}

function rsaProblem({ n, e, d, p, q, dp, dq, qi }: RsaNumbers, bits: number): string | undefined {
  const half = BigInt(bits / 2);
  const least = (numbers: bigint): boolean => numbers * numbers >= 1n << (2n * half - 1n);
  if (p * q !== n || p === q) return 'its factors do not give the modulus';
  if (p >> half !== 0n || q >> half !== 0n || !least(p) || !least(q)) return 'its factors have other lengths';
  const distance = p > q ? p - q : q - p;
  if (distance >> (half - 100n) === 0n) return 'its factors lie close to each other';
  const order = lcm(p - 1n, q - 1n);
  // FIPS 186-5 takes the least d; many modules give one modulo (p − 1)(q − 1), which does the same.
  if ((e * d) % order !== 1n || d >> half === 0n || d >= n) return 'its exponents do not belong together';
  if (dp !== d % (p - 1n) || dq !== d % (q - 1n) || (qi * q) % p !== 1n)
    return 'its CRT members are not its own';
  return undefined;
}

function lcm(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return (a / x) * b;
}

function rsaNumbers(key: KeyObject): RsaNumbers | undefined {
  const jwk = attempt(() => key.export({ format: 'jwk' }));
  if (jwk === undefined) return undefined;
  const names = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const;
  const numbers = names.map((name) => {
    const text = (jwk as Readonly<Record<string, string | undefined>>)[name];
    return text === undefined ? undefined : BigInt(`0x0${Buffer.from(text, 'base64url').toString('hex')}`);
  });
  if (numbers.includes(undefined)) return undefined;
  return Object.fromEntries(names.map((name, at) => [name, numbers[at]])) as RsaNumbers;
}

/** Miller–Rabin as OpenSSL does it, in a thread of the pool. */
function isPrime(candidate: bigint): Promise<boolean> {
  return new Promise((resolve, reject) => {
    checkPrime(candidate, (error, answer) => (error instanceof Error ? reject(error) : resolve(answer)));
  });
}

/** OpenSSL throws where bytes are not a key; what it says of them is nobody's business. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
