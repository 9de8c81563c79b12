import assert from 'node:assert/strict';
import test from 'node:test';
import { entriesUpTo, entryOf, keyFrom, logKey, MemoryLog, sha256 } from './fixture.test.ts';
import {
  bundlePath,
  checkpointPath,
  formatCheckpoint,
  openCheckpoint,
  parseNote,
  signNote,
  trustOf,
  type VerifyOptions,
} from './index.ts';
import { brief, thousand, verify } from './verify.fixture.test.ts';
import {
  cosign,
  cosignerFrom,
  fromHex,
  logVerifierKey,
  primitives,
  policyOf,
  vectorsOf,
  type Cosigner,
} from './witnessing.fixture.test.ts';

const [w1, w2, w3] = [
  cosignerFrom('one', 'one.example', 0x04, 1000),
  cosignerFrom('two', 'two.example', 0x06, 2000),
  cosignerFrom('three', 'three.example', 0x06, 3000),
] as const;

/** Two of three witnesses. */
const rules = `log ${logVerifierKey()}\nwitness w1 ${w1.verifierKey}\nwitness w2 ${w2.verifierKey}\nwitness w3 ${w3.verifierKey}\ngroup most 2 w1 w2 w3\nquorum most\n`;

/** What `verifyLog` takes for a policy. */
function under(text: string): Partial<VerifyOptions> {
  const policy = policyOf(text);
  const { logs, witnesses } = trustOf(sha256, primitives, { policy });
  return { policy, witnesses, ...(logs.length > 0 && { verifiers: logs }) };
}

async function cosignedBy(cosigners: readonly Cosigner[], size = 300): Promise<MemoryLog> {
  const log = await MemoryLog.of(entriesUpTo(size));
  await cosign(log, cosigners);
  return log;
}

test('a log that a quorum has cosigned is verified without a kept checkpoint, and its age is told [URS-033]', async () => {
  for (const [cosigners, freshAt] of [
    [[w1, w2], 1000],
    [[w3, w2], 2000],
    [[w1, w3, w2], 2000],
  ] as const) {
    const result = await verify(await cosignedBy(cosigners), under(rules));
    assert.deepEqual([result.verdict, result.freshness, brief(result)], ['verified', 'witnesses', []]);
    assert.equal(result.freshAt, freshAt);
    assert.equal(result.cosignatures.length, cosigners.length);
    assert.deepEqual(result.signedBy, [{ name: logKey.name, keyId: logKey.signer.keyId }]);
  }
});

test('too few witnesses fail the policy, and the missing ones are named [URS-033]', async () => {
  const result = await verify(await cosignedBy([w2]), under(rules));
  assert.deepEqual([result.verdict, result.freshness, result.freshAt], ['failed', 'unproven', undefined]);
  assert.deepEqual(brief(result), ['policy.quorum']);
  assert.match(result.findings[0]?.sentence ?? '', /: w1, w3\.$/);
  assert.equal(result.entriesChecked, 300);
  const kept = (await MemoryLog.of(entriesUpTo(300))).checkpoint;
  assert.equal((await verify(await cosignedBy([w2]), { ...under(rules), kept })).verdict, 'failed');
});

test('a policy that asks for no witness proves no freshness [URS-033]', async () => {
  const log = await cosignedBy([w1, w2, w3]);
  const result = await verify(log, under(rules.replace('quorum most', 'quorum none')));
  assert.deepEqual([result.verdict, result.freshness, result.freshAt], ['consistent', 'unproven', undefined]);
  assert.deepEqual(result.cosignatures, [
    { witness: 'w1', time: 1000 },
    { witness: 'w2', time: 2000 },
    { witness: 'w3', time: 3000 },
  ]);
});

test('a false cosignature of a known witness fails, also beside a quorum and beside a true one [URS-033]', async () => {
  const lie: Cosigner = { ...w3, signer: { ...w3.signer, sign: async () => new Uint8Array(2428).fill(1) } };
  for (const cosigners of [
    [w1, w2, lie],
    [w1, w2, w3, lie],
  ]) {
    const result = await verify(await cosignedBy(cosigners), under(rules));
    assert.deepEqual([result.verdict, brief(result)], ['failed', ['cosignature.false']]);
    assert.match(result.findings[0]?.sentence ?? '', /: w3\.$/);
    assert.deepEqual(
      result.cosignatures.map(({ witness }) => witness),
      ['w1', 'w2'],
    );
  }
  const unknown = under(rules.replaceAll(/witness w3.*\n/g, '').replace(' w3', ''));
  assert.equal((await verify(await cosignedBy([w1, w2, lie]), unknown)).verdict, 'verified');
});

