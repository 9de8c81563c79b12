import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Conditions } from '@trialkeep/contract';
import { append, makeScene } from '../../ledger.fixture.test.ts';
import type { Node } from '../../ledger.fixture.test.ts';
import { testOnStores } from '../../platform/fixture.test.ts';
import type { Entry } from '../entry.ts';
import { insertEntries, readEntries } from '../store.ts';
import { findEntries, isMet } from './entries.ts';
import { ChunkSet, chunkPositions, encodeOffsets } from './postings.ts';
import { countKinds, findPlaces, rangeOf } from './search.ts';
import * as store from './store.ts';

const offsets = fc
  .uniqueArray(fc.nat(chunkPositions - 1), { maxLength: 600 })
  .map((all) => all.sort((a, b) => a - b));

test('a chunk gives back its offsets, and intersects, counts and cuts like a set [URS-038]', () => {
  fc.assert(
    fc.property(
      offsets,
      offsets,
      fc.nat(chunkPositions),
      fc.nat(chunkPositions),
      (one, other, first, end) => {
        const encoded = encodeOffsets(one);
        assert.ok(encoded.length <= 512);
        const set = ChunkSet.empty().addEncoded(encoded);
        assert.deepEqual([...set.offsets()], one);
        assert.equal(set.count, one.length);
        assert.equal(set.isEmpty, one.length === 0);
        const both = set.and(ChunkSet.empty().addEncoded(encodeOffsets(other)));
        assert.deepEqual(
          [...both.offsets()],
          one.filter((offset) => other.includes(offset)),
        );
        const cut = set.and(ChunkSet.range(first, end));
        assert.deepEqual(
          [...cut.offsets()],
          one.filter((offset) => offset >= first && offset < end),
        );
        const either = ChunkSet.empty().addEncoded(encoded).addEncoded(encodeOffsets(other));
        assert.equal(either.count, new Set([...one, ...other]).size);
      },
    ),
    { numRuns: 60 },
  );
});

test('bytes that are no offsets of a chunk are refused [URS-038]', () => {
  for (const bytes of [new Uint8Array(1), new Uint8Array(513), new Uint8Array(514), Uint8Array.of(0, 0x10)]) {
    assert.throws(() => ChunkSet.empty().addEncoded(bytes), RangeError);
  }
});

const ids = Array.from({ length: 4 }, () => randomUUID());
const aliases = ['a'.repeat(32), 'b'.repeat(32)];
const id = fc.option(fc.constantFrom(...ids), { nil: undefined });
const anyEntry = fc.record(
  {
    actor: id,
    key: id,
    system: id,
    study: id,
    subject: fc.option(fc.constantFrom(...aliases), { nil: undefined }),
    class: fc.constantFrom('ecg', 'form', undefined),
    purpose: fc.constantFrom('care', undefined),
    operation: fc.constantFrom('keys.decrypt', 'keys.decrypt-data-key', 'uses.report', 'keys.rotate'),
    outcome: fc.constantFrom('success', 'refused'),
    use: fc.constantFrom('seal', 'open', undefined),
  },
  { requiredKeys: ['operation', 'outcome'] },
);
const anyConditions = fc.record(
  {
    actor: fc.constantFrom(...ids),
    key: fc.constantFrom(...ids),
    device: fc.constantFrom(...ids),
    subject: fc.constantFrom(...aliases),
    class: fc.constantFrom('ecg', 'form', 'none'),
    purpose: fc.constantFrom('care'),
    operation: fc.constantFrom('keys.decrypt', 'uses.report'),
    outcome: fc.constantFrom('success' as const, 'refused' as const),
    kinds: fc.constantFrom(
      ['key-released' as const],
      ['decryption-attested' as const, 'use-denied' as const],
    ),
    from: fc.nat(9000),
    to: fc.nat(9000),
  },
  { requiredKeys: [] },
) as unknown as fc.Arbitrary<Conditions>;

/** Appends synthetic entries, some of one time; the log gets as long as it takes for two chunks. */
async function fill(
  { database, ledger }: Node,
  count: number,
  seed: number,
  startTime = 1000,
): Promise<Entry[]> {
  const log = ledger.instanceLog;
  const entries: Entry[] = fc.sample(anyEntry, { numRuns: count, seed }).map(({ use, ...members }, i) => {
    const attested = use && { attested: { count: 1, sequence: 1, time: 0, use } };
    const named = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
    return {
      ...named,
      ...attested,
      entry: randomUUID(),
      time: startTime + Math.floor(i / 3),
    } as unknown as Entry;
  });
  await database.write(async (tx) => {
    const head = await tx
      .selectFrom('head')
      .select('size')
      .where('log', '=', log.id)
      .executeTakeFirstOrThrow();
    await tx
      .updateTable('head')
      .set({ size: head.size + count })
      .where('log', '=', log.id)
      .execute();
    const rows = entries.map((entry) => ({
      bytes: Buffer.from(JSON.stringify(entry)),
      ciphertext: Buffer.of(1),
    }));
    await insertEntries(tx, log.id, head.size, rows);
  });
  return entries;
}

