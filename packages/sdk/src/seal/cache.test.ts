import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateKey, rawAes } from '@trialkeep/crypto';
import type { EncryptionContext } from '@trialkeep/crypto';
import type { Clock } from '../clock.ts';
import { sdkError, TrialkeepError } from '../errors.ts';
import { cachedKeys } from './cache.ts';
import type { CacheBounds } from './cache.ts';
import type { KeySource, SealingKey } from './keys.ts';
import { recipientKeys } from './recipient-keys.ts';

/** A source of real data keys that counts what it is asked for, and can be away. */
class CountingKeys implements KeySource {
  asked = 0;
  away = false;
  readonly #inner: KeySource;

  constructor() {
    const own = rawAes({ namespace: 'test', name: 'own', key: generateKey('AES_256') });
    this.#inner = recipientKeys({ recipients: [own], identities: [own] });
  }

  async sealingKey(...request: Parameters<KeySource['sealingKey']>) {
    this.#count();
    return this.#inner.sealingKey(...request);
  }

  async openingKey(...request: Parameters<KeySource['openingKey']>) {
    this.#count();
    return this.#inner.openingKey(...request);
  }

  #count(): void {
    this.asked += 1;
    if (this.away) throw sdkError('client.unreachable');
  }
}

const context = { study: 's', subject: 'a' };
const minute = { maxAgeMs: 60_000 };

function messageOf({ encryptedDataKeys }: SealingKey, of: EncryptionContext = context) {
  return { context: of, encryptedDataKeys };
}

async function unreachable(request: Promise<unknown>): Promise<void> {
  await assert.rejects(request, (error: unknown) => {
    return error instanceof TrialkeepError && error.code === 'client.unreachable';
  });
}

test('a data key serves again for its whole context and for no other [URS-044]', async () => {
  const source = new CountingKeys();
  const keys = cachedKeys(source, minute);
  const first = await keys.sealingKey(context, { bytes: 1 });
  assert.equal(await keys.sealingKey({ subject: 'a', study: 's' }, { bytes: 1 }), first);
  assert.equal(source.asked, 1);
  const others = [
    {},
    { study: 's' },
    { ...context, class: 'ecg' },
    { study: 's', subject: 'A' },
    { study: 'sa', subject: '' },
  ];
  for (const other of others) {
    const key = await keys.sealingKey(other, { bytes: 1 });
    assert.ok(!key.dataKey.equals(first.dataKey), JSON.stringify(other));
  }
  assert.equal(source.asked, 1 + others.length);
});

test('opening is remembered by the encrypted data keys and the context, apart from sealing [URS-044]', async () => {
  const source = new CountingKeys();
  const keys = cachedKeys(source, minute);
  const [sealed, other] = [await source.sealingKey(context), await source.sealingKey(context)];
  source.asked = 0;
  const opened = await keys.openingKey(messageOf(sealed));
  assert.ok(opened?.dataKey.equals(sealed.dataKey));
  assert.equal(await keys.openingKey(messageOf(sealed)), opened);
  assert.equal(source.asked, 1);
  assert.ok((await keys.openingKey(messageOf(other)))?.dataKey.equals(other.dataKey));
  assert.equal(source.asked, 2);
  // What was released for one context is not released for another.
  await assert.rejects(keys.openingKey(messageOf(sealed, { study: 's' })), {
    code: 'crypto.ciphertext_invalid',
  });
  assert.equal(source.asked, 3);
  await keys.sealingKey(context, { bytes: 1 });
  assert.equal(source.asked, 4, 'who may open has not thereby been allowed to seal');
});

test('a message for nobody here is asked about each time', async () => {
  const source = new CountingKeys();
  const keys = cachedKeys(source, minute);
  const foreign = { providerId: 'other', providerInfo: Buffer.of(1), ciphertext: Buffer.of(1) };
  for (const asked of [1, 2]) {
    assert.equal(await keys.openingKey({ context, encryptedDataKeys: [foreign] }), undefined);
    assert.equal(source.asked, asked);
  }
});

test('concurrent misses make one request; whoever gives up leaves the others theirs', async () => {
  const source = new CountingKeys();
  const keys = cachedKeys(source, minute);
  const controller = new AbortController();
  const reason = new Error('enough');
  const given = keys.sealingKey(context, { bytes: 1, signal: controller.signal });
  const waiting = Array.from({ length: 20 }, () => keys.sealingKey(context, { bytes: 1 }));
  controller.abort(reason);
  await assert.rejects(given, reason);
  const found = new Set(await Promise.all(waiting));
  assert.equal(found.size, 1);
  assert.equal(source.asked, 1);
  await assert.rejects(keys.sealingKey(context, { bytes: 1, signal: controller.signal }), reason);
});

test('a request that failed is made again', async () => {
  const source = new CountingKeys();
  const keys = cachedKeys(source, minute);
  source.away = true;
  await Promise.all([1, 2].map(() => unreachable(keys.sealingKey(context, { bytes: 1 }))));
  assert.equal(source.asked, 1);
  source.away = false;
  await keys.sealingKey(context, { bytes: 1 });
  assert.equal(source.asked, 2);
});

/** Clocks that a test sets. */
class SetClock implements Clock {
  steady = 5000;
  wall = 1_700_000_000_000;
  steadyMs = () => this.steady;
  wallMs = () => this.wall;
}

