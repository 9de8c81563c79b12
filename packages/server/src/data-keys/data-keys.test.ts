import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { entriesOf, openSecond, stores, until } from '../installation.fixture.test.ts';
import type { Store } from '../installation.fixture.test.ts';
import { codeOf, makeScene, referenceOf, work } from './data-keys.fixture.test.ts';
import type { Scene } from './data-keys.fixture.test.ts';

const [sqlite] = stores as readonly [Store, ...Store[]];

async function ended({ call, custodian }: Scene, rewrap: string) {
  let shown = await call('rewraps.show', custodian, { rewrap });
  await until(async () => {
    shown = await call('rewraps.show', custodian, { rewrap });
    return shown.state !== 'running';
  });
  return shown;
}

for (const store of stores) {
  test(
    `after a rotation registered data keys are wrapped under the new version, and open as before, on ${store.name} [URS-003]`,
    { skip: store.skip },
    async (t) => {
      const scene = await makeScene(t, store);
      const { node, key, custodian, service, call, tenant } = scene;
      const { id: study } = await call('studies.create', custodian, { protocol: 'P-1' });
      const { alias: subject } = await call('subjects.create', custodian, { study, number: '1001' });
      const plain = await scene.make(30);
      const context = { study, subject, class: 'ecg' };
      const ofSubject = await scene.make(20, context);
      const dataKeys = [
        ...plain.map(({ ciphertext }) => ({ ciphertext })),
        ...ofSubject.map(({ ciphertext }) => ({ ciphertext, context })),
      ];
      const registered = await call('data-keys.register', service, { key, dataKeys });
      assert.equal(registered.added, 50);
      assert.deepEqual(
        registered.references,
        dataKeys.map(({ ciphertext }) => referenceOf(ciphertext)),
      );
      const again = await call('data-keys.register', service, { key, dataKeys: dataKeys.slice(0, 3) });
      assert.equal(again.added, 0, 'what is known stays as it is');

      await work(t, node);
      const second = await openSecond(t, scene.installation, node);
      if (second.instance !== node.instance) await work(t, second);
      await call('keys.rotate', custodian, { key });
      const { id, total } = await call('rewraps.start', custodian, { key });
      assert.equal(total, 50);
      const shown = await ended(scene, id);
      assert.deepEqual(
        [shown.state, shown.version, shown.rewrapped, shown.passed, shown.failed, shown.workers],
        ['finished', 2, 50, 0, 0, 0],
      );
      const now = await call('data-keys.current', service, { key, references: registered.references });
      assert.equal(now.dataKeys.length, 50);
      for (const [i, each] of [...plain, ...ofSubject].entries()) {
        const found = now.dataKeys.find(({ reference }) => reference === registered.references[i]);
        assert.ok(found && found.version === 2 && found.ciphertext !== each.ciphertext);
        const input = { key, ciphertext: found.ciphertext, ...(i >= 30 && { context }) };
        const opened = await call('keys.decrypt-data-key', service, input);
        assert.deepEqual([opened.plaintext, opened.version], [each.plaintext, 2]);
      }

      const entries = await entriesOf(node.instance, tenant);
      const about = entries.filter(({ rewrap }) => rewrap === id);
      const batches = about.filter(({ operation }) => operation === 'data-keys.rewrap');
      assert.equal(batches.length, 1, 'an entry for each batch');
      assert.ok(batches.every(({ key: of, version, hash }) => of === key && version === 2 && hash));
      const ends = about.filter(({ operation }) => operation === 'rewraps.finish');
      assert.deepEqual(
        ends.map(({ state, outcome }) => [state, outcome]),
        [['finished', 'success']],
      );
    },
  );
}

