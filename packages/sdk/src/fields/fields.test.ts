import assert from 'node:assert/strict';
import { generateKeySync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { cachedKeys } from '../seal/cache.ts';
import { TestKeys, withCode } from './fixture.test.ts';
import { createFields, memoryFieldKeyStore } from './index.ts';
import type { FieldKeyRow, FieldKeyStore, Fields, FieldToSeal } from './index.ts';

const context = { study: 'TK-1', subject: 'a1' };
const item: FieldToSeal = { field: 'diary.entry', rowId: 'row-1', type: 'text', value: 'headache' };

function setUp(more: Partial<Parameters<typeof createFields>[0]> = {}): {
  readonly keys: TestKeys;
  readonly store: FieldKeyStore;
  readonly fields: Fields;
} {
  const keys = new TestKeys();
  const store = memoryFieldKeyStore();
  return { keys, store, fields: createFields({ keys, store, ...more }) };
}

const toOpen = ({ field, rowId, type }: FieldToSeal, sealed: Buffer | null) => ({
  field,
  rowId,
  type,
  sealed,
});

test('values of every type come back, and null stays null [URS-047]', async () => {
  const { fields } = setUp();
  const items: FieldToSeal[] = [
    item,
    { ...item, field: 'diary.weight', type: 'number', value: 61.5 },
    { ...item, field: 'diary.seen', type: 'date', value: new Date(1_700_000_000_000) },
    { ...item, field: 'diary.answers', type: 'json', value: { a: [1, null] } },
    { ...item, field: 'diary.scan', type: 'bytes', value: Buffer.of(1, 2) },
    { ...item, field: 'diary.pregnant', type: 'boolean', value: true },
    { ...item, field: 'diary.name', value: null },
    { ...item, field: 'diary.padded', padTo: 128 },
  ];
  const sealed = await fields.sealMany(context, items);
  assert.equal(sealed[6], null);
  const opened = await fields.openMany(
    context,
    items.map((each, i) => toOpen(each, sealed[i] ?? null)),
  );
  assert.deepEqual(
    opened,
    items.map(({ value }) => value),
  );
  const one = await fields.seal({ ...item, context });
  assert.equal(await fields.open({ ...toOpen(item, one), context }), 'headache');
  assert.equal(await fields.seal({ ...item, value: null, context }), null);
  assert.equal(await fields.open({ ...toOpen(item, null), context }), null);
});

test('all values of a context are sealed under one data key, those of another under another', async () => {
  const { keys, fields, store } = setUp();
  const references = new Set<string>();
  for (let i = 0; i < 20; i += 1) {
    const sealed = await fields.seal({ ...item, rowId: i, context });
    references.add(sealed?.toString('hex', 1, 17) ?? '');
  }
  assert.equal(references.size, 1);
  await fields.seal({ ...item, context: { ...context, subject: 'a2' } });
  assert.equal(keys.sealingContexts.length, 2);
  const rows = await store.find([...references].map((reference) => Buffer.from(reference, 'hex')));
  assert.equal(rows[0]?.generation, 1);
});

test('a burst of first requests makes one data key, in one process and in two', async () => {
  const keys = new TestKeys();
  const store = memoryFieldKeyStore();
  const [one, other] = [createFields({ keys, store }), createFields({ keys, store })];
  const sealed = await Promise.all(
    Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? one : other).seal({ ...item, rowId: i, context })),
  );
  const references = new Set(sealed.map((bytes) => bytes?.toString('hex', 1, 17)));
  assert.equal(references.size, 1);
  assert.ok(keys.sealingContexts.length <= 2, `${keys.sealingContexts.length} data keys were made`);
});

