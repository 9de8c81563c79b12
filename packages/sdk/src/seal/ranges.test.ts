import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { truncate, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import fc from 'fast-check';
import { generateKey, rawAes } from '@trialkeep/crypto';
import { TrialkeepError } from '../errors.ts';
import type { SdkErrorCode } from '../errors.ts';
import { sealBytes } from './bytes.ts';
import { cachedKeys } from './cache.ts';
import { all, inFolder, StandInKeys } from './fixture.test.ts';
import { httpRanges } from './http-ranges.ts';
import { fileRanges } from './range-source.ts';
import { openRanges } from './ranges.ts';
import { recipientKeys } from './recipient-keys.ts';
import { serverKeys } from './server-keys.ts';

const own = rawAes({ namespace: 'test', name: 'own', key: generateKey('AES_256') });
const keys = recipientKeys({ recipients: [own], identities: [own] });
const context = { class: 'ecg' };
const plaintext = randomBytes(40_000);

const refused = (promise: Promise<unknown>, code: SdkErrorCode) =>
  assert.rejects(promise, (error: unknown) => error instanceof TrialkeepError && error.code === code);

test('any range of a file is what the plaintext has there [URS-047]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const path = join(folder, 'sealed');
    await writeFile(
      path,
      await sealBytes(serverKeys(client, { key: client.newKey() }), plaintext, { context, frameBytes: 1000 }),
    );
    const source = await fileRanges(path);
    const ranges = await openRanges(cachedKeys(serverKeys(client)), source, { context });
    const place = fc.nat(plaintext.length + 2000);
    await fc.assert(
      fc.asyncProperty(place, place, async (one, other) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        assert.ok((await all(ranges.read(start, end))).equals(plaintext.subarray(start, end)));
      }),
      { numRuns: 100 },
    );
    assert.ok((await all(ranges.read(39_999))).equals(plaintext.subarray(39_999)));
    assert.equal(await ranges.plaintextBytes(), plaintext.length);
    assert.deepEqual({ ...ranges.context }, context);
    assert.equal(client.calls.filter(({ id }) => id === 'keys.decrypt-data-key').length, 1);
    await source.close?.();
  });
});

test('a revocation bites at the next range that is read of an open message [URS-003]', async () => {
  const client = new StandInKeys();
  const message = await sealBytes(serverKeys(client, { key: client.newKey() }), plaintext);
  const read = (position: number, length: number) =>
    Promise.resolve(message.subarray(position, position + length));
  const ranges = await openRanges(serverKeys(client), { size: message.length, read });
  assert.equal((await all(ranges.read(0, 10))).length, 10);
  client.refusal = 'key.revoked';
  await assert.rejects(all(ranges.read(0, 10)), (error: unknown) => {
    return error instanceof TrialkeepError && error.code === 'key.revoked';
  });
});

test('a file that is missing, no file, cut short or of another context is told apart', async () => {
  await inFolder(async (folder) => {
    await refused(fileRanges(join(folder, 'none')), 'seal.source_missing');
    await refused(fileRanges(folder), 'seal.source_not_a_file');
    const path = join(folder, 'sealed');
    const message = await sealBytes(keys, plaintext, { context, frameBytes: 1000 });
    await writeFile(path, message);
    const source = await fileRanges(path);
    await refused(openRanges(keys, source, { context: { class: 'lab' } }), 'seal.context_mismatch');
    const ranges = await openRanges(keys, source);
    await truncate(path, 20_000);
    await refused(all(ranges.read(0)), 'seal.source_changed');
    await source.close?.();
    const short = await fileRanges(path);
    const cut = await openRanges(keys, short);
    assert.ok((await all(cut.read(0, 5000))).equals(plaintext.subarray(0, 5000)), 'what is whole is read');
    await refused(cut.plaintextBytes(), 'seal.damaged');
    await refused(all(cut.read(0)), 'seal.damaged');
    await short.close?.();
  });
});

/**
 * An object behind HTTP as S3's GetObject serves ranges and preconditions of it. An S3 server itself is not needed: what is
 * tested is the reader's side of RFC 9110.
 */
