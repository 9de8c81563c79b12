import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ed25519PublicKey, generateKey, mlDsa44PublicKey, signEd25519, signMlDsa44 } from '@trialkeep/crypto';
import {
  addSignatures,
  cosigner,
  formatVerifierKey,
  LedgerError,
  noteTypes,
  parseNote,
  parsePolicy,
} from '@trialkeep/ledger';
import type { CosignatureType, Policy } from '@trialkeep/ledger';
import { TrialkeepError } from '../errors.ts';
import { exportLedger } from './export.ts';
import { inFolder, StandInLog } from './fixture.test.ts';
import { sha256, trustOf, verifierOf } from './primitives.ts';
import { verifyFolder } from './verify-folder.ts';
import { verifyProof } from './verify-proof.ts';

const file = new URL('../../../../vectors/ledger-witnessing.json', import.meta.url);
interface Proof {
  readonly proof: string;
  readonly index: number;
  readonly policy: string;
  readonly cosignedBy: readonly string[];
}
const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly cosignature: readonly { verifierKey: string; text: string; signature: string }[];
  readonly proofFile: readonly Proof[];
};
const bytesOf = (hex: string): Buffer => Buffer.from(hex, 'hex');
const policyOf = (text: string): Policy => parsePolicy(sha256, Buffer.from(text));

test('vectors: cosignatures of both kinds verify under the real primitives [URS-033]', async () => {
  for (const { verifierKey, text, signature } of vectors.cosignature) {
    assert.ok(await verifierOf(verifierKey).verify(Buffer.from(text), bytesOf(signature)), verifierKey);
    assert.ok(!(await verifierOf(verifierKey).verify(Buffer.from(`x${text}`), bytesOf(signature))));
  }
});

test('vectors: a proof shows an entry under a policy, and no other entry [URS-033]', async () => {
  for (const { proof, index, policy: text, cosignedBy } of vectors.proofFile) {
    const options = { proof: bytesOf(proof), policy: parsePolicy(sha256, bytesOf(text)) };
    const checked = await verifyProof({ ...options, entry: Buffer.from(`{"entry":${index}}`) });
    assert.deepEqual(checked.cosignedBy, cosignedBy);
    await assert.rejects(verifyProof({ ...options, entry: Buffer.from('{}') }), {
      code: 'ledger.proof_invalid',
    });
  }
});

test('nothing is believed where nothing says whom to believe [URS-033]', async () => {
  const missing = (error: unknown): boolean =>
    error instanceof TrialkeepError && error.code === 'verify.key_missing';
  assert.throws(() => trustOf(), missing);
  assert.throws(() => trustOf([], policyOf('quorum none\n')), missing);
  await assert.rejects(verifyFolder({ folder: '/nowhere' }), missing);
  assert.throws(() => trustOf(['nonsense']), LedgerError);
});

test('an export under two keys verifies with either, and a policy may name the log [URS-033]', async () => {
  await inFolder(async (folder) => {
    const log = new StandInLog(300);
    const other = formatVerifierKey(sha256, StandInLog.origin, 1, ed25519PublicKey(generateKey('ED25519')));
    const keys = [other, log.verifierKey];
    const exported = await exportLedger(log, folder, { verifierKey: keys });
    assert.deepEqual([exported.verifierKeys, exported.verifierKey], [keys, other]);
    assert.equal((await verifyFolder({ folder, verifierKey: keys })).verdict, 'consistent');
    assert.equal((await verifyFolder({ folder, verifierKey: other })).verdict, 'failed');
    const policy = policyOf(`log ${log.verifierKey}\nquorum none\n`);
    assert.equal((await verifyFolder({ folder, policy })).verdict, 'consistent');
    assert.equal((await verifyFolder({ folder, policy, verifierKey: other })).verdict, 'failed');
  });
});

function cosignerOf(name: string, type: CosignatureType, time: number) {
  const key = generateKey(type === noteTypes.mlDsa44 ? 'ML_DSA_44' : 'ED25519');
  const publicKey = type === noteTypes.mlDsa44 ? mlDsa44PublicKey(key) : ed25519PublicKey(key);
  const sign = type === noteTypes.mlDsa44 ? signMlDsa44 : signEd25519;
  return {
    verifierKey: formatVerifierKey(sha256, name, type, publicKey),
    signer: cosigner(sha256, {
      name,
      type,
      publicKey,
      sign: (message) => sign(key, message),
      now: () => time,
    }),
  };
}

test('witnesses of both kinds stand behind an export, and say since when [URS-033]', async () => {
  await inFolder(async (folder) => {
    const log = new StandInLog(300);
    await exportLedger(log, folder);
    const witnesses = [cosignerOf('a.example', 0x04, 1000), cosignerOf('b.example', 0x06, 2000)];
    let checkpoint = await log.checkpoint();
    const text = Buffer.from(parseNote(checkpoint).text);
    for (const { signer } of witnesses) {
      const { name, keyId } = signer;
      checkpoint = addSignatures(checkpoint, [{ name, keyId, signature: await signer.sign(text) }]);
    }
    await writeFile(join(folder, 'checkpoint'), checkpoint);
    const lines = witnesses.map(({ verifierKey }, i) => `witness w${i} ${verifierKey}\n`).join('');
    const policy = policyOf(`${lines}group both all w0 w1\nquorum both\n`);
    const { verifierKey } = log;
    const result = await verifyFolder({ folder, verifierKey, policy });
    assert.deepEqual([result.verdict, result.freshness, result.freshAt], ['verified', 'witnesses', 1000]);

    await writeFile(join(folder, 'checkpoint'), await log.checkpoint());
    const alone = await verifyFolder({ folder, verifierKey, policy });
    assert.deepEqual([alone.verdict, alone.findings.map(({ code }) => code)], ['failed', ['policy.quorum']]);
  });
});

test('a pruned export of entries that are none of ours verifies from its minimum index on [URS-033]', async () => {
  await inFolder(async (folder) => {
    const log = new StandInLog(Array.from({ length: 700 }, (_, i) => `\u0000 no JSON ${i}`));
    await exportLedger(log, folder);
    for (const path of ['entries/000', '0/000']) await rm(join(folder, 'tile', path));
    const { verifierKey } = log;
    const pruned = await verifyFolder({ folder, verifierKey, prunedBelow: 300 });
    assert.deepEqual([pruned.verdict, pruned.entriesChecked, pruned.entriesPruned], ['consistent', 444, 256]);
    assert.equal((await verifyFolder({ folder, verifierKey })).verdict, 'failed');
  });
});
