import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { perMilleOf, sampler } from './sample.ts';

const root = createHash('sha256').update('root').digest('base64');
const review = '00112233-4455-4677-8899-aabbccddeeff';

test('the sample is the one of the format, whoever draws it [URS-040]', () => {
  const domain = Buffer.from('trialkeep/review-sample/v1\0');
  const id = Buffer.from(review.replaceAll('-', ''), 'hex');
  const isDrawn = sampler({ root, review, perMille: 250 });
  fc.assert(
    fc.property(fc.maxSafeNat(), (index) => {
      const place = Buffer.alloc(8);
      place.writeBigUInt64BE(BigInt(index));
      const hash = createHash('sha256').update(
        Buffer.concat([domain, Buffer.from(root, 'base64'), id, place]),
      );
      const drawn = BigInt(hash.digest().readUInt32BE(0)) * 1000n < 250n * (1n << 32n);
      assert.equal(isDrawn(index), drawn);
    }),
    { numRuns: 200 },
  );
});

test('a sample is about its share, another for another root or review, and whole for high risk and for few [URS-040]', () => {
  const drawn = (perMille: number, of = root, id = review): number[] => {
    const isDrawn = sampler({ root: of, review: id, perMille });
    return Array.from({ length: 10_000 }, (_, index) => index).filter(isDrawn);
  };
  for (const perMille of [50, 250, 500]) {
    const share = drawn(perMille).length / 10;
    assert.ok(Math.abs(share - perMille) < 60, `${share} of 1000 instead of ${perMille}`);
  }
  assert.equal(drawn(1000).length, 10_000);
  assert.notDeepEqual(drawn(50), drawn(50, createHash('sha256').update('other').digest('base64')));
  assert.notDeepEqual(drawn(50), drawn(50, root, randomUUID()));
  assert.deepEqual(
    (['low', 'medium', 'high'] as const).map((risk) => [perMilleOf(risk, 100), perMilleOf(risk, 101)]),
    [
      [1000, 50],
      [1000, 250],
      [1000, 1000],
    ],
  );
});