test('what is older than the bound is not used, and while the server is away that fails closed [URS-044]', async () => {
  const elapsed: [string, (clock: SetClock) => void, boolean][] = [
    ['nearly a minute', (clock) => ((clock.steady += 59_999), (clock.wall += 59_999)), true],
    ['a minute', (clock) => ((clock.steady += 60_000), (clock.wall += 60_000)), false],
    ['a sleep of the machine', (clock) => (clock.wall += 3_600_000), false],
    ['a minute under a wall clock that was stopped', (clock) => (clock.steady += 60_000), false],
    ['a wall clock that was set back', (clock) => (clock.wall -= 10_000), false],
    ['a wall clock that was corrected a little', (clock) => (clock.wall -= 900), true],
  ];
  for (const [what, pass, isYoung] of elapsed) {
    const source = new CountingKeys();
    const clock = new SetClock();
    const keys = cachedKeys(source, minute, clock);
    const sealed = await keys.sealingKey(context, { bytes: 1 });
    await keys.openingKey(messageOf(sealed));
    source.away = true;
    pass(clock);
    if (isYoung) {
      assert.equal(await keys.sealingKey(context, { bytes: 1 }), sealed, what);
      assert.ok(await keys.openingKey(messageOf(sealed)), what);
      continue;
    }
    await unreachable(keys.sealingKey(context, { bytes: 1 }));
    await unreachable(keys.openingKey(messageOf(sealed)));
    source.away = false;
    const renewed = await keys.sealingKey(context, { bytes: 1 });
    assert.ok(!renewed.dataKey.equals(sealed.dataKey), what);
  }
});

test('while the server is away, what is young enough goes on [URS-044]', async () => {
  const source = new CountingKeys();
  const keys = cachedKeys(source, minute);
  const sealed = await keys.sealingKey(context, { bytes: 1 });
  await keys.openingKey(messageOf(sealed));
  source.away = true;
  assert.equal(await keys.sealingKey(context, { bytes: 1 }), sealed);
  assert.ok((await keys.openingKey(messageOf(sealed)))?.dataKey.equals(sealed.dataKey));
  keys.clear();
  await unreachable(keys.sealingKey(context, { bytes: 1 }));
  await unreachable(keys.openingKey(messageOf(sealed)));
});

test('no data key seals more messages or bytes than its bounds, and no more are held than allowed [URS-044]', async () => {
  const bounds = { maxMessages: 5, maxBytes: 100, maxKeys: 3 };
  const request = fc.record({
    context: fc.constantFrom<EncryptionContext>({}, { a: '1' }, { a: '2' }, { a: '3' }, { a: '4' }),
    bytes: fc.option(fc.integer({ min: 0, max: 120 }), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 60 }), async (requests) => {
      const keys = cachedKeys(new CountingKeys(), { ...minute, ...bounds });
      const used = new Map<SealingKey, { messages: number; bytes: number; context: EncryptionContext }>();
      for (const { context: of, bytes } of requests) {
        const key = await keys.sealingKey(of, { bytes });
        const use = used.get(key) ?? { messages: 0, bytes: 0, context: of };
        assert.deepEqual(use.context, of);
        used.set(key, { messages: use.messages + 1, bytes: use.bytes + (bytes ?? Infinity), context: of });
      }
      for (const { messages, bytes } of used.values()) {
        assert.ok(messages === 1 || (messages <= bounds.maxMessages && bytes <= bounds.maxBytes));
      }
    }),
    { numRuns: 60 },
  );
});

test('the oldest data key gives way to a new one beyond the number that is held', async () => {
  const source = new CountingKeys();
  const keys = cachedKeys(source, { ...minute, maxKeys: 2 });
  for (const a of ['1', '2', '3']) await keys.sealingKey({ a }, { bytes: 1 });
  for (const a of ['2', '3']) await keys.sealingKey({ a }, { bytes: 1 });
  assert.equal(source.asked, 3);
  await keys.sealingKey({ a: '1' }, { bytes: 1 });
  assert.equal(source.asked, 4);
});

test('a message of unknown length, and a signed one, have data keys of their own', async () => {
  const source = new CountingKeys();
  const keys = cachedKeys(source, minute);
  const signed = { ...context, 'aws-crypto-public-key': 'x' };
  for (let times = 0; times < 2; times++) {
    await keys.sealingKey(context);
    await keys.sealingKey(signed, { bytes: 1 });
  }
  assert.equal(source.asked, 4);
});

test('a length that is none is refused, rather than counted [URS-046]', async () => {
  const keys = cachedKeys(new CountingKeys(), minute);
  for (const bytes of [Number.NaN, -1, 0.5, Infinity]) {
    await assert.rejects(keys.sealingKey(context, { bytes }), { code: 'client.invalid_input' });
  }
});

test('a bound that is out of range is refused [URS-046]', () => {
  const wrong: CacheBounds[] = [
    { maxAgeMs: 0 },
    { maxAgeMs: 3_600_001 },
    { maxAgeMs: Number.NaN },
    { maxKeys: 0.5 },
    { maxMessages: -1 },
    { maxBytes: Infinity },
  ];
  for (const bounds of wrong) {
    assert.throws(() => cachedKeys(new CountingKeys(), bounds), { code: 'client.invalid_input' });
  }
});
