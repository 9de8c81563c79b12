import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openNote, parseCheckpoint } from '@trialkeep/ledger';
import type { Tx } from '../platform/database.ts';
import { testOnStores } from '../platform/fixture.test.ts';
import {
  anchorFile,
  append,
  entriesOf,
  makeScene,
  naiveRoot,
  origin,
  putBack,
  sha256,
} from '../ledger.fixture.test.ts';
import { findEntries } from './find/entries.ts';
import type { Ledger } from './ledger.ts';
import { logVerifier } from './log-keys/keys.ts';

async function signed(ledger: Ledger) {
  const note = await ledger.anchorNow(ledger.instanceLog.id);
  const { text } = await openNote(note, [logVerifier(ledger.instanceLog.verifierKey)]);
  return parseCheckpoint(text);
}

testOnStores(
  'checkpoints sign the RFC 6962 root over the committed entries, whatever the size [URS-033]',
  async (t, under) => {
    const node = await (await makeScene(t, under)).start();
    const { ledger, database } = node;
    for (const count of [0, 1, 253, 1, 1, 300, 1100]) {
      await append(node, count);
      const { origin: signedOrigin, size, root } = await signed(ledger);
      const entries = await entriesOf(database, ledger.instanceLog.id);
      assert.deepEqual([signedOrigin, size], [origin, entries.length]);
      assert.equal(Buffer.from(root).toString('hex'), naiveRoot(entries).toString('hex'), `size ${size}`);
    }
  },
);

testOnStores(
  'after a restart the tree goes on from its stored tiles, and catches up with what was committed [URS-032] [URS-033]',
  async (t, under) => {
    const { database, start } = await makeScene(t, under);
    const first = await start();
    await append(first, 700);
    await signed(first.ledger);
    // Committed, and never integrated: the process has ended before.
    await append(first, 50);
    const node = await start();
    const { ledger, reasons } = node;
    assert.deepEqual(reasons, []);
    assert.equal(ledger.instanceLog.size, 751);
    await append(node, 600);
    const { size, root } = await signed(ledger);
    const entries = await entriesOf(database, ledger.instanceLog.id);
    assert.equal(size, 1351);
    assert.equal(Buffer.from(root).toString('hex'), naiveRoot(entries).toString('hex'));
    const indexed = await database.read((snapshot) =>
      findEntries(snapshot, ledger.instanceLog.id, {}, { after: -1, to: 1e9 }, 10_000),
    );
    assert.deepEqual(
      indexed.map(({ bytes }) => Buffer.from(bytes).toString('utf8')),
      entries.map((bytes) => Buffer.from(bytes).toString('utf8')),
    );
  },
);

testOnStores('concurrent checkpoints of one log agree, and never go back [URS-033]', async (t, under) => {
  const node = await (await makeScene(t, under)).start();
  const sizes: number[] = [];
  await Promise.all([
    append(node, 400),
    ...Array.from({ length: 10 }, async () => sizes.push((await signed(node.ledger)).size)),
  ]);
  assert.deepEqual(
    sizes,
    [...sizes].sort((a, b) => a - b),
  );
  assert.equal((await signed(node.ledger)).size, 401);
});

testOnStores(
  'a database whose entries, tiles, root or checkpoints do not fit each other does not start [URS-008] [URS-033]',
  async (t, under) => {
    const zeros = new Uint8Array(32);
    const damages: readonly ((tx: Tx) => Promise<unknown>)[] = [
      (tx) =>
        tx
          .updateTable('ledger_tile')
          .set({ hashes: new Uint8Array(145 * 32) })
          .where('level', '=', 0)
          .where('tile', '=', 1)
          .execute(),
      (tx) => tx.deleteFrom('ledger_tile').where('level', '=', 1).execute(),
      (tx) => tx.updateTable('ledger_tree').set({ root: zeros }).execute(),
      (tx) =>
        tx
          .updateTable('ledger_tree')
          .set((eb) => ({ size: eb('size', '-', 1) }))
          .execute(),
      // Committed and not integrated yet.
      (tx) => tx.deleteFrom('ledger_entry').where('position', '=', 402).execute(),
      (tx) => tx.deleteFrom('ledger_entry').where('position', '=', 403).execute(),
    ];
    for (const [i, damage] of damages.entries()) {
      const scene = await makeScene(t, under);
      const node = await scene.start();
      await append(node, 400);
      await signed(node.ledger);
      await scene.start();
      await append(node, 3);
      await scene.database.write(damage);
      await assert.rejects(scene.start(), { code: 'database.altered' }, `damage ${i}`);
    }
  },
);

