import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { verifyBatch } from '@trialkeep/crypto';
import { refusal } from '../fixture.test.ts';
import { stores } from '../installation.fixture.test.ts';
import { reconcile } from '../reconcile.ts';
import {
  TestReporter,
  makeSystem,
  makeTenant,
  shareInstallation,
  useEntries,
  usesOf,
} from './fixture.test.ts';
import type { Entry } from './fixture.test.ts';

const attested = (entries: readonly Entry[]) => entries.filter((entry) => entry['attested'] !== undefined);
const sequences = (entries: readonly Entry[]) =>
  attested(entries).map((entry) => (entry['attested'] as { sequence: number }).sequence);

for (const store of stores) {
  const { name, skip } = store;
  const on = { skip };
  const arrange = shareInstallation(store);

  test(
    `${name}: each receipt has an entry that says what was attested, once [URS-038] [URS-032]`,
    on,
    async () => {
      const arranged = await arrange();
      const { admit, node, service, tenant, key, study, subject, system } = arranged;
      const reporter = new TestReporter(usesOf(arranged, 3));
      const batch = reporter.batch(1, 3);
      assert.deepEqual(await admit('uses.report', service, batch), { acknowledged: 3 });
      const entries = await useEntries(node, tenant);
      assert.equal(entries.length, 3);
      for (const [i, entry] of entries.entries()) {
        const use = reporter.uses[i] ?? assert.fail();
        const receipt = reporter.chain[i] ?? assert.fail();
        const { outcome, role, class: kind, dataKey, hash, gap } = entry;
        assert.deepEqual([outcome, role, kind, gap], ['success', 'service', 'ecg', undefined]);
        assert.deepEqual([entry['key'], entry['study'], entry['subject']], [key, study, subject]);
        assert.deepEqual([entry['system'], entry['reporter']], [system, reporter.id]);
        assert.deepEqual([dataKey, hash], [use.dataKey, receipt.hash]);
        const { count, time } = use;
        assert.deepEqual(entry['attested'], { count, sequence: i + 1, time, use: use.use });
      }
      // Again: nothing is written twice, and the request itself is recorded.
      assert.deepEqual(await admit('uses.report', service, batch), { acknowledged: 3 });
      assert.deepEqual(await admit('uses.report', service, reporter.batch(2, 2)), { acknowledged: 3 });
      const again = (await useEntries(node, tenant)).slice(3);
      assert.deepEqual(
        again.map(({ outcome }) => outcome),
        ['success', 'success'],
      );
      assert.deepEqual(attested(again), []);
    },
  );

  test(
    `${name}: the ledger is asked by subject, and its payload holds what was signed [URS-038] [URS-033]`,
    on,
    async () => {
      const arranged = await arrange();
      const { admit, custodian, service, subject } = arranged;
      const { secret: auditor } = await admit('credentials.issue', custodian, { name: 'a', role: 'auditor' });
      const reporter = new TestReporter(usesOf(arranged, 2));
      const batch = reporter.batch(1, 2);
      await admit('uses.report', service, batch);
      const asked = { subject, class: 'ecg', operation: 'uses.report' };
      const { entries } = await admit('ledger.query', auditor, asked);
      assert.equal(entries.length, 2);
      for (const [i, { entry }] of entries.entries()) {
        const { entry: id, hash } = JSON.parse(entry) as { entry: string; hash: string };
        const { payload } = await admit('ledger.payload', auditor, { entry: id });
        const { receipt, batch: signed } = payload as { receipt: string; batch: object };
        assert.equal(receipt, reporter.chain[i]?.text);
        assert.equal(createHash('sha256').update(receipt).digest('hex'), hash);
        assert.deepEqual(signed, { first: 1, last: 2, signature: batch.signature });
      }
    },
  );

  test(
    `${name}: what is missing shows as a gap, and what comes in between later is not taken [URS-038]`,
    on,
    async () => {
      const arranged = await arrange();
      const { admit, node, service, tenant } = arranged;
      const reporter = new TestReporter(usesOf(arranged, 9));
      assert.deepEqual(await admit('uses.report', service, reporter.batch(3, 4)), { acknowledged: 4 });
      assert.deepEqual(await admit('uses.report', service, reporter.batch(8, 9)), { acknowledged: 9 });
      const entries = await useEntries(node, tenant);
      assert.deepEqual(sequences(entries), [3, 4, 8, 9]);
      assert.deepEqual(
        entries.map(({ gap }) => gap),
        [{ from: 1, to: 2 }, undefined, { from: 5, to: 7 }, undefined],
      );
      const late = admit('uses.report', service, reporter.batch(5, 7));
      await assert.rejects(late, refusal('receipts.in_gap'));
      await assert.rejects(admit('uses.report', service, reporter.batch(4, 6)), refusal('receipts.in_gap'));
      const refused = (await useEntries(node, tenant)).at(-1);
      assert.deepEqual(
        [refused?.outcome, refused?.code, refused?.['reporter']],
        ['refused', 'receipts.in_gap', reporter.id],
      );
      // What spans it has all been signed, and is known.
      assert.deepEqual(await admit('uses.report', service, reporter.batch(3, 9)), { acknowledged: 9 });
      assert.deepEqual(sequences(await useEntries(node, tenant)), [3, 4, 8, 9]);
    },
  );

  test(
    `${name}: a fork is refused with an entry, wherever it leaves the chain [URS-033] [URS-038]`,
    on,
    async () => {
      const arranged = await arrange();
      const { admit, node, service, tenant } = arranged;
      const reporter = new TestReporter(usesOf(arranged, 6));
      await admit('uses.report', service, reporter.batch(1, 4));
      const forked = (at: number) => {
        const other = new TestReporter(
          reporter.uses.map((use, i) => (i === at - 1 ? { ...use, count: 999 } : use)),
        );
        return Object.assign(other, { key: reporter.key, id: reporter.id });
      };
      for (const [at, first, last] of [
        [1, 1, 1],
        [2, 1, 3],
        [4, 2, 6],
        [1, 3, 6],
        [4, 5, 6],
      ] as const) {
        const batch = forked(at).batch(first, last);
        await assert.rejects(
          admit('uses.report', service, batch),
          refusal('receipts.forked'),
          `${at} ${first}`,
        );
        const refused = (await useEntries(node, tenant)).at(-1);
        assert.deepEqual(
          [refused?.outcome, refused?.code, refused?.['reporter'], refused?.['attested']],
          ['refused', 'receipts.forked', reporter.id, undefined],
        );
      }
      assert.deepEqual(await admit('uses.report', service, reporter.batch(5, 6)), { acknowledged: 6 });
      assert.deepEqual(sequences(await useEntries(node, tenant)), [1, 2, 3, 4, 5, 6]);
    },
  );

  test(
    `${name}: a thousand receipts at once, and of two requests at once each receipt once [URS-038]`,
    on,
    async () => {
      const arranged = await arrange();
      const { admit, node, service, tenant } = arranged;
      const reporter = new TestReporter(usesOf(arranged, 1200));
      const [whole, more] = [reporter.batch(1, 1000), reporter.batch(201, 1200)];
      await admit('uses.report', service, reporter.batch(1, 200));
      await Promise.all([whole, more, whole].map((batch) => admit('uses.report', service, batch)));
      const entries = attested(await useEntries(node, tenant));
      assert.deepEqual(
        sequences(entries),
        reporter.uses.map((_, i) => i + 1),
      );
      assert.ok(entries.every(({ gap }) => gap === undefined));
      const refused = admit('uses.report', service, {
        ...whole,
        uses: [...whole.uses, ...whole.uses.slice(0, 1)],
      });
      await assert.rejects(refused, refusal('request.invalid'));
    },
  );

  test(
    `${name}: in whatever order batches come, each receipt is there once or in a gap [URS-038] [URS-033]`,
    on,
    async () => {
      const arranged = await arrange();
      const { admit, node, service, tenant } = arranged;
      const size = 12;
      const range = fc.tuple(fc.integer({ min: 1, max: size }), fc.integer({ min: 1, max: 5 }));
      const step = fc.record({ range, isForked: fc.integer({ max: 4, min: 0 }).map((n) => n === 0) });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
          const reporter = new TestReporter(usesOf(arranged, size));
          const other = Object.assign(new TestReporter(usesOf(arranged, size)), {
            key: reporter.key,
            id: reporter.id,
          });
          let last = 0;
          const written = new Map<number, string>();
          for (const {
            range: [first, length],
            isForked,
          } of steps) {
            const from = isForked ? other : reporter;
            const end = Math.min(size, first + length - 1);
            const known = written.get(Math.min(last, end));
            const [before, chain] = [from.chain[first - 2]?.hash, from.chain];
            const fits =
              first > last
                ? first > last + 1 || last === 0 || before === written.get(last)
                : known !== undefined && known === chain[Math.min(last, end) - 1]?.hash;
            const asked = admit('uses.report', service, from.batch(first, end));
            if (!fits) {
              const isInGap = first <= last && known === undefined;
              await assert.rejects(asked, refusal(isInGap ? 'receipts.in_gap' : 'receipts.forked'));
              continue;
            }
            for (let i = Math.max(first, last + 1); i <= end; i++) written.set(i, chain[i - 1]?.hash ?? '');
            last = Math.max(last, end);
            assert.deepEqual(await asked, { acknowledged: last });
          }
          const entries = (await useEntries(node, tenant)).filter(
            (entry) => entry['reporter'] === reporter.id,
          );
          const found = attested(entries);
          assert.deepEqual(
            found.map(({ hash }) => hash),
            [...written.values()],
          );
          const missing = found.flatMap(({ gap }) => {
            const { from, to } = (gap ?? { from: 1, to: 0 }) as { from: number; to: number };
            return Array.from({ length: to - from + 1 }, (_, i) => from + i);
          });
          assert.deepEqual(
            [...sequences(found), ...missing].sort((a, b) => a - b),
            Array.from({ length: last }, (_, i) => i + 1),
          );
        }),
        { numRuns: 15 },
      );
    },
  );

  test(
    `${name}: a reporter put back as it was is noticed at start, and not believed when altered [URS-033] [URS-080]`,
    on,
    async () => {
      const arranged = await arrange();
      const { admit, node, service } = arranged;
      const { database } = node.instance;
      const reporter = new TestReporter(usesOf(arranged, 4));
      const put = (row: { last_sequence: number; last_hash?: string; seal?: Uint8Array }) =>
        database.write((tx) =>
          tx.updateTable('use_reporter').set(row).where('id', '=', reporter.id).execute(),
        );
      await admit('uses.report', service, reporter.batch(1, 1));
      const [earlier] = await database.read((tx) =>
        tx.selectFrom('use_reporter').selectAll().where('id', '=', reporter.id).execute(),
      );
      assert.ok(earlier);
      await admit('uses.report', service, reporter.batch(2, 3));
      assert.deepEqual(await reconcile(node.instance), []);
      const { last_sequence, last_hash, seal } = earlier;
      await put({ last_sequence, last_hash, seal });
      assert.deepEqual(await reconcile(node.instance), [
        `Reporter ${reporter.id} is at change 1 in the database and 3 in the ledger.`,
      ]);
      await put({ last_sequence: 3 });
      const altered = admit('uses.report', service, reporter.batch(4, 4));
      await assert.rejects(altered, refusal('server.data_altered'));
    },
  );
}

