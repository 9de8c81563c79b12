import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { test } from 'node:test';
import { bytes, named, readVectors, sha256, withCode, type VectorBytes } from '../fixture.test.ts';
import { CryptoError, openBytes, openMessage, openRanges, type CryptoErrorCode } from '../index.ts';
import { collect, chunkSizes, inChunks, inMemory, openEveryWay } from './fixture.test.ts';
import { sealBytesWithId, sealMessageWithId, type SealOptions } from './seal.ts';
import { messageSignerOf } from './signature.ts';

interface OpenVector {
  name: string;
  dataKey: string;
  context: [string, string][];
  plaintext: VectorBytes;
  message: string;
}
interface SealVector extends Omit<OpenVector, 'message'> {
  messageId: string;
  encryptedDataKeys: { providerId: string; providerInfo: string; ciphertext: string }[];
  frameBytes: number;
  message?: string;
  messageSha256?: string;
}
interface SignedVector extends SealVector {
  signingKey: string;
  footerBytes: number;
  unsignedSha256?: string;
}
interface MessageVectors {
  seal: SealVector[];
  signed: SignedVector[];
  openOnly: OpenVector[];
  foreign: OpenVector[];
  ranges: { of: string; start: number; end?: number; plaintext: string }[];
  refused: { name: string; of: string; message: string; code: CryptoErrorCode }[];
}

const vectors = readVectors('sealed-message') as MessageVectors;

function optionsOf(vector: SealVector): SealOptions {
  return {
    dataKey: bytes(vector.dataKey),
    context: Object.fromEntries(vector.context),
    frameBytes: vector.frameBytes,
    encryptedDataKeys: vector.encryptedDataKeys.map((key) => ({
      providerId: key.providerId,
      providerInfo: bytes(key.providerInfo),
      ciphertext: bytes(key.ciphertext),
    })),
  };
}

/** Opens it in chunks of each size, whole, and by range. */
async function assertOpens(message: Buffer, vector: Omit<OpenVector, 'message'>): Promise<void> {
  const plaintext = bytes(vector.plaintext);
  const options = {
    dataKeyFor: () => bytes(vector.dataKey),
    requiredContext: Object.fromEntries(vector.context),
  };
  for (const size of chunkSizes(message)) {
    const opened = openMessage(inChunks(message, size), { ...options, releaseBeforeSignature: true });
    assert.ok(plaintext.equals(await collect(opened)));
  }
  assert.ok(plaintext.equals(await openBytes(message, options)));
  const ranges = await openRanges(inMemory(message), { ...options, ignoreSignature: true });
  assert.equal(await ranges.plaintextBytes(), plaintext.length);
  assert.ok(plaintext.equals(await collect(ranges.read(0))));
}

for (const vector of vectors.seal) {
  test(`message vector: ${vector.name} [URS-047]`, async () => {
    const plaintext = bytes(vector.plaintext);
    for (const size of chunkSizes(plaintext)) {
      const chunks = inChunks(plaintext, size);
      const message = await collect(sealMessageWithId(chunks, optionsOf(vector), bytes(vector.messageId)));
      if (vector.message !== undefined) assert.equal(message.toString('hex'), vector.message);
      else assert.equal(sha256(message), vector.messageSha256);
      assert.deepEqual(sealBytesWithId(plaintext, optionsOf(vector), bytes(vector.messageId)), message);
      await assertOpens(message, vector);
    }
  });
}

for (const vector of vectors.signed) {
  test(`message vector: ${vector.name} [URS-047]`, async () => {
    const plaintext = bytes(vector.plaintext);
    const signingKey = createPrivateKey({ key: bytes(vector.signingKey), format: 'der', type: 'pkcs8' });
    for (const size of chunkSizes(plaintext)) {
      const options = { ...optionsOf(vector), signer: messageSignerOf(signingKey) };
      const sealed = sealMessageWithId(inChunks(plaintext, size), options, bytes(vector.messageId));
      const message = await collect(sealed);
      // A signature is made with a fresh random number: what it covers is the vector's, itself it is not.
      const covered = message.subarray(0, message.length - 2 - message.readUInt16BE(footerOf(message)));
      if (vector.message === undefined) assert.equal(sha256(covered), vector.unsignedSha256);
      else assert.equal(covered.toString('hex'), vector.message.slice(0, -2 * vector.footerBytes));
      await assertOpens(message, vector);
    }
    if (vector.message !== undefined) await assertOpens(bytes(vector.message), vector);
  });
}

/** Where the footer starts: its length is one of the few that end the message. */
function footerOf(message: Buffer): number {
  for (let length = 8; length <= 104; length += 1) {
    const position = message.length - 2 - length;
    if (message.readUInt16BE(position) === length && message[position + 2] === 0x30) return position;
  }
  return assert.fail('no footer');
}

for (const vector of [...vectors.openOnly, ...vectors.foreign]) {
  test(`message of others opens: ${vector.name} [URS-047]`, async () => {
    await assertOpens(bytes(vector.message), vector);
  });
}

for (const { of, start, end, plaintext } of vectors.ranges) {
  test(`range vector: [${start}, ${end ?? 'end'}) of ${of} [URS-047]`, async () => {
    const { message, dataKey } = named([...vectors.seal, ...vectors.signed, ...vectors.openOnly], of);
    assert.ok(message !== undefined);
    const ranges = await openRanges(inMemory(bytes(message)), {
      dataKeyFor: () => bytes(dataKey),
      ignoreSignature: true,
    });
    assert.equal((await collect(ranges.read(start, end))).toString('hex'), plaintext);
  });
}

for (const vector of vectors.refused) {
  test(`message refused: ${vector.name} [URS-046]`, async () => {
    const message = bytes(vector.message);
    const whole = named([...vectors.seal, ...vectors.signed], vector.of);
    const plaintext = bytes(whole.plaintext);
    const dataKeyFor = () => bytes(whole.dataKey);
    for (const size of chunkSizes(message)) {
      const opened = openMessage(inChunks(message, size), { dataKeyFor, releaseBeforeSignature: true });
      await assert.rejects(collect(opened), withCode(vector.code));
    }
    await assert.rejects(openBytes(message, { dataKeyFor }), withCode(vector.code));
    // Who reads ranges of a signed message does without its signature, and without what it would have shown.
    if (vector.code === 'crypto.signature_invalid') return;
    for (const { way, start, released, error } of await openEveryWay(message, bytes(whole.dataKey))) {
      assert.ok(plaintext.subarray(start, start + released.length).equals(released), way);
      assert.ok(error === undefined || error instanceof CryptoError, way);
      assert.ok(way === 'range' || error !== undefined, way);
    }
  });
}
