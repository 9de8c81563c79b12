import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { flipped, withCode } from '../fixture.test.ts';
import { defaultFrameBytes, openRanges, sealBytes, type RandomAccessSource } from '../index.ts';
import { deriveMessageKeys, FrameCipher } from './frame.ts';
import {
  collect,
  freshOptions,
  headerOf,
  inMemory,
  partsOf,
  sealThreeFrames,
  suites,
  type SuiteName,
} from './fixture.test.ts';

interface OpenedOptions {
  readonly frameBytes?: number;
  readonly suite?: SuiteName;
  readonly maxReadBytes?: number;
}

/** Sealed, and opened by range. */
async function opened(
  plaintext: Uint8Array,
  { frameBytes = 16, suite = '0x0478', maxReadBytes = 1000 }: OpenedOptions = {},
) {
  const options = freshOptions({ frameBytes }, suite);
  const message = await sealBytes(plaintext, options);
  const source = inMemory(message);
  const dataKeyFor = () => options.dataKey;
  const ranges = await openRanges(source, { dataKeyFor, maxReadBytes, ignoreSignature: true });
  source.reads.length = 0;
  return { options, message, source, ranges };
}

test('any range is that part of the plaintext, whatever the frames and reads [URS-047]', async () => {
  const place = fc.nat({ max: 250 });
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 1, max: 70 }),
      fc.constantFrom(...suites),
      fc.integer({ min: 1, max: 300 }),
      fc.array(fc.tuple(place, place), { minLength: 1, maxLength: 4 }),
      async (plaintext, frameBytes, suite, maxReadBytes, pairs) => {
        const { ranges } = await opened(plaintext, { frameBytes, suite, maxReadBytes });
        for (const [a, b] of pairs) {
          const [start, end] = [Math.min(a, b), Math.max(a, b)];
          assert.deepEqual(await collect(ranges.read(start, end)), Buffer.from(plaintext.slice(start, end)));
          assert.deepEqual(await collect(ranges.read(start)), Buffer.from(plaintext.slice(start)));
        }
        assert.equal(await ranges.plaintextBytes(), plaintext.length);
      },
    ),
    { numRuns: 150 },
  );
});

test('only the frames that a range touches are read, adjacent ones at once', async () => {
  const plaintext = randomBytes(160);
  const { source, ranges, message } = await opened(plaintext, { maxReadBytes: 3 * 48 + 1 });
  const { headerBytes } = headerOf(message);
  const readsOf = async (start: number, end?: number) => {
    source.reads.length = 0;
    assert.deepEqual(await collect(ranges.read(start, end)), plaintext.subarray(start, end));
    return source.reads.map(({ position, length }) => [(position - headerBytes) / 48, length]);
  };
  assert.deepEqual(await readsOf(40, 40), []);
  assert.deepEqual(await readsOf(16, 32), [[1, 48]]);
  assert.deepEqual(await readsOf(15, 33), [[0, 3 * 48]]);
  assert.deepEqual(await readsOf(15, 100), [
    [0, 3 * 48],
    [3, 3 * 48],
    [6, 48],
  ]);
  // The final frame, once, to find the end; then what is asked for.
  assert.deepEqual(await readsOf(130), [
    [9, 56],
    [8, 48 + 56],
  ]);
  assert.deepEqual(await readsOf(150, 500), [[9, 56]]);
  assert.deepEqual(await readsOf(500, 600), []);
});

test('the data key is asked for once, and ranges can be read at the same time', async () => {
  const plaintext = randomBytes(1000);
  const options = freshOptions({ frameBytes: 16 });
  const message = await sealBytes(plaintext, options);
  let asked = 0;
  const ranges = await openRanges(inMemory(message), {
    dataKeyFor: () => {
      asked += 1;
      return options.dataKey;
    },
  });
  options.dataKey.fill(0);
  const starts = [0, 100, 990, 333];
  const parts = await Promise.all(starts.map((start) => collect(ranges.read(start, start + 200))));
  starts.forEach((start, index) => assert.deepEqual(parts[index], plaintext.subarray(start, start + 200)));
  assert.equal(asked, 1);
  assert.deepEqual({ ...ranges.header.context }, { study: 'TK-1' });
});

