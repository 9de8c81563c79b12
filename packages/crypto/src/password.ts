import { argon2, pbkdf2, randomBytes } from 'node:crypto';
import { CryptoError } from './errors.ts';
import { passwordHashes, type PasswordHashAlgorithm } from './registry.ts';
import { equalSecrets } from './secrets.ts';

/**
 * The longest password, in bytes of UTF-8 after normalisation. NIST SP 800-63B-4 section 3.1.1.2 asks for room
 * for 64 characters at least.
 */
export const maximumPasswordBytes = 1000;

/** How new password hashes are made. */
export type PasswordHashing = Readonly<{
  /** `argon2id` by default; `pbkdf2-sha512` where only approved algorithms may be used */
  algorithm?: PasswordHashAlgorithm;
  /** by the names in the PHC string, each within the bounds of the registry: `{ m: 19456, t: 2 }` */
  cost?: Readonly<Record<string, number>>;
}>;

type Cost = Readonly<Record<string, number>>;
type CostOf<A extends PasswordHashAlgorithm> = Readonly<
  Record<keyof (typeof passwordHashes)[A]['cost'], number>
>;
type Bounds = Readonly<{ minimum: number; usual: number; maximum: number }>;
/** An algorithm with all of its cost, within the bounds of the registry. */
export type PasswordScheme = Readonly<{ algorithm: PasswordHashAlgorithm; cost: Cost }>;

export const passwordSaltBytes = 16;
const hashBytes = 32;
const maximumPhcCharacters = 128;
// The longest text worth normalising: composing shortens a text, but never by more.
const maximumRawCharacters = 4 * maximumPasswordBytes;

/**
 * The one form of a password that is counted, screened and hashed: Unicode NFC by the normalization process
 * for stabilized strings (NIST SP 800-63B-4 section 3.1.1.2; UAX #15), which refuses unassigned code points
 * because a later Unicode may compose them otherwise. Nothing is trimmed, folded or cut off.
 *
 * @throws CryptoError `crypto.password_invalid` if it is empty, longer than `maximumPasswordBytes`, or holds
 *   lone surrogates or unassigned code points
 */
export function normalizePassword(password: string): string {
  const normalized = tryNormalize(password);
  if (normalized === undefined) throw new CryptoError('crypto.password_invalid');
  return normalized;
}

/**
 * The length of a password in Unicode code points, as NIST SP 800-63B-4 section 3.1.1.2 counts.
 *
 * @throws CryptoError `crypto.password_invalid`
 */
export function passwordLength(password: string): number {
  return Array.from(normalizePassword(password)).length;
}

/**
 * Hashes a password with a fresh salt, off the main thread: as many at once as libuv has threads, each with
 * `m` KiB.
 *
 * @returns a PHC string, at most 128 characters: `$argon2id$v=19$m=65536,t=3,p=1$salt$hash` or
 *   `$pbkdf2-sha512$i=300000$salt$hash`, with a salt of 16 and a hash of 32 bytes in base 64 (RFC 4648 section 4)
 *   without padding
 * @throws CryptoError `crypto.password_invalid`, `crypto.algorithm_unknown`, `crypto.argument_invalid`
 */
export async function hashPassword(password: string, hashing: PasswordHashing = {}): Promise<string> {
  const scheme = passwordScheme(hashing);
  const salt = randomBytes(passwordSaltBytes);
  return format(scheme, salt, await deriveFromPassword(scheme, normalizePassword(password), salt));
}

/**
 * Whether a password is the one that was hashed, compared in constant time. Cost and memory are within the
 * bounds of the registry, whatever the stored text says. For a name that nobody has, callers verify against
 * a hash of a random secret, so that the time taken does not tell.
 *
 * @param phc what `hashPassword` returned
 * @throws CryptoError `crypto.password_hash_malformed`
 */
export async function verifyPassword(password: string, phc: string): Promise<boolean> {
  const { scheme, salt, hash } = parse(phc);
  const normalized = tryNormalize(password);
  return normalized !== undefined && equalSecrets(await deriveFromPassword(scheme, normalized, salt), hash);
}

/**
 * Whether a hash was made otherwise than new ones are, and is to be made again when the password is next seen.
 *
 * @throws CryptoError `crypto.password_hash_malformed`, `crypto.algorithm_unknown`, `crypto.argument_invalid`
 */
export function needsRehash(phc: string, hashing: PasswordHashing = {}): boolean {
  const { scheme, salt, hash } = parse(phc);
  const wanted = passwordScheme(hashing);
  return format(scheme, salt, hash) !== format(wanted, salt, hash);
}

