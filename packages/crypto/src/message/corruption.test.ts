/** Messages as an attacker or a failing disk would have them, through every way of opening. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { flipped, withCode } from '../fixture.test.ts';
import { CryptoError, openBytes, openMessage, openRanges, sealBytes, type SealOptions } from '../index.ts';
import {
  collect,
  assertRefused,
  freshOptions,
  headerOf,
  inMemory,
  openEveryWay,
  partsOf,
  sealThreeFrames,
  suites,
} from './fixture.test.ts';

for (const suite of suites) {
  test(`${suite}: a bit flipped in any byte is refused [URS-046]`, async () => {
    const sealed = await sealThreeFrames(suite);
    const footerOffset = sealed.message.length - partsOf(sealed.message).footer.length;
    for (let offset = 0; offset < sealed.message.length; offset += 1) {
      await assertRefused(flipped(sealed.message, offset), sealed, offset < footerOffset);
    }
  });

  test(`${suite}: cut off at any length is refused, and whole frames are released [URS-046]`, async () => {
    const sealed = await sealThreeFrames(suite);
    const { headerBytes } = headerOf(sealed.message);
    for (let length = 0; length < sealed.message.length; length += 1) {
      const cut = sealed.message.subarray(0, length);
      await assertRefused(cut, sealed);
      const dataKeyFor = () => sealed.dataKey;
      const released: Buffer[] = [];
      await assert.rejects(async () => {
        const opened = openMessage([cut], { dataKeyFor, releaseBeforeSignature: true });
        for await (const chunk of opened) released.push(chunk);
      }, withCode('crypto.message_truncated'));
      const frames = Math.min(2, Math.max(0, Math.floor((length - headerBytes) / 48)));
      assert.deepEqual(Buffer.concat(released), sealed.plaintext.subarray(0, 16 * frames));
    }
  });

  test(`${suite}: frames swapped, dropped, repeated or of another message are refused [URS-046]`, async () => {
    const options = freshOptions({ frameBytes: 16 }, suite);
    const sealed = await sealThreeFrames(suite, options);
    const { header, frames, footer } = partsOf(sealed.message);
    // Another message of the same data key: only the message id tells its frames from ours.
    const { signer: _, context: __, ...shared } = options;
    const other = partsOf(await sealBytes(randomBytes(40), { ...shared, context: { study: 'TK-1' } }));
    const all = [...frames, ...other.frames];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: all.length - 1 }), { maxLength: 6 }), async (order) => {
        fc.pre(order.join() !== '0,1,2');
        const shuffled = order.map((index) => all[index] ?? Buffer.alloc(0));
        await assertRefused(Buffer.concat([header, ...shuffled, footer]), sealed);
      }),
      { numRuns: 150, examples: [[[1, 0, 2]], [[0, 2]], [[1, 2]], [[0, 0, 1, 2]], [[0, 4, 2]], [[3, 4, 5]]] },
    );
  });

  test(`${suite}: lengths and counts that overflow, anywhere, are refused [URS-046]`, async () => {
    const sealed = await sealThreeFrames(suite);
    const footerOffset = sealed.message.length - partsOf(sealed.message).footer.length;
    for (const hex of ['0000', 'ffff', 'ffffffff']) {
      const value = Buffer.from(hex, 'hex');
      for (let offset = 1; offset + value.length <= sealed.message.length; offset += 1) {
        const altered = Buffer.from(sealed.message);
        value.copy(altered, offset);
        if (altered.equals(sealed.message)) continue;
        await assertRefused(altered, sealed, offset < footerOffset);
      }
    }
  });

  test(`${suite}: noise, insertions, deletions and repetitions are refused [URS-046]`, async () => {
    const sealed = await sealThreeFrames(suite);
    const { message } = sealed;
    const footerOffset = message.length - partsOf(message).footer.length;
    const place = fc.nat({ max: message.length });
    const edit = fc.record({
      from: place,
      to: place,
      source: place,
      insert: fc.uint8Array({ maxLength: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
        let altered = message;
        for (const { from, to, source, insert } of edits) {
          const kept = altered.subarray(0, Math.min(from, to));
          const repeated = message.subarray(source, source + insert.length);
          const inserted = insert.length % 2 === 0 ? insert : repeated;
          altered = Buffer.concat([kept, inserted, altered.subarray(Math.max(from, to))]);
        }
        fc.pre(!altered.equals(message));
        const inFooter = altered.subarray(0, footerOffset).equals(message.subarray(0, footerOffset));
        await assertRefused(altered, sealed, !inFooter);
      }),
      { numRuns: 200 },
    );
  });
}

test('noise is refused with a typed error [URS-046]', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (noise) => {
      for (const { released, error } of await openEveryWay(noise, randomBytes(32))) {
        assert.ok(error instanceof CryptoError);
        assert.equal(released.length, 0);
      }
    }),
  );
});

/** A header body up to its encrypted data keys, of which it announces `count`. */
function announcing(count: number): Buffer {
  const start = Buffer.concat([Buffer.from([2, 0x04, 0x78]), randomBytes(32), Buffer.from([0, 0, 0, 0])]);
  start.writeUInt16BE(count, start.length - 2);
  return start;
}