test('a data key is renewed at its age and at its number of seals, and old values stay readable', async () => {
  let now = 1_000_000;
  const bounds = { maxKeyAgeMs: 100_000, maxSealsPerKey: 10 };
  const { fields, store, keys } = setUp({ clock: () => now, bounds });
  const references: string[] = [];
  const sealed: Buffer[] = [];
  const seal = async () => {
    const bytes = await fields.seal({ ...item, context });
    assert.ok(bytes !== null);
    sealed.push(bytes);
    references.push(bytes.toString('hex', 1, 17));
  };
  for (let i = 0; i < 25; i += 1) await seal();
  assert.deepEqual(
    [...Map.groupBy(references, (each) => each).values()].map((each) => each.length),
    [10, 10, 5],
  );
  now += 100_001;
  await seal();
  assert.equal(new Set(references).size, 4);
  now -= 300_000;
  await seal();
  assert.equal(new Set(references).size, 5, 'a clock set back makes no data key eternal');
  for (const bytes of sealed)
    assert.equal(await fields.open({ ...toOpen(item, bytes), context }), 'headache');
  const restarted = createFields({ keys, store, clock: () => now, bounds });
  const [newest] = sealed.slice(-1);
  const again = await restarted.seal({ ...item, context });
  assert.equal(again?.toString('hex', 1, 17), newest?.toString('hex', 1, 17));
});

test('a renewal by another process is noticed within a minute', async () => {
  let now = 1_000_000;
  const keys = new TestKeys();
  const store = memoryFieldKeyStore();
  const clock = () => now;
  const one = createFields({ keys, store, clock });
  const other = createFields({ keys, store, clock, bounds: { maxSealsPerKey: 1 } });
  const reference = async (fields: Fields) =>
    (await fields.seal({ ...item, context }))?.toString('hex', 1, 17);
  const first = await reference(one);
  assert.equal(await reference(other), first);
  const second = await reference(other);
  assert.notEqual(second, first);
  assert.equal(await reference(one), first);
  now += 60_000;
  assert.equal(await reference(one), second);
});

test('nothing opens or seals once the source refuses: no data key is held beyond it [URS-003] [URS-044]', async () => {
  const own = new TestKeys();
  let nowMs = 0;
  const clock = { wallMs: () => nowMs, steadyMs: () => nowMs };
  const cached = cachedKeys(own, { maxAgeMs: 1000 }, clock);
  const fields = createFields({ keys: cached, store: memoryFieldKeyStore() });
  const sealed = await fields.seal({ ...item, context });
  assert.equal(await fields.open({ ...toOpen(item, sealed), context }), 'headache');
  const index = { field: 'diary.name', type: 'text', form: 'nfc', versions: [1], context: {} } as const;
  await fields.indexTokens(index, ['Ada']);
  const asked = own.openingContexts.length;
  own.refuse('key.revoked');
  nowMs = 999;
  assert.equal(await fields.open({ ...toOpen(item, sealed), context }), 'headache');
  assert.equal(own.openingContexts.length, asked, 'within its bound the cache answers');
  nowMs = 1001;
  await assert.rejects(fields.open({ ...toOpen(item, sealed), context }), withCode('key.revoked'));
  await assert.rejects(fields.seal({ ...item, context }), withCode('key.revoked'));
  await assert.rejects(fields.indexTokens(index, ['Ada']), withCode('key.revoked'));
});

test('a long run asks the source again as it goes on, and stops when it refuses [URS-003]', async () => {
  const { keys, fields } = setUp();
  const items = Array.from({ length: 4000 }, (_, i) => ({ ...item, rowId: i }));
  const sealed = await fields.sealMany(context, items);
  assert.ok(keys.openingContexts.length >= 3);
  const opening = fields.openMany(
    context,
    items.map((each, i) => toOpen(each, sealed[i] ?? null)),
  );
  keys.openingRefusal = 'key.revoked';
  await assert.rejects(opening, withCode('key.revoked'));
});

test('a run stops when it is told to', async () => {
  const { fields } = setUp();
  const items = Array.from({ length: 2000 }, (_, i) => ({ ...item, rowId: i }));
  const stop = new AbortController();
  const sealing = fields.sealMany(context, items, { signal: stop.signal });
  stop.abort(new Error('enough'));
  await assert.rejects(sealing, /enough/);
});

