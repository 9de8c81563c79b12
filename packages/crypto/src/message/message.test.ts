import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { withCode } from '../fixture.test.ts';
import {
  defaultFrameBytes,
  maximumFrameBytes,
  openBytes,
  openMessage,
  sealBytes,
  sealMessage,
} from '../index.ts';
import { collect, freshOptions, headerOf, inChunks } from './fixture.test.ts';

/** What was released before the error, and the error. */
async function openedUntilError(
  message: Uint8Array,
  dataKey: Uint8Array,
): Promise<{ released: Buffer; error: unknown }> {
  const released: Buffer[] = [];
  try {
    for await (const chunk of openMessage([message], { dataKeyFor: () => dataKey })) released.push(chunk);
  } catch (error) {
    return { released: Buffer.concat(released), error };
  }
  return { released: Buffer.concat(released), error: undefined };
}

test('what was sealed opens byte-identical, in whatever chunks it comes [URS-047]', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 400 }),
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 90 }),
      fc.integer({ min: 1, max: 90 }),
      async (plaintext, frameBytes, sealSize, openSize) => {
        const options = freshOptions({ frameBytes });
        const message = await collect(sealMessage(inChunks(plaintext, sealSize), options));
        const opened = openMessage(inChunks(message, openSize), { dataKeyFor: () => options.dataKey });
        assert.deepEqual(await collect(opened), Buffer.from(plaintext));
      },
    ),
  );
});

test('around the default frame length, and with the longest frames [URS-047]', async () => {
  for (const [frameBytes, extra] of [
    [defaultFrameBytes, -1],
    [defaultFrameBytes, 0],
    [defaultFrameBytes, 1],
    [maximumFrameBytes, 1],
  ] as const) {
    const plaintext = randomBytes(2 * frameBytes + extra);
    const options = freshOptions({ frameBytes });
    for (const size of [65_536, 1_000_003, plaintext.length]) {
      const message = await collect(sealMessage(inChunks(plaintext, size), options));
      const opened = openMessage(inChunks(message, size), { dataKeyFor: () => options.dataKey });
      assert.ok(plaintext.equals(await collect(opened)));
    }
  }
});

test('a source may use its buffer again for the next chunk', async () => {
  const plaintext = randomBytes(1000);
  async function* reusing(data: Uint8Array): AsyncGenerator<Uint8Array> {
    const buffer = Buffer.alloc(64);
    for (const chunk of inChunks(data, 64)) {
      buffer.fill(0xee);
      buffer.set(chunk);
      yield buffer.subarray(0, chunk.length);
    }
  }
  const options = freshOptions({ frameBytes: 50 });
  const message = await collect(sealMessage(reusing(plaintext), options));
  const opened = await collect(openMessage(reusing(message), { dataKeyFor: () => options.dataKey }));
  assert.deepEqual(opened, plaintext);
});

test('two messages of one plaintext under one data key share no frame', async () => {
  const options = freshOptions();
  const [a, b] = [await sealBytes(Buffer.alloc(64), options), await sealBytes(Buffer.alloc(64), options)];
  assert.notDeepEqual(a.subarray(3, 35), b.subarray(3, 35));
  assert.notDeepEqual(a.subarray(-80), b.subarray(-80));
});

test('the data key may be zeroed as soon as sealing has begun, and may be a key object', async () => {
  const options = freshOptions();
  const kept = Buffer.from(options.dataKey);
  const message = sealMessage([Buffer.from('text')], options);
  options.dataKey.fill(0);
  const sealed = await collect(message);
  const opened = await openBytes(sealed, { dataKeyFor: () => createSecretKey(kept) });
  assert.equal(opened.toString(), 'text');
});

test('options are checked at the call, before anything is read', () => {
  const options = freshOptions();
  for (const [change, code] of [
    [{ frameBytes: 0 }, 'crypto.argument_invalid'],
    [{ dataKey: Buffer.alloc(31) }, 'crypto.key_unsuitable'],
    [{ context: { '': 'x' } }, 'crypto.context_invalid'],
    [{ encryptedDataKeys: [] }, 'crypto.recipients_invalid'],
  ] as const) {
    assert.throws(() => sealMessage([], { ...options, ...change }), withCode(code));
  }
});