test('a cosignature over another checkpoint does not count [URS-033]', async () => {
  const log = await cosignedBy([w1, w2], 300);
  const { signatures } = parseNote((await cosignedBy([w1, w2], 299)).checkpoint);
  const lines = signatures.filter(({ name }) => name !== logKey.name);
  const text = formatCheckpoint({ origin: logKey.name, size: 300, root: log.tree.root() });
  const borrowed = lines.map(({ name, keyId, signature }) => ({ name, keyId, sign: () => signature }));
  log.files.set(checkpointPath, await signNote(text, [logKey.signer, ...borrowed]));
  const result = await verify(log, under(rules));
  assert.deepEqual(brief(result), ['cosignature.false', 'policy.quorum']);
});

test('a time of 0 counts for the quorum and says nothing about age [URS-033]', async () => {
  const timeless = cosignerFrom('one', 'one.example', 0x04, 0);
  const result = await verify(await cosignedBy([timeless, w2]), under(rules));
  assert.deepEqual([result.verdict, result.freshness, result.freshAt], ['verified', 'witnesses', undefined]);
  assert.equal((await verify(await cosignedBy([timeless, w2, w3]), under(rules))).freshAt, 2000);
});

test('a witness that cosigned twice counts once, with its later time [URS-033]', async () => {
  const later = cosignerFrom('two', 'two.example', 0x06, 2500);
  const twice = await verify(await cosignedBy([w2, later]), under(rules));
  assert.deepEqual(brief(twice), ['policy.quorum']);
  assert.deepEqual(twice.cosignatures, [{ witness: 'w2', time: 2500 }]);
});

test('any one of several keys is enough, so that a log can change its key [URS-033]', async () => {
  const fresh = keyFrom('new key', logKey.name);
  const both = { verifiers: [logKey.verifier, fresh.verifier] };
  const log = await MemoryLog.of(thousand);
  const kept = log.checkpoint;
  await log.sign(fresh);
  assert.equal((await verify(log, { ...both, kept })).verdict, 'verified');
  assert.deepEqual(brief(await verify(log)), ['checkpoint.signature']);

  const text = formatCheckpoint({ origin: logKey.name, size: 1000, root: log.tree.root() });
  log.files.set(checkpointPath, await signNote(text, [fresh.signer, logKey.signer]));
  assert.equal((await verify(log, both)).signedBy.length, 2);
  const lying = { ...logKey.signer, sign: () => new Uint8Array(64) };
  log.files.set(checkpointPath, await signNote(text, [fresh.signer, lying]));
  assert.deepEqual(brief(await verify(log, both)), ['checkpoint.signature']);
});

test("a log's ML-DSA-44 line alone is enough for who trusts that key [URS-033]", async () => {
  const post = cosignerFrom('pq', logKey.name, 0x06, 0);
  const { logs } = trustOf(sha256, primitives, { verifierKeys: [post.verifierKey] });
  const log = await cosignedBy([post]);
  assert.equal((await verify(log, { verifiers: logs })).verdict, 'consistent');
  log.alter(checkpointPath, (bytes) => void (bytes[bytes.length - 9] = bytes.at(-9) === 0x41 ? 0x42 : 0x41));
  assert.deepEqual(brief(await verify(log, { verifiers: logs })), ['checkpoint.signature']);
  assert.equal((await verify(log)).verdict, 'consistent');
});

test('vectors: a checkpoint under a policy [URS-033]', async () => {
  for (const { size, checkpoint, policy, freshAt } of vectorsOf('cosignedLog')) {
    const log = await MemoryLog.of(entriesUpTo(size));
    log.files.set(checkpointPath, fromHex(checkpoint));
    const result = await verify(log, under(new TextDecoder().decode(fromHex(policy))));
    assert.deepEqual([result.verdict, result.freshAt], ['verified', freshAt]);
  }
});