test('a few KiB of a message of many GiB cost one header and one frame', async () => {
  const options = freshOptions();
  const start = await sealBytes(Buffer.alloc(0), options);
  const header = headerOf(start);
  const { key } = deriveMessageKeys(options.dataKey, header.messageId, 0x0478);
  const cipher = new FrameCipher(key, header.messageId);
  const sequence = 20_000;
  const plaintext = randomBytes(defaultFrameBytes);
  const { head, ciphertext, tag } = cipher.seal({ sequence, final: false }, plaintext);
  const stride = defaultFrameBytes + 32;
  let readBytes = 0;
  const source: RandomAccessSource = {
    size: header.headerBytes + 26_000 * stride + 40 + 5,
    read: async (position, length) => {
      readBytes += length;
      if (position === 0) return Buffer.concat([start, Buffer.alloc(length)]).subarray(0, length);
      assert.equal(position, header.headerBytes + (sequence - 1) * stride);
      return Buffer.concat([head, ciphertext, tag]);
    },
  };
  const ranges = await openRanges(source, { dataKeyFor: () => options.dataKey });
  const offset = (sequence - 1) * defaultFrameBytes + 1000;
  const range = await collect(ranges.read(offset, offset + 65_536));
  assert.deepEqual(range, plaintext.subarray(1000, 1000 + 65_536));
  assert.equal(readBytes, 2048 + stride);
});

test('a signed message is refused unless told to do without its signature', async () => {
  const { message, dataKey, plaintext } = await sealThreeFrames('0x0578');
  const dataKeyFor = () => assert.fail('asked for a data key');
  await assert.rejects(openRanges(inMemory(message), { dataKeyFor }), withCode('crypto.signature_unchecked'));
  const ranges = await openRanges(inMemory(flipped(message, message.length - 1)), {
    dataKeyFor: () => dataKey,
    ignoreSignature: true,
  });
  assert.deepEqual(await collect(ranges.read(0)), plaintext);
});

test('an altered frame is noticed by whoever reads it, before anything of it is released [URS-046]', async () => {
  for (const suite of suites) {
    const { message, dataKey, plaintext } = await sealThreeFrames(suite);
    const altered = flipped(message, partsOf(message).header.length + 48 + 20);
    const ranges = await openRanges(inMemory(altered), { dataKeyFor: () => dataKey, ignoreSignature: true });
    assert.deepEqual(await collect(ranges.read(0, 16)), plaintext.subarray(0, 16));
    assert.deepEqual(await collect(ranges.read(32)), plaintext.subarray(32));
    await assert.rejects(collect(ranges.read(20, 21)), withCode('crypto.ciphertext_invalid'));
    await assert.rejects(collect(ranges.read(0)), withCode('crypto.ciphertext_invalid'));
    assert.equal(await ranges.plaintextBytes(), plaintext.length);
  }
});

test('the length is that of an authentic final frame, or an error [URS-046]', async () => {
  for (const suite of suites) {
    const { message, dataKey } = await sealThreeFrames(suite);
    const { header, frames, footer } = partsOf(message);
    const [first, second, last] = frames;
    assert.ok(first && second && last);
    const lengthOf = async (...parts: Buffer[]) => {
      const source = inMemory(Buffer.concat([header, ...parts]));
      const ranges = await openRanges(source, { dataKeyFor: () => dataKey, ignoreSignature: true });
      return ranges.plaintextBytes();
    };
    assert.equal(await lengthOf(first, second, last, footer), 40);
    for (const parts of [
      [],
      [first],
      [first, second],
      [first, second, last.subarray(0, -1)],
      [first, second, last, footer, Buffer.of(0)],
      [first, second, last, footer, last, footer],
      [first, last, footer],
      [first, second, second, last, footer],
      [first, second, flipped(last, 30), footer],
      [first, second, flipped(last, 23), footer],
      [first, second, footer],
      [Buffer.alloc(200, 0xff)],
    ]) {
      await assert.rejects(
        lengthOf(...parts),
        withCode(
          'crypto.ciphertext_invalid',
          'crypto.message_truncated',
          'crypto.message_trailing_data',
          'crypto.message_frame_misplaced',
          'crypto.message_malformed',
        ),
      );
    }
  }
});