function tryNormalize(password: string): string | undefined {
  if (password.length === 0 || password.length > maximumRawCharacters) return undefined;
  if (!password.isWellFormed() || /\p{Cn}/u.test(password)) return undefined;
  const normalized = password.normalize('NFC');
  return Buffer.byteLength(normalized) <= maximumPasswordBytes ? normalized : undefined;
}

/**
 * What a password gives under a scheme, off the main thread.
 *
 * @param password as `normalizePassword` returns it
 * @param salt 16 bytes
 * @returns 32 bytes, owned by the caller, who zeroes them where they are a key
 */
export async function deriveFromPassword(
  { algorithm, cost }: PasswordScheme,
  password: string,
  salt: Buffer,
): Promise<Buffer> {
  const message = Buffer.from(password);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const settle = (error: Error | null, hash: Buffer) => (error === null ? resolve(hash) : reject(error));
  try {
    if (algorithm === 'pbkdf2-sha512') {
      const { i } = cost as CostOf<'pbkdf2-sha512'>;
      pbkdf2(message, salt, i, hashBytes, 'sha512', settle);
    } else {
      const { m: memory, t: passes, p: parallelism } = cost as CostOf<'argon2id'>;
      const parameters = { message, nonce: salt, memory, passes, parallelism, tagLength: hashBytes };
      argon2(algorithm, parameters, settle);
    }
    return await promise;
  } finally {
    message.fill(0);
  }
}

function boundsOf(algorithm: PasswordHashAlgorithm): [name: string, Bounds][] {
  return Object.entries<Bounds>(passwordHashes[algorithm].cost);
}

/**
 * The scheme that is asked for, with the registry's usual cost for what is left open.
 *
 * @throws CryptoError `crypto.algorithm_unknown`; `crypto.argument_invalid` for a cost out of bounds
 */
export function passwordScheme({
  algorithm = 'argon2id',
  cost: asked = {},
}: PasswordHashing): PasswordScheme {
  if (!Object.hasOwn(passwordHashes, algorithm)) throw new CryptoError('crypto.algorithm_unknown');
  const bounds = boundsOf(algorithm);
  const cost = Object.fromEntries(bounds.map(([name, { usual }]) => [name, asked[name] ?? usual]));
  const unknown = Object.keys(asked).find((name) => !Object.hasOwn(cost, name));
  if (unknown !== undefined || !isWithinBounds(algorithm, cost)) {
    throw new CryptoError('crypto.argument_invalid', 'cost');
  }
  return { algorithm, cost };
}

function isWithinBounds(algorithm: PasswordHashAlgorithm, cost: Cost): boolean {
  return boundsOf(algorithm).every(([name, { minimum, maximum }]) => {
    const value = cost[name];
    return value !== undefined && Number.isInteger(value) && value >= minimum && value <= maximum;
  });
}

function format({ algorithm, cost }: PasswordScheme, salt: Uint8Array, hash: Uint8Array): string {
  const parameters = boundsOf(algorithm).map(([name]) => `${name}=${cost[name]}`);
  return `${passwordHashes[algorithm].prefix}${parameters.join(',')}$${encodeB64(salt)}$${encodeB64(hash)}`;
}

/** Reads a PHC string; refused is whatever `format` would not have written exactly so. */
function parse(phc: string): { scheme: PasswordScheme; salt: Buffer; hash: Buffer } {
  const algorithm = (Object.keys(passwordHashes) as PasswordHashAlgorithm[]).find((name) =>
    phc.startsWith(passwordHashes[name].prefix),
  );
  if (algorithm !== undefined && phc.length <= maximumPhcCharacters) {
    const fields = phc.slice(passwordHashes[algorithm].prefix.length).split('$');
    const [parameters = '', encodedSalt = '', encodedHash = ''] = fields;
    const values = parameters.split(',').map((parameter) => Number(parameter.split('=')[1]));
    const cost = Object.fromEntries(boundsOf(algorithm).map(([name], i) => [name, values[i] ?? NaN]));
    const scheme = { algorithm, cost };
    const salt = Buffer.from(encodedSalt, 'base64');
    const hash = Buffer.from(encodedHash, 'base64');
    const sized = salt.length === passwordSaltBytes && hash.length === hashBytes;
    if (sized && isWithinBounds(algorithm, cost) && format(scheme, salt, hash) === phc) {
      return { scheme, salt, hash };
    }
  }
  throw new CryptoError('crypto.password_hash_malformed');
}

function encodeB64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '');
}