class ServedObject {
  bytes: Buffer;
  entityTag: string | undefined = '"1"';
  /** Answers in place of the object, where set. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  readonly requests: IncomingMessage[] = [];
  url = '';

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  async listen(t: TestContext): Promise<this> {
    const server = createServer((request, response) => {
      this.requests.push(request);
      if (this.answer === undefined) this.#serve(request, response);
      else this.answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bucket/object?X-Signature=secret`;
    return this;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const precondition = request.headers['if-match'];
    if (precondition !== undefined && precondition !== this.entityTag)
      return void response.writeHead(412).end();
    const [, first = 0, last = 0] = (/^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []).map(
      Number,
    );
    if (first >= this.bytes.length) return void response.writeHead(416).end();
    const body = this.bytes.subarray(first, last + 1);
    response.writeHead(206, {
      'content-range': `bytes ${first}-${first + body.length - 1}/${this.bytes.length}`,
      ...(this.entityTag !== undefined && { etag: this.entityTag }),
    });
    response.end(body);
  }
}

test('a range of an object behind a URL takes the header and the frames it touches, and no more', async (t) => {
  const big = randomBytes(3_000_000);
  const object = await new ServedObject(
    await sealBytes(keys, big, { context, frameBytes: 64 * 1024 }),
  ).listen(t);
  const ranges = await openRanges(keys, await httpRanges(object.url));
  assert.equal(object.requests.length, 1);
  const [start, end] = [1_000_000, 1_065_536];
  assert.ok((await all(ranges.read(start, end))).equals(big.subarray(start, end)));
  assert.equal(object.requests.length, 2);
  const fetched = /^bytes=(\d+)-(\d+)$/.exec(object.requests[1]?.headers.range ?? '');
  assert.ok(Number(fetched?.[2]) - Number(fetched?.[1]) < 2 * (64 * 1024 + 32));
  assert.equal(object.requests[1]?.headers['if-match'], '"1"');
});

test('an object that is replaced while it is read is noticed', async (t) => {
  const [one, two] = [
    await sealBytes(keys, plaintext, { frameBytes: 1000 }),
    await sealBytes(keys, randomBytes(40_000), { frameBytes: 1000 }),
  ];
  const object = await new ServedObject(one).listen(t);
  const ranges = await openRanges(keys, await httpRanges(object.url));
  [object.bytes, object.entityTag] = [two, '"2"'];
  await refused(all(ranges.read(20_000, 20_001)), 'seal.source_changed');
  // A store without strong tags: then the frames themselves do not fit.
  Object.assign(object, { bytes: one, entityTag: 'W/"1"' });
  const weak = await openRanges(keys, await httpRanges(object.url));
  object.bytes = two;
  await refused(all(weak.read(20_000, 20_001)), 'seal.damaged');
  object.bytes = two.subarray(0, 30_000);
  await refused(all(weak.read(20_000, 20_001)), 'seal.source_changed');
});

test('what a URL answers that is no range of an object has its own code, without what its query holds', async (t) => {
  const object = await new ServedObject(await sealBytes(keys, plaintext)).listen(t);
  const answers: [SdkErrorCode, (response: ServerResponse) => void][] = [
    ['seal.source_missing', (response) => response.writeHead(404).end()],
    ['seal.source_unreadable', (response) => response.writeHead(403).end('<Error/>')],
    ['seal.source_unreadable', (response) => response.writeHead(500).end()],
    [
      'seal.source_unreadable',
      (response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
    ],
    ['seal.source_unreadable', (response) => response.destroy()],
    ['seal.source_no_ranges', (response) => response.writeHead(200).end(object.bytes)],
    ['seal.source_no_ranges', (response) => response.writeHead(206).end(object.bytes)],
    [
      'seal.source_no_ranges',
      (response) => response.writeHead(206, { 'content-range': 'bytes 1-10/100' }).end('x'.repeat(10)),
    ],
    [
      'seal.source_changed',
      (response) => response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end('x'.repeat(11)),
    ],
    [
      'seal.source_unreadable',
      (response) => response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end('x'),
    ],
  ];
  for (const [code, answer] of answers) {
    object.answer = (_request, response) => answer(response);
    await assert.rejects(httpRanges(object.url), (error: unknown) => {
      assert.ok(error instanceof TrialkeepError);
      assert.equal(error.code, code, answer.toString());
      assert.ok(!JSON.stringify([error, error.message, String(error.cause)]).includes('secret'));
      return true;
    });
  }
  object.answer = (_request, response) => void response.writeHead(416).end();
  await refused(openRanges(keys, await httpRanges(object.url)), 'seal.damaged');
  for (const url of [
    'not a URL',
    'ftp://127.0.0.1/x',
    'http://example.org/x',
    'https://user:secret@example.org/x',
  ]) {
    await refused(httpRanges(url), 'seal.source_unreadable');
  }
  const reason = new Error('enough');
  await assert.rejects(httpRanges(object.url, { signal: AbortSignal.abort(reason) }), reason);
});