testOnStores(
  'whatever is asked together is found as by looking at every entry, also behind the index, and after it is made anew [URS-038]',
  async (t, under) => {
    const scene = await makeScene(t, under);
    const node = await scene.start();
    const { database, ledger } = node;
    const log = ledger.instanceLog;
    const [genesis] = await database.read((snapshot) =>
      findEntries(snapshot, log.id, {}, { after: -1, to: 0 }, 1),
    );
    assert.ok(genesis);
    const all = [JSON.parse(Buffer.from(genesis.bytes).toString()) as Entry];
    all.push(...(await fill(node, chunkPositions + 700, 42)));
    await log.integrate();
    assert.equal((await log.index.follow()).size, all.length);
    const read: typeof database.read = (work) => database.read(work);
    const check = async (numRuns: number): Promise<void> => {
      for (const conditions of fc.sample(anyConditions, { numRuns, seed: 7 })) {
        const text = JSON.stringify(conditions);
        const expected = all.flatMap((entry, index) => (isMet(conditions, entry) ? [index] : []));
        const found = await database.read((snapshot) =>
          findEntries(snapshot, log.id, conditions, { after: -1, to: all.length }, 1e6),
        );
        assert.deepEqual(
          found.map(({ position }) => position),
          expected,
          text,
        );
      }
    };
    await check(12);
    for (const conditions of fc.sample(anyConditions, { numRuns: 6, seed: 8 })) {
      const range = await rangeOf(read, log.id, conditions, { first: 0, size: all.length });
      const { kinds, ...others } = conditions;
      const counts = await countKinds(read, log.id, conditions, range);
      const met = all.filter((entry) => isMet(others, entry));
      assert.equal(
        Object.values(counts).reduce((sum, count) => sum + count, 0),
        met.length,
      );
      const wanted = (kinds ?? []).reduce((sum, kind) => sum + counts[kind], 0);
      if (kinds !== undefined) assert.equal(wanted, all.filter((entry) => isMet(conditions, entry)).length);
      assert.deepEqual(
        await findPlaces(read, log.id, conditions, range, 5),
        all.flatMap((entry, index) => (isMet(conditions, entry) ? [index] : [])).slice(0, 5),
      );
    }
    // The tree goes on, and the index does not.
    const places = (await fill(node, 50, 43, 5000)).map(({ entry, time }, i) => ({
      position: all.length + i,
      entry,
      time,
    }));
    const behind = await database.read((snapshot) => readEntries(snapshot, log.id, all.length, 50));
    all.push(...behind.map((bytes) => JSON.parse(Buffer.from(bytes).toString()) as Entry));
    await database.write(async (tx) => {
      await store.storePlaces(tx, log.id, places);
      await tx.updateTable('ledger_tree').set({ size: all.length }).where('log', '=', log.id).execute();
    });
    await check(4);
    await database.write(async (tx) => {
      await tx.deleteFrom('ledger_posting').execute();
      await tx.updateTable('ledger_projection').set({ size: 0 }).execute();
    });
    await check(2);
    assert.ok((await log.index.follow(1)).size <= chunkPositions);
    assert.equal((await log.index.follow()).size, all.length);
    await check(4);
  },
);

testOnStores(
  'nodes that follow one log at once leave one index, whatever the steps in which it grows [URS-038]',
  async (t, under) => {
    const scene = await makeScene(t, under);
    const nodes = [await scene.start('one'), await scene.start('two')];
    const [one] = nodes;
    assert.ok(one);
    for (const count of [1, 3, 40, 0, 7]) {
      await append(one, count);
      await Promise.all(nodes.map(({ ledger }) => ledger.instanceLog.integrate()));
    }
    const { id } = one.ledger.instanceLog;
    const rows = await one.database.read((snapshot) =>
      store.readPostings(snapshot, id, ['operation', 'test.entry'], { first: 0, end: 1 }),
    );
    assert.deepEqual(
      rows.map(({ positions }) => [...ChunkSet.empty().addEncoded(positions).offsets()]),
      [Array.from({ length: 51 }, (_, i) => i + 1)],
    );
  },
);