const arrange = shareInstallation({ name: 'SQLite', skip: false });

test('who speaks for what: services of the system, data recovery, and custodians for escrow [URS-012] [URS-019] [URS-020]', async () => {
  const arranged = await arrange();
  const { admit, node, administrator, custodian, service, tenant, renew } = arranged;
  const other = await makeSystem(admit, custodian, 'ctms');
  const stranger = await makeTenant(admit, administrator);
  const expiresAt = Date.now() + 86_400_000;
  const recovery = await admit('credentials.issue', custodian, {
    name: 'r',
    role: 'data-recovery',
    expiresAt,
  });
  const [use] = usesOf(arranged, 1);
  assert.ok(use);
  const { key: _key, ...rest } = use;
  const opened = { ...rest, recipient: 'ab'.repeat(32) };
  const one = (uses: readonly (typeof use)[]) => new TestReporter(uses).batch(1, uses.length);
  for (const [credential, uses, code, field] of [
    [other.service, [use], 'key.unknown', '/uses/0/key'],
    [stranger.service, [use], 'key.unknown', '/uses/0/key'],
    [custodian, [use], 'receipts.foreign_use', '/uses/0/key'],
    [service, [use, opened], 'receipts.foreign_use', '/uses/1/recipient'],
    [recovery.secret, [opened], 'receipts.foreign_use', '/uses/0/recipient'],
  ] as const) {
    const refused = admit('uses.report', credential, one(uses));
    await assert.rejects(refused, (error: Error & { field?: string }) => {
      assert.equal(error.field, field);
      return refusal(code)(error);
    });
  }
  await admit('uses.report', recovery.secret, one([use]));
  await admit('uses.report', custodian, one([opened]));
  const brought = (await useEntries(node, tenant)).at(-1) ?? assert.fail();
  assert.deepEqual([brought['key'], brought['role']], [undefined, 'custodian']);
  assert.equal((brought['attested'] as { recipient: string }).recipient, opened.recipient);

  // A reporter belongs to the system that it began with, whichever of its credentials brings the receipts.
  const theirs = { ...use, key: other.key };
  const reporter = new TestReporter([use, use, theirs]);
  await admit('uses.report', service, reporter.batch(1, 1));
  await admit('uses.report', (await renew()).secret, reporter.batch(2, 2));
  const foreign = admit('uses.report', other.service, reporter.batch(3, 3));
  await assert.rejects(foreign, refusal('receipts.foreign_reporter'));
});

