import { randomBytes } from 'node:crypto';
import { requireBytes } from '../checks.ts';
import { CryptoError } from '../errors.ts';
import { hmacSha256 } from '../primitives.ts';
import { equalSecrets } from '../secrets.ts';
import { evaluate, interpolation, multiply } from './gf256.ts';
import { newShareSet, requireShareSizes, sharedSecretBytes, shareSetBytes } from './share.ts';
import type { Share } from './share.ts';

/** How many shares give a secret, and how many there are. */
export type ShareSizes = { readonly threshold: number; readonly count: number };

const label = Buffer.from('trialkeep/share-secret/v1\0');

/**
 * Splits a secret into the shares of a new set (docs/formats/share.md).
 *
 * @param secret 32 bytes, uniformly random; stays the caller's, who zeroes it
 * @param sizes 2 ≤ threshold ≤ count ≤ 16
 * @returns the shares by index; the caller zeroes their values
 * @throws CryptoError `crypto.argument_invalid`
 */
export function splitSecret(secret: Uint8Array, sizes: ShareSizes): Share[] {
  requireShareSizes(sizes.threshold, sizes.count);
  const random = randomBytes(sharedSecretBytes * (sizes.threshold - 1));
  try {
    return splitSecretWith(secret, { ...sizes, set: newShareSet(), random });
  } finally {
    random.fill(0);
  }
}

/**
 * `splitSecret` with a chosen set and chosen coefficients: only for test vectors.
 *
 * @param o.random threshold − 1 bytes for each byte of the secret: its coefficients from x on
 */
export function splitSecretWith(
  secret: Uint8Array,
  o: ShareSizes & { readonly set: string; readonly random: Uint8Array },
): Share[] {
  const { threshold, count, set, random } = o;
  requireShareSizes(threshold, count);
  requireBytes(secret, sharedSecretBytes, 'secret');
  const perByte = threshold - 1;
  requireBytes(random, sharedSecretBytes * perByte, 'random');
  const values = Array.from({ length: count }, () => new Uint8Array(sharedSecretBytes));
  const coefficients = new Uint8Array(threshold);
  for (const [at, byte] of secret.entries()) {
    coefficients[0] = byte;
    coefficients.set(random.subarray(at * perByte, (at + 1) * perByte), 1);
    for (const [i, value] of values.entries()) value[at] = evaluate(coefficients, i + 1);
  }
  coefficients.fill(0);
  return values.map((value, i) => ({ set, threshold, count, index: i + 1, value }));
}

/**
 * Gives back the secret. Every share counts: one more than are needed, and wrong, is noticed as well.
 *
 * @param shares at least `threshold` of one set, each index once
 * @param commitment of `commitToSecret`, 64 hexadecimal digits
 * @returns 32 bytes; the caller zeroes them
 * @throws CryptoError `crypto.shares_too_few`, `crypto.shares_foreign`, `crypto.shares_repeated`; `crypto.shares_wrong` where one
 *   of them is wrong; which of them, their fingerprints tell
 */
export function combineShares(shares: readonly Share[], commitment: string): Buffer {
  const [first] = shares;
  if (first === undefined || shares.length < first.threshold) throw new CryptoError('crypto.shares_too_few');
  const { set, threshold, count } = first;
  const isOfSet = (share: Share): boolean =>
    share.set === set && share.threshold === threshold && share.count === count;
  if (!shares.every(isOfSet)) throw new CryptoError('crypto.shares_foreign');
  if (new Set(shares.map(({ index }) => index)).size !== shares.length) {
    throw new CryptoError('crypto.shares_repeated');
  }
  const used = shares.slice(0, threshold);
  const secret = valueAt(used, 0);
  const fits = shares.slice(threshold).every(({ index, value }) => {
    const expected = valueAt(used, index);
    const is = equalSecrets(expected, value);
    expected.fill(0);
    return is;
  });
  const isRight = equalSecrets(Buffer.from(commitToSecret(secret, set)), Buffer.from(commitment));
  if (fits && isRight) return secret;
  secret.fill(0);
  throw new CryptoError('crypto.shares_wrong');
}

/**
 * What is kept to tell the secret of a set from anything else, 64 hexadecimal digits. Not secret.
 *
 * @throws CryptoError `crypto.argument_invalid`
 */
export function commitToSecret(secret: Uint8Array, set: string): string {
  requireBytes(secret, sharedSecretBytes, 'secret');
  return hmacSha256(secret, label, shareSetBytes(set)).toString('hex');
}

/** The value at `x` of the polynomials through the shares; 32 bytes, which the caller zeroes. */
function valueAt(shares: readonly Share[], x: number): Buffer {
  const factors = interpolation(
    shares.map(({ index }) => index),
    x,
  );
  const value = Buffer.alloc(sharedSecretBytes);
  for (const [i, share] of shares.entries()) {
    const factor = factors[i] ?? 0;
    for (const [at, byte] of share.value.entries()) value[at] = (value[at] ?? 0) ^ multiply(byte, factor);
  }
  return value;
}
