import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseMessageHeader } from '@trialkeep/crypto';
import { SealError, TrialkeepError } from '../errors.ts';
import { all, StandInKeys } from './fixture.test.ts';
import { serverKeys } from './server-keys.ts';
import { openStream, sealStream } from './stream.ts';
import type { ByteSource } from './stream.ts';
import { openTransform, sealTransform } from './web.ts';

// The network and the server are replaced (fixture.test.ts); formats and keys are real.

test('streams of every kind and chunking round-trip [URS-047]', async () => {
  const client = new StandInKeys();
  const key = client.newKey();
  const kinds: ((chunks: Uint8Array[]) => ByteSource)[] = [
    (chunks) => chunks,
    (chunks) => Readable.from(chunks),
    (chunks) => ReadableStream.from(chunks) as AsyncIterable<Uint8Array>,
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }),
      fc.integer({ min: 1, max: 400 }),
      fc.constantFrom(...kinds),
      async (chunks, frameBytes, kind) => {
        const context = { class: 'ecg' };
        const sealed = await all(
          sealStream(serverKeys(client, { key }), kind(chunks), { context, frameBytes }),
        );
        const opened = await all(
          openStream(serverKeys(client, { keys: [key] }), kind([sealed]), { context }),
        );
        assert.ok(opened.equals(Buffer.concat(chunks)));
      },
    ),
    { numRuns: 60 },
  );
});

test('a sealed message names the key as an AWS Encryption SDK expects it, and its context', async () => {
  const client = new StandInKeys();
  const key = client.newKey();
  const sealed = await all(
    sealStream(serverKeys(client, { key }), [randomBytes(10)], { context: { class: 'ecg' } }),
  );
  const header = parseMessageHeader(sealed);
  assert.ok(header !== 'more');
  assert.equal(header.suite, 0x0478);
  assert.deepEqual({ ...header.context }, { class: 'ecg' });
  assert.deepEqual(
    header.encryptedDataKeys.map(({ providerId, providerInfo }) => [
      providerId,
      Buffer.from(providerInfo).toString(),
    ]),
    [['aws-kms', `arn:aws:kms:test-1:000000000001:key/${key}`]],
  );
});

test('a message under a data key that was swapped in from another does not open [URS-047]', async () => {
  const client = new StandInKeys();
  const key = client.newKey();
  const [one, two] = [
    await all(sealStream(serverKeys(client, { key }), [Buffer.from('one')])),
    await all(sealStream(serverKeys(client, { key }), [Buffer.from('two')])),
  ];
  const [headerOne, headerTwo] = [parseMessageHeader(one), parseMessageHeader(two)];
  assert.ok(headerOne !== 'more' && headerTwo !== 'more');
  const [keyOne, keyTwo] = [headerOne, headerTwo].map((header) => header.encryptedDataKeys[0]?.ciphertext);
  assert.ok(keyOne !== undefined && keyTwo !== undefined);
  const swapped = Buffer.from(one);
  swapped.set(keyTwo, one.indexOf(keyOne));
  const opening = all(openStream(serverKeys(client), [swapped]));
  await assert.rejects(
    opening,
    (error: unknown) => error instanceof SealError && error.code === 'seal.damaged',
  );
});

test('the reason of a refusal reaches the reader of a stream [URS-012]', async () => {
  const client = new StandInKeys();
  const sealed = await all(sealStream(serverKeys(client, { key: client.newKey() }), [Buffer.from('x')]));
  client.refusal = 'reason.required';
  const refused = (error: unknown) => error instanceof TrialkeepError && error.code === 'reason.required';
  await assert.rejects(all(openStream(serverKeys(client), [sealed])), refused);
});

test("a source's own error passes through", async () => {
  const client = new StandInKeys();
  const failure = new Error('the tape tore');
  const source = (async function* () {
    yield randomBytes(10);
    await Promise.reject(failure);
  })();
  await assert.rejects(all(sealStream(serverKeys(client, { key: client.newKey() }), source)), failure);
});

test('a server that answers with another key, or half a key, is not believed', async () => {
  const client = new StandInKeys();
  const key = client.newKey();
  const answering = client.call;
  for (const wrong of [
    { plaintext: 'AAAA' },
    { arn: `arn:aws:kms:test-1:000000000001:key/${client.newKey()}` },
  ]) {
    client.call = (async (...call: Parameters<typeof answering>) => ({
      ...((await answering(...call)) as object),
      ...wrong,
    })) as unknown as typeof answering;
    const sealing = all(sealStream(serverKeys(client, { key }), [Buffer.from('x')]));
    await assert.rejects(sealing, (error: unknown) => {
      return error instanceof TrialkeepError && error.code === 'client.bad_answer';
    });
  }
});

test('web streams seal and open in a pipe, with back-pressure all the way [URS-047]', async () => {
  const client = new StandInKeys();
  const keys = serverKeys(client, { key: client.newKey() });
  const plaintext = randomBytes(300_000);
  let pulled = 0;
  const source = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (pulled === plaintext.length) return controller.close();
        controller.enqueue(plaintext.subarray(pulled, pulled + 1000));
        pulled += 1000;
      },
    },
    { highWaterMark: 0 },
  );
  const opened = source
    .pipeThrough(sealTransform(keys, { frameBytes: 10_000 }))
    .pipeThrough(openTransform(keys));
  const reader = opened.getReader();
  const parts = [(await reader.read()).value ?? assert.fail()];
  assert.ok(pulled < plaintext.length / 2, 'the source is read as the result is taken');
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    parts.push(value);
  }
  assert.ok(Buffer.concat(parts).equals(plaintext));

  const failure = new Error('the tape tore');
  const torn = ReadableStream.from([failure]).pipeThrough(
    new TransformStream<unknown, Uint8Array>({ transform: () => Promise.reject(failure) }),
  );
  await assert.rejects(all(torn.pipeThrough(sealTransform(keys)) as AsyncIterable<Uint8Array>), failure);
});

test('a source is let go of when the key is refused, and when nobody takes the result', async () => {
  const client = new StandInKeys();
  const keys = serverKeys(client, { key: client.newKey() });
  let isReleased = Promise.withResolvers<void>();
  const newSource = () => {
    isReleased = Promise.withResolvers();
    return new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(randomBytes(10)),
      cancel: () => isReleased.resolve(),
    });
  };
  await newSource().pipeThrough(sealTransform(keys)).cancel();
  await isReleased.promise;
  client.refusal = 'key.revoked';
  const refused = (error: unknown) => error instanceof TrialkeepError && error.code === 'key.revoked';
  await assert.rejects(all(sealStream(keys, newSource() as AsyncIterable<Uint8Array>)), refused);
  await isReleased.promise;
  const piped = newSource().pipeThrough(sealTransform(keys));
  await assert.rejects(all(piped as AsyncIterable<Uint8Array>), refused);
  await isReleased.promise;
});

test('a stream that is longer than was stated is no whole message [URS-044]', async () => {
  const client = new StandInKeys();
  const keys = serverKeys(client, { key: client.newKey() });
  const source = [randomBytes(10), randomBytes(10)];
  assert.ok((await all(sealStream(keys, source, { bytes: 20 }))).length > 0);
  await assert.rejects(all(sealStream(keys, source, { bytes: 19 })), (error: unknown) => {
    return error instanceof SealError && error.code === 'seal.longer_than_stated';
  });
});
