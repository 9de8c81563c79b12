import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateKey, parseMessageHeader, rawAes } from '@trialkeep/crypto';
import { TrialkeepError } from '../errors.ts';
import { openBytes, sealBytes } from './bytes.ts';
import { cachedKeys } from './cache.ts';
import { openFile, sealFile } from './file.ts';
import { all, inFolder, namesIn } from './fixture.test.ts';
import { fileRanges } from './range-source.ts';
import { openRanges } from './ranges.ts';
import { recipientKeys } from './recipient-keys.ts';
import { openStream, sealStream } from './stream.ts';

const own = rawAes({ namespace: 'test', name: 'own', key: generateKey('AES_256') });
const keys = recipientKeys({ recipients: [own], identities: [own] });
const context = { class: 'ecg' };
const plaintext = randomBytes(5000);
const options = { context, frameBytes: 1024, signed: true };

const isCode = (code: string) => (error: unknown) => error instanceof TrialkeepError && error.code === code;

/** The message with one bit of its signature turned, which only the signature shows. */
function forged(message: Buffer): Buffer {
  const copy = Buffer.from(message);
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
}

test('a signed message opens whole, and under a data key of its own each time [URS-047]', async () => {
  const cached = cachedKeys(keys);
  const [one, two] = [
    await sealBytes(cached, plaintext, options),
    await sealBytes(cached, plaintext, options),
  ];
  const headers = [one, two].map((message) => {
    const header = parseMessageHeader(message);
    assert.ok(header !== 'more');
    return header;
  });
  assert.deepEqual(
    headers.map(({ suite }) => suite),
    [0x0578, 0x0578],
  );
  const verificationKeys = headers.map((header) => header.context['aws-crypto-public-key']);
  assert.notEqual(verificationKeys[0], verificationKeys[1]);
  assert.notDeepEqual(headers[0]?.encryptedDataKeys, headers[1]?.encryptedDataKeys);
  for (const message of [one, two]) {
    const opened = await openBytes(cached, message, { context });
    assert.ok(opened.plaintext.equals(plaintext));
  }
  await assert.rejects(openBytes(cached, forged(one)), isCode('seal.damaged'));
});

test('a message that had to be signed, and is not, asks for no key [URS-047]', async () => {
  const refusing = recipientKeys({ identities: [{ unwrap: () => assert.fail('a key was asked for') }] });
  const message = await sealBytes(keys, plaintext, { context });
  const read = (at: number, length: number) => Promise.resolve(message.subarray(at, at + length));
  const missing = isCode('seal.signature_missing');
  await assert.rejects(openBytes(refusing, message, { signed: true }), missing);
  await assert.rejects(all(openStream(refusing, [message], { signed: true })), missing);
  await assert.rejects(openRanges(refusing, { size: message.length, read }, { signed: true }), missing);
  const signed = await sealBytes(keys, plaintext, options);
  assert.ok((await openBytes(keys, signed, { signed: true })).plaintext.equals(plaintext));
});

test('a signed file appears once its signature has been verified, or not at all [URS-047]', async () => {
  await inFolder(async (folder) => {
    const [source, sealed, target] = ['source', 'sealed', 'target'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(source, plaintext);
    await sealFile(keys, { ...options, source, target: sealed });
    await openFile(keys, { source: sealed, target });
    assert.ok((await readFile(target)).equals(plaintext));
    await writeFile(sealed, forged(await readFile(sealed)));
    await assert.rejects(openFile(keys, { source: sealed, target: `${target} 2` }), isCode('seal.damaged'));
    assert.deepEqual(await namesIn(folder), ['sealed', 'source', 'target']);
  });
});

test('a stream, or a range, of a signed message is released early only where that is asked for [URS-047]', async () => {
  const message = await all(sealStream(keys, [plaintext], options));
  await assert.rejects(all(openStream(keys, [message])), isCode('seal.signature_unchecked'));
  assert.ok((await all(openStream(keys, [message], { releaseBeforeSignature: true }))).equals(plaintext));
  const released: Buffer[] = [];
  const reading = async () => {
    const chunks = openStream(keys, [forged(message)], { releaseBeforeSignature: true });
    for await (const chunk of chunks) released.push(chunk);
  };
  await assert.rejects(reading, isCode('seal.damaged'));
  assert.ok(Buffer.concat(released).length < plaintext.length, 'the last frame is kept back');

  await inFolder(async (folder) => {
    const path = join(folder, 'sealed');
    await writeFile(path, message);
    const source = await fileRanges(path);
    await assert.rejects(openRanges(keys, source), isCode('seal.signature_unchecked'));
    const ranges = await openRanges(keys, source, { ignoreSignature: true });
    assert.ok((await all(ranges.read(1000, 1100))).equals(plaintext.subarray(1000, 1100)));
    await source.close?.();
  });
});
