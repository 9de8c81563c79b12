import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { entriesUpTo, entryOf, keyFrom, logKey, MemoryLog, sha256 } from './fixture.test.ts';
import {
  checkProof,
  formatProof,
  inclusionProof,
  LedgerError,
  maxNoteBytes,
  maxProofBytes,
  parseProof,
  trustOf,
} from './index.ts';
import {
  bytesOf,
  cosign,
  cosignerFrom,
  fromHex,
  logVerifierKey,
  policyOf,
  primitives,
  trustIn,
  vectorsOf,
} from './witnessing.fixture.test.ts';

const textOf = (hex: string): string => new TextDecoder().decode(fromHex(hex));

test('vectors: proofs are read, written again and checked under a policy [URS-033]', async () => {
  for (const vector of vectorsOf('proofFile')) {
    const proof = parseProof(fromHex(vector.proof));
    assert.equal(proof.index, vector.index);
    assert.deepEqual(proof.extra, vector.extra === undefined ? undefined : fromHex(vector.extra));
    assert.deepEqual(formatProof(proof), fromHex(vector.proof));
    const checked = await checkProof(sha256, proof, entryOf(vector.index), trustIn(textOf(vector.policy)));
    assert.deepEqual(checked.cosignedBy, vector.cosignedBy);
    assert.equal(checked.freshAt ?? null, vector.freshAt);
    assert.equal(checked.quorum, vector.freshAt === null ? 'none' : 'met');
    assert.deepEqual([checked.index, checked.checkpoint.size], [vector.index, vector.size]);
  }
});

test('vectors: what is no proof is refused [URS-033]', () => {
  for (const { why, proof } of vectorsOf('badProofFile')) {
    assert.throws(() => parseProof(fromHex(proof)), { code: 'ledger.proof_malformed' }, why);
  }
});

test('vectors: a proof that shows something else is refused [URS-033]', async () => {
  for (const { why, error, proof, entry, policy } of vectorsOf('falseProofFile')) {
    const checking = checkProof(sha256, parseProof(fromHex(proof)), fromHex(entry), trustIn(textOf(policy)));
    await assert.rejects(checking, { code: error }, why);
  }
});

test('any one of several log keys is enough, under the origin that is asked for [URS-033]', async () => {
  const log = await MemoryLog.of(entriesUpTo(300));
  const hashes = await inclusionProof(sha256, 7, 300, log.readTile);
  const proof = { index: 7, hashes, checkpoint: log.checkpoint };
  const old = cosignerFrom('old key', logKey.name, 0x06, 0).verifierKey;
  const verifierKeys = [old, logVerifierKey()];
  const trust = trustOf(sha256, primitives, { verifierKeys });
  assert.deepEqual((await checkProof(sha256, proof, entryOf(7), trust, logKey.name)).cosignedBy, []);
  const elsewhere = checkProof(sha256, proof, entryOf(7), trust, 'other.example/log');
  await assert.rejects(elsewhere, { code: 'ledger.origin_unknown' });
});

test('of two logs that a policy knows, neither key speaks for the other log [URS-033]', async () => {
  const other = keyFrom('other', 'other.example/log');
  const log = await MemoryLog.of(entriesUpTo(300));
  await log.sign(other, logKey.name);
  const hashes = await inclusionProof(sha256, 7, 300, log.readTile);
  const proof = { index: 7, hashes, checkpoint: log.checkpoint };
  const trust = trustIn(`log ${logVerifierKey()}\nlog ${logVerifierKey(other)}\nquorum none\n`);
  for (const origin of [logKey.name, other.name, undefined]) {
    const checking = checkProof(sha256, proof, entryOf(7), trust, origin);
    await assert.rejects(checking, { code: 'ledger.origin_unknown' });
  }
  await log.sign(other);
  const own = { ...proof, checkpoint: log.checkpoint };
  assert.equal((await checkProof(sha256, own, entryOf(7), trust)).checkpoint.origin, other.name);
});

