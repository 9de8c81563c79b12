import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytes, readVectors, withCode } from '../fixture.test.ts';
import {
  combineShares,
  commitToSecret,
  CryptoError,
  formatShare,
  parseShare,
  shareFingerprint,
  splitSecret,
  type CryptoErrorCode,
  type Share,
} from '../index.ts';
import { evaluate, interpolation, invert, multiply } from './gf256.ts';
import { splitSecretWith } from './split.ts';

interface Vectors {
  sets: {
    name: string;
    secret: string;
    threshold: number;
    count: number;
    set: string;
    random: string;
    commitment: string;
    shares: { index: number; value: string; text: string; fingerprint: string }[];
  }[];
  lenient: { name: string; text: string; same: string }[];
  invalid: { name: string; text: string; error: CryptoErrorCode }[];
}
const vectors = readVectors('shares') as Vectors;

const sizes = fc
  .integer({ min: 2, max: 16 })
  .chain((count) => fc.record({ count: fc.constant(count), threshold: fc.integer({ min: 2, max: count }) }));

/** Some of the shares, in an order of their own. */
function pick(shares: readonly Share[], number: number, order: readonly number[]): Share[] {
  const ranked = shares.map((share, i) => ({ share, rank: order[i] ?? 0 }));
  return ranked
    .sort((a, b) => a.rank - b.rank)
    .slice(0, number)
    .map(({ share }) => share);
}
const order = fc.array(fc.double({ noNaN: true }), { minLength: 16, maxLength: 16 });

test('multiplication is that of the AES field, and every byte but 0 has its inverse', () => {
  // FIPS 197 section 4.2.1.
  assert.equal(multiply(0x57, 0x83), 0xc1);
  assert.equal(multiply(0x57, 0x13), 0xfe);
  for (let a = 1; a < 256; a += 1) assert.equal(multiply(a, invert(a)), 1, `${a}`);
  assert.equal(invert(0), 0);
});

test('sets, texts and fingerprints are those of another implementation [URS-010]', () => {
  for (const vector of vectors.sets) {
    const { threshold, count, set } = vector;
    const secret = bytes(vector.secret);
    const shares = splitSecretWith(secret, { threshold, count, set, random: bytes(vector.random) });
    assert.deepEqual(
      shares.map((share) => ({
        index: share.index,
        value: Buffer.from(share.value).toString('hex'),
        text: formatShare(share),
        fingerprint: shareFingerprint(share),
      })),
      vector.shares,
      vector.name,
    );
    assert.equal(commitToSecret(secret, set), vector.commitment, vector.name);
    const read = vector.shares.map(({ text }) => parseShare(text)).reverse();
    assert.deepEqual(read, shares.toReversed());
    assert.deepEqual(combineShares(read, vector.commitment), secret, vector.name);
  }
});

test('a share is read as people write it, and nothing else is [URS-010]', () => {
  for (const { name, text, same } of vectors.lenient)
    assert.deepEqual(parseShare(text), parseShare(same), name);
  for (const { name, text, error } of vectors.invalid)
    assert.throws(() => parseShare(text), withCode(error), name);
});

test('a slip of one character or of two neighbours is told by its group [URS-010]', () => {
  const [text = ''] = vectors.sets[2]?.shares.map((share) => share.text) ?? [];
  const detailOf = (typed: string): string => {
    try {
      parseShare(typed);
    } catch (error) {
      assert.ok(error instanceof CryptoError);
      return error.message;
    }
    return 'read';
  };
  const groups = text.split('-');
  const slips = groups.map((group, i) => {
    const last = group.at(-1) === 'Z' ? 'Y' : 'Z';
    return groups.with(i, group.slice(0, -1) + last).join('-');
  });
  for (const [i, slip] of slips.entries()) {
    if (i > 0) assert.match(detailOf(slip), new RegExp(`look at group ${i}\\)`));
  }
});

test('any m of n shares give the secret, in any order, and more do as well [URS-010]', () => {
  fc.assert(
    fc.property(sizes, order, fc.nat(16), ({ threshold, count }, ranks, more) => {
      const secret = randomBytes(32);
      const shares = splitSecret(secret, { threshold, count });
      const given = pick(shares, Math.min(count, threshold + more), ranks).map((share) =>
        parseShare(formatShare(share)),
      );
      assert.deepEqual(combineShares(given, commitToSecret(secret, given[0]?.set ?? '')), secret);
    }),
    { numRuns: 40 },
  );
});