test('the checkpoint of another log is refused even with a quorum [URS-033]', async () => {
  const other = keyFrom('log', 'other.example');
  const log = await MemoryLog.of(thousand);
  await log.sign(other, 'third.example');
  await cosign(log, [w1, w2, w3]);
  assert.deepEqual(brief(await verify(log, { ...under(rules), verifiers: [other.verifier] })), [
    'checkpoint.origin',
  ]);
  const trust = { logs: [other.verifier], witnesses: [] };
  await assert.rejects(openCheckpoint(log.checkpoint, trust), { code: 'ledger.origin_unknown' });
});

/** Takes away what a log of `size` entries may leave out under a minimum index. */
async function prunedLog(size: number, minimum: number): Promise<MemoryLog> {
  const log = await MemoryLog.of(entriesUpTo(size));
  for (let index = 0; (index + 1) * 256 <= minimum; index++) {
    log.files.delete(bundlePath(index, 256));
    log.files.delete(`tile/0/${String(index).padStart(3, '0')}`);
  }
  if (minimum >= 65_536) log.files.delete('tile/1/000');
  return log;
}

test('a pruned log is whole from its minimum index on, and what was not checked is said [URS-033]', async () => {
  for (const [size, minimum, pruned] of [
    [1000, 600, 512],
    [1000, 255, 0],
    [1000, 1000, 768],
    [66_000, 65_900, 65_792],
  ] as const) {
    const log = await prunedLog(size, minimum);
    const seen: number[] = [];
    const onEntry = (index: number): void => void seen.push(index);
    const result = await verify(log, { prunedBelow: minimum, kept: log.checkpoint, onEntry });
    assert.equal(result.verdict, 'verified', `${size} ${minimum}`);
    assert.deepEqual([result.entriesPruned, result.entriesChecked], [pruned, size - pruned]);
    assert.deepEqual(brief(result), pruned === 0 ? [] : [`log.pruned 0-${pruned - 1}`]);
    assert.deepEqual([seen[0], seen.length], [pruned, size - pruned]);
  }
});

test('without the minimum index, or above it, what is missing is a failure [URS-033]', async () => {
  const log = await prunedLog(1000, 600);
  assert.equal((await verify(log)).verdict, 'failed');
  assert.ok(brief(await verify(log)).includes('bundle.missing 0-255 tile/entries/000'));
  assert.equal((await verify(log, { prunedBelow: 511 })).verdict, 'failed');
  log.files.delete(bundlePath(2, 256));
  assert.deepEqual(brief(await verify(log, { prunedBelow: 600 })), [
    'log.pruned 0-511',
    'bundle.missing 512-767 tile/entries/002',
  ]);
});

test('what is there below the minimum index is checked all the same [URS-033]', async () => {
  const log = await MemoryLog.of(thousand);
  assert.equal((await verify(log, { prunedBelow: 600 })).entriesChecked, 1000);
  log.putBundles(thousand.with(3, entryOf(7)), 1000);
  const result = await verify(log, { prunedBelow: 600 });
  assert.deepEqual([result.verdict, brief(result)], ['failed', ['entry.edited 3']]);
});

test('a minimum index beyond the log shows a log that was cut off [URS-033]', async () => {
  const result = await verify(await prunedLog(1000, 1000), { prunedBelow: 1001 });
  assert.deepEqual([result.verdict, brief(result)], ['failed', ['log.pruned_beyond', 'log.pruned 0-767']]);
});

test('a kept checkpoint below the minimum index proves nothing where its tiles are gone [URS-033]', async () => {
  const kept = (await MemoryLog.of(entriesUpTo(300))).checkpoint;
  const log = await prunedLog(1000, 600);
  const result = await verify(log, { prunedBelow: 600, kept });
  assert.deepEqual([result.verdict, brief(result)], ['failed', ['log.pruned 0-511', 'log.unproven']]);
  const newer = (await MemoryLog.of(entriesUpTo(700))).checkpoint;
  assert.equal((await verify(log, { prunedBelow: 600, kept: newer })).verdict, 'verified');
});
