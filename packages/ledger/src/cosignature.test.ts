import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { logKey, sha256 } from './fixture.test.ts';
import {
  cosignatureTime,
  cosigner,
  EMPTY_ROOT,
  formatCheckpoint,
  noteTypes,
  openNote,
  parseCheckpoint,
  parseVerifierKey,
  signNote,
  subtreeMessage,
  verifierOf,
} from './index.ts';
import { bytesOf, cosignerFrom, fromHex, hex, primitives, vectorsOf } from './witnessing.fixture.test.ts';

const verifierFor = (verifierKey: string) => verifierOf(sha256, primitives, verifierKey);

test('vectors: cosignatures verify, and state their time [URS-033]', async () => {
  for (const { verifierKey, text, time, signature } of vectorsOf('cosignature')) {
    assert.ok(
      await verifierFor(verifierKey).verify(bytesOf(text), fromHex(signature)),
      `${verifierKey} ${time}`,
    );
    assert.equal(cosignatureTime(fromHex(signature)), Number(time));
  }
});

test('vectors: a cosigner signs exactly the message of the specification [URS-033]', async () => {
  for (const { verifierKey, text, time, message } of vectorsOf('cosignature')) {
    if (BigInt(time) > BigInt(Number.MAX_SAFE_INTEGER)) continue;
    const { name, type, publicKey } = parseVerifierKey(sha256, verifierKey);
    assert.ok(type === noteTypes.ed25519Cosignature || type === noteTypes.mlDsa44);
    let signed = '';
    const sign = (bytes: Uint8Array): Uint8Array => {
      signed = hex(bytes);
      return Uint8Array.of(1, 2);
    };
    const signer = cosigner(sha256, { name, type, publicKey, sign, now: () => Number(time) });
    const signature = await signer.sign(bytesOf(text));
    assert.equal(signed, message);
    assert.equal(hex(signature), `${BigInt(time).toString(16).padStart(16, '0')}0102`);
  }
});

test('vectors: what a cosigner did not sign does not verify [URS-033]', async () => {
  for (const { why, verifierKey, text, signature } of vectorsOf('badCosignature')) {
    const verified = await verifierFor(verifierKey).verify(bytesOf(text), fromHex(signature));
    assert.equal(verified, false, why);
  }
});

test("a log's own ML-DSA-44 line, made by another implementation, is accepted [URS-033]", async () => {
  for (const { verifierKey, note, size } of vectorsOf('publicNote')) {
    const { text } = await openNote(bytesOf(note), [verifierFor(verifierKey)]);
    assert.equal(parseCheckpoint(text).size, size);
  }
});

test('keys that cannot cosign are refused [URS-033]', () => {
  for (const { why, error, verifierKey } of vectorsOf('badCosignerKey')) {
    assert.throws(() => verifierFor(verifierKey), { code: error }, why);
  }
  const key = {
    type: noteTypes.mlDsa44,
    publicKey: new Uint8Array(1312),
    sign: () => new Uint8Array(1),
    now: () => 1,
  };
  for (const name of ['ä'.repeat(128), 'n'.repeat(256)]) {
    assert.throws(() => cosigner(sha256, { ...key, name }), { code: 'ledger.cosigner_invalid' });
  }
  assert.throws(() => cosigner(sha256, { ...key, name: '' }), { code: 'ledger.cosigner_invalid' });
});

test('a cosigner refuses a text and a time that it cannot state [URS-033]', async () => {
  const checkpoint = formatCheckpoint({ origin: 'o'.repeat(256), size: 0, root: EMPTY_ROOT });
  const code = 'ledger.cosigner_invalid';
  const signerAt = (time: number, type: 0x04 | 0x06 = 0x06) =>
    cosignerFrom('w', 'w.example', type, time).signer;
  await assert.rejects(async () => signerAt(1).sign(bytesOf(checkpoint)), { code });
  await assert.rejects(async () => signerAt(1, 0x04).sign(bytesOf('hello\n')), { code });
  await assert.rejects(async () => signerAt(1).sign(Uint8Array.of(0xff, 0x0a)), { code });
  for (const time of [-1, 0.5, Number.NaN, 2 ** 53]) {
    await assert.rejects(async () => signerAt(time, 0x04).sign(bytesOf(checkpoint)), { code }, `${time}`);
  }
});

test('a subtree statement with a start other than 0 has no time, and a range runs forwards [URS-033]', () => {
  const statement = { cosigner: 'w', time: 0n, origin: 'o', start: 8, end: 13, root: EMPTY_ROOT };
  const prefix = Buffer.from('subtree/v1\n\0\u0001w').toString('hex');
  assert.equal(
    hex(subtreeMessage(statement)),
    `${prefix}0000000000000000016f0000000000000008000000000000000d${hex(EMPTY_ROOT)}`,
  );
  const code = 'ledger.cosigner_invalid';
  for (const bad of [
    { time: 1n },
    { time: 2n ** 63n, start: 0 },
    { time: -1n, start: 0 },
    { end: 7 },
    { origin: '' },
    { cosigner: '' },
  ]) {
    assert.throws(() => subtreeMessage({ ...statement, ...bad }), { code });
  }
});

test('only the checkpoint, time and key that were signed verify, whatever is changed [URS-033]', async () => {
  const text = formatCheckpoint({ origin: logKey.name, size: 7, root: EMPTY_ROOT });
  for (const type of [noteTypes.ed25519Cosignature, noteTypes.mlDsa44]) {
    const { signer, verifierKey } = cosignerFrom('w', 'w.example', type, 1_800_000_000);
    const verifier = verifierFor(verifierKey);
    const signature = await signer.sign(bytesOf(text));
    assert.equal(cosignatureTime(signature), 1_800_000_000);
    const runs = type === noteTypes.mlDsa44 ? 20 : 60;
    await fc.assert(
      fc.asyncProperty(fc.nat(signature.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = signature.slice();
        changed[at] = (changed[at] ?? 0) ^ flip;
        assert.equal(await verifier.verify(bytesOf(text), changed), false);
      }),
      { numRuns: runs },
    );
    assert.ok(await verifier.verify(bytesOf(text), signature));
  }
});

test('signatures in any order, of unknown keys and twice are no obstacle; a known key that lies is [URS-033]', async () => {
  const text = formatCheckpoint({ origin: logKey.name, size: 0, root: EMPTY_ROOT });
  const known = cosignerFrom('known', 'w.example', 0x06, 5);
  const unknown = cosignerFrom('unknown', 'w.example', 0x04, 5);
  const orders = [
    [known.signer, unknown.signer, logKey.signer],
    [unknown.signer, logKey.signer, known.signer],
    [logKey.signer, known.signer, known.signer],
  ];
  for (const signers of orders) {
    const note = await signNote(text, signers);
    const verifiers = [logKey.verifier, verifierFor(known.verifierKey)];
    const { signedBy } = await openNote(note, verifiers);
    assert.deepEqual(new Set(signedBy.map(({ name }) => name)), new Set([logKey.name, 'w.example']));
    const lying = { ...known.signer, sign: async () => new Uint8Array(2428) };
    const lie = await signNote(text, [...signers, lying]);
    await assert.rejects(openNote(lie, verifiers), { code: 'ledger.note_signature' });
  }
});