testOnStores('a database behind its anchor is noticed at start [URS-080]', async (t, under) => {
  const scene = await makeScene(t, under);
  const node = await scene.start();
  await append(node, 10);
  await signed(node.ledger);
  await putBack(node, 5);
  const { reasons } = await scene.start();
  assert.equal(reasons.length, 1);
  assert.match(reasons[0] ?? '', /knows 5 entries .* the anchor 11/);
});

testOnStores(
  'a database beside its anchor, with another history of the same length, is noticed at start [URS-080]',
  async (t, under) => {
    const scene = await makeScene(t, under);
    const node = await scene.start();
    await append(node, 5);
    const kept = await signed(node.ledger);
    const rows = await entriesOf(scene.database, node.ledger.instanceLog.id);
    const other = [...rows.slice(0, 4), Buffer.from('{"entry":"another"}'), ...rows.slice(5)];
    await scene.database.write(async (tx) => {
      const bytes = other[4] ?? assert.fail();
      await tx.updateTable('ledger_entry').set({ bytes }).where('position', '=', 4).execute();
      const hashes = Buffer.concat(other.map((entry) => sha256(Buffer.of(0), entry)));
      await tx.updateTable('ledger_tile').set({ hashes }).execute();
      await tx
        .updateTable('ledger_tree')
        .set({ root: naiveRoot(other) })
        .execute();
      await tx.deleteFrom('ledger_checkpoint').execute();
    });
    const { reasons } = await scene.start();
    assert.equal(reasons.length, 1);
    assert.match(reasons[0] ?? '', new RegExp(`differs from the anchor's at ${kept.size} entries`));
  },
);

testOnStores(
  'an anchor of another installation, a damaged one and a missing one are noticed at start [URS-080]',
  async (t, under) => {
    const scene = await makeScene(t, under);
    const node = await scene.start();
    await append(node, 3);
    await signed(node.ledger);
    const own = readFileSync(anchorFile(node.anchor));
    const file = anchorFile(node.anchor);
    const reasons = async (): Promise<readonly string[]> => (await scene.start()).reasons;

    const foreign = await makeScene(t, under, 'trialkeep.localhost/other');
    const beside = join(node.anchor, 'other.checkpoint');
    writeFileSync(beside, readFileSync(anchorFile((await foreign.start()).anchor)));
    assert.match((await reasons()).join(), /knows nothing of log trialkeep\.localhost\/other/);
    rmSync(beside);

    // The same origin, signed by a key that is not the log's.
    const forged = await makeScene(t, under);
    writeFileSync(file, readFileSync(anchorFile((await forged.start()).anchor)));
    assert.match((await reasons()).join(), /is not a checkpoint of log/);

    for (const damaged of [
      own.subarray(0, own.length - 20),
      Buffer.from(own.toString('utf8').replace('\n4\n', '\n3\n')),
    ]) {
      writeFileSync(file, damaged);
      assert.equal((await reasons()).length, 1);
    }
    for (const rubbish of [Buffer.alloc(0), Buffer.from([0xff, 0xfe, 0]), Buffer.alloc(100_000, 0x41)]) {
      writeFileSync(file, rubbish);
      assert.ok((await reasons()).length > 0);
    }
    rmSync(file);
    assert.match((await reasons()).join(), /anchor of log .* is gone/);

    writeFileSync(file, own);
    mkdirSync(join(node.anchor, 'folder'));
    writeFileSync(`${file}.new`, own.subarray(0, 10));
    assert.deepEqual(await reasons(), [], 'what a crash left of a newer one is not read');
  },
);