test('keys that are given narrow the logs of a policy [URS-033]', async () => {
  const log = await MemoryLog.of(entriesUpTo(2));
  const witness = cosignerFrom('w', 'w.example', 0x06, 9);
  await cosign(log, [witness]);
  const hashes = await inclusionProof(sha256, 0, 2, log.readTile);
  const proof = { index: 0, hashes, checkpoint: log.checkpoint };
  const text = `log ${logVerifierKey()}\nwitness w ${witness.verifierKey}\nquorum w\n`;
  const { policy } = trustIn(text);
  assert.ok(policy !== undefined);
  const other = cosignerFrom('other', 'other.example', 0x06, 0).verifierKey;
  const narrowed = trustOf(sha256, primitives, { verifierKeys: [other], policy });
  await assert.rejects(checkProof(sha256, proof, entryOf(0), narrowed), { code: 'ledger.note_unsigned' });
  assert.equal((await checkProof(sha256, proof, entryOf(0), trustIn(text))).quorum, 'met');
});

test('a log is not its own witness, whoever gives its key [URS-033]', () => {
  const own = cosignerFrom('pq', logKey.name, 0x06, 9).verifierKey;
  const policy = policyOf(`witness w ${own}\nquorum w\n`);
  // With and without the witness's own key among the log's: the name says whose it is.
  for (const verifierKeys of [[logVerifierKey(), own], [logVerifierKey()]]) {
    assert.throws(() => trustOf(sha256, primitives, { verifierKeys, policy }), {
      code: 'ledger.policy_malformed',
    });
  }
});

test('a proof that cannot be written is not [URS-033]', () => {
  const proof = { index: 0, hashes: [], checkpoint: bytesOf('checkpoint\n') };
  const malformed = { code: 'ledger.proof_malformed' };
  for (const change of [
    { hashes: Array.from({ length: 64 }, () => new Uint8Array(32)) },
    { extra: new Uint8Array(0) },
    { extra: new Uint8Array((1 << 20) + 1) },
    { checkpoint: new Uint8Array(maxNoteBytes + 1) },
  ]) {
    assert.throws(() => formatProof({ ...proof, ...change }), malformed);
  }
  for (const index of [-1, 0.5, 2 ** 53]) {
    assert.throws(() => formatProof({ ...proof, index }), { code: 'ledger.log_size' });
  }
  assert.throws(() => formatProof({ ...proof, hashes: [new Uint8Array(31)] }), { code: 'ledger.hash_size' });
  assert.throws(() => parseProof(new Uint8Array(maxProofBytes + 1)), malformed);
  const long = formatProof({
    ...proof,
    checkpoint: new Uint8Array(maxNoteBytes),
    extra: new Uint8Array(1 << 20),
  });
  assert.throws(() => parseProof(Buffer.concat([long, Uint8Array.of(0)])), malformed);
  assert.equal(parseProof(long).extra?.length, 1 << 20);
});

test('what is written is read again, byte for byte, and changed text never reads as the same [URS-033]', () => {
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const proofs = fc.record({
    index: fc.maxSafeNat(),
    hashes: fc.array(hash, { maxLength: 63 }),
    checkpoint: fc.uint8Array({ maxLength: 100 }),
    extra: fc.option(fc.uint8Array({ minLength: 1, maxLength: 100 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(proofs, fc.nat(), fc.nat(255), ({ extra, ...rest }, at, octet) => {
      const text = formatProof({ ...rest, ...(extra !== undefined && { extra }) });
      assert.deepEqual(formatProof(parseProof(text)), text);
      const changed = text.slice();
      changed[at % text.length] = octet;
      try {
        assert.deepEqual(formatProof(parseProof(changed)), changed);
      } catch (error) {
        assert.ok(error instanceof LedgerError && error.code === 'ledger.proof_malformed');
      }
    }),
    { numRuns: 200 },
  );
});