test('where the size is not that of the message nothing false is released [URS-046]', async () => {
  for (const suite of suites) {
    const { message, dataKey, plaintext } = await sealThreeFrames(suite);
    const padded = Buffer.concat([message, Buffer.alloc(400)]);
    for (const size of [
      0,
      1,
      100,
      message.length - 1,
      message.length + 1,
      message.length + 399,
      2 ** 53 - 1,
    ]) {
      const source: RandomAccessSource = {
        size,
        read: async (position, length) => {
          assert.ok(length <= 4 * 1024 * 1024 + 100, `${length} bytes at once`);
          return Buffer.from(padded.subarray(position, position + length));
        },
      };
      const options = { dataKeyFor: () => dataKey, ignoreSignature: true };
      await assert.rejects(
        async () => {
          const ranges = await openRanges(source, options);
          for await (const chunk of ranges.read(0, 16)) assert.deepEqual(chunk, plaintext.subarray(0, 16));
          await ranges.plaintextBytes();
        },
        withCode(
          'crypto.message_truncated',
          'crypto.message_trailing_data',
          'crypto.message_frame_misplaced',
          'crypto.message_malformed',
        ),
      );
    }
  }
});

test('what surrounds a range in its frame is zeroed in the memory that is released', async () => {
  const { ranges } = await opened(randomBytes(40));
  for await (const chunk of ranges.read(20, 24)) {
    const frame = Buffer.from(chunk.buffer, chunk.byteOffset - 4, 16);
    assert.deepEqual(frame.subarray(0, 4), Buffer.alloc(4));
    assert.deepEqual(frame.subarray(8), Buffer.alloc(8));
    assert.notDeepEqual(chunk, Buffer.alloc(4));
  }
});

test('ranges and options that make no sense are refused', async () => {
  const { ranges, message, options } = await opened(randomBytes(40));
  const refused = withCode('crypto.argument_invalid');
  for (const [start, end] of [
    [-1, 5],
    [0.5, 5],
    [Number.NaN, 5],
    [5, 4],
    [0, 1.5],
    [0, -1],
    [2 ** 53, 2 ** 54],
    [Number.POSITIVE_INFINITY, undefined],
  ] as const) {
    await assert.rejects(collect(ranges.read(start, end)), refused);
  }
  const dataKeyFor = () => options.dataKey;
  for (const size of [-1, 0.5, Number.NaN, 2 ** 53]) {
    await assert.rejects(openRanges({ ...inMemory(message), size }, { dataKeyFor }), refused);
  }
  for (const maxReadBytes of [0, -1, 1.5, Number.NaN]) {
    await assert.rejects(openRanges(inMemory(message), { dataKeyFor, maxReadBytes }), refused);
  }
});

test('a source that fails, or reads more than it was asked for, is an error of its own', async () => {
  const { message, options } = await opened(randomBytes(40));
  const failure = new Error('the object store failed');
  const dataKeyFor = () => options.dataKey;
  const failing: RandomAccessSource = { size: message.length, read: () => Promise.reject(failure) };
  await assert.rejects(openRanges(failing, { dataKeyFor }), (error) => error === failure);
  const generous: RandomAccessSource = { size: message.length - 1, read: async () => message };
  await assert.rejects(openRanges(generous, { dataKeyFor }), withCode('crypto.argument_invalid'));
});