for (const code of ['client.unreachable', 'access.denied'] as const) {
  test(`who cannot open (${code}) seals under data keys of its own, as few as its cache allows [URS-046]`, async () => {
    const own = new TestKeys();
    const store = memoryFieldKeyStore();
    const before = await createFields({ keys: own, store }).seal({ ...item, context });
    own.openingRefusal = code;
    const fields = createFields({ keys: cachedKeys(own), store });
    const made = own.sealingContexts.length;
    const sealed: (Buffer | null)[] = [];
    for (let i = 0; i < 20; i += 1) sealed.push(await fields.seal({ ...item, context }));
    assert.equal(own.sealingContexts.length, made + 1);
    assert.equal(new Set(sealed.map((each) => each?.toString('hex', 1, 17))).size, 1);
    own.openingRefusal = undefined;
    const reader = createFields({ keys: own, store });
    for (const each of [before, ...sealed]) {
      assert.equal(await reader.open({ ...toOpen(item, each), context }), 'headache');
    }
    own.openingRefusal = code;
    own.sealingRefusal = code;
    await assert.rejects(createFields({ keys: own, store }).seal({ ...item, context }), withCode(code));
  });
}

test('who cannot open seals in more contexts than it holds rows for', async () => {
  const own = new TestKeys();
  own.openingRefusal = 'access.denied';
  const fields = createFields({
    keys: cachedKeys(own),
    store: memoryFieldKeyStore(),
    bounds: { maxRows: 1 },
  });
  for (let round = 0; round < 3; round += 1) {
    for (const subject of ['a', 'b', 'c']) await fields.seal({ ...item, context: { subject } });
  }
  // The first of a context is made for good, the next for a cache to hold.
  assert.ok(own.sealingContexts.length <= 6, `${own.sealingContexts.length} data keys`);
});

test('a context that its caller changes afterwards is the one it was', async () => {
  const { fields } = setUp();
  const changing: Record<string, string> = { subject: 'a' };
  const sealing = fields.seal({ ...item, context: changing });
  changing['subject'] = 'b';
  const sealed = await sealing;
  assert.equal(await fields.open({ ...toOpen(item, sealed), context: { subject: 'a' } }), 'headache');
  assert.equal(await fields.open({ ...toOpen(item, sealed), context: { subject: 'a' } }), 'headache');
});

test('uses are put on the record before anything is given, where they must be', async () => {
  const own = new TestKeys();
  const reported: string[] = [];
  let fails = false;
  const report = (what: string) => async () => {
    if (fails) throw new Error('the record is full');
    reported.push(what);
  };
  const keys = {
    sealingKey: async (...request: Parameters<TestKeys['sealingKey']>) => {
      return { ...(await own.sealingKey(...request)), reportUse: report('seal') };
    },
    openingKey: async (...request: Parameters<TestKeys['openingKey']>) => {
      const key = await own.openingKey(...request);
      return key && { ...key, reportUse: report('open') };
    },
  };
  const fields = createFields({ keys, store: memoryFieldKeyStore() });
  const sealed = await fields.sealMany(context, [item, item]);
  await fields.openMany(
    context,
    sealed.map((each) => toOpen(item, each)),
  );
  assert.deepEqual(reported, ['seal', 'open']);
  fails = true;
  await assert.rejects(fields.open({ ...toOpen(item, sealed[0] ?? null), context }), /record is full/);
  await assert.rejects(fields.seal({ ...item, context }), /record is full/);
});

test('a value of another type, row or column is refused, and the error never says the value', async () => {
  const { fields } = setUp();
  const wrong = [7, new Date(), true, {}, undefined, '\ud800', 'secret'.repeat(20_000)];
  for (const value of wrong) {
    await assert.rejects(fields.seal({ ...item, value: value as never, context }), (error) => {
      assert.doesNotMatch(String(error), /secret/);
      assert.match(String(error), /diary\.entry at 0/);
      return withCode('fields.value_invalid')(error);
    });
  }
  const sealed = await fields.seal({ ...item, context });
  const moved = [{ field: 'diary.name' }, { rowId: 'row-2' }];
  for (const change of moved) {
    const opening = fields.open({ ...toOpen({ ...item, ...change }, sealed), context });
    await assert.rejects(opening, withCode('fields.damaged'));
  }
  const asBytes = fields.open({ ...toOpen(item, sealed), type: 'bytes', context });
  await assert.rejects(asBytes, withCode('fields.type_mismatch'));
  for (const bytes of ['', '02', '01', '00'.repeat(80)]) {
    const opening = fields.open({ ...toOpen(item, Buffer.from(bytes, 'hex')), context });
    await assert.rejects(opening, withCode('fields.not_sealed'));
  }
  const asText = fields.open({ ...toOpen(item, 'headache' as never), context });
  await assert.rejects(asText, withCode('fields.value_invalid'));
});

