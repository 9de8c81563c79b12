import assert from 'node:assert/strict';
import { createHash, createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { named, readVectors, withCode } from '../fixture.test.ts';
import {
  CryptoError,
  chainUses,
  ed25519PublicKey,
  encodeReceipt,
  generateKey,
  maximumBatchReceipts,
  noReceipt,
  parseReceipt,
  receiptContext,
  signUses,
  verifyBatch,
} from '../index.ts';
import type { AttestedUse, CryptoErrorCode, Receipt, ReceiptBatch } from '../index.ts';

interface Vectors {
  readonly batches: readonly {
    readonly name: string;
    readonly seed: string;
    readonly batch: ReceiptBatch;
    readonly texts: readonly string[];
    readonly hashes: readonly string[];
  }[];
  readonly refusedReceipts: readonly { readonly name: string; readonly text: string }[];
  readonly refusedBatches: readonly {
    readonly name: string;
    readonly of: string;
    readonly batch: ReceiptBatch;
    readonly code: CryptoErrorCode;
  }[];
}
const vectors = readVectors('use-receipt') as Vectors;

/** An Ed25519 key of its seed (RFC 8410 section 7). */
function keyOfSeed(seed: string): KeyObject {
  const der = Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex');
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => Buffer.from(value).toString('hex'));
const word = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,63}$/);
const common = {
  use: fc.constantFrom('seal' as const, 'open' as const),
  dataKey: hex(32),
  count: fc.integer({ min: 1, max: 1_000_000 }),
  time: fc.maxSafeNat().filter((time) => time <= 8.64e15),
};
const optional = { class: word, purpose: word, study: fc.uuid(), subject: hex(16) };
const requiredKeys = ['use', 'dataKey', 'count', 'time'] as const;
const uses: fc.Arbitrary<AttestedUse> = fc.oneof(
  fc.record(
    { ...common, key: fc.uuid(), ...optional },
    { requiredKeys: [...requiredKeys, 'key', 'study', 'subject'] },
  ),
  fc.record({ ...common, recipient: hex(32), ...optional }, { requiredKeys: [...requiredKeys, 'recipient'] }),
);

test('receipts, hashes and signatures are those of the vectors [URS-038]', () => {
  for (const { seed, batch, texts, hashes } of vectors.batches) {
    const chained = verifyBatch(batch);
    assert.deepEqual(
      chained.map(({ text }) => text),
      texts,
    );
    assert.deepEqual(
      chained.map(({ hash }) => hash),
      hashes,
    );
    assert.deepEqual(signUses(keyOfSeed(seed), batch), batch);
    for (const [i, text] of texts.entries()) assert.deepEqual(parseReceipt(text), chained[i]);
  }
});

test('what is not a receipt to the letter is refused [URS-038]', () => {
  for (const { name, text } of vectors.refusedReceipts) {
    assert.throws(() => parseReceipt(text), withCode('crypto.receipt_malformed'), name);
  }
  assert.throws(() => parseReceipt('0'.repeat(3000)), withCode('crypto.receipt_malformed'));
});

test('a batch that differs anywhere from what was signed is refused [URS-033] [URS-038]', () => {
  for (const { name, of, batch, code } of vectors.refusedBatches) {
    assert.notDeepEqual(batch, named(vectors.batches, of).batch, name);
    assert.throws(() => verifyBatch(batch), withCode(code), name);
  }
});

test('a batch has 1 to 1,000 receipts', () => {
  const key = generateKey('ED25519');
  const [use] = vectors.batches[0]?.batch.uses ?? [];
  assert.ok(use);
  const place = { first: 1, previous: noReceipt };
  const most = signUses(key, { ...place, uses: Array.from({ length: maximumBatchReceipts }, () => use) });
  assert.equal(verifyBatch(most).length, maximumBatchReceipts);
  for (const uses of [[], [...most.uses, use]]) {
    assert.throws(() => signUses(key, { ...place, uses }), withCode('crypto.argument_invalid'));
    assert.throws(() => verifyBatch({ ...most, uses }), withCode('crypto.argument_invalid'));
  }
});

test('any uses, cut into batches anywhere, are one chain that every reader reads alike [URS-033] [URS-038]', () => {
  const key = generateKey('ED25519');
  const reporter = ed25519PublicKey(key).toString('hex');
  fc.assert(
    fc.property(fc.array(uses, { minLength: 1, maxLength: 8 }), fc.nat(7), (all, at) => {
      const whole = chainUses({ reporter, first: 1, previous: noReceipt, uses: all });
      const cut = at % all.length;
      const previous = whole[cut - 1]?.hash ?? noReceipt;
      const rest = verifyBatch(signUses(key, { first: cut + 1, previous, uses: all.slice(cut) }));
      assert.deepEqual(rest, whole.slice(cut));
      for (const { receipt, text, hash } of whole) {
        assert.deepEqual(parseReceipt(text), { receipt, text, hash });
        assert.equal(hash, createHash('sha256').update(text).digest('hex'));
        const sorted = Object.entries(JSON.parse(text) as object).sort(([a], [b]) => (a < b ? -1 : 1));
        assert.equal(JSON.stringify(Object.fromEntries(sorted)), text);
      }
    }),
    { numRuns: 50 },
  );
});

test('noise is refused with the error of its own', () => {
  const members = fc.constantFrom(
    'class',
    'count',
    'key',
    'previous',
    'sequence',
    'study',
    'use',
    'v',
    '__proto__',
  );
  const noise = fc.oneof(
    fc.json(),
    fc.string(),
    fc.dictionary(members, fc.jsonValue()).map((o) => JSON.stringify(o)),
  );
  fc.assert(
    fc.property(noise, (text) => {
      assert.throws(() => parseReceipt(text), withCode('crypto.receipt_malformed'));
    }),
    { numRuns: 200 },
  );
});

test('a change of any member changes the hash', () => {
  const [first] = vectors.batches[0]?.texts ?? [];
  assert.ok(first !== undefined);
  const { receipt, hash } = parseReceipt(first);
  const other: Partial<Receipt> = {
    use: 'open',
    dataKey: noReceipt,
    count: 2,
    time: receipt.time + 1,
    class: 'mri',
    purpose: 'other',
    subject: '0'.repeat(32),
  };
  for (const [member, value] of Object.entries(other)) {
    assert.notEqual(encodeReceipt({ ...receipt, [member]: value }).hash, hash, member);
  }
});

test('of a context a receipt holds what the ledger can be asked for, and nothing of another form', () => {
  const study = '00000000-0000-4000-8000-000000000000';
  const subject = 'a'.repeat(32);
  const context = {
    study,
    subject,
    class: 'ecg',
    purpose: 'Two Words',
    site: '17',
    'aws-crypto-public-key': 'x',
  };
  assert.deepEqual(receiptContext(context), { class: 'ecg', study, subject });
  assert.deepEqual(receiptContext({ subject: 'Jane Doe', study: 'P-1' }), {});
});

test('an error names the use and the member, and repeats nothing of the input', () => {
  const batch = vectors.batches[0]?.batch ?? assert.fail();
  const uses = batch.uses.map((use, i) => (i === 1 ? { ...use, subject: 'Jane Doe' } : use));
  assert.throws(
    () => verifyBatch({ ...batch, uses }),
    (error) =>
      error instanceof CryptoError && /use 1: subject/.test(error.message) && !/Jane/.test(error.message),
  );
});