const encryptedDataKey = Buffer.concat([
  Buffer.from([0, 4]),
  Buffer.from('test'),
  Buffer.from([0, 0, 0x20, 0]),
  randomBytes(0x2000),
]);

test('10,000 encrypted data keys are refused before they are read [URS-046]', async () => {
  let pulledBytes = 0;
  function* message(): Generator<Uint8Array> {
    for (const chunk of [announcing(10_000), ...Array.from({ length: 10_000 }, () => encryptedDataKey)]) {
      pulledBytes += chunk.length;
      yield chunk;
    }
  }
  const dataKeyFor = () => assert.fail('asked for a data key');
  const refused = withCode('crypto.recipients_invalid');
  await assert.rejects(collect(openMessage(message(), { dataKeyFor })), refused);
  assert.ok(pulledBytes < 20_000, `${pulledBytes} bytes read`);
  const whole = Buffer.concat([...message()]);
  await assert.rejects(openBytes(whole, { dataKeyFor }), refused);
  const source = inMemory(whole);
  await assert.rejects(openRanges(source, { dataKeyFor }), refused);
  assert.deepEqual(source.reads, [{ position: 0, length: 2048 }]);
  const options: SealOptions = freshOptions();
  const encryptedDataKeys = Array.from({ length: 10_000 }, () => options.encryptedDataKeys).flat();
  await assert.rejects(sealBytes(Buffer.alloc(1), { ...options, encryptedDataKeys }), refused);
});

test('a header is bounded: one that never ends is not read for ever [URS-046]', async () => {
  let pulledBytes = 0;
  function* endless(): Generator<Uint8Array> {
    for (let chunk = announcing(16); ; chunk = encryptedDataKey) {
      pulledBytes += chunk.length;
      yield chunk;
    }
  }
  const dataKeyFor = () => assert.fail('asked for a data key');
  await assert.rejects(collect(openMessage(endless(), { dataKeyFor })), withCode('crypto.message_malformed'));
  assert.ok(pulledBytes < 400_000, `${pulledBytes} bytes read`);
});

test('a context opens in its one encoding only: in order, without a duplicate or an empty name [URS-046]', async () => {
  const sealed = await sealThreeFrames(
    '0x0478',
    freshOptions({ frameBytes: 16, context: { a: '1', b: '2' } }),
  );
  const original = sealed.message.subarray(35, 35 + 2 + 14);
  assert.equal(original.toString('hex'), '000e0002000161000131000162000132');
  const pair = fc.tuple(fc.constantFrom('', 'a', 'b', 'ab'), fc.constantFrom('', '1', '2'));
  await fc.assert(
    fc.asyncProperty(fc.array(pair, { maxLength: 4 }), async (pairs) => {
      const context = withLength(encodePairs(pairs));
      fc.pre(!context.equals(original));
      const altered = [
        sealed.message.subarray(0, 35),
        context,
        sealed.message.subarray(35 + original.length),
      ];
      await assertRefused(Buffer.concat(altered), sealed);
      const names = pairs.map(([name]) => name);
      const canonical = names.every((name, index) => name > (names[index - 1] ?? ''));
      if (canonical && pairs.length > 0) return;
      await assert.rejects(
        openBytes(Buffer.concat(altered), { dataKeyFor: () => assert.fail('asked for a data key') }),
        withCode('crypto.context_invalid'),
      );
    }),
  );
});

function encodePairs(pairs: readonly (readonly [string, string])[]): Buffer {
  const count = Buffer.from([0, pairs.length]);
  return Buffer.concat([count, ...pairs.flat().map((text) => withLength(Buffer.from(text)))]);
}

function withLength(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0, bytes.length]), bytes]);
}