test('cut off at any byte or altered, a field gives a typed error [URS-046]', async () => {
  const { fields } = setUp();
  const sealed = (await fields.seal({ ...item, context })) ?? Buffer.alloc(0);
  const codes = ['fields.damaged', 'fields.not_sealed', 'fields.key_unknown'] as const;
  for (let length = 0; length < sealed.length; length += 1) {
    const cut = fields.open({ ...toOpen(item, sealed.subarray(0, length)), context });
    await assert.rejects(cut, withCode(...codes));
    const altered = Buffer.from(sealed);
    altered[length] = (altered[length] ?? 0) ^ 1;
    await assert.rejects(fields.open({ ...toOpen(item, altered), context }), withCode(...codes));
  }
});

/** A store in which one row is shown as a test wants it. */
function altering(store: FieldKeyStore, alter: (row: FieldKeyRow) => FieldKeyRow | undefined): FieldKeyStore {
  const altered = (row: FieldKeyRow | undefined) => (row === undefined ? undefined : alter(row));
  return {
    insert: (row) => store.insert(row),
    newest: async (hash) => altered(await store.newest(hash)),
    find: async (keyRefs) => (await store.find(keyRefs)).map(altered).filter((row) => row !== undefined),
  };
}

test('a row of the key table put in the place of another, or altered, never opens [URS-049]', async () => {
  const { keys, store, fields } = setUp();
  const other = { study: 'TK-1', subject: 'a2' };
  const sealed = await fields.seal({ ...item, context });
  const otherSealed = await fields.seal({ ...item, context: other });
  const rowOf = async (bytes: Buffer | null) => {
    const [row] = await store.find([bytes?.subarray(1, 17) ?? Buffer.alloc(0)]);
    assert.ok(row !== undefined);
    return row;
  };
  const [own, foreign] = [await rowOf(sealed), await rowOf(otherSealed)];
  const open = (alter: (row: FieldKeyRow) => FieldKeyRow, expected = context) =>
    createFields({ keys, store: altering(store, alter) }).open({
      ...toOpen(item, sealed),
      context: expected,
    });

  assert.equal(await open((row) => row), 'headache');
  await assert.rejects(
    open((row) => row, other),
    withCode('fields.context_mismatch'),
  );
  const { keyRef } = own;
  await assert.rejects(
    open(() => ({ ...foreign, keyRef })),
    withCode('fields.context_mismatch'),
  );
  await assert.rejects(
    open(() => ({ ...foreign, keyRef }), other),
    withCode('fields.key_altered'),
  );
  await assert.rejects(
    open(() => ({ ...own, record: foreign.record })),
    withCode('fields.key_altered'),
  );
  const flipped = Buffer.from(own.record);
  flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
  await assert.rejects(
    open(() => ({ ...own, record: flipped })),
    withCode('fields.key_altered'),
  );
  for (let length = 0; length < own.record.length; length += 7) {
    const record = own.record.subarray(0, length);
    await assert.rejects(
      open(() => ({ ...own, record })),
      withCode('fields.key_altered'),
    );
  }
  const elsewhere = createFields({ keys, store: altering(store, () => undefined) });
  await assert.rejects(elsewhere.open({ ...toOpen(item, sealed), context }), withCode('fields.key_unknown'));
});

test('a key table in which another tenant wrapped the same context does not seal or open [URS-049]', async () => {
  const { store, fields } = setUp();
  const sealed = await fields.seal({ ...item, context });
  const key = generateKeySync('aes', { length: 256 });
  const tenant = createFields({ keys: new TestKeys(key), store });
  await assert.rejects(tenant.open({ ...toOpen(item, sealed), context }), withCode('fields.key_altered'));
  await assert.rejects(tenant.seal({ ...item, context }), withCode('fields.key_altered'));
});

test('a data key wrapped for others only is not opened', async () => {
  const { store, fields } = setUp();
  const sealed = await fields.seal({ ...item, context });
  const keys = { sealingKey: () => assert.fail(), openingKey: async () => undefined };
  const stranger = createFields({ keys, store });
  await assert.rejects(stranger.open({ ...toOpen(item, sealed), context }), withCode('fields.no_key'));
});