test('what was used is reported whatever has become of the key, the subject or the tenant [URS-038] [URS-004]', async () => {
  const arranged = await arrange();
  const { admit, custodian, service, key, context } = arranged;
  const { dataKey } = usesOf(arranged, 1)[0] ?? assert.fail();
  const gone = { ...arranged, study: '00000000-0000-4000-8000-000000000000', subject: 'f'.repeat(32) };
  const reporter = new TestReporter([...usesOf(arranged, 2), ...usesOf(gone, 1)]);
  await admit('keys.revoke', custodian, { key, cause: 'breach', reason: 'test' });
  assert.deepEqual(await admit('uses.report', service, reporter.batch(1, 1)), { acknowledged: 1 });
  await admit('tenants.seal', custodian, { reason: 'test' });
  assert.deepEqual(await admit('uses.report', service, reporter.batch(2, 3)), { acknowledged: 3 });
  const encrypted = admit('keys.encrypt', service, { key, context, plaintext: dataKey });
  await assert.rejects(encrypted, refusal('tenant.sealed'));
});

test('a batch that was not signed so is refused and leaves nothing [URS-033] [URS-019]', async () => {
  const arranged = await arrange();
  const { admit, node, service, tenant } = arranged;
  const batch = new TestReporter(usesOf(arranged, 2)).batch(1, 2);
  const [first, second] = batch.uses;
  assert.ok(first && second);
  const { study: _study, ...withoutStudy } = first;
  for (const [altered, field] of [
    [{ ...batch, uses: [second, first] }, '/signature'],
    [{ ...batch, uses: [{ ...first, count: 7 }, second] }, '/signature'],
    [{ ...batch, signature: '0'.repeat(128) }, '/signature'],
    [{ ...batch, first: 2 }, '/signature'],
    [{ ...batch, previous: 'a'.repeat(64) }, '/uses'],
    [{ ...batch, uses: [withoutStudy, second] }, '/uses'],
    [{ ...batch, first: Number.MAX_SAFE_INTEGER }, '/uses'],
  ] as const) {
    const refused = admit('uses.report', service, { ...altered, uses: [...altered.uses] });
    await assert.rejects(refused, (error: Error & { field?: string }) => {
      assert.equal(error.field, field);
      return refusal('receipts.invalid')(error);
    });
  }
  assert.deepEqual(attested(await useEntries(node, tenant)), []);
  const rows = await node.instance.database.read((tx) =>
    tx.selectFrom('use_reporter').select('id').where('id', '=', batch.reporter).execute(),
  );
  assert.deepEqual(rows, []);
});