test('the hash of a batch is that of its list, which anybody who has the data keys can compute [URS-003]', async (t) => {
  const scene = await makeScene(t, sqlite);
  const { node, key, custodian, service, call, tenant } = scene;
  const [one] = await scene.make(1);
  assert.ok(one);
  const registered = await call('data-keys.register', service, {
    key,
    dataKeys: [{ ciphertext: one.ciphertext }],
  });
  await work(t, node);
  await call('keys.rotate', custodian, { key });
  const { id } = await call('rewraps.start', custodian, { key });
  await ended(scene, id);
  const { dataKeys } = await call('data-keys.current', service, { key, references: registered.references });
  const wrapped = createHash('sha256')
    .update(Buffer.from(dataKeys[0]?.ciphertext ?? '', 'base64'))
    .digest();
  const reference = Buffer.from(registered.references[0] ?? '', 'hex');
  const expected = createHash('sha256').update(reference).update(wrapped).digest('hex');
  const entries = await entriesOf(node.instance, tenant);
  const hashes = entries.filter(({ operation }) => operation === 'data-keys.rewrap').map(({ hash }) => hash);
  assert.ok(hashes.includes(expected));
});

test('a rotation by whoever’s hand is followed by a rewrap without anybody asking [URS-003]', async (t) => {
  const scene = await makeScene(t, sqlite);
  const { node, key, custodian, service, call } = scene;
  const made = await scene.make(3);
  const dataKeys = made.map(({ ciphertext }) => ({ ciphertext }));
  const { references } = await call('data-keys.register', service, { key, dataKeys });
  await call('keys.rotate', custodian, { key });
  await work(t, node);
  await until(async () => {
    const now = await call('data-keys.current', service, { key, references });
    return now.dataKeys.every(({ version }) => version === 2);
  });
  await until(async () => (await call('rewraps.list', custodian, {})).rewraps[0]?.state !== 'running');
  const { rewraps } = await call('rewraps.list', custodian, { key });
  assert.deepEqual(
    rewraps.map(({ state, version }) => [state, version]),
    [['finished', 2]],
  );
});

test('what does not open, or is not what its context says, is not registered, and nothing with it [URS-046]', async (t) => {
  const scene = await makeScene(t, sqlite);
  const { key, custodian, service, call } = scene;
  const [good, other] = await scene.make(2);
  const { ciphertext } = await call('keys.encrypt', service, {
    key,
    plaintext: Buffer.alloc(33, 1).toString('base64'),
  });
  assert.ok(good && other);
  const { id: study } = await call('studies.create', custodian, { protocol: 'P-1' });
  const mutated = Buffer.from(other.ciphertext, 'base64');
  mutated[mutated.length - 1] = (mutated.at(-1) ?? 0) ^ 1;
  const foreign = await makeScene(t, sqlite);
  const [elsewhere] = await foreign.make(1);
  const bad = {
    'another bit': { ciphertext: mutated.toString('base64') },
    truncated: { ciphertext: mutated.subarray(0, 40).toString('base64') },
    'another context': { ciphertext: other.ciphertext, context: { class: 'ecg' } },
    'a study that it is not wrapped for': { ciphertext: other.ciphertext, context: { study } },
    'a ciphertext of the encrypt operation': { ciphertext },
    'another tenant’s': { ciphertext: elsewhere?.ciphertext ?? '' },
  };
  for (const [what, each] of Object.entries(bad)) {
    const dataKeys: { ciphertext: string; context?: Record<string, string> }[] = [
      { ciphertext: good.ciphertext },
      each,
    ];
    assert.equal(
      await codeOf(call('data-keys.register', service, { key, dataKeys })),
      'ciphertext.invalid',
      what,
    );
  }
  const reserved = [{ ciphertext: good.ciphertext, context: { 'trialkeep:type': 'data-key' } }];
  assert.equal(
    await codeOf(call('data-keys.register', service, { key, dataKeys: reserved })),
    'context.invalid',
  );
  const references = [referenceOf(good.ciphertext)];
  assert.deepEqual((await call('data-keys.current', service, { key, references })).dataKeys, []);
  assert.equal(
    await codeOf(call('data-keys.current', foreign.service, { key, references }, foreign.node)),
    'key.unknown',
  );
});

