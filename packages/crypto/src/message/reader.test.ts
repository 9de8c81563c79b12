import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withCode } from '../fixture.test.ts';
import { ByteReader, joined } from './reader.ts';

test('any pieces come out of any chunks, looked ahead at or not', async () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.nat({ max: 20 })), { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 30 })),
      steps,
      fc.boolean(),
      async (chunks, sizes, reuse) => {
        const whole = Buffer.concat(chunks);
        const reader = new ByteReader(reuse ? fromOneBuffer(chunks) : chunks);
        let position = 0;
        for (const [length, ahead] of sizes) {
          const peeked = await reader.peek(length + ahead);
          assert.deepEqual(peeked, whole.subarray(position, position + length + ahead));
          const consumed = Math.min(length, peeked.length);
          reader.consume(consumed);
          position += consumed;
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('a piece within a chunk is not copied, even after a piece that crossed chunks', async () => {
  const [first, second] = [Buffer.alloc(10), Buffer.alloc(100)];
  const reader = new ByteReader([first, second]);
  assert.equal((await reader.peek(8)).buffer, first.buffer);
  reader.consume(8);
  assert.notEqual((await reader.peek(4)).buffer, second.buffer);
  reader.consume(3);
  const piece = await reader.peek(50);
  assert.equal(piece.buffer, second.buffer);
  assert.equal(piece.byteOffset, second.byteOffset + 1);
});

test('closing tells the source, once, and an ended source is left alone', async () => {
  let returned = 0;
  const source = {
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.resolve({ done: false as const, value: Buffer.alloc(3) }),
      return: () => {
        returned += 1;
        return Promise.resolve({ done: true as const, value: undefined });
      },
    }),
  };
  const reader = new ByteReader(source);
  await reader.peek(4);
  await reader.close();
  await reader.close();
  assert.equal(returned, 1);
});

test('what was gathered is zeroed when the reader is closed', async () => {
  const reader = new ByteReader([Buffer.from('secr'), Buffer.from('et')]);
  const gathered = await reader.peek(6);
  assert.equal(gathered.toString(), 'secret');
  await reader.close();
  assert.deepEqual(gathered, Buffer.alloc(6));
});

test('an error of the source passes through', async () => {
  const failure = new Error('disk');
  const reader = new ByteReader(
    (async function* () {
      throw failure;
    })(),
  );
  await assert.rejects(reader.peek(1), (error) => error === failure);
  await reader.close();
});

test('a source that yields text is refused', async () => {
  const reader = new ByteReader(['text' as unknown as Uint8Array]);
  await assert.rejects(reader.peek(1), withCode('crypto.argument_invalid'));
});

test('joined parts lie in memory that nothing else shares', () => {
  const whole = joined([Buffer.of(1, 2), Buffer.alloc(0), Buffer.of(3)]);
  assert.deepEqual(whole, Buffer.of(1, 2, 3));
  assert.equal(whole.buffer.byteLength, 3);
  assert.equal(joined([]).length, 0);
});

/** The chunks one after the other in the same memory, as a reader of files might do. */
async function* fromOneBuffer(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(30);
  for (const chunk of chunks) {
    buffer.fill(0xee);
    buffer.set(chunk);
    yield buffer.subarray(0, chunk.length);
  }
}