test('another data key never opens, and is told from nothing else', async () => {
  const message = await sealBytes(Buffer.from('text'), freshOptions());
  await assert.rejects(
    openBytes(message, { dataKeyFor: () => randomBytes(32) }),
    withCode('crypto.ciphertext_invalid'),
  );
});

test('a message without a data key for us is refused', async () => {
  const message = await sealBytes(Buffer.from('text'), freshOptions());
  await assert.rejects(
    openBytes(message, { dataKeyFor: () => Promise.resolve(undefined) }),
    withCode('crypto.data_key_missing'),
  );
});

test('a required context is checked before a data key is asked for', async () => {
  const options = freshOptions({ context: { study: 'TK-1', subject: 'a1' } });
  const message = await sealBytes(Buffer.from('text'), options);
  const opened = await openBytes(message, {
    dataKeyFor: () => options.dataKey,
    requiredContext: { study: 'TK-1' },
  });
  assert.equal(opened.toString(), 'text');
  for (const requiredContext of [{ study: 'TK-2' }, { constructor: 'x' }, { site: '' }]) {
    await assert.rejects(
      openBytes(message, { dataKeyFor: () => assert.fail('asked for a data key'), requiredContext }),
      withCode('crypto.context_mismatch'),
    );
  }
  // As a caller without types, or with an empty variable, has it: nothing would be required.
  const empty = { subject: undefined } as unknown as Record<string, string>;
  await assert.rejects(
    openBytes(message, { dataKeyFor: () => assert.fail('asked for a data key'), requiredContext: empty }),
    withCode('crypto.argument_invalid'),
  );
});

test('a message of many short frames lets others have their turn while it is opened', async () => {
  const options = freshOptions({ frameBytes: 1 });
  const message = await sealBytes(randomBytes(2000), options);
  let turns = 0;
  const counting = setInterval(() => (turns += 1), 0);
  await openBytes(message, { dataKeyFor: () => options.dataKey });
  clearInterval(counting);
  assert.ok(turns > 0);
});

test('long frames are opened only where the reader allows them', async () => {
  const options = freshOptions({ frameBytes: 1000 });
  const message = await sealBytes(randomBytes(10), options);
  const dataKeyFor = () => options.dataKey;
  await assert.rejects(
    openBytes(message, { dataKeyFor, maxFrameBytes: 999 }),
    withCode('crypto.frame_too_long'),
  );
  assert.equal((await openBytes(message, { dataKeyFor, maxFrameBytes: 1000 })).length, 10);
});

test('the header can be read without a key', async () => {
  const message = await sealBytes(Buffer.from('text'), freshOptions({ context: { study: 'TK-1' } }));
  const header = headerOf(message);
  assert.deepEqual({ ...header.context }, { study: 'TK-1' });
  assert.deepEqual(
    header.encryptedDataKeys.map(({ providerId }) => providerId),
    ['test'],
  );
  assert.equal(header.frameBytes, defaultFrameBytes);
});

test('an error of the source passes through, and the message has no final frame', async () => {
  const failure = new Error('the disk failed');
  const options = freshOptions({ frameBytes: 16 });
  const written: Buffer[] = [];
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield randomBytes(20);
    throw failure;
  }
  await assert.rejects(async () => {
    for await (const chunk of sealMessage(failing(), options)) written.push(chunk);
  }, failure);
  const { error } = await openedUntilError(Buffer.concat(written), options.dataKey);
  withCode('crypto.message_truncated')(error);
});

test('the source is closed when the reader stops early, and when the message is bad', async () => {
  const closed: string[] = [];
  async function* source(name: string, data: Uint8Array): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield data;
    } finally {
      closed.push(name);
    }
  }
  const options = freshOptions({ frameBytes: 16 });
  let chunks = 0;
  for await (const _ of sealMessage(source('sealed', randomBytes(20)), options)) {
    chunks += 1;
    if (chunks === 2) break;
  }
  const message = await sealBytes(randomBytes(40), options);
  const dataKeyFor = () => options.dataKey;
  for await (const _ of openMessage(source('opened', message), { dataKeyFor })) break;
  await assert.rejects(
    collect(openMessage(source('refused', Buffer.from('noise')), { dataKeyFor })),
    withCode('crypto.version_unknown'),
  );
  assert.deepEqual(closed, ['sealed', 'opened', 'refused']);
});