test('too few, repeated, foreign and wrong shares are refused by name [URS-010]', () => {
  fc.assert(
    fc.property(sizes, order, fc.integer({ min: 0, max: 255 }), ({ threshold, count }, ranks, bit) => {
      const secret = randomBytes(32);
      const shares = pick(splitSecret(secret, { threshold, count }), count, ranks);
      const commitment = commitToSecret(secret, shares[0]?.set ?? '');
      const given = shares.slice(0, threshold);
      const [first = assert.fail(), ...others] = given;
      const refused = (some: readonly Share[], code: CryptoErrorCode): void =>
        assert.throws(() => combineShares(some, commitment), withCode(code));
      refused(others, 'crypto.shares_too_few');
      refused([], 'crypto.shares_too_few');
      refused([...given, first], 'crypto.shares_repeated');
      refused(
        [...others, splitSecret(secret, { threshold, count })[0] ?? assert.fail()],
        'crypto.shares_foreign',
      );
      const value = Uint8Array.from(first.value);
      value[bit >> 3] = (value[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const altered = { ...first, value };
      refused([...others, altered], 'crypto.shares_wrong');
      if (count > threshold) refused([...shares.slice(1), altered], 'crypto.shares_wrong');
      assert.notEqual(shareFingerprint(altered), shareFingerprint(first));
    }),
    { numRuns: 40 },
  );
});

test('with m − 1 shares every value of a secret byte is possible in exactly as many ways [URS-010]', () => {
  // For every secret byte there is exactly one polynomial through the known shares: counted over the whole field.
  const known = [3, 9];
  const values = [0x5a, 0xc4];
  const solutions = new Map<number, number>();
  for (let secret = 0; secret < 256; secret += 1) {
    for (let a = 0; a < 256; a += 1) {
      // The second coefficient follows from the first share; the second share decides.
      const b = multiply((values[0] ?? 0) ^ secret ^ multiply(a, 3), invert(multiply(3, 3)));
      if (evaluate(Uint8Array.of(secret, a, b), known[1] ?? 0) === values[1]) {
        solutions.set(secret, (solutions.get(secret) ?? 0) + 1);
      }
    }
  }
  assert.equal(solutions.size, 256);
  assert.ok([...solutions.values()].every((ways) => ways === 1));
  assert.deepEqual(
    interpolation([1, 2], 0).map((factor) => factor > 0),
    [true, true],
  );
});

test('every value of a share is as likely for one secret as for another [URS-010]', () => {
  // 2,000 splits of 32 equal bytes each: 64,000 values of share 1, over 256 classes.
  const counts = new Uint32Array(256);
  const secret = new Uint8Array(32).fill(0xff);
  const runs = 2000;
  for (let run = 0; run < runs; run += 1) {
    const [share] = splitSecret(secret, { threshold: 2, count: 2 });
    for (const byte of share?.value ?? []) counts[byte] = (counts[byte] ?? 0) + 1;
  }
  const expected = (runs * 32) / 256;
  const chiSquare = counts.reduce((sum, found) => sum + (found - expected) ** 2 / expected, 0);
  // 255 degrees of freedom: beyond 420 once in about 10¹⁰ runs.
  assert.ok(chiSquare < 420, `${chiSquare}`);
});

test('sizes out of bounds and secrets of another length are refused', () => {
  const secret = randomBytes(32);
  for (const [threshold, count] of [
    [1, 3],
    [4, 3],
    [2, 17],
    [2.5, 3],
    [0, 0],
  ] as const) {
    assert.throws(() => splitSecret(secret, { threshold, count }), withCode('crypto.argument_invalid'));
  }
  assert.throws(
    () => splitSecret(secret.subarray(1), { threshold: 2, count: 3 }),
    withCode('crypto.argument_invalid'),
  );
});

test('no text is read as a share unless it is one', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ maxLength: 500 }), fc.stringMatching(/^[0-9A-HJKMNP-TV-Z-]{72,90}$/)),
      (text) => {
        assert.throws(
          () => parseShare(text),
          withCode('crypto.share_malformed', 'crypto.share_mistyped', 'crypto.version_unknown'),
        );
      },
    ),
    { numRuns: 200 },
  );
});