test('unknown key references are looked up and not remembered', async () => {
  const { keys, fields, store } = setUp();
  const sealed = (await fields.seal({ ...item, context })) ?? Buffer.alloc(0);
  let lookUps = 0;
  const counting: FieldKeyStore = { ...store, find: async (keyRefs) => ((lookUps += keyRefs.length), []) };
  const reader = createFields({ keys, store: counting, bounds: { maxRows: 10 } });
  const unknown = Buffer.from(sealed);
  const attempts = 20_000;
  for (let i = 0; i < attempts; i += 1) {
    unknown.writeUInt32BE(i, 1);
    await reader
      .open({ ...toOpen(item, unknown), context })
      .then(() => assert.fail('opened'), withCode('fields.key_unknown'));
  }
  assert.equal(lookUps, attempts);
});

test('wrapped data keys are held up to the bound', async () => {
  const { keys, store } = setUp();
  const find = { calls: 0 };
  const counting: FieldKeyStore = {
    ...store,
    find: async (keyRefs) => {
      find.calls += 1;
      return store.find(keyRefs);
    },
  };
  const writer = createFields({ keys, store });
  const sealed: { readonly subject: string; readonly bytes: Buffer | null }[] = [];
  for (const subject of ['a', 'b', 'c']) {
    sealed.push({ subject, bytes: await writer.seal({ ...item, context: { subject } }) });
  }
  const reader = createFields({ keys, store: counting, bounds: { maxRows: 2 } });
  const openAll = async () => {
    for (const { subject, bytes } of sealed)
      await reader.open({ ...toOpen(item, bytes), context: { subject } });
  };
  await openAll();
  assert.equal(find.calls, 3);
  await openAll();
  assert.equal(find.calls, 6, 'three do not fit into two');
});

test('the key of an index is one, whoever makes it, and has a context of its own', async () => {
  const keys = new TestKeys();
  const store = memoryFieldKeyStore();
  const place = {
    field: 'diary.name',
    type: 'text',
    form: 'nfc',
    versions: [1, 2],
    context: { study: 'TK-1' },
  } as const;
  const processes = Array.from({ length: 4 }, () => createFields({ keys, store }));
  const answers = await Promise.all(processes.map((fields) => fields.indexTokens(place, ['Ada', 'Bob'])));
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  const [ada = [], bob = []] = answers[0] ?? [];
  assert.deepEqual(
    ada.map((token) => token.readUInt16BE(0)),
    [1, 2],
  );
  assert.notDeepEqual(ada[0], bob[0]);
  assert.deepEqual(keys.sealingContexts[0], {
    study: 'TK-1',
    purpose: 'blind-index',
    field: 'diary.name',
    'index-version': '1',
  });
  const [elsewhere] = await createFields({ keys, store }).indexTokens({ ...place, context: {} }, ['Ada']);
  assert.notDeepEqual(elsewhere, ada);
});

test('rounds of any values in any contexts come back [URS-047]', async () => {
  const { fields } = setUp();
  const round = fc.array(
    fc.record({
      rowId: fc.integer(),
      value: fc.option(fc.string({ unit: 'grapheme' })),
      padTo: fc.integer({ min: 1, max: 64 }),
    }),
    { maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('a', 'b'), round, async (subject, rows) => {
      const items = rows.map((row) => ({ ...item, ...row }));
      const sealed = await fields.sealMany({ subject }, items);
      const opened = await fields.openMany(
        { subject },
        items.map((each, i) => toOpen(each, sealed[i] ?? null)),
      );
      assert.deepEqual(
        opened,
        rows.map(({ value }) => value),
      );
    }),
    { numRuns: 40 },
  );
});

test('bounds out of range are refused', () => {
  const keys = new TestKeys();
  const store = memoryFieldKeyStore();
  for (const bounds of [{ maxKeyAgeMs: 0 }, { maxSealsPerKey: 1.5 }, { maxRows: 1e9 }]) {
    assert.throws(() => createFields({ keys, store, bounds }), withCode('client.invalid_input'));
  }
});