test('reports make nobody authorise again [URS-032]', async () => {
  const arranged = await arrange();
  const { admit, node, service, tenant } = arranged;
  const log = await node.instance.ledger.openOfTenant(tenant);
  assert.ok(log);
  const head = () =>
    node.instance.database.read((tx) =>
      tx.selectFrom('head').selectAll().where('log', '=', log.id).executeTakeFirstOrThrow(),
    );
  const before = await head();
  const reporter = new TestReporter(usesOf(arranged, 5));
  await admit('uses.report', service, reporter.batch(1, 5));
  const after = await head();
  assert.deepEqual([after.size - before.size, after.epoch - before.epoch], [5, 0]);
});

test('what the contract takes as a use, the format takes, and the reverse [URS-038]', async () => {
  const arranged = await arrange();
  const { admit, service } = arranged;
  const [use] = usesOf(arranged, 1);
  assert.ok(use);
  const reporter = new TestReporter([use]);
  const good = reporter.batch(1, 1);
  for (const change of [
    { class: 'A' },
    { class: 'a'.repeat(65) },
    { purpose: '-a' },
    { count: 0 },
    { count: 1_000_001 },
    { time: -1 },
    { time: 8_640_000_000_000_001 },
    { dataKey: 'AB'.repeat(32) },
    { subject: 'ab' },
    { study: use.dataKey },
    { recipient: 'ab' },
    { device: 'x' },
    { use: 'read' },
  ]) {
    const batch = { ...good, uses: [{ ...use, ...change }] } as unknown as typeof good;
    assert.throws(() => verifyBatch(batch), { code: 'crypto.receipt_malformed' });
    await assert.rejects(admit('uses.report', service, batch), refusal('request.invalid'));
  }
  for (const change of [{ class: 'a'.repeat(64) }, { count: 1_000_000 }, { time: 8_640_000_000_000_000 }]) {
    const batch = new TestReporter([{ ...use, ...change }]).batch(1, 1);
    assert.deepEqual(await admit('uses.report', service, batch), { acknowledged: 1 });
  }
});