test('a data key that was changed in the database is named as failed, and the others are wrapped [URS-003]', async (t) => {
  const scene = await makeScene(t, sqlite);
  const { node, key, custodian, service, call, tenant } = scene;
  const made = await scene.make(5);
  const dataKeys = made.map(({ ciphertext }) => ({ ciphertext }));
  const { references } = await call('data-keys.register', service, { key, dataKeys });
  const [spoiled = ''] = references;
  await node.instance.database.write((tx) =>
    tx
      .updateTable('data_key')
      .set({ wrapped: Buffer.from(made[1]?.ciphertext ?? '', 'base64').subarray(0, 130) })
      .where('reference', '=', Buffer.from(spoiled, 'hex'))
      .execute(),
  );
  await work(t, node);
  await call('keys.rotate', custodian, { key });
  const { id } = await call('rewraps.start', custodian, { key });
  const shown = await ended(scene, id);
  assert.deepEqual([shown.rewrapped, shown.failed], [4, 1]);
  const entries = await entriesOf(node.instance, tenant);
  const failed = entries.filter(
    ({ operation, outcome }) => operation === 'data-keys.rewrap' && outcome === 'failed',
  );
  assert.equal(failed.length, 1);
});

test('a rewrap is stopped, or gives way to the next; what it has done stays done [URS-003]', async (t) => {
  const scene = await makeScene(t, sqlite);
  const { node, key, custodian, service, call } = scene;
  const made = await scene.make(2);
  const dataKeys = made.map(({ ciphertext }) => ({ ciphertext }));
  const { references } = await call('data-keys.register', service, { key, dataKeys });
  await call('keys.rotate', custodian, { key });
  const first = await call('rewraps.start', custodian, { key });
  const second = await call('rewraps.start', custodian, { key });
  assert.equal((await call('rewraps.show', custodian, { rewrap: first.id })).state, 'superseded');
  const cancelled = await call('rewraps.cancel', custodian, { rewrap: second.id });
  assert.equal(cancelled.state, 'cancelled');
  assert.equal(
    await codeOf(call('rewraps.cancel', custodian, { rewrap: second.id })),
    'rewrap.transition_undefined',
  );
  const nobody = '00000000-0000-4000-8000-000000000000';
  assert.equal(await codeOf(call('rewraps.cancel', custodian, { rewrap: nobody })), 'rewrap.unknown');
  assert.equal(await codeOf(call('rewraps.start', service, { key })), 'access.denied');
  await work(t, node);
  // Long enough for what was stopped to have begun, were it not.
  await setTimeout(300);
  const now = await call('data-keys.current', service, { key, references });
  assert.ok(now.dataKeys.every(({ version }) => version === 1));
  assert.deepEqual(await call('data-keys.forget', service, { key, references }), { removed: 2 });
  assert.deepEqual((await call('data-keys.current', service, { key, references })).dataKeys, []);
  const empty = await call('rewraps.start', custodian, { key });
  assert.deepEqual([empty.state, empty.total], ['finished', 0]);
  await call('keys.suspend', custodian, { key, reason: 'test' });
  assert.equal(await codeOf(call('rewraps.start', custodian, { key })), 'key.unusable');
});

test('data keys of a subject that is erased leave the registry [URS-006]', async (t) => {
  const scene = await makeScene(t, sqlite);
  const { node, key, custodian, service, call } = scene;
  const { id: study } = await call('studies.create', custodian, { protocol: 'P-1' });
  const { alias: subject } = await call('subjects.create', custodian, { study, number: '1001' });
  const context = { study, subject };
  const [kept] = await scene.make(1);
  const [gone] = await scene.make(1, context);
  assert.ok(kept && gone);
  const dataKeys = [{ ciphertext: kept.ciphertext }, { ciphertext: gone.ciphertext, context }];
  const { references } = await call('data-keys.register', service, { key, dataKeys });
  await node.instance.database.write((tx) =>
    tx.updateTable('subject').set({ state: 'erasing' }).where('alias', '=', subject).execute(),
  );
  await work(t, node);
  await until(async () => {
    const now = await call('data-keys.current', service, { key, references });
    return now.dataKeys.length === 1 && now.dataKeys[0]?.reference === references[0];
  });
  const row = await node.instance.database.read((tx) =>
    tx.selectFrom('data_key_registry').select('registered').executeTakeFirst(),
  );
  assert.equal(row?.registered, 1);
});
